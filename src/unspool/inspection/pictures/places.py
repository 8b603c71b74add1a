"""The gates and states of a layer of a network of pictures, each at its place in the picture.

Shapes: ``R`` rows, ``C`` columns, ``H`` units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unspool.inspection.pictures.gates import PANELS, cell_of
from unspool.inspection.pictures.style import INK, OPEN, SIGNED, png
from unspool.inspection.trace import Trace

_COLUMNS, _LINES_OF_UNITS = 4, 2
_READS = {
    "down": "reads each column from the top: what it knows is above",
    "across": "reads, from the {start}, what is known about each row from those above",
    "along": "reads the row that is being drawn: what it knows is above and to the left",
}


def gates_by_place(trace: Trace, drawing: NDArray[Any], layer: str, number: int = 0) -> bytes:
    """Draw how open a layer's gates were at each place of a picture, and what its units held.

    Parameters
    ----------
    trace : Trace
        Of a network of pictures.
    drawing : (R, C) array
        The whole picture; what is drawn of it are the places that the trace has.
    layer : str
        Part, name and direction, such as ``along.layer.0.forward``.
    number : int
        Which of the trace's pictures it is.
    """
    pictures, window = len(trace["lengths"]), slice(*trace.about["steps"])
    drawing = drawing[window] if layer.startswith("down.") else drawing[:, window]
    hidden = by_place(trace[f"{layer}.hidden"], layer, pictures, number)  # (R, C, H)
    cell = cell_of(trace, layer)
    gates = [panel for line in PANELS[cell] for panel in line if not panel.signed]
    deviations = hidden.reshape(-1, hidden.shape[2]).std(0)
    lively = np.argsort(-deviations, kind="stable")[: _COLUMNS * _LINES_OF_UNITS]
    lines = 1 + -(-len(lively) // _COLUMNS)
    figure = Figure(figsize=(2.6 * _COLUMNS, 0.9 + 2.85 * lines), layout="constrained")
    figure.suptitle(_headline(layer, cell, hidden.shape[2]), fontsize=12, color=INK)
    axes = figure.subplots(lines, _COLUMNS, squeeze=False)
    _draw_map(axes[0, 0], drawing, "the drawing", "gray_r", 0, max(drawing.max(), 1))
    for axis, gate in zip(axes[0, 1:], gates, strict=False):
        values = by_place(trace[f"{layer}.{gate.name}"], layer, pictures, number).mean(2)
        _draw_map(axis, values, gate.title, OPEN, 0, 1)
    for axis, unit in zip(axes[1:].flat, lively, strict=False):
        _draw_map(axis, hidden[:, :, unit], f"h of unit {unit}", SIGNED, -1, 1)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.set_visible(bool(axis.images))
    _add_scale(figure, axes[0, 1:], OPEN, (0, 0.5, 1), ("0 closed", "½", "1 open"))
    _add_scale(figure, axes[1:], SIGNED, (-1, 0, 1), ("−1", "0", "1"))
    return png(figure, 100)


def by_place(values: NDArray[Any], layer: str, pictures: int, number: int) -> NDArray[Any]:
    """What a layer computed for one of the pictures, at each place, ``(R, C, ·)``.

    Parameters
    ----------
    values : (B·C, R, ·) or (R·B, C, ·) array
        The first, picture after picture, of a layer that reads columns (part ``down``); the second,
        row after row, of one that reads rows.
    layer : str
    pictures, number : int
        ``B``, and which of them.

    Examples
    --------
    >>> rows = np.array([[[0], [1]], [[10], [11]], [[2], [3]], [[12], [13]]])  # 2 rows of 2
    >>> by_place(rows, "along.layer.0.forward", 2, 1)[:, :, 0].tolist()
    [[10, 11], [12, 13]]
    """
    sequences, steps, size = values.shape
    lines = sequences // pictures
    of_one: NDArray[Any]
    if layer.startswith("down."):
        of_one = values.reshape(pictures, lines, steps, size)[number].swapaxes(0, 1)
    else:
        of_one = values.reshape(lines, pictures, steps, size)[:, number]
    return of_one


def _draw_map(
    axes: Axes, values: NDArray[Any], title: str, colours: str, low: float, high: float
) -> None:
    axes.imshow(values, cmap=colours, vmin=low, vmax=high, interpolation="nearest", aspect="auto")
    axes.set_title(title, fontsize=9)


def _add_scale(
    figure: Figure,
    axes: NDArray[Any],
    colours: str,
    ends: tuple[float, ...],
    words: tuple[str, ...],
) -> None:
    drawn = [image for each in axes.flat for image in each.images]
    if not drawn:
        return
    bar = figure.colorbar(drawn[0], ax=axes.ravel().tolist(), pad=0.01, aspect=30)
    bar.set_ticks(list(ends), labels=list(words), fontsize=8)
    bar.outline.set_visible(False)


def _headline(layer: str, cell: str, units: int) -> str:
    part, _, number, direction = layer.split(".")
    reads = _READS[part].format(start="right" if direction == "backward" else "left")
    return (
        f"{part}, layer {number}, {units} {cell.upper()} units: {reads}\n"
        "gates: the mean of all units; below them what the liveliest units held"
    )
