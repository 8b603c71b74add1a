"""Chance that a seed decides, whatever other threads do."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's generators as the seed decides; they are afterwards what they were.

    All threads share these generators: one thread at a time draws from a seed, others wait for it.

    Examples
    --------
    >>> with seeded(1):
    ...     first = torch.rand(3)
    >>> with seeded(1):
    ...     assert torch.equal(torch.rand(3), first)
    """
    with _lock, torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _renew_lock() -> None:
    """In a process that was forked nobody is left to release it."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
