"""A recurrent stack where no gradient is asked for: made ready once, and run over and over.

For a step of a few sequences all that surrounds the arithmetic counts: here a call is a few
allocations and one call of C++. Nothing is checked; :mod:`unspool.nn.recurrent` does that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unspool.nn import levels
from unspool.nn.stack import Stack, State, Weights

_Rows = tuple[int, int, int]
"""Address, and strides from sequence to sequence and from step to step."""


class Inference:
    """A stack, its weights and the kernel that computes it.

    Parameters
    ----------
    stack : Stack
    features : int
        F.
    weights : sequence of Weights, length L·D
        Contiguous, in float32, without projections.
    kernel : str
        One of :func:`unspool.nn.levels.names`.
    """

    def __init__(
        self, stack: Stack, features: int, weights: Sequence[Weights], kernel: str
    ) -> None:
        self.kernel, self.cell = kernel, stack.cell
        self.hidden_size = weights[0].weight_hh.size(1)
        self.directions = 1 + stack.bidirectional
        self._shape = (features, self.hidden_size, stack.num_layers, self.directions)
        self._weights = weights
        self._keeps_packed = False
        self._packed: dict[str, Tensor] = {}  # by the kernels that read them

    def __call__(
        self, input: Tensor, state: State | None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run over a batch of sequences.

        Parameters
        ----------
        input : Tensor, shape (B, T, F)
            Rows contiguous.
        state : State, shapes (L·D, B, H), or None
            Contiguous; None for zeros.
        lengths : Tensor, shape (B,), optional
            int64, contiguous.

        Returns
        -------
        output : Tensor, shape (B, T, D·H)
        state : State

        Raises
        ------
        ValueError
            If a length is not in 0..T.
        """
        batch, steps, _ = input.shape
        size = self.directions * self.hidden_size
        if not input.is_contiguous() and input.transpose(0, 1).is_contiguous():
            output = input.new_empty(steps, batch, size).transpose(0, 1)
        else:
            output = input.new_empty(batch, steps, size)
        size_of_batch = (batch, steps)
        return output, self._run(input, size_of_batch, _rows(input), _rows(output), state, lengths)

    def step(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Run over one step, (B, F), contiguous; returns (B, D·H) and the state after it."""
        batch, features = x.shape
        size = self.directions * self.hidden_size
        output = x.new_empty(batch, size)
        rows = (x.data_ptr(), features, features)
        return output, self._run(x, (batch, 1), rows, (output.data_ptr(), size, size), state)

    def _run(
        self,
        like: Tensor,
        size: tuple[int, int],
        input: _Rows,
        output: _Rows,
        state: State | None,
        lengths: Tensor | None = None,
    ) -> State:
        from unspool import _native

        shape = (self._shape[2] * self.directions, size[0], self.hidden_size)
        final = [like.new_empty(shape) for _ in range(2 if self.cell == "lstm" else 1)]
        before = [each.data_ptr() for each in state] if state else []
        kernel = levels.for_batch(self.kernel, *size, self.hidden_size)
        packed = self._packed.get(kernel)
        if packed is None and self._keeps_packed:
            packed = self._packed[kernel] = self._pack(kernel)
        _native.forward(
            kernel,
            self.cell,
            (*size, *self._shape),
            input,
            address(lengths),
            before[0] if before else 0,
            before[1] if len(before) > 1 else 0,
            self._addresses() if packed is None else [],
            0,
            1.0,
            output,
            0,
            torch.get_num_threads(),
            final[0].data_ptr(),
            final[1].data_ptr() if len(final) > 1 else 0,
            address(packed),
        )
        return tuple(final)

    def keep_packed(self) -> None:
        """Keep the weights in the order in which the kernel reads them, in all further calls.

        Until then they are brought into it in each call. It takes as much memory as the weights; a
        kernel that leaves some batches to another one, twice as much.
        """
        self._keeps_packed = True

    def _pack(self, kernel: str) -> Tensor:
        from unspool import _native

        sizes, like = (1, 1, *self._shape), self._weights[0].weight_ih
        packed = like.new_empty(_native.packed_size(kernel, self.cell, sizes))
        _native.pack(
            kernel,
            self.cell,
            sizes,
            self._addresses(),
            packed.data_ptr(),
            torch.get_num_threads(),
        )
        return packed

    def _addresses(self) -> list[int]:
        return [address(each) for layer in self._weights for each in layer[:4]]


def is_plain(tensor: Any, *shape: int) -> bool:
    """Tell whether C++ can read a tensor of this shape by its address."""
    return (
        (type(tensor) is Tensor or type(tensor) is nn.Parameter)
        and tensor.dtype is torch.float32
        and tensor.shape == shape
        and tensor.is_contiguous()
        and tensor.is_cpu
        and not tensor.is_neg()
    )


def _rows(tensor: Tensor) -> _Rows:
    return tensor.data_ptr(), tensor.stride(0), tensor.stride(1)


def address(tensor: Tensor | None) -> int:
    """Where a tensor lies; 0 for none, as C++ has it."""
    return 0 if tensor is None else tensor.data_ptr()
