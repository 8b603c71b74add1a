"""What the tests of estimators share: waves to tell apart, and small classifiers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from unspool import SequenceClassifier


@dataclass(frozen=True)
class Waves:
    """Waves that fade or grow, of two features a step."""

    x: np.ndarray  # (N, T, 2)
    y: np.ndarray  # (N,)

    def unequal(self) -> list[np.ndarray]:
        """The same, each cut to a length of its own."""
        steps = self.x.shape[1]
        return [x[: steps - place % 3] for place, x in enumerate(self.x)]


def waves_of(count: int = 48, steps: int = 10, seed: int = 0) -> Waves:
    rng = np.random.default_rng(seed)
    y = np.tile(["fades", "grows"], count // 2)
    ramp = np.where(y[:, None] == "grows", np.linspace(0, 1, steps), np.linspace(1, 0, steps))
    wave = np.sin(np.arange(steps) + rng.uniform(0, 6, (count, 1))) * ramp
    return Waves(np.stack([wave, wave**2], axis=2), y)


def small_classifier(**parameters: Any) -> SequenceClassifier:
    """A classifier that trains in a fraction of a second, and the same every time."""
    defaults = {"hidden_size": 8, "epochs": 2, "random_state": 0}
    return SequenceClassifier(**{**defaults, **parameters})


@pytest.fixture(scope="session")
def waves() -> Callable[..., Waves]:
    return waves_of


@pytest.fixture(scope="session")
def small() -> Callable[..., SequenceClassifier]:
    return small_classifier


@pytest.fixture(scope="session")
def data() -> Waves:
    return waves_of()


@pytest.fixture(scope="session")
def fitted(data: Waves) -> SequenceClassifier:
    return small_classifier(epochs=25, learning_rate=0.03).fit(data.x, data.y)
