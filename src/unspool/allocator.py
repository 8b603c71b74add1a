"""The C library's memory allocator, and how much freed memory it keeps.

A training step asks for the same large arrays as the step before. By default glibc hands such
memory back to the system when it is freed, and every page of it is faulted in anew by the next
step, which can take a third of the time.
"""

from __future__ import annotations

import ctypes
import os

from unspool.errors import UnspoolError

# Numbers from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_MIB = 2**20
_MMAP_THRESHOLDS = (1024 * _MIB, 32 * _MIB)  # older glibc takes at most the latter
_TRIM_THRESHOLD = 2**31 - 1  # the largest int, which is what mallopt takes

_OWN_SETTINGS = (
    "MALLOC_MMAP_MAX_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_TRIM_THRESHOLD_",
)


def keep_freed_memory() -> bool:
    """Let glibc keep up to 2 GiB of freed memory for the program's next use of it.

    It concerns the whole process and lasts until its end, so it is called at the start of a
    program, before torch is imported; the command line does. Blocks of 1 GiB and more (of 32 MiB
    with an old glibc) are still given back as soon as they are freed. Nothing is changed where

    - the C library is not glibc, as on macOS;
    - the user has set these thresholds himself, by ``MALLOC_MMAP_THRESHOLD_``,
      ``MALLOC_TRIM_THRESHOLD_``, ``MALLOC_TOP_PAD_``, ``MALLOC_MMAP_MAX_`` or ``GLIBC_TUNABLES``;
    - ``UNSPOOL_MALLOC`` is ``default``.

    Returns
    -------
    bool
        Whether the allocator now keeps memory by this call.

    Raises
    ------
    UnspoolError
        If ``UNSPOOL_MALLOC`` has another value.
    """
    wanted = os.environ.get("UNSPOOL_MALLOC")
    if wanted not in (None, "", "default"):
        raise UnspoolError(
            f"UNSPOOL_MALLOC has {wanted!r}, expected 'default', which leaves the memory allocator "
            "as it is; set that or unset it"
        )
    if wanted == "default" or _set_by_the_user():
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    return any(mallopt(_M_MMAP_THRESHOLD, value) for value in _MMAP_THRESHOLDS) and bool(
        mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)
    )


def _set_by_the_user() -> bool:
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return "glibc.malloc." in tunables or any(name in os.environ for name in _OWN_SETTINGS)
