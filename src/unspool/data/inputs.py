"""Sequences to answer for: files of any known format, pictures, or lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from unspool.data import series
from unspool.data.images import read_picture
from unspool.data.sequences import Sequences
from unspool.data.tables import TableColumns
from unspool.errors import DataError

_PICTURES = (".png", ".jpg", ".jpeg")


def read(path: Path, columns: TableColumns | None = None) -> Sequences:
    """Read the sequences of a file, or a picture as one sequence of its rows.

    Parameters
    ----------
    path : Path
    columns : TableColumns, optional
        The meaning of a table's columns.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of no known format.
    """
    if path.suffix.lower() in _PICTURES:
        return Sequences.from_array(read_picture(path)[None])
    return series.read(path, columns=columns, labelled=False)


def read_lines(lines: Iterable[str]) -> Sequences:
    """Read sequences from text.

    Either one sequence a line as a JSON array of steps, or one step a line as numbers with commas
    or spaces between them, an empty line parting two sequences.

    Raises
    ------
    DataError
        If a line is neither; it is named by its number.

    Examples
    --------
    >>> read_lines(["1 2", "3 4", "", "5 6"]).lengths
    array([2, 1])
    >>> read_lines(["[[1, 2], [3, 4]]", "[[5, 6]]"]).lengths
    array([2, 1])
    """
    sequences: list[Any] = []
    steps: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith("["):
            sequences.append(_json_sequence(text, number))
        elif text:
            steps.append(_step(text, number))
            if len(steps[-1]) != len(steps[0]):
                raise DataError(
                    f"standard input, line {number}: {len(steps[-1])} numbers, "
                    f"expected {len(steps[0])} as in the sequence's first step"
                )
        elif steps:
            sequences.append(steps)
            steps = []
    if steps:
        sequences.append(steps)
    return Sequences.from_list(sequences).check("standard input")


def _json_sequence(text: str, number: int) -> list[Any]:
    try:
        sequence: list[Any] = json.loads(text)
    except ValueError as error:
        raise DataError(f"standard input, line {number}: not valid JSON ({error})") from None
    return sequence


def _step(text: str, number: int) -> list[float]:
    try:
        return [float(value) for value in text.replace(",", " ").split()]
    except ValueError as error:
        raise DataError(
            f"standard input, line {number}: {error}, expected numbers with commas or spaces "
            "between them, or a JSON array of steps"
        ) from None
