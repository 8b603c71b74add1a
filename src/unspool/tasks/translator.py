"""What a predictor also is that answers a text with a text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from torch import Tensor

from unspool.data import pairs
from unspool.data.inputs import is_file
from unspool.data.pairs import PairColumns
from unspool.data.text import TextFiles, lines_in
from unspool.decoding.settings import BeamSettings
from unspool.tasks import standard_input

_COLUMNS = PairColumns()


@dataclass(frozen=True)
class Translation:
    """One answer to a text.

    Parameters
    ----------
    text : str
    score : float
        What it was ranked by: the log-probability with its penalties.
    log_probability : float
        Nats.
    finished : bool
        Whether it came to an end of its own; otherwise it was cut off at the greatest length.
    attention : (T, S) tensor, optional
        How much of each of the source's tokens, the last of which is its end, was looked at for
        each of the answer's; of networks with attention.
    """

    text: str
    score: float
    log_probability: float
    finished: bool
    attention: Tensor | None = field(default=None, repr=False, compare=False)


class TextTranslator(ABC):
    """Answers texts with texts.

    Attributes
    ----------
    decoding : BeamSettings
        How answers are searched for if nothing else is asked for.
    """

    decoding: BeamSettings

    @property
    @abstractmethod
    def columns(self) -> PairColumns:
        """What the columns of a table of pairs are called."""

    @abstractmethod
    def translate(
        self, texts: Sequence[str], decoding: BeamSettings | None = None
    ) -> list[list[Translation]]:
        """Answer texts: the ``n_best`` answers to each, the best first.

        Raises
        ------
        DataError
            If a text is none, or the settings do not fit the network.
        """

    @abstractmethod
    def unknown(self, text: str) -> list[str]:
        """The words or characters of a text that the vocabulary lacks, each once."""

    @abstractmethod
    def read_aligned(self, path: Path, target_path: Path) -> Sized:
        """Read pairs to be judged on from two text files, line by line.

        Raises
        ------
        DataError
            If one cannot be read, or they have not as many lines.
        """

    @abstractmethod
    def join(self, others: Sequence[TextTranslator]) -> None:
        """Speak with one voice with others: the mean of all their probabilities.

        Raises
        ------
        DataError
            If they are of another task, or have other vocabularies.
        """

    def stream(
        self, texts: Iterable[str], decoding: BeamSettings | None = None, at_a_time: int = 256
    ) -> Iterator[tuple[str, list[Translation]]]:
        """Answer texts as they come, so many at a time: each with its answers, in their order."""
        waiting: list[str] = []
        for text in texts:
            waiting.append(text)
            if len(waiting) == at_a_time:
                yield from zip(waiting, self.translate(waiting, decoding), strict=True)
                waiting = []
        yield from zip(waiting, self.translate(waiting, decoding), strict=True)


def texts_of(source: str | TextIO, columns: PairColumns = _COLUMNS) -> tuple[str, Iterable[str]]:
    r"""What to call an input, and its texts: those of standard input as they come, else a list.

    They are the lines of standard input or of a text file, where ``\n`` alone ends one, so that
    the answers are as many; the sources of a table; or a text that names no file. White space
    around a text is no part of it, as in training.

    Raises
    ------
    DataError
        If it cannot be read, or is no UTF-8 text.
    """
    if not isinstance(source, str):
        return standard_input.TITLE, map(str.strip, standard_input.lines(source))
    if not is_file(source):
        return source, [source.strip()]
    if pairs.is_table(Path(source)):
        return source, pairs.read_sources(Path(source), columns)
    content = "".join(piece.text for piece in TextFiles(source, (Path(source),)).pieces())
    return source, [line.strip() for line in lines_in(content)]
