"""The scores of additive attention, ``v · tanh(q + k)``, without holding ``B·T·S·A`` numbers.

Bahdanau, Cho & Bengio 2015, arXiv 1409.0473, appendix A.1.2. On a CPU they and their gradients are
computed in C++; elsewhere, and in double precision, by torch for some sequences at a time.

Shapes: ``B`` sequences, ``S`` steps of the source, ``T`` queries to each, ``A`` size of a key.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from unspool.nn import levels

CHUNK = 1 << 17
"""Numbers that torch holds at a time, at most, where it computes on a CPU: 512 KiB in single
precision, which fits in a core's cache. A sequence's are never divided."""

_CHUNK_ELSEWHERE = 1 << 26


def additive_scores(queries: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
    """Form ``v · tanh(q + k)`` for each query and key.

    The hyperbolic tangents are formed once more in the backward pass: to compute them twice is
    quicker than to keep them.

    Parameters
    ----------
    queries : (B, T, A) tensor
    keys : (B, S, A) tensor
    energy : (A,) tensor
        v.

    Returns
    -------
    (B, T, S) tensor
        In float32 at least. Its gradient cannot be differentiated once more.
    """
    full = torch.promote_types(energy.dtype, torch.float32)
    arguments = queries.to(full), keys.to(full), energy.to(full)
    kernel = _serving(*arguments)
    scores: Tensor = _AdditiveScores.apply(*arguments, kernel)  # type: ignore[no-untyped-call]
    return scores


def _serving(*arguments: Tensor) -> str | None:
    """Name the native kernel that computes this call, None where it is left to torch."""
    if not levels.is_direct():
        return None
    queries, keys, energy = arguments
    if len(queries) != len(keys) or not queries.size(2) == keys.size(2) == len(energy):
        return None
    for tensor in arguments:
        if type(tensor) not in (Tensor, nn.Parameter):
            return None
        if tensor.device.type != "cpu" or tensor.dtype != torch.float32 or tensor.numel() == 0:
            return None
    return levels.serving(levels.kernel(), half=False)


class _AdditiveScores(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, keys: Tensor, energy: Tensor, kernel: str | None
    ) -> Tensor:
        if kernel is not None:
            queries, keys, energy = queries.contiguous(), keys.contiguous(), energy.contiguous()
        ctx.save_for_backward(queries, keys, energy)
        ctx.kernel = kernel
        scores = queries.new_empty(*queries.shape[:2], keys.size(1))
        if kernel is None:
            _form_scores(queries, keys, energy, scores)
        else:
            _form_scores_natively(queries, keys, energy, scores, kernel)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_scores: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        queries, keys, energy = ctx.saved_tensors
        if ctx.kernel is None:
            return *_gradients(queries, keys, energy, d_scores), None
        d_scores = d_scores.contiguous()
        return *_gradients_natively(queries, keys, energy, d_scores, ctx.kernel), None


# --- in C++ ------------------------------------------------------------------------------------


def _sizes(queries: Tensor, keys: Tensor) -> tuple[int, int, int, int]:
    batch, queries_each, size = queries.shape
    return batch, queries_each, keys.size(1), size


def _form_scores_natively(
    queries: Tensor, keys: Tensor, energy: Tensor, scores: Tensor, kernel: str
) -> None:
    from unspool import _native

    _native.additive_scores(
        kernel,
        _sizes(queries, keys),
        (queries.data_ptr(), keys.data_ptr(), energy.data_ptr()),
        scores.data_ptr(),
        torch.get_num_threads(),
    )


def _gradients_natively(
    queries: Tensor, keys: Tensor, energy: Tensor, d_scores: Tensor, kernel: str
) -> tuple[Tensor, Tensor, Tensor]:
    from unspool import _native

    d_queries, d_keys = torch.empty_like(queries), torch.empty_like(keys)
    d_energy = energy.new_empty(len(queries), len(energy))  # each sequence's part
    _native.additive_gradients(
        kernel,
        _sizes(queries, keys),
        (queries.data_ptr(), keys.data_ptr(), energy.data_ptr()),
        d_scores.data_ptr(),
        (d_queries.data_ptr(), d_keys.data_ptr(), d_energy.data_ptr()),
        torch.get_num_threads(),
    )
    return d_queries, d_keys, d_energy.sum(0)


# --- by torch ----------------------------------------------------------------------------------


def _form_scores(queries: Tensor, keys: Tensor, energy: Tensor, scores: Tensor) -> None:
    with torch.autocast(queries.device.type, enabled=False):
        for part in _parts(queries, keys):
            torch.matmul(_bent(queries[part], keys[part]), energy, out=scores[part])


def _gradients(
    queries: Tensor, keys: Tensor, energy: Tensor, d_scores: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    d_queries, d_keys = torch.empty_like(queries), torch.empty_like(keys)
    d_energy = torch.zeros_like(energy)
    for part in _parts(queries, keys):
        bent, d = _bent(queries[part], keys[part]), d_scores[part]  # (b, T, S, A), (b, T, S)
        d_energy += d.reshape(-1) @ bent.flatten(0, 2)
        slope = torch.ops.aten.tanh_backward(d[..., None], bent)
        torch.sum(slope, 2, out=d_queries[part]).mul_(energy)
        if slope.size(1) == 1:  # torch is slow to sum nothing up
            torch.mul(slope[:, 0], energy, out=d_keys[part])
        else:
            torch.sum(slope, 1, out=d_keys[part]).mul_(energy)
    return d_queries, d_keys, d_energy


def _bent(queries: Tensor, keys: Tensor) -> Tensor:
    return (queries[:, :, None] + keys[:, None]).tanh_()


def _parts(queries: Tensor, keys: Tensor) -> list[slice]:
    """Some sequences at a time."""
    each = queries.size(1) * keys.size(1) * keys.size(2)
    most = CHUNK if queries.device.type == "cpu" else _CHUNK_ELSEWHERE
    rows = max(most // max(each, 1), 1)
    return [slice(start, start + rows) for start in range(0, len(queries), rows)]
