"""What in an input speaks for an answer, by integrated gradients.

Sundararajan, Taly & Yan 2017, "Axiomatic Attribution for Deep Networks", arXiv 1703.01365.

Shapes: ``T`` steps, ``F`` features, ``M`` points of a path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Output = Callable[[Tensor], Tensor]
"""Gives of inputs ``(M, T, F)`` the number that is explained of each, ``(M,)``."""

FEWEST_POINTS, MOST_POINTS = 32, 1024
_TOLERANCE = 0.01
_AT_A_TIME = 32


@dataclass(frozen=True)
class Attribution:
    """How much each number of an input speaks for an answer, and against it.

    Parameters
    ----------
    values : (T, F) array
        Parts of ``output - baseline``; above zero they speak for the answer.
    output, baseline : float
        What the network gives for the input, and for the baseline that it is compared with.
    points : int
        Of the path between the two.
    """

    values: NDArray[np.float64]
    output: float
    baseline: float
    points: int

    @property
    def gap(self) -> float:
        """How far the parts are from adding up to the whole, as by completeness they would."""
        return float(abs(self.values.sum() - (self.output - self.baseline)))

    @property
    def by_step(self) -> NDArray[np.float64]:
        """The parts of each step, ``(T,)``."""
        return np.asarray(self.values.sum(1))


def integrated_gradients(
    output: Output,
    input: Tensor,
    baseline: Tensor,
    *,
    fewest: int = FEWEST_POINTS,
    most: int = MOST_POINTS,
) -> Attribution:
    """Divide what a network gives among the numbers of its input (equation 1 of the paper).

    The part of a number x_i is (x_i - x'_i) ∫ ∂F(x' + α (x - x')) / ∂x_i dα over α from 0 to 1,
    where x' is the baseline. The integral is a sum over the midpoints of equal intervals; their
    number is doubled until the parts add up to F(x) - F(x') within one per cent of it.

    Parameters
    ----------
    output : callable
        F.
    input, baseline : (T, F) tensors
        x and x'.
    fewest, most : int
        Points of the sum.

    Examples
    --------
    >>> def product(x):
    ...     return (x[:, :, 0] * x[:, :, 1]).sum(1)
    >>> found = integrated_gradients(product, torch.tensor([[2.0, 3.0]]), torch.zeros(1, 2))
    >>> found.values.round(3).tolist(), round(found.gap, 3)
    ([[3.0, 3.0]], 0.0)
    """
    with torch.no_grad():
        of_input, of_baseline = output(torch.stack([input, baseline])).double().tolist()
    points = fewest
    while True:
        mean = _mean_gradient(output, input, baseline, points)
        parts = ((input - baseline).double() * mean).cpu().numpy()
        found = Attribution(parts, of_input, of_baseline, points)
        if points >= most or found.gap <= _TOLERANCE * abs(of_input - of_baseline):
            return found
        points = min(2 * points, most)


def _mean_gradient(output: Output, input: Tensor, baseline: Tensor, points: int) -> Tensor:
    """The gradient of F, on average over the path, ``(T, F)``."""
    total = torch.zeros_like(input, dtype=torch.float64)
    path = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    for start in range(0, points, _AT_A_TIME):
        part = path[start : start + _AT_A_TIME].to(input)
        between = baseline + part[:, None, None] * (input - baseline)
        between = between.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(output(between).sum(), between)
        total += gradient.double().sum(0)
    return total / points


def log_odds(logits: Tensor, place: int) -> Tensor:
    """How strongly one class is held against all others: log p / (1 - p), in nats.

    Unlike a probability it does not level off where the network is sure.

    Examples
    --------
    >>> log_odds(torch.tensor([[0.0, 0.0, 0.0]]), 1).exp()
    tensor([0.5000])
    """
    others = torch.ones(logits.size(-1), dtype=torch.bool, device=logits.device)
    others[place] = False
    return logits[..., place] - logits[..., others].logsumexp(-1)
