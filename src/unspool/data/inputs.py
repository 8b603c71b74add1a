"""Sequences to answer for: files of any known format, pictures, or lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.data import labelled_text, series, table_files
from unspool.data.arrays import read_npy
from unspool.data.centring import PictureFormat, Preparation, prepare
from unspool.data.files import without_compression
from unspool.data.images import read_picture
from unspool.data.labelled_text import LabelledText, TextColumns
from unspool.data.sequences import Sequences, naming
from unspool.data.tables import TableColumns, read_table
from unspool.data.text import lines_in, text_files
from unspool.errors import DataError

_PICTURES = (".png", ".jpg", ".jpeg")

_LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue, as ITU-R BT.601 has it


def read(path: Path, columns: TableColumns | None = None) -> tuple[Sequences, list[str]]:
    """Read the sequences of a file, or a picture as one sequence of its rows.

    Parameters
    ----------
    path : Path
    columns : TableColumns, optional
        The meaning of a table's columns.

    Returns
    -------
    sequences : Sequences
    ids : list of str
        What each sequence is called: a table's own names, else its number from 0.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of no known format.
    """
    if path.suffix.lower() in _PICTURES:
        return _numbered(Sequences.from_array(read_picture(path)[None]))
    if path.name.lower().endswith(table_files.FORMATS):
        sequences, ids = read_table(path, columns, labelled=False)
        return sequences.check(str(path)), ids.tolist()
    return _numbered(series.read(path, labelled=False))


def read_prepared(path: Path, wanted: PictureFormat) -> Preparation | None:
    """Read a file's one picture as a network has learned to see pictures.

    That is a PNG or JPEG picture, or an ``.npy`` array ``(R, C)``, or ``(R, C, 3)`` in colour.

    Parameters
    ----------
    path : Path
    wanted : PictureFormat
        What those looked like that it learned from.

    Returns
    -------
    Preparation or None
        None where the file is no single picture.

    Raises
    ------
    DataError
        If the file is missing or damaged, or nothing is to be seen in the picture.
    """
    if path.suffix.lower() in _PICTURES:
        picture: NDArray[Any] | None = read_picture(path)
    elif path.suffix.lower() == ".npy":
        picture = _picture_of(read_npy(path), wanted)
    else:
        picture = None
    if picture is None:
        return None
    with naming(str(path)):
        return prepare(picture, wanted)


def read_lines(lines: Iterable[str]) -> tuple[Sequences, list[str]]:
    """Read sequences from text.

    Either one sequence a line as a JSON array of steps, or one step a line as numbers with commas
    or spaces between them, an empty line parting two sequences.

    Raises
    ------
    DataError
        If a line is neither; it is named by its number.

    Examples
    --------
    >>> sequences, ids = read_lines(["1 2", "3 4", "", "5 6"])
    >>> sequences.lengths, ids
    (array([2, 1]), ['0', '1'])
    >>> sequences, ids = read_lines(["[[1, 2], [3, 4]]", "[[5, 6]]"])
    >>> sequences.lengths, ids
    (array([2, 1]), ['0', '1'])
    """
    sequences: list[Any] = []
    steps: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text and not text.startswith("["):
            steps.append(_step(text, number))
            if len(steps[-1]) != len(steps[0]):
                raise DataError(
                    f"standard input, line {number}: {len(steps[-1])} numbers, "
                    f"expected {len(steps[0])} as in the sequence's first step"
                )
            continue
        if steps:
            sequences.append(steps)
            steps = []
        if text:
            sequences.append(_json_sequence(text, number))
    if steps:
        sequences.append(steps)
    with naming("standard input"):
        read = Sequences.from_list(sequences)
    return _numbered(read.check("standard input"))


def read_texts(source: str | Iterable[str], columns: TextColumns | None = None) -> LabelledText:
    """Read texts without labels: a table's, a file's or a stream's lines, or one that is given.

    Parameters
    ----------
    source : str or lines
        The name of a table, or of any other text file, whose lines are the texts; a text; or the
        lines of a stream.
    columns : TextColumns, optional

    Raises
    ------
    DataError
        If a file is damaged, or no UTF-8 text.
    """
    if not isinstance(source, str):
        return LabelledText(tuple(line.rstrip("\n") for line in source))
    if not is_file(source):
        return LabelledText((source,))
    if without_compression(source.lower()).endswith(labelled_text.FORMATS):
        return labelled_text.read(source, columns, labelled=False)
    return LabelledText(tuple(lines_in("".join(each.text for each in text_files(source).pieces()))))


def is_file(name: str) -> bool:
    """Whether a user's input names a file; a text may be longer than any name of one."""
    try:
        return bool(name) and Path(name).is_file()
    except (OSError, ValueError):
        return False


def _picture_of(sequences: Sequences, wanted: PictureFormat) -> NDArray[Any] | None:
    """An array's one picture ``(R, C)``; None where it holds sequences as a network reads them."""
    features = sequences.num_features
    if len(sequences) == 0 or features not in (1, 3) or features == wanted.columns:
        return None
    array = sequences.values.reshape(len(sequences), -1, features)
    return array[:, :, 0] if features == 1 else array @ _LUMA


def _numbered(sequences: Sequences) -> tuple[Sequences, list[str]]:
    return sequences, [str(number) for number in range(len(sequences))]


def _json_sequence(text: str, number: int) -> list[Any]:
    try:
        sequence: list[Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"standard input, line {number}: not valid JSON ({error}), expected one sequence a "
            "line as in [[1, 2], [3, 4]]"
        ) from None
    return sequence


def _step(text: str, number: int) -> list[float]:
    try:
        return [float(value) for value in text.replace(",", " ").split()]
    except ValueError as error:
        raise DataError(
            f"standard input, line {number}: {error}, expected numbers with commas or spaces "
            "between them, or a JSON array of steps"
        ) from None
