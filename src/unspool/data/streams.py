"""A corpus as parallel streams, for truncated back-propagation through time.

A network reads ``B`` streams side by side, segment after segment, and keeps its state from one
segment to the next. Every token of the corpus is predicted exactly once: the first one of a
document from the vocabulary's ``start`` token and a state of zero, every other one from its
predecessor.

Shapes: ``B`` streams, ``T`` steps of a segment, ``V`` tokens of the vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unspool.data.corpus import Corpus


@dataclass(frozen=True)
class Segment:
    """The next steps of all streams.

    Parameters
    ----------
    tokens : (B, T) int64 tensor
        What is read, in ``0 … V - 1``.
    targets : (B, T) int64 tensor
        What is to be predicted after each of these: the stream, one token further on.
    resets : (B, T) bool tensor
        Where the state before the step is to be zero: at the beginning of a document, and at that
        of a stream.
    mask : (B, T) bool tensor
        Which targets count. Those of a warm-up do not, nor does the last step of a stream that is
        one token shorter than others.
    """

    tokens: Tensor
    targets: Tensor
    resets: Tensor
    mask: Tensor


class Streams:
    """Streams through one corpus.

    The documents are put one after another and the whole is cut into ``B`` streams that differ in
    length by one token at most. A corpus of one document is cut in the same way always, which is
    the classic way to read a text like the Penn Treebank.

    Parameters
    ----------
    corpus : Corpus
    batch_size : int
        Streams, ``B``; as many as there are tokens where there are fewer.
    steps : int
        Steps of a segment, ``T``; the last one is shorter where the streams end.
    warm_up : int
        Tokens that each stream but the first reads before its own, without predicting them, to
        have a state where it was cut off from its past. With enough of them an evaluation does
        not depend on ``batch_size``.

    Examples
    --------
    >>> from unspool.data.vocabulary import Vocabulary
    >>> letters = Vocabulary.of_tokens("character", ["<unk>", *"abcdef"])
    >>> streams = Streams(Corpus.from_texts(["abcdef"], letters), batch_size=2, steps=2)
    >>> for segment in streams.in_order():
    ...     print(segment.tokens.tolist(), segment.targets.tolist())
    [[0, 1], [3, 4]] [[1, 2], [4, 5]]
    [[2], [5]] [[3], [6]]
    """

    def __init__(self, corpus: Corpus, batch_size: int, steps: int, warm_up: int = 0) -> None:
        self._corpus, self._steps = corpus, steps
        count = len(corpus)
        streams = min(batch_size, count)
        warm_up = min(warm_up, count - streams)
        # All streams take equally many steps, so the first, which needs no warm-up, predicts more.
        own = -(-(np.arange(streams + 1) * (count - warm_up)) // max(streams, 1))
        self._stops = warm_up + own[1:]  # (B,), positions among all documents
        self._begins = own[:-1]
        self._counted = np.where(own[:-1] == 0, 0, warm_up + own[:-1])

    def __len__(self) -> int:
        """Segments an epoch."""
        return -(-self._longest // self._steps)

    def in_order(self) -> Iterator[Segment]:
        """The documents as stored."""
        return self._cut(np.arange(len(self._corpus.starts)))

    def shuffled(self, seed: int, epoch: int) -> Iterator[Segment]:
        """The documents in the order that belongs to this seed and epoch."""
        order = np.random.default_rng([seed, epoch]).permutation(len(self._corpus.starts))
        return self._cut(order)

    @property
    def _longest(self) -> int:
        return int((self._stops - self._begins).max(initial=0))

    def _cut(self, order: NDArray[np.int64]) -> Iterator[Segment]:
        ends = np.cumsum(self._corpus.lengths[order])
        begins = ends - self._corpus.lengths[order]  # where documents stand in this order
        shifts = self._corpus.starts[order] - begins
        for start in range(0, self._longest, self._steps):
            step = np.arange(start, min(start + self._steps, self._longest))
            position = self._begins[:, None] + step  # (B, T)
            valid = position < self._stops[:, None]
            position = np.minimum(position, self._stops[:, None] - 1)
            document = np.searchsorted(ends, position, side="right")
            first = position == begins[document]
            target = position + shifts[document]
            tokens = np.where(
                first, self._corpus.vocabulary.start, self._corpus.tokens[target - ~first]
            )
            yield Segment(
                torch.from_numpy(tokens.astype(np.int64)),
                torch.from_numpy(self._corpus.tokens[target].astype(np.int64)),
                torch.from_numpy(first | (step == 0)),
                torch.from_numpy(valid & (position >= self._counted[:, None])),
            )
