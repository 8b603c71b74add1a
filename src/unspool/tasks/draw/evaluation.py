"""How likely a model finds some pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from unspool.tasks.evaluation import Evaluation, Table
from unspool.tasks.metric import Metric

NATS = Metric("nats_per_image", higher_is_better=False, format=".2f")
BITS = Metric("bits_per_pixel", higher_is_better=False, format=".4f")


def measure(loss: float, num_pixels: int) -> dict[str, float]:
    """The metrics by their names, from nats an image of so many pixels."""
    return {NATS.name: loss, BITS.name: loss / num_pixels / math.log(2)}


@dataclass(frozen=True)
class PictureEvaluation(Evaluation):
    """Figures of some pictures.

    Parameters
    ----------
    num_pixels : int
        Of each picture.
    count : int
        Pictures judged.
    loss : float
        Mean negative log-likelihood, nats an image: exact, no bound.
    loss_by_label : mapping of str to float
        The same, of the pictures of each label; empty where there are no labels.
    loss_by_row : list of float, optional
        How much of the loss each row adds.
    """

    num_pixels: int
    count: int
    loss: float
    loss_by_label: Mapping[str, float]
    loss_by_row: list[float] | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """Nats an image, and bits a pixel."""
        return measure(self.loss, self.num_pixels)

    def summary(self) -> dict[str, Any]:
        """Loss and metrics, the loss by row where it was asked for."""
        if self.loss_by_row is None:
            return super().summary()
        return {**super().summary(), "loss_by_row": self.loss_by_row}

    def report(self) -> dict[str, Any]:
        """All figures."""
        return {**asdict(self), **self.metrics}

    def tables(self) -> list[Table]:
        """The figures of each label, and of each row where that was asked for."""
        tables = []
        if self.loss_by_label:
            labels = [(label, f"{loss:.2f}") for label, loss in self.loss_by_label.items()]
            tables.append(Table(("label", "nats an image"), labels))
        if self.loss_by_row is not None:
            rows = [(str(row), f"{loss:.3f}") for row, loss in enumerate(self.loss_by_row, start=1)]
            tables.append(Table(("row", "nats"), rows))
        return tables
