"""What the tests share: small data, small tasks, and one small trained run."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import settings

from unspool.data.sequences import Sequences
from unspool.data.source import Division
from unspool.models.classifier import ClassifierSettings
from unspool.tasks.classify.predictor import LabelPredictor
from unspool.tasks.classify.training import Classify

settings.register_profile("unspool", deadline=None)  # no test asserts a time
settings.load_profile("unspool")


def sequences_of(count: int, seed: int, lengths=(2, 7), features: int = 3) -> Sequences:
    """Ragged sequences of three classes that differ by their mean."""
    random = np.random.default_rng(seed)
    classes = np.arange(count) % 3
    steps = random.integers(lengths[0], lengths[1] + 1, count)
    values = [
        random.normal(wanted - 1.0, 0.7, (length, features)).astype(np.float32)
        for wanted, length in zip(classes, steps, strict=True)
    ]
    return Sequences.from_list(values, np.array(["low", "mid", "top"])[classes])


@pytest.fixture
def sequences() -> Callable[..., Sequences]:
    return sequences_of


@pytest.fixture
def division() -> Division:
    return Division(sequences_of(36, 1), sequences_of(18, 2), sequences_of(18, 3))


@pytest.fixture
def make_task(division) -> Callable[..., Classify]:
    """Make a small task; keywords go to the task, or are settings of its model."""

    def make(
        *,
        parts: Division = division,
        seed: int = 1,
        objective="end",
        class_weights=None,
        title="data",
        **model,
    ) -> Classify:
        settings = ClassifierSettings(**{"hidden_size": 5, **model})
        predictor = LabelPredictor.untrained(parts.training, settings, seed, objective=objective)
        return Classify(predictor, parts, class_weights=class_weights, title=title)

    return make


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory) -> Path:
    """A finished run of the digits, small and quick; tests only read it."""
    from unspool import runs
    from unspool.recipes import recipe

    small = [
        "training.epochs=3",
        "training.optimizer.lr=0.03",
        "model.hidden_size=24",
        "model.num_layers=1",
        "model.dropout=0",
        "data.augmentation={}",
        "data.limit=400",
        "data.validation=0.1",
    ]
    folder = tmp_path_factory.mktemp("runs") / "digits"
    runs.train(recipe.load("digits", small), folder)
    return folder


class Answer(NamedTuple):
    """What a command left: exit status, standard output and standard error."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch, capsys) -> Callable[..., Answer]:
    """Run the command line inside this process."""
    from unspool.cli import main

    def run(*arguments: object, stdin: str = "") -> Answer:
        monkeypatch.setattr(sys, "argv", ["unspool", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Answer(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def same_weights() -> Callable[[torch.nn.Module, torch.nn.Module], bool]:
    """Compare two models' weights bit for bit."""

    def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
        left, right = one.state_dict(), other.state_dict()
        return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)

    return same


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes give a test no name: some hold the time at which they were packed.

    Two workers that start in different seconds would otherwise collect different tests.
    """
    return argname if isinstance(val, bytes) else None
