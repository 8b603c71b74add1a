"""Texts that a user asks to be gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, groupby
from typing import NamedTuple, TextIO

from unspool.data.files import without_compression
from unspool.data.inputs import is_file
from unspool.data.text import JSON_LINES, lines_in, text_files
from unspool.tasks import standard_input


class Prompt(NamedTuple):
    """A text to be gone on with.

    Parameters
    ----------
    source : str
        What was named: a file, standard input, or the text itself.
    name : str
        Its number in the source, from 0.
    text : str
        May be empty: the beginning of a text.
    """

    source: str
    name: str
    text: str


def read(source: str | TextIO, field: str) -> Iterator[Prompt]:
    """Read the prompts of one input.

    They are the documents of a JSON Lines file, the lines of any other file or of standard input,
    or a text that names no file. What is empty holds one empty prompt.

    Parameters
    ----------
    source : str or text stream
    field : str
        What the objects of a JSON Lines file call the text.

    Raises
    ------
    DataError
        If it cannot be read, or is no UTF-8 text.
    """
    if not isinstance(source, str):
        title, texts = standard_input.TITLE, lines_in(standard_input.read(source))
    else:
        title, texts = source, _of_file(source, field) if is_file(source) else [source]
    for number, text in enumerate(texts or [""]):
        yield Prompt(title, str(number), text)


def _of_file(path: str, field: str) -> list[str]:
    pieces = list(text_files(path, field).pieces())
    if not without_compression(path.lower()).endswith(JSON_LINES):
        return lines_in("".join(piece.text for piece in pieces))
    numbers = accumulate(piece.starts_document for piece in pieces)
    documents = groupby(zip(numbers, pieces, strict=True), key=lambda numbered: numbered[0])
    return ["".join(piece.text for _, piece in document) for _, document in documents]
