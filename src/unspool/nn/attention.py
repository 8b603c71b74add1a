"""Attention: which steps of a sequence to look at.

A *query* is compared with the *key* of each step of a sequence, here called the source; the
softmax of these scores are the *weights*, which sum to one over the source's valid steps.

Shapes: ``B`` sequences, ``S`` steps of the source, ``T`` queries to each, ``Q`` size of a query,
``M`` of a step of the source, ``A`` of a key.
"""

import torch
from torch import Tensor, nn

from unspool.nn.additive_scores import additive_scores
from unspool.nn.linear import Linear


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
        self.query = Linear(query_size, size)
        self.key = Linear(memory_size, size, bias=False)
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
        self.key = Linear(memory_size, query_size, bias=False)

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
