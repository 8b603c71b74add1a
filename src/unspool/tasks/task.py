"""What the training loop asks of any task, and a recipe of its settings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unspool.settings import Settings
from unspool.tasks.metric import Metric
from unspool.tasks.predictor import Predictor

Batch = Any
"""Some of the training data; only the task that cut it looks inside."""


@dataclass(frozen=True)
class Totals:
    """Sums over the valid positions of any number of batches; a mean is formed once, at the end.

    Parameters
    ----------
    loss : () tensor
        Negative log-likelihood in nats, summed.
    weight : () tensor
        What ``loss`` is to be divided by: the number of positions, or the sum of their weights.
    count : int
        How many of the task's units (sequences, words) were judged.
    sums : mapping of str to () tensor
        What else the task adds up for its metrics, such as right answers.
    penalty : () tensor, optional
        What one batch's step is to make small beside the mean loss, such as a regularisation; it
        is part of no figure.
    """

    loss: Tensor
    weight: Tensor
    count: int
    sums: Mapping[str, Tensor] = field(default_factory=dict)
    penalty: Tensor | None = None

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.loss + other.loss,
            self.weight + other.weight,
            self.count + other.count,
            {name: value + other.sums[name] for name, value in self.sums.items()},
        )

    def detached(self) -> Totals:
        """The same sums without the graph that they were computed by."""
        return Totals(self.loss.detach(), self.weight, self.count, self.sums)

    @property
    def mean_loss(self) -> Tensor:
        """Nats a position, ``()``."""
        return self.loss / self.weight

    @property
    def objective(self) -> Tensor:
        """What a step of the optimiser makes smaller, ``()``."""
        return self.mean_loss if self.penalty is None else self.mean_loss + self.penalty


class Task(ABC):
    """A predictor together with the data that it learns from and the loss that it is judged by.

    Attributes
    ----------
    predictor : Predictor
        What is trained, and what answers afterwards.
    """

    predictor: Predictor

    @property
    def model(self) -> nn.Module:
        """The network to be trained."""
        return self.predictor.model

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        return self.predictor.device

    @property
    def headline(self) -> Metric:
        """The metric that stands for the rest."""
        return self.predictor.headline

    @property
    def metric_names(self) -> list[str]:
        """What :meth:`measure` measures."""
        return [metric.name for metric in self.predictor.metrics]

    @property
    def unit(self) -> str:
        """What the loss is a mean over, such as ``sequence`` or ``word``."""
        return self.predictor.unit

    @property
    def notes(self) -> Sequence[str]:
        """What a user should know of the data before it is learned from; nothing by default."""
        return ()

    @property
    def parts(self) -> Mapping[str, Sequence[NDArray[Any]]]:
        """What is learned from and what epochs are judged by, as arrays, part by part.

        A run goes on with the same alone; nothing by default, and then nobody compares.
        """
        return {}

    # --- learning --------------------------------------------------------------------------

    @abstractmethod
    def batches_an_epoch(self, batch_size: int) -> int:
        """Training batches that one epoch has."""

    @abstractmethod
    def training_batches(self, batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """One epoch of training batches, in an order that seed and epoch decide."""

    @abstractmethod
    def loss(self, batch: Batch) -> Totals:
        """Judge the model on one batch, with gradients.

        A task may carry something from here to the next batch, such as a hidden state. It then
        gives it out by :meth:`state_dict`, and carries nothing that is not finite: a batch whose
        loss cannot be used is skipped, and must not spoil those after it.
        """

    @abstractmethod
    def examples(self, batch: Batch) -> str:
        """Say which examples a batch holds, as in ``these sequences: [3, 14]``."""

    # --- judging ---------------------------------------------------------------------------

    @abstractmethod
    def measure(self, totals: Totals) -> dict[str, float]:
        """Each of the predictor's metrics by name, from sums over any number of batches."""

    @abstractmethod
    def validate(self) -> dict[str, float] | None:
        """Loss and metrics on the validation part, None where there is no such part.

        The ``loss`` among them chooses the best weights: as a proper score it is far less subject
        to chance than a count of right answers, above all on a small part. What is carried from
        batch to batch in training is afterwards what it was.
        """

    # --- going on after a stop -------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """What is carried from batch to batch beside the weights; nothing, if not overridden."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`state_dict` gave; its tensors come on the CPU.

        Raises
        ------
        ValueError
            If it is not the state of such a task.
        """
        if state:
            raise ValueError(f"state of {', '.join(state)}, expected none for this task")


class TaskSettings(Settings, ABC):
    """A recipe's part that is a task's own: ``[data]``, ``[model]``, and keys at the top."""

    @property
    @abstractmethod
    def data_set(self) -> str | None:
        """The catalogue's set to learn from; None for files of the user's own."""

    @property
    @abstractmethod
    def has_validation(self) -> bool:
        """Whether a part of the data is kept apart to judge each epoch by."""

    @property
    @abstractmethod
    def has_test(self) -> bool:
        """Whether a part of the data is kept apart to judge the trained model by."""

    def prepare(self, data_dir: Path | None, progress: Callable[[str, int, int], None]) -> None:
        """Do beforehand what reading the data takes long for, and tell of it; nothing by default.

        Parameters
        ----------
        data_dir : Path, optional
            Where data sets are looked for first.
        progress : callable
            Called with what is going on, how much is done, and about how much there is.
        """

    @abstractmethod
    def build(self, seed: int, data_dir: Path | None = None) -> Task:
        """Read the data, and draw a new model's weights from the seed.

        Raises
        ------
        DataError, RecipeError
            If the data cannot be used, or not with these settings.
        """
