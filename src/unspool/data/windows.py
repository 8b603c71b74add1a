"""A corpus as windows: some tokens in, the next one out.

Shapes: ``B`` batch, ``C`` tokens of context, ``S`` tokens that a window asks for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unspool.data.corpus import Corpus
from unspool.data.permutation import Permutation
from unspool.errors import DataError


@dataclass(frozen=True)
class WindowBatch:
    """Some windows.

    Parameters
    ----------
    tokens : (B, C) int64 tensor
    targets : (B,) int64 tensor
        The token that follows each window.
    """

    tokens: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class WideWindowBatch:
    """Some windows that ask for ``S`` tokens each.

    Parameters
    ----------
    tokens : (B, C + S - 1) int64 tensor
    targets : (B, S) int64 tensor
        What follows the first ``C`` tokens, the first ``C + 1``, and so on.
    mask : (B, S) bool tensor
        Which targets count: a document's last window may ask for fewer.
    """

    tokens: Tensor
    targets: Tensor
    mask: Tensor


class Windows:
    """Every window of a corpus; none reaches from one document into the next.

    Parameters
    ----------
    corpus : Corpus
    context : int
        Tokens that a window shows, ``C``; the first ``C`` of a document are never asked for.
    batch_size : int
        Windows a batch; the last one of an epoch may be smaller.

    Raises
    ------
    DataError
        If no document has more than ``context`` tokens.

    Examples
    --------
    >>> from unspool.data.vocabulary import Vocabulary
    >>> corpus = Corpus.from_texts(["abc"], Vocabulary.of_tokens("character", ["<unk>", *"abc"]))
    >>> [batch] = Windows(corpus, 2, batch_size=8).in_order()
    >>> batch.tokens.tolist(), batch.targets.tolist()
    ([[1, 2]], [3])
    """

    def __init__(self, corpus: Corpus, context: int, batch_size: int) -> None:
        self._corpus, self._context, self._batch_size = corpus, context, batch_size
        windows = np.maximum(corpus.lengths - context, 0)  # of each document
        self._ends = np.cumsum(windows)
        # what turns the number of a window into the position of its first token
        self._shifts = corpus.starts - (self._ends - windows)
        self.count = int(windows.sum())
        if self.count == 0:
            longest = int(corpus.lengths.max(initial=0))
            raise DataError(
                f"the longest document has {longest} tokens, expected at least {context + 1}, "
                f"{context} of context and the one that follows; add text or shorten the context"
            )

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-self.count // self._batch_size)

    def in_order(self) -> Iterator[WindowBatch]:
        """Every window once, as the text goes."""
        return self._cut(lambda positions: positions)

    def shuffled(self, seed: int, epoch: int) -> Iterator[WindowBatch]:
        """Every window once, in the order that belongs to this seed and epoch."""
        return self._cut(Permutation(self.count, seed, epoch))

    def in_strides(self, stride: int) -> Iterator[WideWindowBatch]:
        """Windows that begin ``stride`` tokens apart and ask for as many, as the text goes.

        Every token that has ``C`` others before it in its document is asked for exactly once.
        """
        asked = np.maximum(self._corpus.lengths - self._context, 0)  # of each document
        windows = -(-asked // stride)
        ends = np.cumsum(windows)
        count = int(ends[-1])
        steps = np.arange(self._context + stride)
        for start in range(0, count, self._batch_size):
            window = np.arange(start, min(start + self._batch_size, count))
            document = np.searchsorted(ends, window, side="right")
            number = window - (ends - windows)[document]  # within its document
            first = self._corpus.starts[document] + number * stride
            position = np.minimum(first[:, None] + steps, len(self._corpus) - 1)
            tokens = torch.from_numpy(self._corpus.tokens[position].astype(np.int64))
            left = asked[document] - number * stride
            mask = torch.from_numpy(np.arange(stride) < left[:, None])
            yield WideWindowBatch(tokens[:, :-1], tokens[:, self._context :], mask)

    def _cut(
        self, order: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    ) -> Iterator[WindowBatch]:
        for start in range(0, self.count, self._batch_size):
            stop = min(start + self._batch_size, self.count)
            windows = order(np.arange(start, stop))
            document = np.searchsorted(self._ends, windows, side="right")
            first = windows + self._shifts[document]
            tokens = self._corpus.tokens[first[:, None] + np.arange(self._context + 1)]
            both = torch.from_numpy(tokens.astype(np.int64))  # (B, C + 1)
            yield WindowBatch(both[:, :-1], both[:, -1])
