"""The native cross-entropy as an operator of torch: schema, fake, and C++ on the CPU.

``torch.ops.unspool.linear_cross_entropy`` forms the loss and, in the same pass, its gradients; a
node of autograd's graph around it is :mod:`unspool.nn.cross_entropy`'s business.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.library import Library

from unspool.nn import levels

# Held for good: operators live as long as their library.
_LIBRARY = Library("unspool", "FRAGMENT")  # type: ignore[no-untyped-call]
_LIBRARY.define(  # type: ignore[no-untyped-call]
    "linear_cross_entropy(Tensor hidden, Tensor weight, Tensor? bias, Tensor targets,"
    " float label_smoothing, float scale, bool[] wanted, str kernel)"
    " -> (Tensor loss, Tensor d_hidden, Tensor d_weight, Tensor d_bias)"
)

Found = tuple[Tensor, Tensor, Tensor, Tensor]
"""The loss in nats, and the gradients of hidden, weight and bias: empty where not wanted."""


def serving(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, product: torch.dtype
) -> str | None:
    """Name the native kernel that computes this call, None where it is left to torch.

    Parameters
    ----------
    hidden : (N, H) tensor
    weight : (V, H) tensor
    bias : (V,) tensor, optional
    product : torch.dtype
        What the products are to be formed in.
    """
    if hidden.numel() == 0 or hidden.dtype not in (torch.float32, torch.bfloat16):
        return None
    for tensor in (hidden, weight, bias):
        if tensor is not None and tensor.device.type != "cpu":
            return None
    if any(t is not None and t.dtype != torch.float32 for t in (weight, bias)):
        return None
    if product not in (torch.float32, torch.bfloat16):
        return None
    return levels.serving(levels.kernel(), half=product == torch.bfloat16)


def run(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    label_smoothing: float,
    scale: float,
    wanted: Sequence[bool],
    kernel: str,
) -> tuple[Tensor, list[Tensor | None]]:
    """Judge the positions by the native kernel of that name.

    Parameters
    ----------
    hidden : (N, H) tensor
    weight : (V, H) tensor
    bias : (V,) tensor, optional
    targets : (N,) int64 tensor
    label_smoothing : float
    scale : float
        Of the gradients.
    wanted : sequence of 3 bool
        Of which of hidden, weight and bias the gradient is wanted.
    kernel : str
        What :func:`serving` named.

    Returns
    -------
    loss : () tensor
        Nats, summed over positions.
    gradients : list of 3 tensors
        Those of ``scale`` times the sum; None where not wanted.

    Raises
    ------
    IndexError
        If a target is not among the classes.
    """
    loss, *gradients = torch.ops.unspool.linear_cross_entropy(
        hidden, weight, bias, targets, label_smoothing, scale, list(wanted), kernel
    )
    return loss, [
        gradient if want else None for gradient, want in zip(gradients, wanted, strict=True)
    ]


def _results(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, wanted: Sequence[bool]
) -> list[Tensor]:
    """Empty gradients, without any element where one is not wanted."""
    return [
        like.new_empty(like.shape if want and like is not None else 0)
        for like, want in zip(
            (hidden, weight, weight if bias is None else bias), wanted, strict=True
        )
    ]


@torch.library.register_fake("unspool::linear_cross_entropy")  # type: ignore[untyped-decorator]
def _fake(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    label_smoothing: float,
    scale: float,
    wanted: list[bool],
    kernel: str,
) -> Found:
    d_hidden, d_weight, d_bias = _results(hidden.float(), weight, bias, wanted)
    return weight.new_empty(()), d_hidden, d_weight, d_bias


@torch.library.impl(_LIBRARY, "linear_cross_entropy", "CPU")
def _cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    label_smoothing: float,
    scale: float,
    wanted: list[bool],
    kernel: str,
) -> Found:
    from unspool import _native

    hidden, weight, targets = hidden.float().contiguous(), weight.contiguous(), targets.contiguous()
    bias = None if bias is None else bias.contiguous()
    d_hidden, d_weight, d_bias = gradients = _results(hidden, weight, bias, wanted)
    loss = _native.cross_entropy(
        kernel,
        (*hidden.shape, weight.size(0)),
        (hidden.data_ptr(), weight.data_ptr(), 0 if bias is None else bias.data_ptr()),
        targets.data_ptr(),
        label_smoothing,
        scale,
        tuple(gradient.data_ptr() if gradient.numel() else 0 for gradient in gradients),
        torch.get_num_threads(),
    )
    return weight.new_tensor(loss), d_hidden, d_weight, d_bias
