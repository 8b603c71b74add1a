"""Bytes of a file that may be compressed, read with every failure explained."""

import bz2
import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from unspool.errors import DataError

Compression = Literal["gzip", "bzip2", "xz"]

COMPRESSED = (".gz", ".bz2", ".xz")
"""The endings that the names of compressed files have."""

DEFLATE_RATIO = 1032
"""Bytes that one compressed byte can stand for at most; a property of the deflate format."""

MAX_TEXT_BYTES = 1 << 32
"""Bytes of text that are read at most; a small compressed file can stand for very many."""

_CHUNK = 1 << 20

# A compressed file's header says how much memory its reader takes. 65 MiB will do for `xz -9`.
_XZ_MEMORY = 1 << 28

_MAGIC: tuple[tuple[Compression, bytes], ...] = (
    ("gzip", b"\x1f\x8b"),
    ("xz", b"\xfd7zXZ\0"),
    *(("bzip2", b"BZh%d1AY&SY" % level) for level in range(1, 10)),
    *(("bzip2", b"BZh%d\x17rE8P\x90" % level) for level in range(1, 10)),  # of an empty file
)


def compression(path: Path) -> Compression | None:
    """How a file is compressed, judged by its first bytes and not by its name."""
    with open_file(path) as file:
        start = file.read(10)
    return next((kind for kind, magic in _MAGIC if start.startswith(magic)), None)


def without_compression(name: str) -> str:
    """Take the ending of a compressed file off a name.

    Examples
    --------
    >>> without_compression("news.txt.xz"), without_compression("news.txt")
    ('news.txt', 'news.txt')
    """
    ending = next((ending for ending in COMPRESSED if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


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
    packed = compression(path)
    with open_file(path) as raw:
        content = _OPENERS[packed](raw) if packed else raw
        left = limit
        try:
            while left != 0 and (
                piece := content.read(_CHUNK if left is None else min(_CHUNK, left))
            ):
                yield piece
                left = None if left is None else left - len(piece)
        except EOFError:
            raise DataError(
                f"{path}: the {packed} data breaks off, expected a complete file; copy or download "
                "it again"
            ) from None
        except (gzip.BadGzipFile, zlib.error, _DamagedError) as error:
            raise DataError(
                f"{path}: damaged {packed} data ({error}), expected an intact file; copy or "
                "download it again"
            ) from None
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


class _DamagedError(Exception):
    """Compressed data that the decompressor refuses."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Decompressed:
    """The content of a bzip2 or xz file, with a bound on memory that the modules' files lack."""

    def __init__(
        self, raw: BinaryIO, new: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
    ) -> None:
        self._raw, self._new, self._decompressor = raw, new, new()

    def read(self, size: int, /) -> bytes:
        """Return some of the content, at most ``size`` bytes; none at its end."""
        while True:
            packed = b""
            if self._decompressor.eof:  # files may be strung together, xz files with zeros between
                packed = (self._decompressor.unused_data or self._raw.read(_CHUNK)).lstrip(b"\0")
                if not packed:
                    return b""
                self._decompressor = self._new()
            elif self._decompressor.needs_input and not (packed := self._raw.read(_CHUNK)):
                raise EOFError
            try:
                content = self._decompressor.decompress(packed, size)
            except (OSError, lzma.LZMAError) as error:
                raise _DamagedError(str(error)) from None
            if content:
                return content


_OPENERS: dict[Compression, Callable[[BinaryIO], _Readable]] = {
    "gzip": lambda raw: gzip.GzipFile(fileobj=raw),
    "bzip2": lambda raw: _Decompressed(raw, bz2.BZ2Decompressor),
    "xz": lambda raw: _Decompressed(raw, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
}


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
    """Bytes that the file can hold at most once uncompressed; for bzip2 and xz a general limit."""
    match compression(path):
        case None:
            return path.stat().st_size
        case "gzip":
            return path.stat().st_size * DEFLATE_RATIO
        case _:
            return MAX_TEXT_BYTES
