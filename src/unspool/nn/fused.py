"""Torch's own fused kernels as a route: oneDNN, cuDNN or ATen, whichever torch chooses."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from unspool.nn.stack import Stack, State, Weights, zero_state

_lock = threading.Lock()
_doing_without = 0  # calls of all threads, as torch's switch is one for all


@contextmanager
def without_unable_onednn(cell: str, input: Tensor) -> Iterator[None]:
    """Have torch do without oneDNN meanwhile, where that cannot compute an LSTM in half precision.

    Torch hands it every LSTM on a CPU, and fails under autocast on a processor without AVX-512,
    whose bfloat16 oneDNN does not know; ATen's own kernels compute it there.

    Parameters
    ----------
    cell : str
        Of the layers; only ``"lstm"`` has anything done.
    input : Tensor
        What the layers are to read.
    """
    if _is_onednn_able(cell, input):
        yield
        return
    _switch(+1)
    try:
        yield
    finally:
        _switch(-1)


def _switch(more: int) -> None:
    global _doing_without
    with _lock:
        if _doing_without == 0 and not torch._C._get_mkldnn_enabled():
            return  # somebody else has switched it off
        _doing_without = max(0, _doing_without + more)
        torch._C._set_mkldnn_enabled(_doing_without == 0)


def _is_onednn_able(cell: str, input: Tensor) -> bool:
    if cell != "lstm" or input.device.type != "cpu" or torch.compiler.is_compiling():
        return True
    autocast = torch.is_autocast_enabled("cpu")
    return _onednn_knows(torch.get_autocast_dtype("cpu") if autocast else input.dtype)


@cache
def _onednn_knows(dtype: torch.dtype) -> bool:
    if not torch._C._has_mkldnn:
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if dtype == torch.float16:
        return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
    return True


def run(
    stack: Stack,
    input: Tensor,
    state: State | None,
    lengths: Tensor | None,
    weights: Sequence[Weights],
) -> tuple[Tensor, State]:
    """Run a whole stack on a batch in canonical form, by torch's fused kernels.

    Arguments and result are those of :func:`unspool.nn.reference.run`. Sequences of unequal
    lengths are packed, so that padding is never computed.
    """
    if state is None:
        state = zero_state(stack, input, weights)
    if lengths is None or bool((lengths == input.size(1)).all()):
        return _run_padded(stack, input, state, weights)
    if bool((lengths > 0).all()):
        return _run_packed(stack, input, state, lengths, weights)
    return _run_without_empty(stack, input, state, lengths, weights)


def _run_padded(
    stack: Stack, input: Tensor, state: State, weights: Sequence[Weights]
) -> tuple[Tensor, State]:
    kernel = getattr(torch, stack.cell)
    with without_unable_onednn(stack.cell, input):
        output, *final = kernel(
            input,
            _hidden(state),
            *_settings(stack, weights),
            True,  # batch first
        )
    return output, tuple(final)


def _run_packed(
    stack: Stack, input: Tensor, state: State, lengths: Tensor, weights: Sequence[Weights]
) -> tuple[Tensor, State]:
    packed = pack_padded_sequence(input, lengths.cpu(), batch_first=True, enforce_sorted=False)
    descending, original = packed.sorted_indices, packed.unsorted_indices
    assert descending is not None  # for the type checker: enforce_sorted=False always sorts
    assert original is not None
    kernel = getattr(torch, stack.cell)
    with without_unable_onednn(stack.cell, input):
        data, *final = kernel(
            packed.data,
            packed.batch_sizes,
            _hidden(tuple(member.index_select(1, descending) for member in state)),
            *_settings(stack, weights),
        )
    output, _ = pad_packed_sequence(
        PackedSequence(data, packed.batch_sizes, descending, original),
        batch_first=True,
        total_length=input.size(1),
    )
    return output, tuple(member.index_select(1, original) for member in final)


def _run_without_empty(
    stack: Stack, input: Tensor, state: State, lengths: Tensor, weights: Sequence[Weights]
) -> tuple[Tensor, State]:
    # Torch cannot pack a sequence of length 0: its output is zero and its state stays initial.
    rows = lengths.nonzero().squeeze(1)
    output, final = run(
        stack,
        input.index_select(0, rows),
        tuple(member.index_select(1, rows) for member in state),
        lengths.index_select(0, rows),
        weights,
    )
    zeros = output.new_zeros(input.size(0), *output.shape[1:])
    return zeros.index_copy(0, rows, output), tuple(
        initial.to(member.dtype).index_copy(1, rows, member)
        for initial, member in zip(state, final, strict=True)
    )


def _hidden(state: State) -> Tensor | State:
    return state if len(state) > 1 else state[0]


def _settings(
    stack: Stack, weights: Sequence[Weights]
) -> tuple[list[Tensor], bool, int, float, bool, bool]:
    flat = [tensor for layer in weights for tensor in layer if tensor is not None]
    has_biases = weights[0].bias_ih is not None
    # cuDNN keeps what the backward pass needs only in training mode, and dropout is 0 outside it.
    train = torch.is_grad_enabled() or stack.dropout > 0
    return flat, has_biases, stack.num_layers, stack.dropout, train, stack.bidirectional
