"""The gates and states of a layer over time, as heat maps.

Shapes: ``T`` steps, ``H`` units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from unspool.inspection.pictures.inputs import SeenInput
from unspool.inspection.pictures.style import INK, OPEN, SIGNED, png
from unspool.inspection.trace import Trace

_MOST_STEPS, _MOST_TOKENS, _MOST_UNITS = 300, 40, 128
"""Of a longer sequence or text the first ones are drawn, of more units the liveliest."""


@dataclass(frozen=True)
class Panel:
    """What one heat map shows: whose values, and what it says above them."""

    name: str
    title: str
    signed: bool = False


PANELS = {
    "lstm": (
        (
            Panel("gate.i", "input gate i: let in"),
            Panel("gate.f", "forget gate f: keep"),
            Panel("gate.o", "output gate o: show"),
        ),
        (
            Panel("gate.g", "candidate g: what is new", signed=True),
            Panel("cell", "cell state c = f·c + i·g", signed=True),
            Panel("hidden", "hidden state h = o·tanh(c)", signed=True),
        ),
    ),
    "gru": (
        (
            Panel("gate.r", "reset gate r: look back"),
            Panel("gate.z", "update gate z: keep"),
        ),
        (
            Panel("gate.n", "candidate n: what is new", signed=True),
            Panel("hidden", "hidden state h = (1−z)·n + z·h", signed=True),
        ),
    ),
    "rnn": ((Panel("hidden", "hidden state h", signed=True),),),
}
"""What is drawn of each kind of cell, line by line."""


def gate_maps(trace: Trace, layer: str, number: int = 0) -> bytes:
    """Draw everything that a layer did to one sequence.

    A line of a heat map is a unit, a column is a step. All maps have their units in one order:
    units that do alike lie side by side.

    Parameters
    ----------
    trace : Trace
    layer : str
        Name and direction, such as ``layer.0.forward``.
    number : int
        Which of the sequences.
    """
    most = _MOST_TOKENS if "tokens" in trace.about else _MOST_STEPS
    seen = SeenInput(trace, number, most, part=layer.partition(".")[0])
    count = len(seen.steps)
    cell = cell_of(trace, layer)
    hidden = trace[f"{layer}.hidden"][number, :count]
    lively = np.sort(np.argsort(-hidden.std(0), kind="stable")[:_MOST_UNITS])
    order = lively[like_units_together(hidden[:, lively])]
    rows = PANELS[cell]
    columns = len(rows[0])
    has_input = seen.values is not None
    heights = [*([0.55] if has_input else []), *[1.0] * len(rows)]
    figure = Figure(figsize=(3.7 * columns + 0.8, 1.1 + 2.9 * sum(heights)), layout="constrained")
    figure.suptitle(_headline(layer, cell, len(order), hidden.shape[1]), fontsize=13, color=INK)
    axes = figure.subplots(
        len(heights), columns, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights}
    )
    if has_input:
        for above in axes[0]:
            seen.draw(above)
        axes[0, 0].set_ylabel("input")
    for line, panels in zip(axes[-len(rows) :], rows, strict=True):
        for axis, panel in zip(line, panels, strict=True):
            values = trace[f"{layer}.{panel.name}"][number, :count][:, order]
            _draw_map(figure, axis, seen, values, panel)
        line[0].set_ylabel("units")
    for axis in axes[-1]:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        seen.mark_time(axis)
    return png(figure, 100)


def _draw_map(
    figure: Figure, axes: Axes, seen: SeenInput, values: NDArray[Any], panel: Panel
) -> None:
    highest = 1.0
    if panel.name == "cell":
        highest = float(max(np.quantile(np.abs(values), 0.995), 0.1))
    first, last = seen.edges
    drawn = axes.imshow(
        values.T,
        cmap=SIGNED if panel.signed else OPEN,
        vmin=-highest if panel.signed else 0,
        vmax=highest,
        aspect="auto",
        interpolation="nearest" if values.size < 2**16 else "antialiased",
        extent=(first, last, values.shape[1], 0),
    )
    axes.set_title(panel.title, fontsize=10)
    axes.set_yticks([])
    bar = figure.colorbar(drawn, ax=axes, pad=0.02, aspect=30)
    ends = [-highest, 0, highest] if panel.signed else [0, 0.5, 1]
    words = [f"{end:.2g}" for end in ends]
    if not panel.signed:
        words = ["0 closed", "½", "1 open"]
    bar.set_ticks(ends, labels=words, fontsize=8)
    bar.outline.set_visible(False)


def like_units_together(hidden: NDArray[Any]) -> NDArray[np.int64]:
    """Order units so that those of like courses lie side by side.

    A chain: after each unit comes the one, of those that are left, whose course is most like its
    own by the cosine of the two.

    Parameters
    ----------
    hidden : (T, H) array

    Returns
    -------
    (H,) array of int64

    Examples
    --------
    >>> rising, falling = np.linspace(0, 1, 9), np.linspace(1, 0, 9)
    >>> like_units_together(np.stack([rising, -falling, 2 * rising, -3 * falling], 1)).tolist()
    [2, 0, 1, 3]
    """
    courses = hidden.T.astype(np.float64)
    courses /= np.maximum(np.linalg.norm(courses, axis=1, keepdims=True), 1e-12)
    likeness = (courses @ courses.T).round(12)
    here = int(hidden[-1].argmax())
    order = [here]
    left = np.ones(len(courses), bool)
    left[here] = False
    while left.any():
        here = int(np.where(left, likeness[here], -np.inf).argmax())
        left[here] = False
        order.append(here)
    return np.array(order, np.int64)


def cell_of(trace: Trace, layer: str) -> str:
    """Tell a layer's cell by what was traced of it: ``lstm``, ``gru`` or ``rnn``."""
    if f"{layer}.cell" in trace:
        return "lstm"
    return "gru" if f"{layer}.gate.z" in trace else "rnn"


def _headline(layer: str, cell: str, units: int, all_units: int) -> str:
    *group, _, number, direction = layer.split(".")
    part = f"{group[0]}, " if group else ""
    reading = ", reading backwards" if direction == "backward" else ""
    which = f"{units}" if units == all_units else f"the {units} liveliest of {all_units}"
    return f"{part}layer {number}{reading}: the gates and states of {which} {cell.upper()} units"
