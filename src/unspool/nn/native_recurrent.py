"""The native kernels' C++ functions on tensors: shapes, memory and addresses.

Nothing here knows of autograd or of torch's dispatcher; :mod:`unspool.nn.kernels` does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from unspool.nn.inference import address
from unspool.nn.stack import GATES, CellName
from unspool.nn.workspaces import Workspaces

WORKSPACES = Workspaces()
"""For what forward passes save."""

# ------------------------------------------------------------------------------- shapes and memory


def sizes_of(
    input: Tensor, weights: Sequence[Tensor], num_layers: int, bidirectional: bool
) -> tuple[int, int, int, int, int, int]:
    """Return B, T, F, H, L, D."""
    return (*input.shape, weights[1].size(1), num_layers, 2 if bidirectional else 1)


def _like_input(input: Tensor, features: int) -> Tensor:
    """An empty (B, T, ·) tensor whose steps or sequences lie in memory as the input's do."""
    batch, steps, _ = input.shape
    if not input.is_contiguous() and input.transpose(0, 1).is_contiguous():
        return input.new_empty(steps, batch, features).transpose(0, 1)
    return input.new_empty(batch, steps, features)


def results(input: Tensor, sizes: tuple[int, ...], cell: str) -> tuple[Tensor, Tensor, Tensor]:
    """Empty output, h_n and c_n."""
    batch, _, _, hidden, layers, directions = sizes
    state = (layers * directions, batch, hidden)
    return (
        _like_input(input, directions * hidden),
        input.new_empty(state),
        input.new_empty(state if cell == "lstm" else 0),
    )


@lru_cache(maxsize=1024)
def workspace_size(kernel: str, cell: str, sizes: tuple[int, ...], has_mask: bool) -> int:
    """Numbers that the forward pass saves, as csrc/workspace.h lays them out."""
    from unspool import _native

    size: int = _native.workspace_size(kernel, cell, sizes, has_mask)
    return size


SAVED: dict[CellName, tuple[str, ...]] = {
    "rnn_tanh": (),
    "rnn_relu": (),
    "lstm": ("i", "f", "g", "o", "c"),
    "gru": ("r", "z", "n", "hn"),
}
"""What the forward pass saves of each unit at each step; ``hn`` is a GRU's W_hn h + b_hn."""


