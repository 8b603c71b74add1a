"""Everything a run must remember to go on as if it had never stopped."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from unspool.tasks.task import Task
from unspool.training import precision
from unspool.training.averaging import NonMonotonicASGD
from unspool.training.optimization import Schedule
from unspool.training.settings import TrainingSettings


@dataclass
class Progress:
    """How far a run has come; plain numbers.

    Parameters
    ----------
    epoch, step : int
        Epochs finished, and batches seen in all.
    seconds : float
        Time spent, over all sittings.
    best_loss : float, optional
        The lowest validation loss so far.
    best_epoch : int
        After which epoch that was; 0 where there is no validation part.
    skipped, skipped_in_row : int
        Batches left out because their gradients were not finite, in all and just before.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best_loss: float | None = None
    best_epoch: int = 0
    skipped: int = 0
    skipped_in_row: int = 0


@dataclass
class TrainingState:
    """A task's model with its optimiser, schedule and progress."""

    task: Task
    optimizer: Optimizer
    schedule: Schedule
    progress: Progress = field(default_factory=Progress)
    best_weights: dict[str, Tensor] | None = None
    _since: float = field(default_factory=time.perf_counter)

    @classmethod
    def start(cls, task: Task, settings: TrainingSettings) -> TrainingState:
        """The state before the first step."""
        precision.check(settings.precision, task.device)
        optimizer = settings.optimizer.build(task.model)
        steps = task.batches_an_epoch(settings.batch_size)
        schedule = settings.schedule.build(optimizer, steps, settings.epochs)
        return cls(task, optimizer, schedule)

    @property
    def lr(self) -> float:
        """The learning rate of the step to come."""
        return float(self.optimizer.param_groups[0]["lr"])

    def tick(self) -> None:
        """Add the time since the last call to the progress."""
        now = time.perf_counter()
        self.progress.seconds += now - self._since
        self._since = now

    def finish_epoch(self, validation: dict[str, float] | None) -> bool:
        """Note the validation metrics; say whether they are the best so far."""
        progress = self.progress
        progress.epoch += 1
        if validation is None:
            self.schedule.after_epoch(None)
            return False
        loss = validation["loss"]
        self.schedule.after_epoch(loss)
        if not math.isfinite(loss):
            return False
        if isinstance(self.optimizer, NonMonotonicASGD):
            self.optimizer.after_epoch(loss)
        if progress.best_loss is not None and loss >= progress.best_loss:
            return False
        progress.best_loss, progress.best_epoch = loss, progress.epoch
        self.best_weights = {
            name: tensor.detach().cpu().clone()
            for name, tensor in self.task.model.state_dict().items()
        }
        return True

    def out_of_patience(self, patience: int | None) -> bool:
        """Whether the validation loss has not fallen for ``patience`` epochs."""
        waited = self.progress.epoch - self.progress.best_epoch
        return patience is not None and self.progress.best_loss is not None and waited >= patience

    def restore_best(self) -> None:
        """Give the model its best weights, where a validation part has chosen some."""
        if self.best_weights is not None:
            self.task.model.load_state_dict(self.best_weights)

    # --- to and from tensors and plain numbers ---------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Weights, what the task carries, the optimiser's averages, the random state, by name."""
        found = {f"model.{name}": value for name, value in self.task.model.state_dict().items()}
        found |= {f"task.{name}": value for name, value in self.task.state_dict().items()}
        for index, averages in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{index}.{name}": value for name, value in averages.items()}
        found["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            found["random.cuda"] = torch.cuda.get_rng_state()
        return found

    def numbers(self) -> dict[str, Any]:
        """All the rest, fit for JSON."""
        return {
            "progress": asdict(self.progress),
            "schedule": self.schedule.state_dict(),
            "optimizer": self.optimizer.state_dict()["param_groups"],
        }

    def restore(
        self,
        tensors: dict[str, Tensor],
        numbers: dict[str, Any],
        best_weights: dict[str, Tensor] | None,
    ) -> None:
        """Go on from what :meth:`tensors` and :meth:`numbers` gave."""
        averages: dict[int, dict[str, Tensor]] = {}
        for name, value in part_of(tensors, "optimizer").items():
            index, _, key = name.partition(".")
            averages.setdefault(int(index), {})[key] = value
        self.task.model.load_state_dict(part_of(tensors, "model"))
        self.task.load_state_dict(part_of(tensors, "task"))
        self.optimizer.load_state_dict({"state": averages, "param_groups": numbers["optimizer"]})
        self.schedule.load_state_dict(numbers["schedule"])
        self.progress = Progress(**numbers["progress"])
        self.best_weights = best_weights
        torch.set_rng_state(tensors["random.cpu"])
        if torch.cuda.is_available() and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"])
        self._since = time.perf_counter()


def part_of(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """What :meth:`TrainingState.tensors` gave of one part, ``model`` or another."""
    prefix = f"{part}."
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
