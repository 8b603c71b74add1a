"""The native kernels as operators of torch: schema, fake, autograd.

``torch.ops.unspool.recurrent`` runs a whole stack (all layers, both directions, dropout between
the layers) as one operator and one node of autograd's graph; ``recurrent_backward`` is its
gradient. Both are computed by C++ on the CPU, on torch's own threads, and their results do not
depend on the number of threads. A derivative of the gradient is taken of the twin,
:mod:`unspool.nn.reference`, which computes the same function.

What the kernels do not serve (another device or precision, projections) is left to torch's own:
see :func:`serving`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.library import Library

from unspool import native
from unspool.nn import reference
from unspool.nn.stack import GATES, Stack, State, Weights

# Held for good: operators live as long as their library.
_LIBRARY = Library("unspool", "FRAGMENT")  # type: ignore[no-untyped-call]
_LIBRARY.define(  # type: ignore[no-untyped-call]
    "recurrent(Tensor input, Tensor? h0, Tensor? c0, Tensor? lengths, Tensor[] weights,"
    " Tensor? mask, str cell, int num_layers, bool bidirectional, bool bias, float scale,"
    " bool save, str kernel) -> (Tensor output, Tensor h_n, Tensor c_n, Tensor workspace)"
)
_LIBRARY.define(  # type: ignore[no-untyped-call]
    "recurrent_backward(Tensor? d_output, Tensor? d_h_n, Tensor? d_c_n, Tensor input, Tensor? h0,"
    " Tensor? c0, Tensor? lengths, Tensor[] weights, Tensor? mask, Tensor output,"
    " Tensor workspace, str cell, int num_layers, bool bidirectional, bool bias, float scale,"
    " str kernel, bool[] wanted) -> Tensor[]"
)
# Arguments that follow `mask` in `recurrent`, and `workspace` in `recurrent_backward`.
_Settings = tuple[str, int, bool, bool, float]
_Function = TypeVar("_Function", bound=Callable[..., Any])


def constant_when_compiled(function: _Function) -> _Function:
    """Have a compiler take what a function returns for a constant, and not look into it.

    As ``torch.compiler.assume_constant_result`` does, which would import the compiler: a second
    that every program would pay.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


@cache
def names() -> tuple[str, ...]:
    """Name the native kernels that this machine can run, the fastest last.

    Returns
    -------
    tuple of str
        ``"portable"``, and as far as the processor has the instructions ``"avx2"``, ``"avx512"``
        or ``"neon"``. Empty where there is no native module, or where torch's OpenMP threads,
        which the kernels work on, are not found; a warning says so once.
    """
    if native.absence() is not None:
        return ()
    from unspool import _native

    if not _native.borrow_threads():
        warnings.warn(
            "native kernels are not used: torch's OpenMP runtime was not found in this process; "
            "torch's own kernels serve",
            RuntimeWarning,
            stacklevel=2,
        )
        return ()
    return tuple(_native.kernels())


@cache
def half_names() -> tuple[str, ...]:
    """Name the native kernels that multiply in bfloat16 and add in float32, the fastest last.

    Returns
    -------
    tuple of str
        ``"avx512_bf16"`` and ``"amx_bf16"``, as far as the processor has the instructions; empty
        where :func:`names` is.
    """
    if not names():
        return ()
    from unspool import _native

    return tuple(_native.half_kernels())


def serving(
    name: str, input: Tensor, state: State | None, weights: Sequence[Weights]
) -> str | None:
    """Name the native kernel that computes this call, None where it is left to torch.

    The kernels compute on the CPU, in float32, without projections; under ``torch.autocast`` with
    bfloat16 they multiply in bfloat16 where the processor does so faster.

    Parameters
    ----------
    name : str
        The kernel that :func:`unspool.nn.recurrent.kernel` chose.
    input, state, weights
        As for :func:`run`; the state may lack its batch dimension.
    """
    half = torch.is_autocast_enabled("cpu")
    if weights[0].weight_hr is not None or is_transformed():
        return None
    if any(
        tensor.dtype != torch.float32 for layer in weights for tensor in layer if tensor is not None
    ):
        return None
    accepted = (torch.float32, torch.bfloat16) if half else (torch.float32,)
    for tensor in (input, *(state or ()), weights[0].weight_ih):
        if tensor.device.type != "cpu" or tensor.layout != torch.strided:
            return None
        if tensor.dtype not in accepted:
            return None
    if half and torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return None
    return _variant(name, half)


@constant_when_compiled
def _variant(name: str, half: bool) -> str | None:
    """Name the kernel that computes in float32 or in bfloat16 where `name` was chosen."""
    if not half:
        return names()[-1] if name in half_names() else name
    if name in half_names():
        return name
    return half_names()[-1] if name == names()[-1] and native.fast_bf16() else None


