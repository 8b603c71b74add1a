"""Text that a user gives by standard input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from unspool.errors import DataError

TITLE = "standard input"
"""What messages and answers call it."""


def read(stream: TextIO) -> str:
    """Read it to its end; a byte-order mark is no part of it.

    Raises
    ------
    DataError
        If it is not UTF-8; the byte is named.
    """
    try:  # in some locales Python reads any byte, and escapes those that are no UTF-8
        return stream.read().encode(errors="surrogateescape").decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _no_utf8(TITLE, error) from None


def lines(stream: TextIO) -> Iterator[str]:
    r"""Read it line by line, as they come; ``\n`` alone ends one.

    Raises
    ------
    DataError
        If a line is not UTF-8; it is named.
    """
    try:
        for number, line in enumerate(stream, start=1):
            try:
                text = line.encode(errors="surrogateescape").decode().removesuffix("\n")
                yield text.removeprefix("\ufeff") if number == 1 else text  # a byte-order mark
            except UnicodeDecodeError as error:
                raise _no_utf8(f"{TITLE}, line {number}", error) from None
    except UnicodeDecodeError as error:
        raise _no_utf8(TITLE, error) from None


def _no_utf8(place: str, error: UnicodeDecodeError) -> DataError:
    return DataError(
        f"{place}, byte {error.start} (from 0): found {error.object[error.start]:#04x}, "
        "expected UTF-8 text; convert it, for instance by `iconv -f latin1 -t utf-8`"
    )
