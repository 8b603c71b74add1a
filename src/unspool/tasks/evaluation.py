"""How well a model answers, on one part of some data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple


class Table(NamedTuple):
    """Figures for people to read.

    Parameters
    ----------
    columns : tuple of str
    rows : sequence of tuple of str
    align : {"left", "right"}
        Where all columns but the first stand.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    align: Literal["left", "right"] = "right"


class Evaluation(ABC):
    """What every task's evaluation tells.

    Attributes
    ----------
    count : int
        How many units were judged: sequences, tokens, whatever the task counts in.
    loss : float
        Mean negative log-likelihood, nats a unit.
    """

    count: int
    loss: float

    @property
    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """Each of the task's metrics by name."""

    def summary(self) -> dict[str, Any]:
        """The figures of the whole, fit for JSON."""
        return {"count": self.count, "loss": self.loss, **self.metrics}

    def report(self) -> dict[str, Any]:
        """All figures, fit for JSON."""
        return self.summary()

    def texts(self) -> dict[str, str]:
        """Files of text that belong to the report, by their names."""
        return {}

    def tables(self) -> list[Table]:
        """What is printed above the last line, which tells the loss and the headline metric."""
        return []