def is_transformed() -> bool:
    """Tell whether torch.func or forward-mode derivatives are at work, which know no operator."""
    return forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active()


def run(
    stack: Stack,
    input: Tensor,
    state: State | None,
    lengths: Tensor | None,
    weights: Sequence[Weights],
    kernel: str,
) -> tuple[Tensor, State]:
    """Run a whole stack on a batch in canonical form, by the native kernel of that name.

    Arguments and result are those of :func:`unspool.nn.reference.run`. The mask of dropout is drawn
    from torch's global generator. What comes in bfloat16 is computed from as float32; results are
    float32.
    """
    input = input.float()
    state = None if state is None else tuple(member.float() for member in state)
    flat = [tensor for layer in weights for tensor in layer if tensor is not None]
    h0, c0 = (*(state or ()), None, None)[:2]
    drops = stack.dropout > 0 and stack.num_layers > 1
    output, h_n, c_n, _ = torch.ops.unspool.recurrent(
        input,
        h0,
        c0,
        lengths,
        flat,
        _draw_mask(stack, input, weights) if drops else None,
        stack.cell,
        stack.num_layers,
        stack.bidirectional,
        weights[0].bias_ih is not None,
        1 / (1 - stack.dropout) if stack.dropout < 1 else 0.0,
        drops or _needs_gradient([input, *(state or ()), *flat]),
        kernel,
    )
    return output, (h_n, c_n) if stack.cell == "lstm" else (h_n,)


def step(
    stack: Stack, x: Tensor, state: State | None, weights: Sequence[Weights], kernel: str
) -> tuple[Tensor, State]:
    """Run a stack over one step, past torch's dispatcher, which would take longer than the step.

    Parameters
    ----------
    stack : Stack
        In one direction.
    x : Tensor, shape (B, F)
        The input, contiguous.
    state : State, shapes (L, B, H), or None
        Contiguous; None for zeros.
    weights : sequence of Weights, length L
        Contiguous.
    kernel : str
        One of :func:`names`.

    Returns
    -------
    output : Tensor, shape (B, H)
        The output of the last layer.
    state : State
        The states after the step.
    """
    from unspool import _native

    batch, features = x.shape
    hidden = weights[0].weight_hh.size(1)
    output = x.new_empty(batch, hidden)
    final = tuple(
        x.new_empty(stack.num_layers, batch, hidden)
        for _ in range(2 if stack.cell == "lstm" else 1)
    )
    h0, c0 = (*(state or ()), None, None)[:2]
    _native.forward(
        kernel,
        stack.cell,
        (batch, 1, features, hidden, stack.num_layers, 1),
        (x.data_ptr(), features, features),
        0,
        _address(h0),
        _address(c0),
        [0 if weight is None else weight.data_ptr() for layer in weights for weight in layer[:4]],
        0,
        1.0,
        (output.data_ptr(), hidden, hidden),
        0,
        torch.get_num_threads(),
        final[0].data_ptr(),
        final[1].data_ptr() if len(final) > 1 else 0,
    )
    return output, final


_CHANCES = 2**16
"""Dropout rates are rounded to a whole number of so many: 16 random bits decide over an output,
which takes a fifth of the time of torch's own Bernoulli numbers."""


