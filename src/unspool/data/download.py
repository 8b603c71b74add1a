"""Downloads that resume, fall over to the next mirror, and appear only when they are right.

While a file is under way its bytes stand in ``FILE.part`` beside the target; after an interruption
the next attempt asks the server for the rest. The target itself is put there in one move, after
the size and SHA-256 of its uncompressed content were found to be right.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
import requests

from unspool.data.cache import explained
from unspool.data.files import read_hashed
from unspool.errors import DataError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and all bytes of the download where known."""

CONNECT_SECONDS, READ_SECONDS = 10, 30
LOCK_SECONDS = 600

_CHUNK = 1 << 16


@dataclass(frozen=True)
class RemoteFile:
    """A file to download: size and checksum are those of its uncompressed content."""

    name: str
    size: int
    sha256: str
    urls: tuple[str, ...]

    @property
    def ending(self) -> str:
        """What the name of a downloaded file ends in beyond the content's."""
        return ".gz" if any(url.endswith(".gz") for url in self.urls) else ""

    @property
    def largest_download(self) -> int:
        """Bytes at which a download is given up: more than gzip makes of incompressible data."""
        return self.size + self.size // 1000 + 1024

    def mismatch(self, size: int, sha256: str) -> str:
        """Say how content that was found differs from the true one; empty if it does not."""
        if size != self.size:
            found = f"more than {self.size}" if size > self.size else str(size)
            return f"found {found} bytes uncompressed, expected {self.size}"
        if sha256 != self.sha256:
            return f"found SHA-256 {sha256}, expected {self.sha256}"
        return ""


class _MirrorError(Exception):
    """Why one mirror did not deliver; the next one is tried."""


def download(file: RemoteFile, target: Path, progress: Progress | None = None) -> None:
    """Download a file from the first of its mirrors that delivers the true content.

    Two processes that want the same file do not disturb each other: the second one waits and then
    finds it there.

    Parameters
    ----------
    file : RemoteFile
    target : Path
        Where to put the file; missing folders are made. Nothing is done if it is there already.
    progress : callable, optional
        See :data:`Progress`.

    Raises
    ------
    DataError
        If no mirror delivers the file; each mirror's reason is named.
    SaveError
        If the file cannot be written.
    """
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            if target.exists():
                return
            part = target.with_name(f"{target.name}.part")
            _from_any_mirror(file, part, progress or (lambda done, total: None))
            os.replace(part, target)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keep other processes away from the part while it grows."""
    lock = target.with_name(f"{target.name}.lock")
    try:
        with filelock.FileLock(lock, timeout=LOCK_SECONDS):
            yield
    except filelock.Timeout:
        raise DataError(
            f"{target} is still being downloaded by another process after {LOCK_SECONDS} seconds; "
            "wait for it, or end it and try again"
        ) from None


def _from_any_mirror(file: RemoteFile, part: Path, progress: Progress) -> None:
    reasons = []
    for url in file.urls:
        try:
            return _from_mirror(file, url, part, progress)
        except _MirrorError as failure:
            reasons.append(f"{url}: {failure}")
    raise DataError(
        f"{file.name} could not be downloaded ({'; '.join(reasons)}); check the network and try "
        "again, or get the file elsewhere and name its folder by --data-dir or UNSPOOL_DATA"
    )


def _from_mirror(file: RemoteFile, url: str, part: Path, progress: Progress) -> None:
    """Complete the part from one mirror, once more from the start if what it resumed was bad."""
    resumed = part.exists() and part.stat().st_size > 0
    try:
        _transfer(file, url, part, progress)
        _check(file, part)
    except _ContentError as failure:
        part.unlink()
        if not resumed:
            raise _MirrorError(str(failure)) from None
        _from_mirror(file, url, part, progress)


class _ContentError(Exception):
    """The part is complete but wrong; resuming it would be pointless."""


def _transfer(file: RemoteFile, url: str, part: Path, progress: Progress) -> None:
    """Append to the part what the mirror has beyond it."""
    start = part.stat().st_size if part.exists() else 0
    # Compressing a compressed file on the way would make byte ranges meaningless.
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with _network():
        response = requests.get(
            url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)
        )
    with response:
        if response.status_code == requests.codes.requested_range_not_satisfiable and start:
            return  # nothing lies beyond the part: it is complete, or wrong and found out next
        if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
            raise _MirrorError(f"status {response.status_code} {response.reason}")
        if response.status_code == requests.codes.ok:
            start = 0  # the server does not know ranges and sends everything
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise _MirrorError(f"sends another range than the one from byte {start}")
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        done = start
        progress(done, total)
        with part.open("r+b" if start else "wb") as output:
            output.seek(start)
            for piece in _pieces(response):
                output.write(piece)
                done += len(piece)
                if done > file.largest_download:
                    raise _ContentError(
                        f"found more than {file.largest_download} bytes, expected less"
                    )
                progress(done, total)
    if total is not None and done < total:
        raise _MirrorError(f"broke off after {done} of {total} bytes")


@contextmanager
def _network() -> Iterator[None]:
    """Tell failures of the network, which requests derives from OSError, from those of the disk."""
    try:
        yield
    except requests.Timeout:
        raise _MirrorError("no answer in time") from None
    except requests.exceptions.ChunkedEncodingError:
        raise _MirrorError("broke off") from None
    except requests.ConnectionError:
        raise _MirrorError("cannot be reached, or broke off") from None
    except requests.RequestException as error:
        raise _MirrorError(f"failed ({type(error).__name__})") from None


def _pieces(response: requests.Response) -> Iterator[bytes]:
    pieces = response.iter_content(_CHUNK)
    while True:
        with _network():
            piece = next(pieces, None)
        if piece is None:
            return
        yield piece


def _check(file: RemoteFile, part: Path) -> None:
    """Refuse a complete part whose uncompressed content is not the true one."""
    try:
        content, sha256 = read_hashed(part, limit=file.size + 1)
    except DataError:
        raise _ContentError("found damaged gzip data, expected an intact file") from None
    if problem := file.mismatch(len(content), sha256):
        raise _ContentError(problem)
