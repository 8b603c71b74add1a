"""One training of an estimator, and what is told of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from unspool.seeding import seeded
from unspool.tasks.metric import Metric
from unspool.tasks.task import Task
from unspool.training import loop
from unspool.training.report import Observer, Record
from unspool.training.settings import TrainingSettings
from unspool.training.state import TrainingState


class History(Observer):
    """Keeps the records of a training, and prints them if asked to."""

    def __init__(self, headline: Metric, verbose: bool) -> None:
        self.records: list[dict[str, Any]] = []
        self._headline = headline
        self._verbose = verbose

    def recorded(self, record: Record) -> None:
        """Keep one record."""
        self.records.append(asdict(record))
        if self._verbose:
            loss = float("nan") if record.loss is None else record.loss
            name = self._headline.name
            figure = self._headline.text(record.metrics[name])
            print(f"epoch {record.epoch}  {record.split}  loss {loss:.4f}  {name} {figure}")


def train(task: Task, settings: TrainingSettings, seed: int, observer: Observer) -> int:
    """Train with one record an epoch; return the number of epochs."""
    an_epoch = task.batches_an_epoch(settings.batch_size)
    training = settings.model_copy(update={"report_every": an_epoch})
    with seeded(seed):
        state = TrainingState.start(task, training)
        loop.train(state, training, seed, [observer])
    return state.progress.epoch
