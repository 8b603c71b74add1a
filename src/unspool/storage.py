"""Writes files and folders whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from unspool.errors import SaveError


@contextmanager
def replacing_folder(target: Path, files: Collection[str], mark: tuple[str, str]) -> Iterator[Path]:
    """Give an empty folder to fill, which takes the target's place once it is complete.

    Whatever goes wrong, the target is afterwards what it was before, and nothing else remains.
    What it was is let go only when the new files are on the disk itself, so that a power cut does
    not find the one gone and the others empty.

    Parameters
    ----------
    target : Path
    files : collection of str
        The names that such a folder holds. A target that holds any other is not replaced.
    mark : pair of str
        What tells that a folder is such a one: which of the files is a JSON object, and a key that
        it has. A target with files but without that is not replaced either.

    Raises
    ------
    SaveError
        If it could not be written, as on a full disk, or would cost the user something else.
    """
    target = Path(os.path.realpath(target))
    _check_replaceable(target, files, mark)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
        aside.mkdir()
    except OSError as error:
        raise _explained(target, error) from error
    try:
        yield aside
        _swap(aside, target)
    except OSError as error:
        raise _explained(target, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_file(target: Path, content: bytes | str) -> None:
    """Write a file beside its place and move it there, as :func:`replacing_folder` does.

    Raises
    ------
    SaveError
        If it could not be written; the file is then what it was before.
    """
    data = content.encode() if isinstance(content, str) else content
    aside = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_bytes(data)
            if target.exists():
                _to_disk(aside)
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise _explained(target, error) from error


def _check_replaceable(target: Path, files: Collection[str], mark: tuple[str, str]) -> None:
    """Refuse to replace what was not made by the same command."""
    try:
        held = sorted(os.scandir(target), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _explained(target, error) from error
    foreign = [each.name for each in held if each.name not in files or not each.is_file()]
    if not foreign and not _is_marked(target, *mark):
        foreign = [each.name for each in held]
    if foreign:
        raise SaveError(
            f"{target} holds {foreign[0]}, expected a new or empty folder, or one with nothing "
            f"but {', '.join(files)}, which would be replaced; choose another folder"
        )


def _is_marked(folder: Path, name: str, key: str) -> bool:
    try:
        found = json.loads((folder / name).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and key in found


def _swap(aside: Path, target: Path) -> None:
    if not target.exists():
        aside.rename(target)
        return
    for file in aside.iterdir():
        _to_disk(file)
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    try:
        target.rename(old / "folder")
        aside.rename(target)
    except BaseException:  # an interruption as well: the only copy must not be lost
        if not target.exists():
            (old / "folder").rename(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _to_disk(file: Path) -> None:
    """Wait until the system has written a file, which it else does some seconds later."""
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


def _explained(target: Path, error: OSError) -> SaveError:
    reason = error.strerror or str(error)
    return SaveError(f"could not write {target}: {reason}; nothing half-written was left")
