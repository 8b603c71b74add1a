"""Time series in the ``.ts`` format of the UCR and UEA archives.

A header of ``@`` tags is followed by one case a line: its dimensions, separated by colons, each a
list of numbers separated by commas, and the class label at the end. Lines that start with ``#``
are comments.
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.data.files import read_text_bytes, text_lines
from unspool.data.sequences import Sequences, naming
from unspool.errors import DataError

FLAGS = ("timestamps", "missing", "univariate", "equallength")
COUNTS = ("dimensions", "serieslength")
TAGS = ("problemname", *FLAGS, *COUNTS, "classlabel", "data")


def read_ts(path: Path | str, *, labelled: bool = True) -> Sequences:
    """Read a ``.ts`` file, plain or gzip-compressed; a dimension becomes a feature.

    Parameters
    ----------
    path : path
    labelled : bool
        Whether to keep the class labels and compare them with the header's list.

    Raises
    ------
    DataError
        If the file is damaged, contradicts its own header, has timestamps, or lacks values; the
        line is named.
    """
    path = Path(path)
    lines = _lines(path)
    header = _read_header(lines, path)
    cases = [_read_case(text, header, place, labelled) for text, place in lines]
    if not cases:
        raise DataError(f"{path} holds no case, expected at least one line after @data")
    labels = [case.label for case in cases] if header.has_labels and labelled else None
    with naming(str(path)):
        return Sequences.from_list([case.values for case in cases], labels)


@dataclass
class _Header:
    """What the header promises; the first case fills in what it leaves open."""

    classes: list[str] = field(default_factory=list)
    has_labels: bool = False
    dimensions: int | None = None
    length: int | None = None
    equal_length: bool = False


@dataclass(frozen=True)
class _Case:
    values: NDArray[Any]  # (T, F)
    label: str


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each line that says something, and its place for messages."""
    for number, line in enumerate(text_lines(read_text_bytes(path), str(path)), start=1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield text, f"{path}, line {number}"


def _read_header(lines: Iterator[tuple[str, str]], path: Path) -> _Header:
    header = _Header()
    for text, place in lines:
        tag, *values = text.split()
        tag = tag.lower()
        if not tag.startswith("@"):
            raise DataError(f"{place}: found {_short(text)}, expected a tag such as @data first")
        tag = tag.removeprefix("@")
        if tag == "data":
            return header
        _read_tag(header, tag, values, place)
    raise DataError(f"{path} has no @data line, expected a .ts file with one before its cases")


def _read_tag(header: _Header, tag: str, values: list[str], place: str) -> None:
    tag = {"dimension": "dimensions"}.get(tag, tag)  # older files of the archive
    if tag == "targetlabel" and values[:1] != ["false"]:
        raise DataError(f"{place}: found regression targets, expected class labels (@classLabel)")
    if tag not in (*TAGS, "targetlabel"):
        nearest = difflib.get_close_matches(tag, TAGS, n=1)
        hint = f"; did you mean @{nearest[0]}?" if nearest else ""
        raise DataError(f"{place}: unknown tag @{tag}, expected one of @{', @'.join(TAGS)}{hint}")
    if tag in COUNTS:
        count = _count(tag, values, place)
        if tag == "dimensions":
            header.dimensions = count
        else:
            header.length = count
    elif tag == "classlabel":
        header.has_labels, header.classes = _flag(tag, values, place), values[1:]
        if header.has_labels and not header.classes:
            raise DataError(f"{place}: @classLabel true lists no labels, expected them after it")
    elif tag in FLAGS:
        value = _flag(tag, values, place)
        if tag == "timestamps" and value:
            raise DataError(
                f"{place}: the series have timestamps, expected evenly spaced values; resample "
                "them first"
            )
        if tag == "univariate" and value:
            header.dimensions = 1
        if tag == "equallength":
            header.equal_length = value


def _flag(tag: str, values: list[str], place: str) -> bool:
    found = values[0].lower() if values else ""
    if found not in ("true", "false"):
        raise DataError(f"{place}: @{tag} is {found!r}, expected true or false")
    return found == "true"


def _count(tag: str, values: list[str], place: str) -> int:
    if len(values) != 1 or not values[0].isdecimal() or int(values[0]) == 0:
        raise DataError(f"{place}: @{tag} is {' '.join(values)!r}, expected a whole number above 0")
    return int(values[0])


def _read_case(text: str, header: _Header, place: str, labelled: bool) -> _Case:
    dimensions = text.split(":")
    label = dimensions.pop().strip() if header.has_labels else ""
    if header.has_labels and labelled and label not in header.classes:
        raise DataError(
            f"{place}: the class label is {_short(label)}, expected one of the header's: "
            f"{', '.join(header.classes)}"
        )
    if header.dimensions is None:
        header.dimensions = len(dimensions)
    if len(dimensions) != header.dimensions:
        raise DataError(
            f"{place}: found {len(dimensions)} dimensions, expected {header.dimensions}"
        )
    columns = [
        _read_dimension(dimension, f"{place}, dimension {number}")
        for number, dimension in enumerate(dimensions, start=1)
    ]
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise DataError(
            f"{place}: the dimensions have {', '.join(str(len(column)) for column in columns)} "
            "values, expected equally many"
        )
    _check_length(header, len(columns[0]), place)
    return _Case(np.stack(columns, axis=1), label)


def _check_length(header: _Header, found: int, place: str) -> None:
    if header.equal_length and header.length is None:
        header.length = found
    if header.equal_length and found != header.length:
        raise DataError(
            f"{place}: found {found} values, expected {header.length} as the header (@equalLength) "
            "promises for every series"
        )


def _read_dimension(text: str, place: str) -> NDArray[np.float64]:
    if "(" in text:
        raise DataError(
            f"{place}: found a timestamp {_short(text)}, expected plain numbers; resample the "
            "series first"
        )
    texts = text.split(",")
    try:
        values = np.array(texts, np.float64)
    except ValueError:
        values = np.array([_number(value) for value in texts])
    if not np.isfinite(values).all():
        position = int(np.argmin(np.isfinite(values)))
        found = texts[position].strip()
        raise DataError(
            f"{place}: value {position + 1} is {_short(found)}, expected a finite number; fill "
            "missing values first"
        )
    return values


def _number(text: str) -> float:
    """Read a number; what is none becomes NaN, which the caller finds and names."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
