"""Bytes of a file that may be gzip-compressed, read with every failure explained."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from unspool.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
DEFLATE_RATIO = 1032
"""Bytes that one compressed byte can stand for at most; a property of the deflate format."""

MAX_TEXT_BYTES = 1 << 32
"""Bytes of text that are read at most; a small compressed file can stand for very many."""

_CHUNK = 1 << 20


def is_gzip(path: Path) -> bool:
    """Whether a file is gzip-compressed, judged by its first bytes and not by its name."""
    with open_file(path) as file:
        return file.read(2) == GZIP_MAGIC


def open_file(path: Path) -> BinaryIO:
    """Open a file as it is.

    Raises
    ------
    DataError
        If it is missing, a folder, or not readable.
    """
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, expected a file") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def chunks(path: Path, limit: int | None = None) -> Iterator[bytes]:
    """Yield the uncompressed content piece by piece, at most ``limit`` bytes of it.

    Memory follows what is read, never what a header claims.

    Raises
    ------
    DataError
        If the file cannot be opened, or its compression is damaged or breaks off.
    """
    packed = is_gzip(path)
    with open_file(path) as raw:
        content = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
        left = limit
        try:
            while piece := content.read(_CHUNK if left is None else min(_CHUNK, left)):
                yield piece
                left = None if left is None else left - len(piece)
        except EOFError:
            raise DataError(
                f"{path}: the gzip data breaks off, expected a complete file; copy or download "
                "it again"
            ) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                f"{path}: damaged gzip data ({error}), expected an intact file; copy or "
                "download it again"
            ) from None
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def read_content(path: Path, limit: int | None = None) -> bytearray:
    """Return the uncompressed content, at most ``limit`` bytes of it.

    Raises
    ------
    DataError
        As :func:`chunks` does.
    """
    content = bytearray()
    for piece in chunks(path, limit):
        content += piece
    return content


def read_hashed(path: Path, limit: int) -> tuple[bytearray, str]:
    """Return the uncompressed content, at most ``limit`` bytes of it, and its SHA-256.

    Raises
    ------
    DataError
        As :func:`chunks` does.
    """
    content, digest = bytearray(), hashlib.sha256()
    for piece in chunks(path, limit):
        content += piece
        digest.update(piece)
    return content, digest.hexdigest()


def read_text_bytes(path: Path) -> bytes:
    """Return the uncompressed content of a text file, still encoded.

    Raises
    ------
    DataError
        As :func:`chunks` does, and if the file holds more than ``MAX_TEXT_BYTES``.
    """
    content = read_content(path, limit=MAX_TEXT_BYTES + 1)
    if len(content) > MAX_TEXT_BYTES:
        raise DataError(
            f"{path} holds more than {MAX_TEXT_BYTES} bytes of text; use Parquet or .npz instead"
        )
    return bytes(content)


def text_lines(content: bytes, source: str) -> io.StringIO:
    """Decode UTF-8 text to lines; any of the usual line ends will do.

    Raises
    ------
    DataError
        If the text is not UTF-8; the line is named.
    """
    try:
        return io.StringIO(content.decode("utf-8-sig"), newline=None)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{source}, line {line}: found byte {content[error.start]:#04x}, expected UTF-8 text"
        ) from None


def largest_content(path: Path) -> int:
    """Bytes that the file can hold at most once uncompressed."""
    size = path.stat().st_size
    return size * DEFLATE_RATIO if is_gzip(path) else size