def unpack(
    workspace: Tensor, kernel: str, cell: CellName, sizes: tuple[int, ...]
) -> list[dict[str, Tensor]]:
    """Read what the forward pass saved, as csrc/workspace.h lays it out.

    It begins with an array [T][B][units / W][4][W] for each layer and direction, where W is the
    size of the kernel's vectors, which the units fill up; an LSTM's rows end with their [units] c.

    Parameters
    ----------
    workspace : Tensor
        That of :func:`forward`.
    kernel, cell : str
    sizes : tuple of int
        B, T, F, H, L, D.

    Returns
    -------
    list of dict of Tensors, shape (B, T, H)
        Of each layer and direction, in the order of the states, by the names of :data:`SAVED`. What
        stands in the padding is anything.
    """
    batch, steps, _, hidden, layers, directions = sizes
    names = SAVED[cell]
    if not names:
        return [{} for _ in range(layers * directions)]
    # A single unit takes a whole vector.
    width = workspace_size(kernel, cell, (1, 1, 1, 1, 1, 1), False) // len(names)
    vectors = -(-hidden // width)
    shape = (layers * directions, steps, batch, vectors * len(names) * width)
    rows = workspace[: math.prod(shape)].view(shape).transpose(1, 2)
    gates = rows[..., : 4 * vectors * width].reshape(*rows.shape[:3], vectors, 4, width)
    named = [gate.flatten(3) for gate in gates.unbind(4)]
    if cell == "lstm":
        named.append(rows[..., 4 * vectors * width :])
    return [
        {name: each[k, ..., :hidden] for name, each in zip(names, named, strict=True)}
        for k in range(layers * directions)
    ]


def gradients_of(
    input: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Sequence[Tensor],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Empty gradients of input, h0, c0 and the weights; None where one is not wanted."""
    of_input, of_h0, of_c0, *of_weights = wanted
    return [
        _like_input(input, input.size(2)) if of_input else None,
        h0.new_empty(h0.shape) if of_h0 and h0 is not None else None,
        c0.new_empty(c0.shape) if of_c0 and c0 is not None else None,
        *(
            torch.empty_like(weight, memory_format=torch.contiguous_format) if want else None
            for weight, want in zip(weights, of_weights, strict=True)
        ),
    ]


# ---------------------------------------------------------------------------------------- addresses


def _rows(tensor: Tensor | None) -> tuple[int, int, int]:
    """Address, and strides from sequence to sequence and from step to step."""
    if tensor is None:
        return (0, 0, 0)
    return (tensor.data_ptr(), tensor.stride(0), tensor.stride(1))


def _with_contiguous_rows(tensor: Tensor) -> Tensor:
    return tensor if tensor.stride(2) == 1 or tensor.size(2) == 1 else tensor.contiguous()


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _weight_addresses(tensors: Sequence[Tensor | None], bias: bool) -> list[int]:
    """Four addresses a layer and direction: weight_ih, weight_hh, bias_ih, bias_hh."""
    addresses = [address(tensor) for tensor in tensors]
    if bias:
        return addresses
    return [place for i in range(0, len(addresses), 2) for place in (*addresses[i : i + 2], 0, 0)]


def _check_weights(
    weights: Sequence[Tensor], sizes: tuple[int, ...], cell: CellName, bias: bool
) -> None:
    """Check shapes: C++ reads the weights by address, and would read beyond smaller ones."""
    expected = _shapes(cell, *sizes[2:], bias)
    if [weight.shape for weight in weights] != expected:
        raise RuntimeError(
            f"weights have shapes {[tuple(weight.shape) for weight in weights]}, expected "
            f"{expected}; set weights of the layer's own shapes"
        )


@lru_cache(maxsize=1024)
def _shapes(
    cell: CellName, features: int, hidden: int, layers: int, directions: int, bias: bool
) -> list[tuple[int, ...]]:
    """What shapes the weights of a stack have, in their order."""
    rows = GATES[cell] * hidden
    biases = [(rows,), (rows,)] if bias else []
    return [
        shape
        for layer in range(layers)
        for columns in [features if layer == 0 else directions * hidden] * directions
        for shape in ((rows, columns), (rows, hidden), *biases)
    ]


# -------------------------------------------------------------------------------- on the processor


def forward(
    input: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    weights: list[Tensor],
    mask: Tensor | None,
    cell: CellName,
    num_layers: int,
    bidirectional: bool,
    bias: bool,
    scale: float,
    save: bool,
    kernel: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run a whole stack: what the operator ``recurrent`` does, argument by argument."""
    from unspool import _native

    save = save or mask is not None  # where the dropped outputs lie
    input = _with_contiguous_rows(input)
    h0, c0, lengths, mask = map(_contiguous, (h0, c0, lengths, mask))
    weights = [weight.contiguous() for weight in weights]
    sizes = sizes_of(input, weights, num_layers, bidirectional)
    _check_weights(weights, sizes, cell, bias)
    size = workspace_size(kernel, cell, sizes, mask is not None) if save else 0
    output, h_n, c_n = results(input, sizes, cell)
    workspace = WORKSPACES.take(size)
    _native.forward(
        kernel,
        cell,
        sizes,
        _rows(input),
        address(lengths),
        address(h0),
        address(c0),
        _weight_addresses(weights, bias),
        address(mask),
        scale,
        _rows(output),
        address(workspace) if save else 0,
        torch.get_num_threads(),
        address(h_n),
        address(c_n) if cell == "lstm" else 0,
    )
    return output, h_n, c_n, workspace


def backward(
    d_output: Tensor | None,
    d_h_n: Tensor | None,
    d_c_n: Tensor | None,
    input: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    weights: list[Tensor],
    mask: Tensor | None,
    output: Tensor,
    workspace: Tensor,
    cell: CellName,
    num_layers: int,
    bidirectional: bool,
    bias: bool,
    scale: float,
    kernel: str,
    wanted: list[bool],
    overwrite: bool = False,
) -> list[Tensor]:
    """Back-propagate through it: what the operator ``recurrent_backward`` does.

    With ``overwrite`` the workspace, which must not be read any more, makes room for the gates'
    gradients; they are not kept beside it then, and lie where the caches have just been.
    """
    from unspool import _native

    input = _with_contiguous_rows(input)
    h0, c0, lengths, mask, d_h_n, d_c_n = map(_contiguous, (h0, c0, lengths, mask, d_h_n, d_c_n))
    weights = [weight.contiguous() for weight in weights]
    if d_output is not None:
        d_output = _with_contiguous_rows(d_output)
    gradients = gradients_of(input, h0, c0, weights, wanted)
    d_input, d_h0, d_c0, *d_weights = gradients
    _native.backward(
        kernel,
        cell,
        sizes_of(input, weights, num_layers, bidirectional),
        _rows(input),
        address(lengths),
        address(h0),
        address(c0),
        _weight_addresses(weights, bias),
        address(mask),
        scale,
        _rows(output),
        address(workspace),
        torch.get_num_threads(),
        _rows(d_output),
        address(d_h_n),
        address(d_c_n),
        _rows(d_input),
        address(d_h0),
        address(d_c0),
        _weight_addresses(d_weights, bias),
        overwrite,
    )
    return [gradient for gradient in gradients if gradient is not None]
