"""A file of answers, one a line, that an interruption leaves fit to be gone on with."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import IO

from unspool.errors import SaveError

_BLOCK = 2**20  # bytes


class AnswerFile:
    r"""Answers as lines, each in the file as soon as it is known.

    Nothing is changed before the file is entered; then what follows the last complete line of an
    earlier translation is cut off.

    Parameters
    ----------
    path : Path
    goes_on : bool
        Keep the complete lines that are there, and write on after them.

    Attributes
    ----------
    done : int
        Complete lines that were there.
    last : str
        The last of them, without ``\n``.
    rest : bytes
        The start of what follows it: a line that was begun.

    Raises
    ------
    SaveError
        If it cannot be read or written, or has content and is not to be gone on with.
    """

    def __init__(self, path: Path, *, goes_on: bool) -> None:
        self.path = path
        self.done, self.last, self.rest, self._end = 0, "", b"", 0
        self._file: IO[bytes] | None = None
        try:
            if path.is_dir():
                raise SaveError(f"{path} is a folder, expected a file; choose another --out")
            self._size = path.stat().st_size if path.exists() else 0
            if self._size and goes_on:
                self._find_end()
        except OSError as error:
            raise self._failed("read", error) from error
        if self._size and not goes_on:
            raise SaveError(
                f"{path} exists already; go on with an interrupted translation by --continue, or "
                "choose another --out"
            )

    def _find_end(self) -> None:
        """Count the complete lines, and find where the last one ends."""
        with self.path.open("rb") as file:
            while block := file.read(_BLOCK):
                self.done += block.count(b"\n")
                if b"\n" in block:
                    self._end = file.tell() - len(block) + block.rindex(b"\n") + 1
            file.seek(max(0, self._end - _BLOCK))
            tail = file.read(self._end - file.tell())
            self.rest = file.read(_BLOCK)
        self.last = tail.removesuffix(b"\n").rpartition(b"\n")[2].decode(errors="replace")

    def __enter__(self) -> AnswerFile:
        try:
            self._file = self.path.open("ab", buffering=0)
            if self._size > self._end:
                self._file.truncate(self._end)
        except OSError as error:
            raise self._failed("written", error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, line: str) -> None:
        """Add a line.

        Raises
        ------
        SaveError
            If there is no room for it.
        """
        assert self._file is not None, "a file is entered before it is written to"
        try:
            self._file.write(f"{line}\n".encode())
        except OSError as error:
            raise self._failed("written", error) from error

    def _failed(self, what: str, error: OSError) -> SaveError:
        return SaveError(
            f"{self.path} cannot be {what}: {error.strerror or error}; choose another --out"
        )
