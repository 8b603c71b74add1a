"""Vocabularies: from text to the numbers of its tokens and back.

The tokens are words, characters, bytes or, by byte-pair encoding, pieces of words. Training of
merges, encoding by them, decoding and the file format are the ``tokenizers`` library's. To encode
words, characters and bytes takes one look into a table each; it is done here, with the library's
result and many times its speed.

Shapes: ``V`` tokens of the vocabulary, ``N`` tokens of a text.
"""

import hashlib
import io
import os
from collections.abc import Iterable
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator
from tokenizers import Tokenizer

from unspool.data import tokenizer_format
from unspool.data.files import read_content
from unspool.data.tokenizer_format import END_OF_SENTENCE, UNKNOWN, Unit, assemble
from unspool.errors import DataError
from unspool.settings import Settings
from unspool.storage import write_file

# Threads of the library's own would make it warn, or stand still, in every process that is forked
# afterwards, as workers that load data are. The results are the same; whoever wants the threads
# sets the variable.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

Size = Annotated[int, Field(ge=3, le=4_194_304)]
"""How many tokens a vocabulary may have."""


class TokenSettings(Settings):
    """What the tokens of a text are, and how many.

    Parameters
    ----------
    unit : {"word", "character", "byte", "bpe"}
        Words are what stands between white space. ``bpe`` is byte-pair encoding on bytes, as GPT-2
        has it, so that nothing is unknown.
    size : int, optional
        Tokens at most, ``<unk>`` and ``<eos>`` counted: the most frequent ones. A text with fewer
        gives a smaller vocabulary. ``bpe`` needs it, and counts the 256 bytes.
    min_count : int
        How often a token must occur in the training part.
    """

    unit: Unit = "word"
    size: Size | None = None
    min_count: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _fits_the_unit(self) -> Self:
        if self.unit == "byte" and (self.size is not None or self.min_count > 1):
            raise ValueError("unit 'byte' has 256 tokens always; leave size and min_count out")
        if self.unit == "bpe" and (self.size is None or self.size < 256):
            given = "none" if self.size is None else self.size
            raise ValueError(f"unit 'bpe' needs a size of 256, the bytes, or more; got {given}")
        return self


class VocabularySettings(TokenSettings):
    """What the tokens of a text of many lines are.

    Parameters
    ----------
    unit, size, min_count
        See :class:`TokenSettings`.
    end_of_sentence : bool
        For words: whether ``<eos>`` stands at the end of each line.
    """

    end_of_sentence: bool = True


