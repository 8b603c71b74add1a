"""Batches of pairs that are about equally long, so that little of a batch is padding.

To put sentences of like length together made the training of Sutskever, Vinyals & Le (2014, arXiv
1409.3215, section 3.4) twice as fast.

Shapes: ``B`` pairs of a batch, ``S`` and ``T`` tokens of its longest source and target.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unspool.data.pair_corpus import PairCorpus


@dataclass(frozen=True)
class PairBatch:
    """Some pairs, each side right-padded to the longest of them.

    Parameters
    ----------
    source : (B, S) int64 tensor
        What is read; each row ends with ``END``.
    source_lengths : (B,) int64 tensor
        ``END`` counted.
    target : (B, T) int64 tensor
        What is written; each row begins with ``BEGIN`` and ends with ``END``.
    target_lengths : (B,) int64 tensor
        Both counted.
    numbers : (B,) int64 tensor
        Which pairs of the corpus these are.
    """

    source: Tensor
    source_lengths: Tensor
    target: Tensor
    target_lengths: Tensor
    numbers: Tensor

    def __len__(self) -> int:
        """Pairs, ``B``."""
        return len(self.numbers)


class PairBatches:
    """Batches of one corpus, each of pairs that are neighbours by length.

    A batch is as large as its longest row allows: pairs times tokens of that row are at most
    ``tokens``, but that a pair of more tokens is a batch of its own. Which lengths come together is
    the same in every epoch; which pairs, and in which order, is not.

    Parameters
    ----------
    corpus : PairCorpus
    tokens : int
        Of the longer side, padding, ``BEGIN`` and ``END`` counted.
    """

    def __init__(self, corpus: PairCorpus, tokens: int) -> None:
        self._corpus = corpus
        sources, targets = corpus.sources.lengths, corpus.targets.lengths
        longer = np.maximum(sources, targets)
        self._lengths = np.stack([sources, targets, longer])  # (3, P), the first key last
        self._bounds = _bounds(np.sort(longer), tokens)

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self._bounds)

    def by_length(self) -> Iterator[PairBatch]:
        """Every pair once, the shortest first; equally long ones as stored."""
        order = self._by_length(np.arange(len(self._corpus)))
        for bounds in self._bounds:
            yield self._batch(order[bounds])

    def shuffled(self, seed: int, epoch: int) -> Iterator[PairBatch]:
        """Every pair once, in batches that belong to this seed and epoch."""
        random = np.random.default_rng([seed, epoch])
        order = self._by_length(random.permutation(len(self._corpus)))
        for number in random.permutation(len(self._bounds)):
            yield self._batch(order[self._bounds[number]])

    def _by_length(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sort pairs by their longer side, then target, then source; equals stay in this order."""
        return order[np.lexsort(self._lengths[:, order])]

    def _batch(self, numbers: NDArray[np.int64]) -> PairBatch:
        return PairBatch(
            *self._corpus.sources.padded(numbers),
            *self._corpus.targets.padded(numbers),
            torch.from_numpy(numbers),
        )


def _bounds(lengths: NDArray[np.int64], tokens: int) -> list[slice]:
    """Cut pairs of ascending lengths into batches as large as allowed."""
    bounds, start = [], 0
    for number, length in enumerate(lengths.tolist()):
        if number > start and (number + 1 - start) * length > tokens:
            bounds.append(slice(start, number))
            start = number
    if start < len(lengths):
        bounds.append(slice(start, len(lengths)))
    return bounds
