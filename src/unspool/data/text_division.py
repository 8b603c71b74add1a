"""The division of one text into training, validation and test parts.

By position the text is cut twice, at ends of lines; by documents each one is drawn into a part.
Both depend on the text alone, never on a run's seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unspool.data.division import check_fractions, divide
from unspool.data.text import Piece, Survey, Text
from unspool.errors import DataError

DivisionRule = Literal["position", "documents"]


@dataclass(frozen=True)
class Stretch:
    """What stands between two positions, each moved on to the next end of a line.

    Parameters
    ----------
    title : str
    whole : Text
    start, stop : int
        Characters from the beginning of the text.
    """

    title: str
    whole: Text
    start: int
    stop: int

    def pieces(self) -> Iterator[Piece]:
        """Yield the text; it starts a document even where it starts within one."""
        position, first = 0, True
        for piece in self.whole.pieces():
            if position >= self.stop:
                return
            start = _boundary(piece.text, self.start - position)
            stop = _boundary(piece.text, self.stop - position)
            if start < stop:
                starts_document = first or (piece.starts_document and start == 0)
                yield Piece(piece.text[start:stop], starts_document)
                first = False
            position += len(piece.text)


@dataclass(frozen=True)
class Selection:
    """Some of the documents.

    Parameters
    ----------
    title : str
    whole : Text
    chosen : (documents,) array of bool
    """

    title: str
    whole: Text
    chosen: NDArray[np.bool_]

    def pieces(self) -> Iterator[Piece]:
        """Yield the documents that were chosen."""
        document = -1
        for piece in self.whole.pieces():
            document += piece.starts_document
            if self.chosen[document]:
                yield piece


def divide_text(
    text: Text, found: Survey, rule: DivisionRule, *, validation: float, test: float
) -> dict[str, Text]:
    """Divide a text into ``train``, ``validation`` and ``test``, which together are all of it.

    A part whose share is zero is left out.

    Parameters
    ----------
    text : Text
    found : Survey
        What a reading of this text found.
    rule : {"position", "documents"}
        ``position``: training first, then validation, then test. ``documents``: drawn.
    validation, test : float
        Shares of the characters, or of the documents, in ``[0, 1)``.

    Raises
    ------
    DataError
        If the shares leave nothing for training, or there are too few documents.
    """
    check_fractions(validation, test)
    sizes = {"train": 1.0, "validation": validation, "test": test}
    titles = [f"the {name} part of {text.title}" for name in sizes]
    parts: list[Text] = []
    if rule == "position":
        shares = np.array([0, 1 - validation - test, 1 - test, 1])
        bounds = (shares * found.characters + 0.5).astype(np.int64).tolist()
        between = zip(titles, pairwise(bounds), strict=True)
        parts += [Stretch(title, text, start, stop) for title, (start, stop) in between]
    else:
        if found.documents < 1 + (validation > 0) + (test > 0):
            raise DataError(
                f"{text.title} is a text of {found.documents} documents, too few for a part of "
                "each kind; divide it by position"
            )
        drawn = divide(None, found.documents, validation=validation, test=test)
        everything = np.arange(found.documents)
        parts += [
            Selection(title, text, np.isin(everything, documents))
            for title, documents in zip(titles, drawn, strict=True)
        ]
    return {name: part for part, (name, size) in zip(parts, sizes.items(), strict=True) if size}


def _boundary(text: str, position: int) -> int:
    """Move a position within a piece on to an end of a line; the piece's own end is one, too."""
    if position <= 0:
        return 0
    return text.find("\n", position - 1) + 1 or len(text)
