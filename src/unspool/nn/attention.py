"""Attention: which steps of a sequence to look at.

A *query* is compared with the *key* of each step of a sequence, here called the source; the
softmax of these scores are the *weights*, which sum to one over the source's valid steps.

Shapes: ``B`` sequences, ``S`` steps of the source, ``T`` queries to each, ``Q`` size of a query,
``M`` of a step of the source, ``A`` of a key.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CHUNK = 1 << 17
"""Numbers that additive attention holds at a time, at most, where it computes on a CPU: 512 KiB in
single precision, which fits in a core's cache. A sequence's are never divided."""

_CHUNK_ELSEWHERE = 1 << 26


def masked_softmax(scores: Tensor, padding: Tensor) -> Tensor:
    """Turn scores into weights that are zero in the padding.

    Parameters
    ----------
    scores : (B, T, S) tensor
    padding : (B, S) bool tensor
        True where the source has no step.

    Returns
    -------
    (B, T, S) tensor
        Where a source is all padding, zeros; never NaN. In float32 at least.

    Examples
    --------
    >>> masked_softmax(torch.zeros(2, 1, 2), torch.tensor([[False, False], [True, True]]))
    tensor([[[0.5000, 0.5000]],
    <BLANKLINE>
            [[0.0000, 0.0000]]])
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    padding = padding[:, None]
    # The lowest number and not minus infinity, of which nothing but NaN would come where there is
    # nothing else; beside any true score both leave a weight of exactly zero.
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(padding, lowest).softmax(-1).masked_fill(padding, 0)


class AdditiveAttention(nn.Module):
    """Compare queries q and steps m by a layer of its own: ``v · tanh(W_q q + b + W_k m)``.

    Bahdanau, Cho & Bengio 2015, arXiv 1409.0473, appendix A.1.2, with the bias that it omits.

    Parameters
    ----------
    query_size, memory_size : int
        ``Q`` and ``M``.
    size : int, optional
        ``A``; that of the queries when not given.

    Examples
    --------
    >>> attention = AdditiveAttention(3, 5)
    >>> keys = attention.keys(torch.zeros(2, 7, 5))
    >>> attention(torch.zeros(2, 4, 3), keys, torch.zeros(2, 7, dtype=torch.bool)).shape
    torch.Size([2, 4, 7])
    """

    def __init__(self, query_size: int, memory_size: int, size: int | None = None) -> None:
        super().__init__()
        size = size or query_size
        self.query = nn.Linear(query_size, size)
        self.key = nn.Linear(memory_size, size, bias=False)
        self.energy = nn.Parameter(torch.empty(size))
        nn.init.uniform_(self.energy, -(size**-0.5), size**-0.5)

    def keys(self, memory: Tensor) -> Tensor:
        """Project the source, ``(B, S, M)``, once for all queries: ``(B, S, A)``."""
        keys: Tensor = self.key(memory)
        return keys.to(torch.promote_types(keys.dtype, torch.float32))  # as they are added to

    def queries(self, x: Tensor) -> Tensor:
        """Project queries, ``(B, T, Q)``: ``(B, T, A)``."""
        queries: Tensor = self.query(x)
        return queries

    def forward(self, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        """Weigh the steps of the source for each query.

        Parameters
        ----------
        queries : (B, T, Q) tensor
        keys : (B, S, A) tensor
            See :meth:`keys`; finite in the padding.
        padding : (B, S) bool tensor

        Returns
        -------
        (B, T, S) tensor
        """
        return self.weigh(self.queries(queries), keys, padding)

    def weigh(self, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        """Do the same for queries that are projected already, ``(B, T, A)``."""
        return masked_softmax(additive_scores(queries, keys, self.energy), padding)


class MultiplicativeAttention(nn.Module):
    """Compare queries q and steps m by a product: ``q · W_k m``.

    Luong, Pham & Manning 2015, arXiv 1508.04025, equation 8, "general".

    Parameters
    ----------
    query_size, memory_size : int
        ``Q``, which is also the size of a key, and ``M``.

    Examples
    --------
    >>> attention = MultiplicativeAttention(3, 5)
    >>> keys = attention.keys(torch.zeros(2, 7, 5))
    >>> attention(torch.zeros(2, 4, 3), keys, torch.zeros(2, 7, dtype=torch.bool)).shape
    torch.Size([2, 4, 7])
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """Project the source, ``(B, S, M)``, once for all queries: ``(B, S, Q)``."""
        keys: Tensor = self.key(memory)
        return keys

    def queries(self, x: Tensor) -> Tensor:
        """Return the queries as they are: here the keys alone are projected."""
        return x

    def forward(self, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        """Weigh the steps of the source for each query; see :class:`AdditiveAttention`."""
        return self.weigh(queries, keys, padding)

    def weigh(self, queries: Tensor, keys: Tensor, padding: Tensor) -> Tensor:
        """Do the same: there is nothing to project."""
        return masked_softmax(queries @ keys.transpose(1, 2), padding)


Attention = AdditiveAttention | MultiplicativeAttention


def additive_scores(queries: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
    """Form ``v · tanh(q + k)`` for each query and key, without holding ``B·T·S·A`` numbers.

    The sums of queries and keys are formed for some sequences at a time, and once more in the
    backward pass: to compute them twice in the cache is quicker than to keep them.

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
    scores: Tensor = _AdditiveScores.apply(  # type: ignore[no-untyped-call]
        queries.to(full), keys.to(full), energy.to(full)
    )
    return scores


class _AdditiveScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
        ctx.save_for_backward(queries, keys, energy)
        scores = queries.new_empty(*queries.shape[:2], keys.size(1))
        with torch.autocast(queries.device.type, enabled=False):
            for part in _parts(queries, keys):
                torch.matmul(_bent(queries[part], keys[part]), energy, out=scores[part])
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        queries, keys, energy = ctx.saved_tensors
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
