"""What the training loop asks of any task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from unspool.data.batches import Batch


@dataclass(frozen=True)
class Totals:
    """Sums over the valid positions of any number of batches; a mean is formed once, at the end.

    Parameters
    ----------
    loss : () tensor
        Negative log-likelihood in nats, summed.
    weight : () tensor
        What ``loss`` is to be divided by: the number of positions, or the sum of their weights.
    hits, count : () tensor, int
        Right answers, and answers in all.
    """

    loss: Tensor
    weight: Tensor
    hits: Tensor
    count: int

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.loss + other.loss,
            self.weight + other.weight,
            self.hits + other.hits,
            self.count + other.count,
        )

    def detached(self) -> Totals:
        """The same sums without the graph that they were computed by."""
        return Totals(self.loss.detach(), self.weight, self.hits, self.count)

    @property
    def mean_loss(self) -> Tensor:
        """Nats a position, ``()``."""
        return self.loss / self.weight

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(self.hits) / self.count


class Task(ABC):
    """A model together with the data that it learns from and the loss that it is judged by."""

    name: ClassVar[str]

    model: nn.Module

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        return next(self.model.parameters()).device

    @abstractmethod
    def batches_an_epoch(self, batch_size: int) -> int:
        """Training batches that one epoch has."""

    @abstractmethod
    def training_batches(self, batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """One epoch of training batches, in an order that seed and epoch decide."""

    @abstractmethod
    def loss(self, batch: Batch) -> Totals:
        """Judge the model on one batch, with gradients."""

    @abstractmethod
    def validate(self) -> dict[str, float] | None:
        """Metrics on the validation part, None where there is no such part.

        The ``loss`` among them chooses the best weights: as a proper score it is far less subject
        to chance than a count of right answers, above all on a small part.
        """

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """What, beside the weights, is needed to use the model: the task's part of config.json."""
