"""What a step of a cell makes of its two products, ``W_ih x + b_ih`` and ``W_hh h + b_hh``.

The equations are those of :mod:`unspool.nn.reference`. On a CPU those of an LSTM and a GRU, and
their gradients, are computed in C++ at once, which by torch are a dozen operations.

Shapes: ``B`` batch, ``H`` hidden size, ``G`` gates × H.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from unspool.nn import levels
from unspool.nn.inference import address
from unspool.nn.stack import State

_GATES = {"lstm": 4, "gru": 3}


def run_gates(cell: str, input: Tensor, recurrent: Tensor, state: State) -> State:
    """Return the state after a step.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
    input, recurrent : (B, G) tensors
    state : tuple of (B, H) tensors
        ``(h,)``, or ``(h, c)`` of an LSTM. Gradients of what a kernel computed can be
        differentiated no more, nor be formed for many cotangents at once.

    Examples
    --------
    >>> run_gates("gru", torch.zeros(1, 6), torch.zeros(1, 6), (torch.ones(1, 2),))
    (tensor([[0.5000, 0.5000]]),)
    """
    kernel = _serving(cell, input, recurrent, *state)
    if kernel is None:
        return BY_TORCH[cell](input, recurrent, state)
    if cell == "lstm":
        return _Lstm.apply(input, recurrent, state[1], kernel)  # type: ignore[no-any-return, no-untyped-call]
    return (_Gru.apply(input, recurrent, state[0], kernel),)  # type: ignore[no-untyped-call]


def _serving(cell: str, *tensors: Tensor) -> str | None:
    """Name the native kernel that computes this call, None where it is left to torch."""
    if cell == "rnn" or not levels.is_direct():
        return None
    rows, size = tensors[-1].shape
    shapes = [(rows, _GATES[cell] * size)] * 2 + [(rows, size)] * (len(tensors) - 2)
    for tensor, shape in zip(tensors, shapes, strict=True):
        if type(tensor) is not Tensor or tensor.shape != shape:
            return None
        if tensor.device.type != "cpu" or tensor.dtype != torch.float32 or tensor.numel() == 0:
            return None
    return levels.serving(levels.kernel(), half=False)


# --- in C++ ------------------------------------------------------------------------------------


class _Gru(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, recurrent: Tensor, h: Tensor, kernel: str) -> Tensor:
        input, recurrent, h = input.contiguous(), recurrent.contiguous(), h.contiguous()
        after, saved = torch.empty_like(h), _room_for("gru", h, kernel)
        _run("gru", kernel, h, (input, recurrent, h, None, after, None, saved))
        ctx.save_for_backward(h, saved)
        ctx.kernel = kernel
        return after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_after: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        h, saved = ctx.saved_tensors
        d_input, d_recurrent = (h.new_empty(len(h), 3 * h.size(1)) for _ in range(2))
        d_h = torch.empty_like(h)
        arrays = (None, None, h, None, None, None, saved)
        given = (d_after.contiguous(), None, d_input, d_recurrent, d_h, None)
        _run_back("gru", ctx.kernel, h, arrays, given)
        return d_input, d_recurrent, d_h, None


class _Lstm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, input: Tensor, recurrent: Tensor, c: Tensor, kernel: str
    ) -> tuple[Tensor, Tensor]:
        input, recurrent, c = input.contiguous(), recurrent.contiguous(), c.contiguous()
        h_after, c_after, saved = (
            torch.empty_like(c),
            torch.empty_like(c),
            _room_for("lstm", c, kernel),
        )
        _run("lstm", kernel, c, (input, recurrent, None, c, h_after, c_after, saved))
        ctx.save_for_backward(c, saved)
        ctx.kernel = kernel
        return h_after, c_after

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_h_after: Tensor, d_c_after: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        c, saved = ctx.saved_tensors
        d_sums, d_c = c.new_empty(len(c), 4 * c.size(1)), torch.empty_like(c)
        arrays = (None, None, None, c, None, None, saved)
        given = (d_h_after.contiguous(), d_c_after.contiguous(), d_sums, None, None, d_c)
        _run_back("lstm", ctx.kernel, c, arrays, given)
        return d_sums, d_sums, d_c, None


def _room_for(cell: str, state: Tensor, kernel: str) -> Tensor:
    from unspool import _native

    return state.new_empty(len(state), _native.gates_saved(kernel, cell, state.size(1)))


def _run(cell: str, kernel: str, state: Tensor, arrays: Sequence[Tensor | None]) -> None:
    from unspool import _native

    rows, size = state.shape
    addresses = tuple(map(address, arrays))
    _native.gates(kernel, cell, (rows, size), addresses, torch.get_num_threads())


def _run_back(
    cell: str,
    kernel: str,
    state: Tensor,
    arrays: Sequence[Tensor | None],
    gradients: Sequence[Tensor | None],
) -> None:
    from unspool import _native

    rows, size = state.shape
    _native.gate_gradients(
        kernel,
        cell,
        (rows, size),
        tuple(map(address, arrays)),
        tuple(map(address, gradients)),
        torch.get_num_threads(),
    )


# --- by torch ----------------------------------------------------------------------------------


def _rnn(input: Tensor, recurrent: Tensor, state: State) -> State:
    return (torch.tanh(input + recurrent),)


def _lstm(input: Tensor, recurrent: Tensor, state: State) -> State:
    size = input.size(1) // 4
    both, candidate, output = torch.split(input + recurrent, [2 * size, size, size], 1)
    i, f = torch.sigmoid(both).chunk(2, 1)
    c = torch.addcmul(f * state[1], i, torch.tanh(candidate))
    return torch.sigmoid(output) * torch.tanh(c), c


def _gru(input: Tensor, recurrent: Tensor, state: State) -> State:
    size = input.size(1) // 3
    input_both, input_n = torch.split(input, [2 * size, size], 1)
    recurrent_both, recurrent_n = torch.split(recurrent, [2 * size, size], 1)
    r, z = torch.sigmoid(input_both + recurrent_both).chunk(2, 1)
    return (torch.lerp(torch.tanh(torch.addcmul(input_n, r, recurrent_n)), state[0], z),)


BY_TORCH: dict[str, Callable[[Tensor, Tensor, State], State]] = {
    "rnn": _rnn,
    "lstm": _lstm,
    "gru": _gru,
}
