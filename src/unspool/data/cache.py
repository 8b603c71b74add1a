"""The user's cache: what was downloaded, and what was worked out and need not be again."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unspool.errors import SaveError


def cache_folder() -> Path:
    """Return where things are kept: ``$UNSPOOL_CACHE``, or the system's place for caches."""
    if chosen := os.environ.get("UNSPOOL_CACHE"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("unspool"))


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turn a failure of the disk into a message that says what to do.

    Raises
    ------
    SaveError
        In place of every OSError.
    """
    try:
        yield
    except OSError as error:
        todo = "check the folder's permissions, or set UNSPOOL_CACHE to another folder"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            todo = "free some space, or set UNSPOOL_CACHE to a folder on another disk"
        raise SaveError(f"{target} cannot be written: {error.strerror or error}; {todo}") from error
