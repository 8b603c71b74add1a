"""The cross-entropy of a linear layer's logits, of which only some rows exist at a time.

Over a large vocabulary the logits of a language model are by far the largest tensor of a training
step. Here they are formed chunk by chunk, and each chunk's gradient in the same pass, while it is
still in the cache; neither is kept.

Shapes: ``N`` positions, ``R`` positions of a chunk, ``H`` hidden size, ``V`` classes.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from unspool.nn import cross_entropy_kernel

CHUNK = 1 << 22
"""Logits of a chunk, at most: 16 MiB in single precision. Of 10,000 classes these are 419 rows;
fewer make the products slower, above all in bfloat16, more gain nothing."""

_FEWEST_ROWS = 16  # of a chunk, however many classes there are: a product of fewer is slow


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Sum the negative log-likelihood of targets under ``softmax(hidden @ weight.T + bias)``.

    The same as :func:`torch.nn.functional.cross_entropy` of :func:`torch.nn.functional.linear`
    with ``reduction="sum"``, in memory that does not grow with ``N`` times ``V``. Where gradients
    are wanted they are formed along with the sum, so that the backward pass only scales them.

    Parameters
    ----------
    hidden : (N, H) tensor
    weight : (V, H) tensor
    bias : (V,) tensor, optional
    targets : (N,) int64 tensor
        In ``0 … V - 1``, or ``ignore_index``.
    ignore_index : int
        The target of a position that does not count: it changes neither sum nor gradients,
        whatever its hidden values are.
    label_smoothing : float
        Part of the target's probability that is spread evenly over all classes (Szegedy et al.
        2016, arXiv 1512.00567, section 7), 0 to 1.

    Returns
    -------
    () tensor
        Nats. Under autocast the products are formed in its type, everything else in fp32.

    Raises
    ------
    ValueError
        If the shapes do not fit each other, or ``label_smoothing`` is not a share.
    IndexError
        If a target is not among the classes, on a CPU.

    Notes
    -----
    With p = softmax(z), the gradient of -log p_y with respect to z is p minus one at y. The
    logarithm of the softmax's denominator is max z - log max p, which is exact: max p is at least
    1 / V. So one exponential a logit suffices for both.

    The gradient cannot be differentiated once more. On a CPU with a native module its kernels
    compute in single precision, and in bfloat16 under autocast where the processor does so fast;
    the results do not depend on the number of threads. Elsewhere torch's operators do.

    Examples
    --------
    >>> hidden, weight = torch.zeros(2, 3), torch.zeros(4, 3)
    >>> linear_cross_entropy(hidden, weight, None, torch.tensor([0, 3]))  # 2 log 4
    tensor(2.7726)
    """
    _check(hidden, weight, bias, targets)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing has the value {label_smoothing}, expected 0 to 1")
    counted = targets != ignore_index
    if not bool(counted.all()):
        hidden, targets = hidden[counted], targets[counted]
    device = hidden.device.type
    product = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    with_gradients = torch.is_grad_enabled()
    loss: Tensor = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, targets, label_smoothing, product or hidden.dtype, with_gradients
    )
    return loss