class Vocabulary:
    """The tokens of a text and their numbers.

    :func:`unspool.data.vocabulary_fitting.fit` makes one, :meth:`load` reads one.

    Parameters
    ----------
    unit : {"word", "character", "byte", "bpe"}
    tokenizer : tokenizers.Tokenizer
        As :func:`unspool.data.tokenizer_format.assemble` makes it.

    Attributes
    ----------
    unknown : int or None
        The number of ``<unk>``, which every word or character is that is none of the tokens; the
        text's own ``<unk>`` is the same. Bytes and ``bpe`` know everything.
    end_of_sentence : int or None
        The number of ``<eos>``, where words have it at each end of a line.
    start : int
        The token that stands before a document, so that its first token can be predicted: the end
        of a line, or ``<unk>`` where the vocabulary has none.
    dtype : numpy.dtype
        The smallest unsigned type that holds every number.
    """

    def __init__(self, unit: Unit, tokenizer: Tokenizer) -> None:
        self.unit, self.tokenizer = unit, tokenizer
        self.unknown: int | None = tokenizer.token_to_id(UNKNOWN) if self._closed else None
        ends = unit == "word" and tokenizer.post_processor is not None
        self.end_of_sentence: int | None = tokenizer.token_to_id(END_OF_SENTENCE) if ends else None
        self.dtype = np.min_scalar_type(len(self) - 1)
        line_end = self.encode("\n")
        self.start = int(line_end[-1]) if len(line_end) else int(self.unknown or 0)

    def __len__(self) -> int:
        """Tokens, ``V``."""
        return int(self.tokenizer.get_vocab_size())

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """The tokens by their numbers, as the file has them."""
        numbers = self.tokenizer.get_vocab()
        return tuple(sorted(numbers, key=numbers.__getitem__))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides how a text is encoded."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    # --- to numbers and back ---------------------------------------------------------------------

    def encode(self, text: str) -> NDArray[Any]:
        r"""Return the numbers of a text's tokens, ``(N,)``, of type ``dtype``.

        Where words have ``<eos>``, it stands for each ``\n``, and a last line that has none is
        taken for the beginning of a sentence.

        Raises
        ------
        DataError
            If the text is none, as one with half of a surrogate pair.

        Examples
        --------
        >>> from unspool.data.vocabulary_fitting import fit
        >>> vocabulary = fit(["who will bell the cat\n"], VocabularySettings())
        >>> vocabulary.decode(vocabulary.encode("the cat will speak\nwho"))
        'the cat will <unk>\nwho'
        """
        try:
            utf8 = text.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"the text has half of a surrogate pair, {text[error.start]!r}, at character "
                f"{error.start}, expected text"
            ) from None
        match self.unit:
            case "byte":
                return np.frombuffer(utf8, np.uint8)
            case "character":
                return self._by_code_point[np.frombuffer(text.encode("utf-32-le"), np.uint32)]
            case "word":
                if self.end_of_sentence is not None:
                    text = text.replace("\n", f" {END_OF_SENTENCE} ")
                words = text.split()
                return np.fromiter(map(self._by_word.__getitem__, words), self.dtype, len(words))
            case "bpe":
                lines = self.tokenizer.encode_batch_fast(lines_of(text))
                numbers = chain.from_iterable(line.ids for line in lines)
                return np.fromiter(numbers, self.dtype)

    def decode(self, numbers: ArrayLike) -> str:
        """Return the text of some tokens.

        Characters, bytes and ``bpe`` give the text that was encoded; words are parted by one space,
        and a line ends at each ``<eos>``. Bytes that are no UTF-8 become U+FFFD.

        Raises
        ------
        DataError
            If a number is not that of a token.
        """
        array = np.asarray(numbers, np.int64).ravel()
        outside = array[(array < 0) | (array >= len(self))]
        if len(outside):
            raise DataError(f"token {outside[0]} is not in the vocabulary, 0 to {len(self) - 1}")
        if self.unit != "word":
            return str(self.tokenizer.decode(array.tolist(), skip_special_tokens=False))
        lines: list[list[str]] = [[]]
        for number in array.tolist():
            if number == self.end_of_sentence:
                lines.append([])
            else:
                lines[-1].append(self.tokens[number])
        return "\n".join(map(" ".join, lines))

    @property
    def _closed(self) -> bool:
        """Whether there is text that the tokens do not cover."""
        return self.unit in ("word", "character")

    @cached_property
    def _by_word(self) -> dict[str, int]:
        assert self.unknown is not None
        return _WithDefault(self.unknown, self.tokenizer.get_vocab())

    @cached_property
    def _by_code_point(self) -> NDArray[Any]:
        table = np.full(0x110000, self.unknown, self.dtype)
        for token, number in self.tokenizer.get_vocab().items():
            if len(token) == 1:
                table[ord(token)] = number
        return table

    # --- as a file -------------------------------------------------------------------------------

    def to_json(self) -> str:
        """Return the vocabulary in the ``tokenizers`` library's own format."""
        return str(self.tokenizer.to_str())

    def save(self, path: Path | str) -> None:
        """Write the vocabulary; ``tokenizers.Tokenizer.from_file`` reads it, too.

        Raises
        ------
        SaveError
            If it could not be written.
        """
        write_file(Path(path), self.to_json())

    @classmethod
    def load(cls, path: Path | str) -> "Vocabulary":
        """Read a vocabulary; the file may come from anywhere.

        Raises
        ------
        DataError
            If it cannot be read or is not such a file as :meth:`save` writes.
        """
        content = read_content(Path(path), limit=tokenizer_format.MAX_BYTES + 1)
        return cls(*tokenizer_format.parse(content, str(path)))

    @classmethod
    def of_tokens(
        cls, unit: Unit, tokens: Iterable[str], *, end_of_sentence: bool = False
    ) -> "Vocabulary":
        """Number words or characters as they come."""
        numbers = {token: number for number, token in enumerate(tokens)}
        return cls(unit, assemble(unit, numbers, end_of_sentence=end_of_sentence))


def lines_of(text: str) -> list[str]:
    r"""Cut a text into lines with their ends; ``\n`` alone ends a line."""
    return list(io.StringIO(text, newline="\n"))


class _WithDefault(dict[str, int]):
    """Numbers of words, and one for every other word."""

    def __init__(self, default: int, numbers: dict[str, int]) -> None:
        super().__init__(numbers)
        self._default = default

    def __missing__(self, word: str) -> int:
        return self._default
