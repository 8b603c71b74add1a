"""Keeps what the recurrent layers of a network compute, within bounds of memory.

Shapes: ``B`` batch, ``T`` steps, ``H`` hidden size, ``P`` size of the output of a direction,
``G`` gates × H.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unspool.errors import DataError
from unspool.inspection.observation import recurrent_layers
from unspool.inspection.trace import TracedArray
from unspool.inspection.unrolling import (
    RECURRENT_CANDIDATE,
    LayerCall,
    Unrolled,
    serving_kernel,
    unroll,
)
from unspool.nn.native_recurrent import SAVED
from unspool.nn.stack import GATES

Extent = Callable[[str], tuple[int, int]]
"""Tells of a group of layers how many sequences and steps it reads, ``B`` and ``T``."""

_DIRECTIONS = ("forward", "backward")
_GATES = {
    "i": ("input gate i: how much of the candidate is let in", "0 … 1"),
    "f": ("forget gate f: how much of the cell state is kept", "0 … 1"),
    "g": ("candidate g: what would be added to the cell state", "-1 … 1"),
    "o": ("output gate o: how much of the cell state is shown", "0 … 1"),
    "r": ("reset gate r: how much of the state the candidate sees", "0 … 1"),
    "z": ("update gate z: how much of the state is kept", "0 … 1"),
    "n": ("candidate n: what the state moves to", "-1 … 1"),
}


class Recorder:
    """Keeps what layers compute at some of the steps.

    Parameters
    ----------
    model : nn.Module
    layers : collection of int, optional
        Which layers of each group; all of them when not given.
    start, stop : int
        The first step that is kept, and the one after the last; the end where it is None.
    batch : callable, optional
        Tells of a group of layers what its sequences are called in the legend; ``B`` if not given.

    Raises
    ------
    DataError
        If there is no recurrent layer, or not one of those that are asked for.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: tuple[int, ...] | None = None,
        start: int = 0,
        stop: int | None = None,
        batch: Callable[[str], str] = lambda group: "B",
    ) -> None:
        self._modules = recurrent_layers(model)
        if not self._modules:
            raise DataError(
                f"{type(model).__name__} has no recurrent layer of unspool.nn, expected one to "
                "look into; put RNN, LSTM or GRU of unspool.nn in the place of torch.nn's"
            )
        self._layers, self._start, self._stop, self._batch = layers, start, stop, batch
        _check_layers(self._modules, layers)
        self._seen: dict[str, int] = dict.fromkeys(self._modules, 0)
        self._parts: dict[str, list[Tensor]] = {}
        self._arrays: dict[str, tuple[str, str, str]] = {}
        self.about: dict[str, dict[str, Any]] = {}

    # --- memory ----------------------------------------------------------------------------

    def estimate(self, extent: Extent) -> int:
        """Bytes that will be kept or worked with, before anything is computed.

        They are those of the arrays that are kept; and, for the largest stack, those of its inputs
        and outputs and of what a kernel saves of one layer.

        Parameters
        ----------
        extent : callable
        """
        kept, working = 0, 0
        for name, module in self._modules.items():
            batch, steps = extent(name.rpartition(".")[0])
            chosen = len(range(*slice(self._start, self._stop).indices(steps)))
            directions = 2 if module.bidirectional else 1
            saved = len(SAVED[module.mode.lower()]) * module.hidden_size  # type: ignore[index]
            each = GATES[module.mode.lower()] * module.hidden_size + saved  # type: ignore[index]
            each += module.proj_size or module.hidden_size
            layers = len(self._of(name, module))
            kept += batch * chosen * layers * directions * each
            outputs = 2 * batch * steps * directions * module.hidden_size
            held = steps if module.bidirectional else chosen
            working = max(working, outputs + batch * held * directions * saved * bool(layers))
        return 4 * (kept + working)

    def _of(self, name: str, module: nn.RNNBase) -> list[int]:
        """Which layers of a stack are kept, by their places in it."""
        first = int(name.rpartition(".")[2])
        if self._layers is None:
            return list(range(module.num_layers))
        return [layer - first for layer in self._layers if 0 <= layer - first < module.num_layers]

    # --- keeping ---------------------------------------------------------------------------

    def see(self, name: str, call: LayerCall) -> None:
        """Keep what is inside a call; calls of one layer follow one another in time."""
        done, steps = self._seen[name], call.input.size(1)
        self._seen[name] += steps
        start = max(self._start - done, 0)
        stop = steps if self._stop is None else min(self._stop - done, steps)
        layers = self._of(name, call.layer)
        if start >= stop or not layers:
            return
        difference = None
        for unrolled in unroll(call, layers, start, stop):
            prefix = f"{_title(name, unrolled.layer)}.{_DIRECTIONS[unrolled.direction]}"
            batch = self._batch(name.rpartition(".")[0])
            for inner, tensor, axes, meaning, unit in _members(unrolled):
                self._parts.setdefault(f"{prefix}.{inner}", []).append(tensor.detach().cpu())
                self._arrays[f"{prefix}.{inner}"] = (axes.replace("B", batch), meaning, unit)
            if unrolled.layer == call.layer.num_layers - 1:
                width = unrolled.hidden.size(2)
                place = slice(unrolled.direction * width, (unrolled.direction + 1) * width)
                ordinary = call.output[:, start:stop, place]
                found = _difference(unrolled.hidden, ordinary)
                difference = found if difference is None else max(difference, found)
        self._tell(name, call, difference)

    def _tell(self, name: str, call: LayerCall, difference: float | None) -> None:
        kernel = serving_kernel(call)
        before = self.about.get(_title(name), {}).get("largest_difference")
        known = [value for value in (before, difference) if value is not None]
        self.about[_title(name)] = {
            "cell": call.layer.mode.lower(),
            "hidden_size": call.layer.hidden_size,
            "num_layers": call.layer.num_layers,
            "bidirectional": call.layer.bidirectional,
            "gates": (
                "recomputed by the equations of unspool.nn.reference"
                if kernel is None
                else f"those that the kernel {kernel} itself computed"
            ),
            # of h from the layer's ordinary output; None where the last layer is not kept
            "largest_difference": max(known) if known else None,
        }

    def arrays(self) -> dict[str, TracedArray]:
        """What was kept, by name."""
        return {
            name: TracedArray(torch.cat(parts, dim=1).numpy(), *self._arrays[name])
            for name, parts in self._parts.items()
        }