def _check(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> None:
    if hidden.dim() != 2 or weight.dim() != 2 or hidden.size(1) != weight.size(1):
        raise ValueError(
            f"hidden has shape {tuple(hidden.shape)} and weight {tuple(weight.shape)}, "
            "expected (N, H) and (V, H)"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias has shape {tuple(bias.shape)}, expected ({len(weight)},)")
    if targets.shape != hidden.shape[:1]:
        raise ValueError(f"targets has shape {tuple(targets.shape)}, expected ({len(hidden)},)")


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        label_smoothing: float,
        product: torch.dtype,
        with_gradients: bool,
    ) -> Tensor:
        wanted = [with_gradients and needed for needed in ctx.needs_input_grad[:3]]
        ctx.save_for_backward(hidden, weight, bias, targets)
        ctx.settings = (label_smoothing, product, wanted)
        loss, *ctx.found = _judge(hidden, weight, bias, targets, *ctx.settings)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.found is None:  # handed out already: the graph was retained
            _, *ctx.found = _judge(*ctx.saved_tensors, *ctx.settings)
        gradients, scale = ctx.found
        ctx.found = None
        if cotangent.device.type != "cpu" or cotangent != scale:
            gradients = [
                None if found is None else found * (cotangent / scale) for found in gradients
            ]
        return (*gradients, None, None, None, None)


def _judge(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    label_smoothing: float,
    product: torch.dtype,
    wanted: list[bool],
) -> tuple[Tensor, Sequence[Tensor | None], Tensor]:
    """The sum over all positions, its gradients, and a scale that these have already.

    That is the one which the mean over positions would ask for: it costs nothing while gradients
    are formed, and a pass over all of them afterwards.
    """
    arguments = (hidden, weight, bias, targets, label_smoothing)
    kernel = cross_entropy_kernel.serving(hidden, weight, bias, product)
    if kernel is None:
        return *_judge_by_torch(*arguments, product, wanted), weight.new_ones(())
    scale = 1 / weight.new_tensor(len(hidden))
    return *cross_entropy_kernel.run(*arguments, scale.item(), wanted, kernel), scale


class _Gradients(NamedTuple):
    """The sum's gradients as far as they are wanted, shaped like what they belong to."""

    hidden: Tensor | None
    weight: Tensor | None
    bias: Tensor | None


def _judge_by_torch(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    label_smoothing: float,
    product: torch.dtype,
    wanted: list[bool],
) -> tuple[Tensor, _Gradients]:
    """The sum over all positions and its gradients by torch, in one pass over chunks of rows."""
    full = torch.promote_types(hidden.dtype, torch.float32)
    gradients = _Gradients(
        torch.empty_like(hidden) if wanted[0] else None,
        torch.zeros_like(weight, dtype=full) if wanted[1] else None,
        torch.zeros_like(bias, dtype=full) if bias is not None and wanted[2] else None,
    )
    loss = hidden.new_zeros((), dtype=full)
    rows = _rows(*hidden.shape[:1], *weight.shape[:1])
    logits = hidden.new_empty(rows, len(weight), dtype=full)  # every chunk's
    products = logits if product == full else logits.to(product)
    weight, rounded_bias = weight.to(product), None if bias is None else bias.to(product)
    with _without_autocast(hidden.device):
        for chunk in _chunks(len(hidden), rows):
            h, y = hidden[chunk].to(product), targets[chunk]  # (R, H), (R,)
            z, p = logits[: len(h)], products[: len(h)]  # (R, V)
            _linear(h, weight, rounded_bias, out=p)
            if p is not z:
                z.copy_(p)
            target, highest = z.gather(1, y[:, None]).squeeze(1), z.amax(1)  # (R,)
            if label_smoothing:
                target = torch.lerp(target, z.mean(1), label_smoothing)
            torch.softmax(z, 1, out=z)
            loss += (highest - z.amax(1).log() - target).sum()
            if any(wanted):
                if label_smoothing:
                    z -= label_smoothing / len(weight)
                z[torch.arange(len(y), device=y.device), y] -= 1 - label_smoothing
                if p is not z:
                    p.copy_(z)
                _add(gradients, chunk, z, p, h, weight)
    return loss, gradients._replace(
        weight=None if gradients.weight is None else gradients.weight.to(hidden.dtype)
    )


def _linear(h: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    if bias is None:
        torch.mm(h, weight.t(), out=out)
    else:
        torch.addmm(bias, h, weight.t(), out=out)


def _add(
    gradients: _Gradients, chunk: slice, z: Tensor, p: Tensor, h: Tensor, weight: Tensor
) -> None:
    """Add what a chunk contributes, given its logits' gradient in full and in product's type."""
    if gradients.hidden is not None:
        gradients.hidden[chunk] = p @ weight
    if gradients.weight is not None:
        if p is z:
            gradients.weight.addmm_(p.t(), h)
        else:
            gradients.weight.add_(p.t() @ h)
    if gradients.bias is not None:
        gradients.bias.add_(z.sum(0))


def _rows(positions: int, classes: int) -> int:
    """Rows of a chunk: of about ``CHUNK`` logits, and all chunks alike."""
    most = max(CHUNK // classes, _FEWEST_ROWS)
    chunks = -(-positions // most)
    return -(-positions // max(chunks, 1)) or 1


def _chunks(positions: int, rows: int) -> Iterator[slice]:
    for start in range(0, positions, rows):
        yield slice(start, min(start + rows, positions))


def _without_autocast(device: torch.device) -> AbstractContextManager[object]:
    return torch.autocast(device.type, enabled=False)
