"""Finds a learning rate by raising it a little after every step (Smith 2017, arXiv 1506.01186)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from unspool.errors import TrainingError
from unspool.tasks.task import Batch, Task
from unspool.training import precision
from unspool.training.optimization import clear_gradients, clip_gradients, learned
from unspool.training.settings import TrainingSettings

_LOWEST, _HIGHEST = 1e-6, 1.0
_SMOOTHING = 0.9
_DIVERGED = 4.0


@dataclass(frozen=True)
class Search:
    """The loss at each learning rate.

    Parameters
    ----------
    rates, losses : list of float
        Learning rates tried, and the smoothed training loss (nats) at each.
    suggestion : float
        The rate at which the loss fell most steeply.
    """

    rates: list[float]
    losses: list[float]
    suggestion: float


def find_lr(task: Task, settings: TrainingSettings, seed: int, steps: int = 150) -> Search:
    """Train for a few steps at ever higher rates, until the loss runs away.

    The task's weights are spent afterwards: make a new task for the training itself.

    Raises
    ------
    TrainingError
        If the loss is not finite from the start, or the device lacks the precision asked for.
    """
    precision.check(settings.precision, task.device)
    optimizer = settings.optimizer.build(task.model)
    parameters = learned(optimizer)
    growth = (_HIGHEST / _LOWEST) ** (1 / (steps - 1))
    rates: list[float] = []
    losses: list[float] = []
    average = 0.0
    task.model.train()
    for step, batch in zip(range(steps), _endless(task, settings, seed), strict=False):
        rate = _LOWEST * growth**step
        for group in optimizer.param_groups:
            group["lr"] = rate
        clear_gradients(parameters)
        with precision.computing_in(settings.precision, task.device):
            totals = task.loss(batch)
        totals.objective.backward()  # type: ignore[no-untyped-call]
        loss = float(totals.mean_loss.detach())
        norm = clip_gradients(parameters, settings.clip_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            break
        optimizer.step()
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        smoothed = average / (1 - _SMOOTHING ** (step + 1))
        rates.append(rate)
        losses.append(smoothed)
        if smoothed > _DIVERGED * min(losses):
            break
    if len(rates) < 3:
        raise TrainingError(
            f"the loss was not finite at a learning rate of {_LOWEST:g}, expected a finite one; "
            "look at the data's scale"
        )
    return Search(rates, losses, _steepest(rates, losses))


def _endless(task: Task, settings: TrainingSettings, seed: int) -> Iterator[Batch]:
    for epoch in itertools.count():
        yield from task.training_batches(settings.batch_size, seed, epoch)


def _steepest(rates: list[float], losses: list[float]) -> float:
    """The rate in the middle of the steepest fall before the lowest loss."""
    lowest = max(losses.index(min(losses)), 2)
    falls = [losses[i - 1] - losses[i + 1] for i in range(1, lowest)]
    return rates[1 + falls.index(max(falls))]