def _title(name: str, place: int = 0) -> str:
    """What a layer of a stack is called, as ``encoder.layer.0``."""
    group, _, number = name.rpartition(".")
    return f"{group}{'.' if group else ''}layer.{int(number) + place}"


def _members(unrolled: Unrolled) -> list[tuple[str, Tensor, str, str, str]]:
    """Each array's name, values, axes, meaning and unit."""
    members = [
        (
            "projection",
            unrolled.projection,
            "(B, T, G)",
            "projected input W_ih x + b_ih, gate after gate; recomputed by one product",
            "",
        )
    ]
    for name, gate in unrolled.gates.items():
        if name == RECURRENT_CANDIDATE:
            meaning = "W_hn h + b_hn, which the reset gate multiplies on the way to the candidate"
            members.append(("recurrent_candidate", gate, "(B, T, H)", meaning, ""))
        else:
            members.append((f"gate.{name}", gate, "(B, T, H)", *_GATES[name]))
    if unrolled.cell is not None:
        members.append(("cell", unrolled.cell, "(B, T, H)", "cell state c after each step", ""))
    members.append(("hidden", unrolled.hidden, "(B, T, H)", "hidden state h after each step", ""))
    return members


def _difference(one: Tensor, other: Tensor) -> float:
    """The largest difference; exactly 0 of equal bits."""
    if torch.equal(one, other):
        return 0.0
    return float((one.double() - other.double()).abs().max())


def _check_layers(modules: Mapping[str, nn.RNNBase], layers: tuple[int, ...] | None) -> None:
    there = sorted(
        {
            int(name.rpartition(".")[2]) + place
            for name, module in modules.items()
            for place in range(module.num_layers)
        }
    )
    missing = sorted(set(layers or ()) - set(there))
    if missing or layers == ():
        raise DataError(
            f"layers has {', '.join(map(str, missing)) or 'none'}, expected some of "
            f"{', '.join(map(str, there))}: the model's layers are counted from 0"
        )
