"""Text as a stream of pieces: from files of any size, or from memory.

A document is a text file, an object of a JSON Lines file, or one text in memory. It is read piece
by piece, so that a corpus may be larger than memory; where the pieces end depends on the text
alone, not on how its file is compressed.
"""

import codecs
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from unspool.data.files import COMPRESSED, chunks, open_file, without_compression
from unspool.errors import DataError

JSON_LINES = (".jsonl", ".ndjson")

PIECE = 1 << 20
"""Characters that a piece has at most."""

MAX_JSON_LINE = 1 << 26
"""Bytes of one line of JSON that are read at most; the whole line must be in memory."""


@dataclass(frozen=True)
class Piece:
    """Some of a document's text, never empty.

    It ends with a line, except where the document ends or a line is longer than ``PIECE``.
    """

    text: str
    starts_document: bool


class Text(Protocol):
    """Documents in a stable order."""

    @property
    def title(self) -> str:
        """What messages call the text."""
        ...

    def pieces(self) -> Iterator[Piece]:
        """Yield the text from its beginning, anew at every call."""
        ...


@dataclass(frozen=True)
class TextInMemory:
    """Documents that are strings; empty ones are left out."""

    title: str
    documents: tuple[str, ...]

    def pieces(self) -> Iterator[Piece]:
        """Yield the documents piece by piece."""
        for document in self.documents:
            yield from cut([document])


@dataclass(frozen=True)
class TextFiles:
    """Documents in UTF-8 files; a byte order mark is no part of the text.

    Parameters
    ----------
    title : str
    paths : tuple of Path
        Each compressed or not. One whose name ends in ``.jsonl`` or ``.ndjson`` holds a JSON
        object a line, each with a document; any other is a document.
    field : str
        What the objects call the text.
    """

    title: str
    paths: tuple[Path, ...]
    field: str = "text"

    def pieces(self) -> Iterator[Piece]:
        """Yield the documents piece by piece.

        Raises
        ------
        DataError
            If a file cannot be read, is not UTF-8 (the byte is named), or a line of JSON has no
            such text (the line is named).
        """
        for path in self.paths:
            if without_compression(path.name.lower()).endswith(JSON_LINES):
                for document in _json_documents(path, self.field):
                    yield from cut([document])
            else:
                yield from cut(_decoded(path))


def text_files(path: Path | str, field: str = "text") -> TextFiles:
    """Name the text of a file, or of a folder's ``.txt`` files, those in its folders included.

    A folder's files come in the order of their names; hidden ones are left out.

    Raises
    ------
    DataError
        If there is no such file, or no text file in the folder.
    """
    path = Path(path)
    if not path.is_dir():
        open_file(path).close()
        return TextFiles(str(path), (path,), field)
    found = sorted(
        (inside.relative_to(path).as_posix(), inside)
        for inside in path.rglob("*")
        if without_compression(inside.name.lower()).endswith(".txt") and inside.is_file()
    )
    paths = tuple(inside for name, inside in found if "/." not in f"/{name}")
    if not paths:
        endings = ", ".join(f".txt{packed}" for packed in ("", *COMPRESSED))
        raise DataError(f"{path} has no text file, expected names that end in {endings}")
    return TextFiles(str(path), paths, field)


@dataclass(frozen=True)
class Survey:
    """What one reading of a text finds out.

    Parameters
    ----------
    documents, characters : int
    sha256 : str
        Of the documents' text and bounds; files that differ in name and compression alone agree.
    """

    documents: int
    characters: int
    sha256: str


def survey(text: Text) -> Survey:
    """Read a text once.

    Raises
    ------
    DataError
        If it is empty or nothing but white space, or cannot be read.
    """
    digest, documents, characters, written = hashlib.sha256(), 0, 0, False
    document = hashlib.sha256()
    for piece in text.pieces():
        if piece.starts_document:
            digest.update(document.digest())
            document = hashlib.sha256()
            documents += 1
        document.update(piece.text.encode())
        characters += len(piece.text)
        written = written or not piece.text.isspace()
    if not written:
        raise DataError(f"{text.title} holds no text, expected at least a word")
    digest.update(document.digest())
    return Survey(documents, characters, digest.hexdigest())


def cut(document: Iterable[str]) -> Iterator[Piece]:
    """Cut a document, which comes in parts of any size, into pieces."""
    first, rest = True, ""
    for part in document:
        rest, start = rest + part, 0
        while len(rest) - start > PIECE:
            end = _piece_end(rest, start)
            yield Piece(rest[start:end], first)
            first, start = False, end
        rest = rest[start:]
    if rest:
        yield Piece(rest, first)


def _piece_end(text: str, start: int) -> int:
    """Where the piece ends: after a line, else before a space, else where it must."""
    most = start + PIECE
    end = text.rfind("\n", start, most) + 1
    return end or max(text.rfind(" ", start + 1, most), 0) or most


def _decoded(path: Path) -> Iterator[str]:
    """Yield a file's text in parts, without a byte order mark."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    done, first = 0, True
    for chunk in _and_end(chunks(path)):
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise _not_utf8(f"{path}, byte {done - held + error.start}", error) from None
        done += len(chunk)
        yield text.removeprefix("\ufeff") if first else text
        first = first and not text


def _and_end(parts: Iterator[bytes]) -> Iterator[bytes]:
    yield from parts
    yield b""


def _not_utf8(place: str, error: UnicodeDecodeError) -> DataError:
    found = f"found {error.object[error.start]:#04x}"
    if error.reason == "unexpected end of data":
        found += " and the end of the text within a character"
    return DataError(
        f"{place} (from 0): {found}, expected UTF-8 text; convert it, for instance by "
        "`iconv -f latin1 -t utf-8`"
    )


def lines_in(text: str) -> list[str]:
    r"""Its lines without their ends, ``\n`` or ``\r\n``: nothing else that Unicode has ends one.

    Examples
    --------
    >>> lines_in("one\u2028still one\r\n\ntwo\n")
    ['one\u2028still one', '', 'two']
    """
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines if lines[-1] else lines[:-1]


def _json_documents(path: Path, field: str) -> Iterator[str]:
    done = 0
    for number, line in enumerate(_lines(path), start=1):
        place = f"{path}, line {number}"
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise _not_utf8(f"{place}, byte {done + error.start}", error) from None
        done += len(line)
        if number == 1:
            text = text.removeprefix("\ufeff")
        if text.strip():
            yield _field_of(_json_object(text, place), field, place)


def _lines(path: Path) -> Iterator[bytes]:
    """Yield lines with their ends."""
    rest = b""
    for chunk in chunks(path):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if len(rest) > MAX_JSON_LINE:
            raise DataError(
                f"{path} has a line of more than {MAX_JSON_LINE} bytes, expected a JSON object a "
                "line; give such a text a file of its own"
            )
    if rest:
        yield rest


def _json_object(text: str, place: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: {error}; expected a JSON object") from None
    if not isinstance(value, dict):
        raise DataError(f"{place}: found {text.strip()[:40]!r}, expected a JSON object")
    return value


def _field_of(value: dict[str, Any], field: str, place: str) -> str:
    if field not in value:
        found = ", ".join(value) or "none"
        raise DataError(
            f"{place}: no field {field!r}, found {found}; name the one that holds the text by the "
            "setting field"
        )
    text = value[field]
    if not isinstance(text, str):
        raise DataError(f"{place}: {field} is {text!r:.40}, expected text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place}: {field} has half of a surrogate pair, {text[error.start]!r}, expected text"
        ) from None
    return text
