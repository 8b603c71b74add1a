"""A corpus: documents as one long row of tokens, in memory or in files that are mapped into it.

Shapes: ``N`` tokens in all, ``D`` documents.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.data.text import Piece, TextInMemory
from unspool.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Corpus:
    """Documents, one after another.

    Parameters
    ----------
    tokens : (N,) array of uint8, uint16 or uint32
    starts : (D,) array of int64
        Where each document begins; none is empty.
    vocabulary : Vocabulary
        What the tokens are.
    """

    tokens: NDArray[Any]
    starts: NDArray[np.int64]
    vocabulary: Vocabulary

    @classmethod
    def from_texts(cls, texts: Iterable[str], vocabulary: Vocabulary) -> "Corpus":
        """Encode documents that are in memory, leaving empty ones out.

        Examples
        --------
        >>> from unspool.data.vocabulary import VocabularySettings
        >>> from unspool.data.vocabulary_fitting import fit
        >>> letters = fit(["abc"], VocabularySettings(unit="character"))
        >>> corpus = Corpus.from_texts(["ab", "c"], letters)
        >>> corpus.tokens.tolist(), corpus.starts.tolist()
        ([1, 2, 3], [0, 2])
        """
        parts, starts, count = [np.zeros(0, vocabulary.dtype)], [], 0
        for piece, tokens in encoded(TextInMemory("", tuple(texts)).pieces(), vocabulary):
            if piece.starts_document:
                starts.append(count)
            parts.append(tokens)
            count += len(tokens)
        filled = np.diff(starts, append=count) > 0
        return cls(np.concatenate(parts), np.array(starts, np.int64)[filled], vocabulary)

    def first(self, count: int) -> "Corpus":
        """The first ``count`` tokens, or all where there are fewer."""
        return Corpus(self.tokens[:count], self.starts[self.starts < count], self.vocabulary)

    def __len__(self) -> int:
        """Tokens, ``N``."""
        return len(self.tokens)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each document, ``(D,)``."""
        return np.diff(self.starts, append=len(self.tokens))


def encoded(
    pieces: Iterable[Piece], vocabulary: Vocabulary
) -> Iterator[tuple[Piece, NDArray[Any]]]:
    """Encode piece by piece; a piece of nothing but white space may have no tokens."""
    if vocabulary.end_of_sentence is not None:
        pieces = _with_last_line_ended(pieces)
    for piece in pieces:
        yield piece, vocabulary.encode(piece.text)


def _with_last_line_ended(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """End every document's last line: each line is a sentence, that one too."""
    for piece, following in pairwise(chain(pieces, [None])):
        assert piece is not None
        last = following is None or following.starts_document
        if last and not piece.text.endswith("\n"):
            piece = replace(piece, text=piece.text + "\n")
        yield piece
