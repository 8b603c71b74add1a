"""What modules keep from call to call while a network is used and not trained: packed weights."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from unspool.nn.inference import address

_SCOPES = threading.Lock()
"""Held while scopes of :func:`keeping_packed` are counted."""

Ready = TypeVar("Ready")


class Kept(Generic[Ready]):
    """What was made ready of some modules' weights, as long as these are what they were.

    Whether they are is told by where they lie and by their versions, which torch counts.

    Parameters
    ----------
    ready : object
        What is kept.
    kernel : str
        What it was made ready for.
    weights : iterable of Tensor or None
        What it was made of.
    modules : sequence of Module
        Whose parameters these are, their own and not those of their children. A weight that is
        none of them is computed from some, and another one at every call: then nothing serves.
    """

    def __init__(
        self,
        ready: Ready,
        kernel: str,
        weights: Iterable[Tensor | None],
        modules: Sequence[nn.Module],
    ) -> None:
        self.ready = ready
        self.modules = modules
        self._kernel = kernel
        self._known = [
            (module._parameters, name, tensor, address(tensor), _version(tensor))
            for module in modules
            for name, tensor in module._parameters.items()
        ]
        self._children = [(module._modules, dict(module._modules)) for module in modules]
        own = {id(tensor) for _, _, tensor, _, _ in self._known}
        self._is_whole = all(id(weight) in own for weight in weights if weight is not None)

    def serves(self, kernel: str) -> bool:
        """Tell whether it still stands for the modules' weights."""
        if kernel != self._kernel or not self._is_whole:
            return False
        for parameters, name, known, place, version in self._known:
            if parameters.get(name) is not known:
                return False
            if known is not None and (
                version is None or known._version != version or known.data_ptr() != place
            ):
                return False
        return all(children == known for children, known in self._children)


def _version(tensor: Tensor | None) -> int | None:
    """How often it was changed; None where nothing tells."""
    return None if tensor is None or tensor.is_inference() else tensor._version


class Keeping:
    """A module that keeps something while :func:`keeping_packed` has scopes open."""

    _scopes = 0
    _kept: Kept[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has: nothing that is kept."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        kept = ("_scopes", "_kept")
        return {name: value for name, value in state.items() if name not in kept}


def keep_packed(network: nn.Module) -> None:
    """Do as :func:`keeping_packed` from now on, for as long as the network is there."""
    _open(network)


@contextmanager
def keeping_packed(network: nn.Module) -> Iterator[None]:
    """Let a network's modules keep their weights packed from call to call.

    The kernels read weights in an order of their own. To bring them into it takes longer than a
    step of a few sequences; where many steps follow one another, as in decoding, it is done once
    and serves all that follow: by a recurrent layer at its second call, by all else at its first.
    Answers are the same to rounding.

    It takes as much memory as the weights. Where these change, they are packed anew; only what is
    written in place through ``.data`` goes unseen. Scopes may overlap, also of several threads.
    """
    modules = _open(network)
    try:
        yield
    finally:
        with _SCOPES:
            for module in modules:
                module._scopes -= 1
                if module._scopes == 0:
                    module._kept = None


def _open(network: nn.Module) -> list[Keeping]:
    modules: list[Keeping] = [module for module in network.modules() if isinstance(module, Keeping)]
    with _SCOPES:
        for module in modules:
            module._scopes += 1
    return modules
