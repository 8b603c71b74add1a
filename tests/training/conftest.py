"""What the tests of training share: a loop that runs as a run does, without its files."""

from collections.abc import Callable

import pytest
import torch

from unspool.tasks.task import Task
from unspool.training.loop import train
from unspool.training.report import Observer, Record
from unspool.training.settings import TrainingSettings
from unspool.training.state import TrainingState


class Log(Observer):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.rates: list[float] = []
        self.improved: list[bool] = []
        self.steps = 0

    def stepped(self, state, totals):
        self.steps += 1
        self.rates.append(state.lr)

    def recorded(self, record):
        self.records.append(record)

    def epoch_ended(self, state, improved):
        self.improved.append(improved)

    def losses(self, split: str) -> list[float | None]:
        return [record.loss for record in self.records if record.split == split]


@pytest.fixture
def learn() -> Callable[..., tuple[TrainingState, Log]]:
    """Train a task; keywords are training settings."""

    def learn(task: Task, seed: int = 1, observers=(), **keywords) -> tuple[TrainingState, Log]:
        values = {"epochs": 3, "batch_size": 10, "report_every": 2, **keywords}
        settings = TrainingSettings.model_validate(values)
        log = Log()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            state = TrainingState.start(task, settings)
            train(state, settings, seed, [log, *observers])
        return state, log

    return learn
