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

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.library import Library

from unspool.nn import levels, native_recurrent, reference
from unspool.nn.dropout import draw_kept
from unspool.nn.stack import CellName, Stack, State, Weights

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
_Settings = tuple[CellName, int, bool, bool, float]
# Gradients of output, h_n and c_n.
_Cotangents = tuple[Tensor | None, Tensor | None, Tensor | None]


def serving(
    name: str, input: Tensor, state: State | None, weights: Sequence[Weights]
) -> str | None:
    """Name the native kernel that computes this call, None where it is left to torch.

    The kernels compute on the CPU, in float32, without projections; under ``torch.autocast`` with
    bfloat16 they multiply in bfloat16 where the processor does so faster.

    Parameters
    ----------
    name : str
        The kernel that :func:`unspool.nn.levels.kernel` chose.
    input, state, weights
        As for :func:`run`; the state may lack its batch dimension.
    """
    half = torch.is_autocast_enabled("cpu")
    if weights[0].weight_hr is not None or levels.is_transformed():
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
    return levels.serving(name, half)


def only_numbers() -> bool:
    """Tell whether a call is for numbers and their gradients, and nothing else.

    No autocast is on, and no compiler, transformation or mode of torch's dispatcher looks on.
    """
    return levels.is_direct() and not torch.is_autocast_enabled("cpu")


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
    arguments = (
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
    )
    needs_gradient = torch.is_grad_enabled() and any(
        tensor.requires_grad for tensor in (input, *(state or ()), *flat)
    )
    saves = drops or needs_gradient
    if not _is_plain(input, *flat):
        output, h_n, c_n, _ = torch.ops.unspool.recurrent(*arguments, saves, kernel)
        return output, (h_n, c_n) if stack.cell == "lstm" else (h_n,)
    kernel = _for_batch(kernel, input, flat)
    if needs_gradient:
        output, h_n, c_n = _Recurrent.apply(  # type: ignore[no-untyped-call]
            *arguments[:4], *arguments[5:], saves, kernel, *flat
        )
    else:
        output, h_n, c_n, _ = native_recurrent.forward(*arguments, saves, kernel)
    return output, (h_n, c_n) if stack.cell == "lstm" else (h_n,)


def _for_batch(kernel: str, input: Tensor, weights: Sequence[Tensor]) -> str:
    return levels.for_batch(kernel, input.size(0), input.size(1), weights[1].size(1))


def _is_plain(*tensors: Tensor) -> bool:
    """Tell whether the operator would only cost time: nobody looks on, the tensors are torch's."""
    return levels.is_unobserved() and all(
        type(tensor) is Tensor or type(tensor) is nn.Parameter for tensor in tensors
    )


def _draw_mask(stack: Stack, input: Tensor, weights: Sequence[Weights]) -> Tensor:
    """Draw which outputs are kept on the way from layer to layer: (L−1, B, T, D·H) of 0 and 1."""
    width = weights[0].weight_hh.size(1) * (2 if stack.bidirectional else 1)
    shape = (stack.num_layers - 1, input.size(0), input.size(1), width)
    return draw_kept(shape, stack.dropout, input.device).view(torch.uint8)


# -------------------------------------------------------------------------------------- operators


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
    sizes = native_recurrent.sizes_of(input, weights, num_layers, bidirectional)
    # The sizes may be symbols, which C++ does not know: a row's size times the number of rows.
    one = (1, 1, 1, *map(int, sizes[3:]))
    row = native_recurrent.workspace_size(kernel, cell, one, mask is not None)
    saved = sizes[0] * sizes[1] * row if save or mask is not None else 0
    return *native_recurrent.results(input, sizes, cell), input.new_empty(saved)


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
    gradients = native_recurrent.gradients_of(input, h0, c0, weights, wanted)
    return [gradient for gradient in gradients if gradient is not None]


# Which kernel suits a batch is asked where its sizes are numbers: a compiler's would be symbols.


