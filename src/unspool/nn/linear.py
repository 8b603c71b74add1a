"""A linear layer whose answers do not hang on what shares the batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unspool.nn import kernels, levels
from unspool.nn.inference import is_plain
from unspool.nn.keeping import Keeping, Kept
from unspool.nn.products import PackedMatrix


class Linear(Keeping, nn.Linear):
    """torch.nn.Linear, but without gradients each row's answer is the same bits in every batch.

    BLAS adds up a row's products in an order that hangs on how many rows there are; the kernels of
    the recurrent layers do not. What they do not serve (gradients, autocast, another device or
    number type) goes to torch. The weights are packed at each call, or once inside
    :func:`~unspool.nn.keeping.keeping_packed`.

    Examples
    --------
    >>> layer, x = Linear(300, 20), torch.randn(50, 300)
    >>> with torch.no_grad():
    ...     together, alone = layer(x), layer(x[7:8])
    >>> torch.equal(together[7:8], alone)
    True
    """

    _kept: Kept[PackedMatrix] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Return ``input · Wᵀ + b``, (..., M), of (..., K)."""
        packed = self._ready(input)
        if packed is None:
            return super().forward(input)
        rows = input.reshape(-1, self.in_features).contiguous()
        bias = None if self.bias is None else self.bias.expand(len(rows), -1)
        return packed.multiply(rows, bias).view(*input.shape[:-1], self.out_features)

    def _ready(self, input: Tensor) -> PackedMatrix | None:
        """The packed weights; None where torch has to compute."""
        if torch.is_grad_enabled() or not kernels.only_numbers():
            return None
        name = levels.serving(levels.kernel(), half=False)
        if name is None or not self._is_served(input):
            return None
        kernel = levels.batch_invariant(name)
        kept = self._kept if self._scopes else None
        if kept is not None and kept.serves(kernel):
            return kept.ready
        ready = PackedMatrix(self.weight, True, kernel)
        self._kept = Kept(ready, kernel, [self.weight], [self]) if self._scopes else None
        return ready

    def _is_served(self, input: Tensor) -> bool:
        """Tell whether all that is read is numbers in float32 on the CPU, as many as there must."""
        return (
            type(input) is Tensor
            and input.dtype is torch.float32
            and input.is_cpu
            and input.layout is torch.strided
            and not input.is_nested
            and not input.is_neg()
            and input.numel() > 0
            and input.shape[-1:] == (self.in_features,)
            and is_plain(self.weight, self.out_features, self.in_features)
            and (self.bias is None or is_plain(self.bias, self.out_features))
        )
