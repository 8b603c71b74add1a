"""Answers before the end: how right they are, and how soon, by how sure they must be.

Shapes: ``N`` sequences, ``T`` steps of the longest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unspool.tasks.classify.calibration import Reliability, reliability

_LANDMARKS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999)
_DOUBTS = np.concatenate([np.linspace(0.95, 0.5, 19), np.geomspace(0.5, 1e-6, 50)])
_CURVE = sorted({*_LANDMARKS, *(1 - _DOUBTS).tolist()})  # beliefs


@dataclass(frozen=True)
class Stop:
    """What comes of answering as soon as the belief is strong enough.

    Parameters
    ----------
    belief : float
        The probability that the most probable class must have.
    accuracy : float
    mean_steps : float
        Steps read of a sequence, on average; whatever never makes the belief strong enough is
        read to its end.
    """

    belief: float
    accuracy: float
    mean_steps: float


@dataclass(frozen=True)
class EarlyAnswers:
    """A classifier that stops reading when it is sure.

    Parameters
    ----------
    chosen : Stop
        At the belief that was asked for.
    steps : float
        Steps of a sequence, on average.
    curve : tuple of Stop
        At many beliefs, from weak to strong.
    fixed : tuple of (float, float)
        For comparison, mean steps and accuracy where of every sequence 1, 2, … steps are read.
    """

    chosen: Stop
    steps: float
    curve: tuple[Stop, ...]
    fixed: tuple[tuple[float, float], ...]

    @property
    def landmarks(self) -> list[Stop]:
        """The curve at a few round numbers."""
        return [stop for stop in self.curve if stop.belief in _LANDMARKS]


@dataclass(frozen=True)
class AnswersByStep:
    """The answer to each sequence after 1, 2, … steps; past a sequence's end, its last one.

    Parameters
    ----------
    confidence : (N, T) array
        The probability of the most probable class.
    right : (N, T) array of bool
        Whether it is the true one.
    lengths : (N,) array of int64
        Steps of each sequence.
    """

    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]
    lengths: NDArray[np.int64]

    @property
    def accuracies(self) -> list[float]:
        """The share of right answers after each step."""
        accuracies: list[float] = (self.right.sum(0) / len(self.right)).tolist()
        return accuracies

    def calibration(self) -> list[Reliability]:
        """How far the belief after each step can be taken at its word."""
        return [
            reliability(confidence, right, steps)
            for steps, (confidence, right) in enumerate(
                zip(self.confidence.T, self.right.T, strict=True), start=1
            )
        ]

    def stop(self, belief: float) -> Stop:
        """Answer as soon as a class has this probability, or at the end."""
        sure = self.confidence >= belief
        last = self.lengths - 1
        first = np.where(sure.any(1), sure.argmax(1), last)
        read = np.minimum(first, last)  # (N,)
        hits = self.right[np.arange(len(read)), read]
        return Stop(belief, float(hits.mean()), float(read.mean() + 1))

    def early(self, belief: float) -> EarlyAnswers:
        """Stop reading at this belief, and at many others beside it."""
        curve = tuple(self.stop(other) for other in _CURVE)
        steps = np.arange(1, self.right.shape[1] + 1)
        read = np.minimum(self.lengths[:, None], steps).mean(0).tolist()
        fixed = tuple(zip(read, self.accuracies, strict=True))
        return EarlyAnswers(self.stop(belief), float(self.lengths.mean()), curve, fixed)