@torch.library.impl(_LIBRARY, "recurrent", "CPU")
def _forward_on_cpu(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    kernel = _for_batch(arguments[-1], arguments[0], arguments[4])
    return native_recurrent.forward(*(*arguments[:-1], kernel))


@torch.library.impl(_LIBRARY, "recurrent_backward", "CPU")
def _backward_on_cpu(*arguments: Any) -> list[Tensor]:
    kernel = _for_batch(arguments[-2], arguments[3], arguments[7])
    return native_recurrent.backward(*(*arguments[:-2], kernel, arguments[-1]))


# ---------------------------------------------------------------------------------------- autograd


class _Recurrent(torch.autograd.Function):
    """The operator's node of the graph, past the dispatcher."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        input, h0, c0, lengths, mask, *settings = arguments[:_OTHERS]
        weights = list(arguments[_OTHERS:])
        given: Any = (input, h0, c0, lengths, weights, mask, *settings)
        results = native_recurrent.forward(*given)
        _setup_context(ctx, given, results)
        ctx.taken = results[3].data_ptr()
        return results[:3]

    @staticmethod
    def backward(
        ctx: Any, d_output: Tensor | None, d_h_n: Tensor | None, d_c_n: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        wanted = (*ctx.needs_input_grad[:3], *ctx.needs_input_grad[_OTHERS:])
        gradients = _gradients(ctx, (d_output, d_h_n, d_c_n), wanted, not _graph_is_kept())
        return (*gradients[:3], *[None] * (_OTHERS - 3), *gradients[3:])


_OTHERS = 12
"""Arguments of :class:`_Recurrent` before the weights."""

# Tells whether the backward pass at work leaves its graph for another one (retain_graph).
_graph_is_kept: Callable[[], bool] = getattr(
    torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True
)


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
    wants_input, wants_h0, wants_c0, _, wants_weights, *_ = ctx.needs_input_grad
    if isinstance(wants_weights, bool):
        wants_weights = [wants_weights] * (len(ctx.saved_tensors) - 7)
    gradients = _gradients(
        ctx, (d_output, d_h_n, d_c_n), [wants_input, wants_h0, wants_c0, *wants_weights]
    )
    return (*gradients[:3], None, gradients[3:], *[None] * 8)


torch.library.register_autograd(
    "unspool::recurrent", _autograd_backward, setup_context=_setup_context, lib=_LIBRARY
)


def _gradients(
    ctx: Any, cotangents: _Cotangents, wanted: Sequence[bool], overwrite: bool = False
) -> list[Tensor | None]:
    """The gradients of input, h0, c0 and weights; None where one is not wanted.

    With ``overwrite`` nothing reads the workspace after this.
    """
    input, h0, c0, lengths, mask, output, workspace, *weights = ctx.saved_tensors
    found: Sequence[Tensor]
    kernel = ctx.kernel
    if torch.is_grad_enabled() or not ctx.saves:
        found = _twin_gradients(
            cotangents, input, h0, c0, lengths, weights, mask, ctx.settings, wanted
        )
    else:
        plain = _is_plain(input, *weights, *(each for each in cotangents if each is not None))
        run: Callable[..., list[Tensor]] = torch.ops.unspool.recurrent_backward
        if plain:
            run = partial(native_recurrent.backward, overwrite=overwrite)
            kernel = _for_batch(kernel, input, weights)
            if overwrite:  # who holds on to it, or asks for gradients after a failure, is told
                torch.autograd.graph.increment_version(workspace)
        found = run(
            *cotangents,
            input,
            h0,
            c0,
            lengths,
            weights,
            mask,
            output,
            workspace,
            *ctx.settings,
            kernel,
            list(wanted),
        )
        if plain and overwrite and workspace.data_ptr() == ctx.taken:  # not what a hook has brought
            native_recurrent.WORKSPACES.give_back(workspace)
    remaining = iter(found)
    return [next(remaining) if want else None for want in wanted]


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
    stack = Stack(cell, num_layers, bidirectional)
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
