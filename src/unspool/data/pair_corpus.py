"""Pairs as numbers: each side one long row of tokens, and where each text begins in it.

Shapes: ``P`` pairs, ``N`` tokens in all, ``B`` rows chosen, ``T`` tokens of the longest of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from unspool.data.pair_codecs import PairCodecs
from unspool.data.pairs import Pairs
from unspool.data.text_codec import BEGIN, END, PADDING, TextCodec


@dataclass(frozen=True)
class TokenRows:
    """Rows of tokens of unequal lengths.

    Parameters
    ----------
    tokens : (N,) array of int32
        The rows, one after another.
    offsets : (P + 1,) array of int64
        Where each begins, and where the last one ends.
    """

    tokens: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @classmethod
    def from_list(cls, rows: Iterable[ArrayLike]) -> "TokenRows":
        """Put rows one after another."""
        parts = [np.zeros(0, np.int32), *(np.asarray(row, np.int32) for row in rows)]
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        return cls(np.concatenate(parts), ends)

    @classmethod
    def of_sources(cls, texts: Iterable[str], codec: TextCodec) -> "TokenRows":
        """Encode what is to be read: each row ends with ``END``, so that none is empty."""
        return cls.from_list(np.append(codec.encode(text), END) for text in texts)

    @classmethod
    def of_targets(cls, texts: Iterable[str], codec: TextCodec) -> "TokenRows":
        """Encode what is to be written: each row begins with ``BEGIN`` and ends with ``END``."""
        return cls.from_list([BEGIN, *codec.encode(text), END] for text in texts)

    def __len__(self) -> int:
        """Rows, ``P``."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, ``(P,)``."""
        return np.diff(self.offsets)

    def row(self, number: int) -> NDArray[np.int32]:
        """One row's tokens."""
        return self.tokens[self.offsets[number] : self.offsets[number + 1]]

    def take(self, numbers: ArrayLike) -> "TokenRows":
        """Choose rows by position, in the order given."""
        return TokenRows.from_list(self.row(number) for number in np.asarray(numbers, np.int64))

    def padded(self, numbers: ArrayLike) -> tuple[Tensor, Tensor]:
        """Choose rows and fill them up to the longest of them.

        Returns
        -------
        tokens : (B, T) int64 tensor
            Right-padded with ``PADDING``.
        lengths : (B,) int64 tensor

        Examples
        --------
        >>> rows = TokenRows.from_list([[5, 2], [6, 7, 8, 2], [2]])
        >>> rows.padded([2, 0])
        (tensor([[2, 0],
                [5, 2]]), tensor([1, 2]))
        """
        chosen = np.asarray(numbers, np.int64)
        lengths = self.offsets[chosen + 1] - self.offsets[chosen]
        steps = np.arange(lengths.max(initial=0))
        valid = steps < lengths[:, None]  # (B, T)
        padded = np.full(valid.shape, PADDING, np.int64)
        padded[valid] = self.tokens[(self.offsets[chosen][:, None] + steps)[valid]]
        return torch.from_numpy(padded), torch.from_numpy(lengths)


@dataclass(frozen=True)
class PairCorpus:
    """Pairs, and the tokens of both sides.

    Parameters
    ----------
    pairs : Pairs, ``P``
    sources, targets : TokenRows
        See :meth:`TokenRows.of_sources` and :meth:`TokenRows.of_targets`.

    Examples
    --------
    >>> from unspool.data.pair_codecs import PairVocabularySettings, fit_codecs
    >>> pairs = Pairs(("ab", "b"), ("ba", "b"))
    >>> codecs = fit_codecs(pairs, PairVocabularySettings(unit="character", joint=True))
    >>> corpus = PairCorpus.encoded(pairs, codecs)
    >>> corpus.sources.row(0), corpus.targets.row(0)
    (array([5, 4, 2], dtype=int32), array([1, 4, 5, 2], dtype=int32))
    """

    pairs: Pairs
    sources: TokenRows
    targets: TokenRows

    @classmethod
    def encoded(cls, pairs: Pairs, codecs: PairCodecs) -> "PairCorpus":
        """Encode both sides.

        Raises
        ------
        DataError
            If a text is none, as one with half of a surrogate pair.
        """
        return cls(
            pairs,
            TokenRows.of_sources(pairs.sources, codecs.source),
            TokenRows.of_targets(pairs.targets, codecs.target),
        )

    def __len__(self) -> int:
        """Pairs, ``P``."""
        return len(self.pairs)

    def take(self, numbers: ArrayLike) -> "PairCorpus":
        """Choose pairs by position, in the order given."""
        return PairCorpus(
            self.pairs.take(numbers), self.sources.take(numbers), self.targets.take(numbers)
        )
