"""From a text to the numbers that a network reads and writes, and back.

A vocabulary's tokens are those of the text alone. A network that writes needs three more: one to
begin with, one to end with, and one to fill up what is shorter than its neighbours. They come
before the vocabulary's own, whose numbers are moved on by :data:`SPECIALS`.

Shapes: ``N`` tokens of a text.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unspool.data.punctuation import put_together, set_apart
from unspool.data.vocabulary import Vocabulary
from unspool.errors import DataError

PADDING, BEGIN, END = range(3)
SPECIALS = 3
"""How many tokens come before the vocabulary's."""


@dataclass(frozen=True)
class TextCodec:
    """Encodes texts and decodes what was written.

    Parameters
    ----------
    vocabulary : Vocabulary
        Without ``<eos>``: a sequence's end is :data:`END`.
    lowercase : bool
        Read every text in lower case; what is written is then lower case, too.
    separate_punctuation : bool
        Make punctuation words of its own, see :mod:`unspool.data.punctuation`.

    Raises
    ------
    DataError
        If the vocabulary has an ``<eos>`` at the end of lines.
    """

    vocabulary: Vocabulary
    lowercase: bool = False
    separate_punctuation: bool = False

    def __post_init__(self) -> None:
        if self.vocabulary.end_of_sentence is not None:
            raise DataError(
                "the vocabulary has <eos> for the ends of lines, expected none for pairs of texts; "
                "fit it with end_of_sentence = false"
            )

    def __len__(self) -> int:
        """Tokens, the special ones counted: what an embedding and an output layer need."""
        return SPECIALS + len(self.vocabulary)

    @property
    def unknown(self) -> int | None:
        """The number of ``<unk>``; None where nothing is unknown, as with bytes and ``bpe``."""
        number = self.vocabulary.unknown
        return None if number is None else SPECIALS + number

    def normalised(self, text: str) -> str:
        """The text as the vocabulary sees it."""
        return normalised(text, self.lowercase, self.separate_punctuation)

    def encode(self, text: str) -> NDArray[np.int32]:
        """Return the numbers of a text's tokens, ``(N,)``, no special ones among them.

        Raises
        ------
        DataError
            If the text is none, as one with half of a surrogate pair.
        """
        return self.vocabulary.encode(self.normalised(text)).astype(np.int32) + np.int32(SPECIALS)

    def pieces(self, text: str) -> list[str]:
        """What :meth:`encode` gives numbers to, ``N`` strings: words that are unknown, too.

        Examples
        --------
        >>> codec = TextCodec(Vocabulary.of_tokens("word", ["<unk>", "the", "."]), True, True)
        >>> codec.encode("The owl.").tolist(), codec.pieces("The owl.")
        ([4, 3, 3], ['the', 'owl', '￭.'])
        """
        match self.vocabulary.unit:
            case "word":
                return self.normalised(text).split()
            case "character":
                return list(self.normalised(text))
            case _:
                numbers = self.vocabulary.encode(self.normalised(text))
                return [self.vocabulary.decode([number]) for number in numbers]

    def decode(self, numbers: ArrayLike, copied: Mapping[int, str] | None = None) -> str:
        """Return the text of some tokens, as a person would write it.

        It ends before the first :data:`END`; :data:`BEGIN` and :data:`PADDING` are passed over.
        What was encoded comes back as it was for characters, bytes and ``bpe``, but for upper case
        where that is given up; for words runs of white space become one space.

        Parameters
        ----------
        numbers : (N,) array of int
        copied : mapping of int to str, optional
            Pieces to write in place of the tokens at these positions of ``numbers``, as words of
            the source for unknown ones. For words and characters.

        Raises
        ------
        DataError
            If a number is not that of a token.
        """
        array = np.asarray(numbers, np.int64).ravel()
        ends = np.flatnonzero(array == END)
        positions = np.arange(ends[0] if len(ends) else len(array))
        positions = positions[~np.isin(array[positions], (PADDING, BEGIN))]
        tokens = array[positions] - SPECIALS
        if not copied:
            return self._written(self.vocabulary.decode(tokens))
        apart = " " if self.vocabulary.unit == "word" else ""
        pieces = (
            copied[position] if position in copied else self.vocabulary.decode([token])
            for position, token in zip(positions.tolist(), tokens.tolist(), strict=True)
        )
        return self._written(apart.join(pieces))

    def _written(self, text: str) -> str:
        return put_together(text) if self.separate_punctuation else text


def normalised(text: str, lowercase: bool, separate_punctuation: bool) -> str:
    """A text as a vocabulary is to see it, see :class:`TextCodec`."""
    if lowercase:
        text = text.lower()
    return set_apart(text) if separate_punctuation else text
