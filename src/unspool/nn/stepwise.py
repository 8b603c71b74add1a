"""Recurrent layers run step by step, where a step's input hangs on what came of the step before.

The matrix products of such a loop are small and many. What can be done for all steps at once is
taken out of it: the products with what is known beforehand, and the gradients of the weights.

Shapes: ``B`` batch at a step, which may be smaller from step to step, ``R`` rows of all steps,
``F`` features, ``G`` gates × H, ``H`` hidden size.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from unspool.nn import products
from unspool.nn.gates import run_gates
from unspool.nn.products import PackedMatrix
from unspool.nn.stack import State


class SteppedLinear:
    """Add ``W x`` to each step's own sum, for steps that come one after another.

    The same as ``T`` calls of :func:`torch.nn.functional.linear`, but that the gradient of ``W``
    is formed in one product for all steps, and not in ``T`` that are then added up.

    Parameters
    ----------
    weight : (G, F) tensor
        ``W``.
    sums : (R, G) tensor
        What to add to, one step's rows after another's: a bias, expanded, or the products of inputs
        that are known already.
    rows : sequence of int
        How many each step has.

    Examples
    --------
    >>> sums = torch.tensor([[1.0], [2.0], [3.0]])
    >>> linear = SteppedLinear(torch.full((1, 2), 10.0), sums, [2, 1])
    >>> linear(torch.ones(2, 2)), linear(torch.zeros(1, 2))
    (tensor([[21.],
            [22.]]), tensor([[3.]]))
    """

    def __init__(self, weight: Tensor, sums: Tensor, rows: Sequence[int]) -> None:
        self._learns = weight.requires_grad and torch.is_grad_enabled()
        sums = sums.to(torch.promote_types(sums.dtype, torch.float32))
        most = max(rows, default=0)
        kernel = products.serving(weight, sums, most) if torch.is_grad_enabled() else None
        product = _TorchProduct if kernel is None else partial(_NativeProduct, kernel=kernel)
        self._product = product(weight)
        self._inputs: list[Tensor] = []
        self._done = 0
        tapped: Tensor = _Tap.apply(  # type: ignore[no-untyped-call]
            sums, weight, self._inputs, self._product
        )
        self._sums = tapped.split_with_sizes(list(rows))

    def __call__(self, x: Tensor) -> Tensor:
        """Return the next step's sum, ``(B, G)``, given its ``x``, ``(B, F)``."""
        x = x.to(self._product.dtype)
        sums = self._sums[self._done]
        if self._learns:
            self._inputs.append(x.detach().expand(len(sums), -1))
        total = self._product(x, sums)
        self._done += 1
        return total


class _TorchProduct:
    """``W x`` by torch, in the precision that autocast asks for."""

    def __init__(self, weight: Tensor) -> None:
        device = weight.device.type
        autocast = torch.is_autocast_enabled(device)
        # As autocast would, but once.
        self.dtype = torch.get_autocast_dtype(device) if autocast else weight.dtype
        self._weight = weight.detach().to(self.dtype).t()

    def __call__(self, x: Tensor, added: Tensor) -> Tensor:
        return added + x @ self._weight

    def weight_gradient(self, d_sums: Tensor, inputs: list[Tensor]) -> Tensor:
        x = torch.cat(inputs)  # of as many steps as were taken
        return d_sums[: len(x)].to(x.dtype).t() @ x


class _NativeProduct:
    """``W x`` by a kernel of our own."""

    dtype = torch.float32

    def __init__(self, weight: Tensor, kernel: str) -> None:
        self._weight, self._kernel = weight.detach(), kernel
        self._version = weight._version
        self.packed = PackedMatrix(weight, True, kernel)

    def __call__(self, x: Tensor, added: Tensor) -> Tensor:
        rows = len(added)
        if not products.is_readable(x, rows, self._weight.size(1)):
            return self._by_torch(x, added)
        return _Product.apply(x, added, self)  # type: ignore[no-any-return, no-untyped-call]

    @cached_property
    def _by_torch(self) -> _TorchProduct:
        """For what C++ does not read: torch says what is wrong with it, or repeats a single row."""
        return _TorchProduct(self._weight)

    @cached_property
    def transposed(self) -> PackedMatrix:
        """For the gradient of ``x``."""
        if self._weight._version != self._version:
            raise RuntimeError(
                "a weight that is needed for the gradient was modified by an inplace operation "
                "since the forward pass; call backward() before the optimiser's step"
            )
        return PackedMatrix(self._weight, False, self._kernel)

    def weight_gradient(self, d_sums: Tensor, inputs: list[Tensor]) -> Tensor:
        size = self._weight.size(1)
        if not all(products.is_readable(x, len(x), size) for x in inputs):
            return self._by_torch.weight_gradient(d_sums, inputs)
        return products.weight_gradient(d_sums, inputs, self._kernel)


class _Product(torch.autograd.Function):
    """``W x`` and what is added to it; the gradient of ``W`` is learnt elsewhere."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, added: Tensor, product: _NativeProduct) -> Tensor:
        ctx.product = product
        return product.packed.multiply(_with_contiguous_rows(x), _with_contiguous_rows(added))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_sum: Tensor) -> tuple[Tensor | None, Tensor, None]:
        d_x = None
        if ctx.needs_input_grad[0]:
            d_x = ctx.product.transposed.multiply(_with_contiguous_rows(d_sum))
        return d_x, d_sum, None


def _with_contiguous_rows(x: Tensor) -> Tensor:
    return x if x.stride(1) == 1 else x.contiguous()


class _Tap(torch.autograd.Function):
    """Hand the sums on, and learn their gradients: those of everything that is added to them."""

    @staticmethod
    def forward(
        ctx: Any,
        sums: Tensor,
        weight: Tensor,
        inputs: list[Tensor],
        product: _TorchProduct | _NativeProduct,
    ) -> Tensor:
        ctx.inputs, ctx.product, ctx.type = inputs, product, weight.dtype
        return sums.view_as(sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_sums: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        d_weight = None
        if ctx.needs_input_grad[1]:
            d_weight = ctx.product.weight_gradient(d_sums, ctx.inputs).to(ctx.type)
        return d_sums, d_weight, None, None


class SteppedLayer:
    """One recurrent layer in one direction, a step at a time.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
    input, recurrent : SteppedLinear
        ``W_ih x + b_ih`` and ``W_hh h + b_hh``.

    Examples
    --------
    >>> product = SteppedLinear(torch.zeros(2, 2), torch.zeros(1, 2), [1])
    >>> SteppedLayer("rnn", product, SteppedLinear(torch.eye(2), torch.zeros(1, 2), [1]))(
    ...     torch.ones(1, 2), (torch.ones(1, 2),)
    ... )
    (tensor([[0.7616, 0.7616]]),)
    """

    def __init__(self, cell: str, input: SteppedLinear, recurrent: SteppedLinear) -> None:
        self._cell, self._input, self._recurrent = cell, input, recurrent

    def __call__(self, x: Tensor, state: State) -> State:
        """Return the state after the next step, given its input, ``(B, F)``, and the state."""
        return run_gates(self._cell, self._input(x), self._recurrent(state[0]), state)
