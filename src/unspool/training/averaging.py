"""NT-ASGD: plain gradient descent that begins to average its weights when it gets no further."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim import ASGD, Optimizer

_NEVER = 1e18  # steps


class NonMonotonicASGD(ASGD):
    """SGD whose weights are averaged from when the validation loss stops falling.

    Merity, Keskar & Socher 2018, arXiv 1708.02182, algorithm 1: the averaging begins after the
    first epoch whose validation loss is above the lowest of all but the last few epochs before it.

    Parameters
    ----------
    parameters : iterable of Tensor
    lr, weight_decay : float
    patience : int
        How many epochs are these last few.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, weight_decay: float, patience: int
    ) -> None:
        super().__init__(parameters, lr=lr, lambd=0.0, t0=_NEVER, weight_decay=weight_decay)
        # Kept in a group, so that a checkpoint holds them.
        self.param_groups[0] |= {"patience": patience, "losses": []}

    @property
    def averaging(self) -> bool:
        """Whether it has begun."""
        return bool(self.param_groups[0]["t0"] < _NEVER)

    def after_epoch(self, validation_loss: float) -> None:
        """Take note of the validation loss, and begin to average when it is time."""
        first = self.param_groups[0]
        earlier = first["losses"][: -first["patience"]]
        if not self.averaging and validation_loss > min(earlier, default=math.inf):
            steps = max((float(state["step"]) for state in self.state.values()), default=0.0)
            for group in self.param_groups:
                group["t0"] = steps
        first["losses"].append(validation_loss)

    @torch.no_grad()
    def exchange(self) -> None:
        """Swap the model's weights and their averages; both are the same before it has begun."""
        for weight, state in self.state.items():
            average = state["ax"].clone()
            state["ax"].copy_(weight)
            weight.copy_(average)


@contextmanager
def learning(optimizer: Optimizer) -> Iterator[None]:
    """Within it the model has the weights that move; outside, their averages where there are any.

    So whatever judges, keeps or stores the model meets the averages, the only thing about this
    optimiser that is different for them.
    """
    if not isinstance(optimizer, NonMonotonicASGD):
        yield
        return
    optimizer.exchange()
    try:
        yield
    finally:
        optimizer.exchange()
