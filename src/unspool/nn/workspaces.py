"""Memory that passes under way hand on to those after them.

What a forward pass saves for its backward pass is the largest array of a training step. Asked of
the C library anew at each step, it costs a page fault every four kilobytes, and what lies around it
decides whether its place can be used again: peaks differ from run to run by its size.
"""

from __future__ import annotations

import threading

import torch
from torch import Tensor

_LEAST = 2**18  # numbers of what is worth keeping
_MOST_KEPT = 2**26  # numbers, of all


class Workspaces:
    """Arrays of float32 on the CPU that nobody uses any more, for the next who need one.

    There are as many as were ever in use at once, and each is as large as the largest that it
    served as; but no more than 256 MiB in all.

    Examples
    --------
    >>> workspaces = Workspaces()
    >>> first = workspaces.take(2**20)
    >>> address = first.data_ptr()
    >>> workspaces.give_back(first)
    >>> workspaces.take(2**19).data_ptr() == address
    True
    """

    def __init__(self) -> None:
        self._kept: list[Tensor] = []  # the smallest first
        self._lock = threading.Lock()

    def take(self, size: int) -> Tensor:
        """Return an array of so many numbers, which may hold anything."""
        kept = self._find(size) if size >= _LEAST else None
        if kept is None:
            return torch.empty(size, dtype=torch.float32, device="cpu")
        torch.autograd.graph.increment_version(kept)  # whoever holds on to it is told
        return kept if len(kept) == size else kept[:size]

    def _find(self, size: int) -> Tensor | None:
        with self._lock:
            for i, kept in enumerate(self._kept):
                if len(kept) >= size:
                    return self._kept.pop(i)
            if self._kept:  # a larger one will take its place
                self._kept.pop()
        return None

    def give_back(self, workspace: Tensor) -> None:
        """Let others have an array that :meth:`take` returned. Nobody may use it any more."""
        whole = workspace if workspace._base is None else workspace._base
        if whole.numel() < _LEAST or whole.is_inference():
            return
        with self._lock:
            room = _MOST_KEPT - sum(len(kept) for kept in self._kept)
            if whole.numel() <= room:
                self._kept.append(whole)
                self._kept.sort(key=len)
