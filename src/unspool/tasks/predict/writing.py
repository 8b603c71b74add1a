"""Turns drawn tokens into text, piece by piece, up to a length or a stop word."""

from __future__ import annotations

from collections.abc import Sequence

from unspool.data.vocabulary import Vocabulary
from unspool.errors import DataError

_LONGEST_CHARACTER = 4  # bytes of UTF-8


class Writing:
    r"""One text as it grows.

    Parameters
    ----------
    vocabulary : Vocabulary
    prompt : str
        What it begins with; only how the first word is joined to it matters.
    stop : sequence of str
        Words after any of which it ends; for tokens that are no words, any stretch of text.

    Raises
    ------
    DataError
        If a stop word is empty, or one that the model can never write.

    Examples
    --------
    >>> vocabulary = Vocabulary.of_tokens("word", ["<unk>", "<eos>", "the", "cat"],
    ...                                   end_of_sentence=True)
    >>> writing = Writing(vocabulary, "see", ["cat"])
    >>> [writing.add(token) for token in (2, 1, 2, 3)], writing.ended
    ([' the', '\n', 'the', ' cat'], True)
    """

    def __init__(self, vocabulary: Vocabulary, prompt: str, stop: Sequence[str] = ()) -> None:
        self._vocabulary = vocabulary
        self._joined = prompt == "" or prompt[-1].isspace()  # the next word needs no space
        self._stop = [self._as_written(word) for word in stop]
        self._longest = max(map(len, self._stop), default=0)
        self._tail = " "  # of what was written, as stop words are
        self._pending: list[int] = []  # bytes of a character that is not complete
        self.ended = False

    def _as_written(self, word: str) -> str:
        """A stop word as it stands in the tail: words with a space on either side."""
        tokens = self._vocabulary.encode(word).tolist()
        if not tokens:
            raise DataError(f"the stop word {word!r} is empty, expected text")
        if self._vocabulary.unknown in tokens:
            raise DataError(
                f"the stop word {word!r} is not in the vocabulary, so the text would never end by "
                "it; leave it out"
            )
        if self._vocabulary.unit != "word":
            return word
        return f" {' '.join(self._vocabulary.tokens[token] for token in tokens)} "

    def add(self, token: int) -> str:
        """Take the next token; return the text that it adds, empty within a character."""
        if self._vocabulary.unit == "word":
            piece, written = self._word(token), f"{self._vocabulary.tokens[token]} "
        else:
            piece = written = self._bytes(token)
        if self._stop:
            self._tail = (self._tail + written)[-self._longest :]
            self.ended = any(self._tail.endswith(word) for word in self._stop)
        return piece

    def _word(self, token: int) -> str:
        if token == self._vocabulary.end_of_sentence:
            self._joined = True
            return "\n"
        word = self._vocabulary.tokens[token]
        piece = word if self._joined else f" {word}"
        self._joined = False
        return piece

    def _bytes(self, token: int) -> str:
        """Text of characters or bytes; a character's first bytes wait for the others."""
        self._pending.append(token)
        text = self._vocabulary.decode(self._pending)
        if text.endswith("\ufffd") and len(self._pending) < _LONGEST_CHARACTER:
            return ""
        self._pending.clear()
        return text