def _draw_mask(stack: Stack, input: Tensor, weights: Sequence[Weights]) -> Tensor:
    """Draw which outputs are kept on the way from layer to layer: (L−1, B, T, D·H) of 0 and 1."""
    width = weights[0].weight_hh.size(1) * (2 if stack.bidirectional else 1)
    shape = (stack.num_layers - 1, input.size(0), input.size(1), width)
    dropped = round(stack.dropout * _CHANCES)
    if dropped == _CHANCES:
        return torch.zeros(shape, dtype=torch.uint8, device=input.device)
    count = math.prod(shape)
    words = torch.randint(
        -(2**63), 2**63 - 1, ((count + 3) // 4,), dtype=torch.int64, device=input.device
    )
    drawn = words.view(torch.int16)[:count]  # -2**15 to 2**15 - 1
    return (drawn >= dropped - 2**15).view(torch.uint8).view(shape)


def _needs_gradient(tensors: Sequence[Tensor]) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


# ------------------------------------------------------------------------------- shapes and memory


def _sizes(
    input: Tensor, weights: Sequence[Tensor], num_layers: int, bidirectional: bool
) -> tuple[int, int, int, int, int, int]:
    """Return B, T, F, H, L, D."""
    return (*input.shape, weights[1].size(1), num_layers, 2 if bidirectional else 1)


def _like_input(input: Tensor, features: int) -> Tensor:
    """An empty (B, T, ·) tensor whose steps or sequences lie in memory as the input's do."""
    batch, steps, _ = input.shape
    if input.transpose(0, 1).is_contiguous() and not input.is_contiguous():
        return input.new_empty(steps, batch, features).transpose(0, 1)
    return input.new_empty(batch, steps, features)


def _results(
    input: Tensor, sizes: tuple[int, ...], cell: str, workspace_size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, _, _, hidden, layers, directions = sizes
    state = (layers * directions, batch, hidden)
    return (
        _like_input(input, directions * hidden),
        input.new_empty(state),
        input.new_empty(state if cell == "lstm" else 0),
        input.new_empty(workspace_size),
    )


def _workspace_size(kernel: str, cell: str, sizes: tuple[int, ...], has_mask: bool) -> int:
    """Numbers that the forward pass saves, as csrc/recurrent.cpp lays them out."""
    from unspool import _native

    size: int = _native.workspace_size(kernel, cell, sizes, has_mask)
    return size


@torch.library.register_fake("unspool::recurrent")  # type: ignore[untyped-decorator]
def _fake(
    input: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    weights: list[Tensor],
    mask: Tensor | None,
    cell: str,
    num_layers: int,
    bidirectional: bool,
    bias: bool,
    scale: float,
    save: bool,
    kernel: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    sizes = _sizes(input, weights, num_layers, bidirectional)
    # The sizes may be symbols, which C++ does not know: a row's size times the number of rows.
    one = (1, 1, 1, *sizes[3:])
    row = _workspace_size(kernel, cell, one, mask is not None)
    return _results(input, sizes, cell, sizes[0] * sizes[1] * row if save else 0)


@torch.library.register_fake("unspool::recurrent_backward")  # type: ignore[untyped-decorator]
def _fake_backward(
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
    cell: str,
    num_layers: int,
    bidirectional: bool,
    bias: bool,
    scale: float,
    kernel: str,
    wanted: list[bool],
) -> list[Tensor]:
    return [
        gradient for gradient in _gradients(input, h0, c0, weights, wanted) if gradient is not None
    ]


def _gradients(
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
            weight.new_empty(weight.shape) if want else None
            for weight, want in zip(weights, of_weights, strict=True)
        ),
    ]


# -------------------------------------------------------------------------------- on the processor


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


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
    addresses = [_address(tensor) for tensor in tensors]
    if bias:
        return addresses
    return [
        address for i in range(0, len(addresses), 2) for address in (*addresses[i : i + 2], 0, 0)
    ]


def _check_weights(
    weights: Sequence[Tensor], sizes: tuple[int, ...], cell: str, bias: bool
) -> None:
    """Check shapes: C++ reads the weights by address, and would read beyond smaller ones."""
    _, _, features, hidden, layers, directions = sizes
    rows = GATES[cell] * hidden  # type: ignore[index]
    biases = [(rows,), (rows,)] if bias else []
    expected = [
        shape
        for layer in range(layers)
        for columns in [features if layer == 0 else directions * hidden] * directions
        for shape in ((rows, columns), (rows, hidden), *biases)
    ]
    shapes = [weight.shape for weight in weights]
    if shapes != expected:
        raise RuntimeError(
            f"weights have shapes {[tuple(shape) for shape in shapes]}, expected {expected}; "
            "set weights of the layer's own shapes"
        )


@torch.library.impl(_LIBRARY, "recurrent", "CPU")
def _forward(
    input: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    weights: list[Tensor],
    mask: Tensor | None,
    cell: str,
    num_layers: int,
    bidirectional: bool,
    bias: bool,
    scale: float,
    save: bool,
    kernel: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from unspool import _native

    input = _with_contiguous_rows(input)
    h0, c0, lengths, mask = map(_contiguous, (h0, c0, lengths, mask))
    weights = [weight.contiguous() for weight in weights]
    sizes = _sizes(input, weights, num_layers, bidirectional)
    _check_weights(weights, sizes, cell, bias)
    size = _workspace_size(kernel, cell, sizes, mask is not None) if save else 0
    output, h_n, c_n, workspace = _results(input, sizes, cell, size)
    _native.forward(
        kernel,
        cell,
        sizes,
        _rows(input),
        _address(lengths),
        _address(h0),
        _address(c0),
        _weight_addresses(weights, bias),
        _address(mask),
        scale,
        _rows(output),
        _address(workspace) if save else 0,
        torch.get_num_threads(),
        _address(h_n),
        _address(c_n) if cell == "lstm" else 0,
    )
    return output, h_n, c_n, workspace


@torch.library.impl(_LIBRARY, "recurrent_backward", "CPU")
def _backward(
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
    cell: str,
    num_layers: int,
    bidirectional: bool,
    bias: bool,
    scale: float,
    kernel: str,
    wanted: list[bool],
) -> list[Tensor]:
    from unspool import _native

    input = _with_contiguous_rows(input)
    h0, c0, lengths, mask, d_h_n, d_c_n = map(_contiguous, (h0, c0, lengths, mask, d_h_n, d_c_n))
    weights = [weight.contiguous() for weight in weights]
    if d_output is not None:
        d_output = _with_contiguous_rows(d_output)
    gradients = _gradients(input, h0, c0, weights, wanted)
    d_input, d_h0, d_c0, *d_weights = gradients
    _native.backward(
        kernel,
        cell,
        _sizes(input, weights, num_layers, bidirectional),
        _rows(input),
        _address(lengths),
        _address(h0),
        _address(c0),
        _weight_addresses(weights, bias),
        _address(mask),
        scale,
        _rows(output),
        _address(workspace),
        torch.get_num_threads(),
        _rows(d_output),
        _address(d_h_n),
        _address(d_c_n),
        _rows(d_input),
        _address(d_h0),
        _address(d_c0),
        _weight_addresses(d_weights, bias),
    )
    return [gradient for gradient in gradients if gradient is not None]


# ---------------------------------------------------------------------------------------- autograd


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    input, h0, c0, lengths, weights, mask, *settings, save, kernel = inputs
    result, _, c_n, workspace = output
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(workspace, *(() if settings[0] == "lstm" else (c_n,)))
    ctx.save_for_backward(input, h0, c0, lengths, mask, result, workspace, *weights)
    ctx.settings, ctx.kernel, ctx.saves = tuple(settings), kernel, save


def _autograd_backward(
    ctx: Any, d_output: Tensor | None, d_h_n: Tensor | None, d_c_n: Tensor | None, _: None
) -> tuple[Any, ...]:
    input, h0, c0, lengths, mask, output, workspace, *weights = ctx.saved_tensors
    wants_input, wants_h0, wants_c0, _, wants_weights, *_ = ctx.needs_input_grad
    if isinstance(wants_weights, bool):
        wants_weights = [wants_weights] * len(weights)
    wanted = [wants_input, wants_h0, wants_c0, *wants_weights]
    if torch.is_grad_enabled() or not ctx.saves:
        found = _twin_gradients(
            (d_output, d_h_n, d_c_n), input, h0, c0, lengths, weights, mask, ctx.settings, wanted
        )
    else:
        found = torch.ops.unspool.recurrent_backward(
            d_output,
            d_h_n,
            d_c_n,
            input,
            h0,
            c0,
            lengths,
            weights,
            mask,
            output,
            workspace,
            *ctx.settings,
            ctx.kernel,
            wanted,
        )
    remaining = iter(found)
    gradients = [next(remaining) if want else None for want in wanted]
    return (*gradients[:3], None, gradients[3:], *[None] * 8)


torch.library.register_autograd(
    "unspool::recurrent", _autograd_backward, setup_context=_setup_context, lib=_LIBRARY
)


def _twin_gradients(
    cotangents: Sequence[Tensor | None],
    input: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    weights: Sequence[Tensor],
    mask: Tensor | None,
    settings: _Settings,
    wanted: Sequence[bool],
) -> tuple[Tensor, ...]:
    """Gradients by way of the twin: they can be differentiated again, and need nothing saved."""
    cell, num_layers, bidirectional, bias, scale = settings
    each = 4 if bias else 2
    stack = Stack(cell, num_layers, bidirectional)  # type: ignore[arg-type]
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad():
        # A view of each argument: one that is given twice, or made from another, counts by itself.
        input, *weights = (tensor.view_as(tensor) for tensor in (input, *weights))
        h0, c0 = (None if member is None else member.view_as(member) for member in (h0, c0))
        state = None if h0 is None else (h0,) if c0 is None else (h0, c0)
        output, final = reference.run(
            stack,
            input,
            state,
            lengths,
            [Weights(*weights[i : i + each]) for i in range(0, len(weights), each)],
            masks=None if mask is None else [layer.to(input.dtype) * scale for layer in mask],
        )
    pairs = [
        (result, cotangent)
        for result, cotangent in zip((output, *final), cotangents, strict=False)
        if cotangent is not None
    ]
    sources = [
        tensor
        for tensor, want in zip((input, h0, c0, *weights), wanted, strict=True)
        if want and tensor is not None
    ]
    gradients = torch.autograd.grad(
        [result for result, _ in pairs],
        sources,
        [cotangent for _, cotangent in pairs],
        create_graph=differentiable,
        materialize_grads=True,
    )
    return gradients
