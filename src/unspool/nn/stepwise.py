"""Recurrent layers run step by step, where a step's input hangs on what came of the step before.

The matrix products of such a loop are small and many. What can be done for all steps at once is
taken out of it: the products with what is known beforehand, and the gradients of the weights.

Shapes: ``B`` batch, ``T`` steps, ``F`` features, ``G`` gates × H, ``H`` hidden size.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from unspool.nn.gates import run_gates
from unspool.nn.stack import State


class SteppedLinear:
    """Add ``W x`` to each step's own sum, for steps that come one after another.

    The same as ``T`` calls of :func:`torch.nn.functional.linear`, but that the gradient of ``W``
    is formed in one product for all steps, and not in ``T`` that are then added up.

    Parameters
    ----------
    weight : (G, F) tensor
        ``W``.
    sums : (B, T, G) tensor
        What to add to: a bias, expanded, or the products of inputs that are known already.

    Examples
    --------
    >>> linear = SteppedLinear(torch.full((1, 2), 10.0), torch.tensor([[[1.0], [2.0]]]))
    >>> linear(torch.ones(1, 2)), linear(torch.zeros(1, 2))
    (tensor([[21.]]), tensor([[2.]]))
    """

    def __init__(self, weight: Tensor, sums: Tensor) -> None:
        device = sums.device.type
        autocast = torch.is_autocast_enabled(device)
        # As autocast would, but once.
        self._type = torch.get_autocast_dtype(device) if autocast else weight.dtype
        self._weight = weight.detach().to(self._type).t()
        self._inputs: list[Tensor] = []
        self._done = 0
        sums = sums.to(torch.promote_types(sums.dtype, torch.float32))
        tapped: Tensor = _Tap.apply(sums, weight, self._inputs)  # type: ignore[no-untyped-call]
        self._learns = weight.requires_grad and torch.is_grad_enabled()
        self._sums = tapped.unbind(1)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the next step's sum, ``(B, G)``, given its ``x``, ``(B, F)``."""
        x = x.to(self._type)
        if self._learns:
            self._inputs.append(x.detach())
        total = self._sums[self._done] + x @ self._weight
        self._done += 1
        return total


class _Tap(torch.autograd.Function):
    """Hand the sums on, and learn their gradients: those of everything that is added to them."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor, weight: Tensor, inputs: list[Tensor]) -> Tensor:
        ctx.inputs, ctx.type = inputs, weight.dtype
        return sums.view_as(sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_sums: Tensor) -> tuple[Tensor, Tensor | None, None]:
        if not ctx.needs_input_grad[1]:
            return d_sums, None, None
        x = torch.stack(ctx.inputs, 1)  # (B, as many steps as were taken, F)
        taken = d_sums[:, : x.size(1)].flatten(0, 1).to(x.dtype)
        d_weight = taken.t() @ x.flatten(0, 1)
        return d_sums, d_weight.to(ctx.type), None


class SteppedLayer:
    """One recurrent layer in one direction, a step at a time.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
    input, recurrent : SteppedLinear
        ``W_ih x + b_ih`` and ``W_hh h + b_hh``.

    Examples
    --------
    >>> product = SteppedLinear(torch.zeros(2, 2), torch.zeros(1, 1, 2))
    >>> SteppedLayer("rnn", product, SteppedLinear(torch.eye(2), torch.zeros(1, 1, 2)))(
    ...     torch.ones(1, 2), (torch.ones(1, 2),)
    ... )
    (tensor([[0.7616, 0.7616]]),)
    """

    def __init__(self, cell: str, input: SteppedLinear, recurrent: SteppedLinear) -> None:
        self._cell, self._input, self._recurrent = cell, input, recurrent

    def __call__(self, x: Tensor, state: State) -> State:
        """Return the state after the next step, given its input, ``(B, F)``, and the state."""
        return run_gates(self._cell, self._input(x), self._recurrent(state[0]), state)
