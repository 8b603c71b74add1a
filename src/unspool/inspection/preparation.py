"""How a picture was prepared for a network, drawn step by step."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from unspool.data.centring import Preparation
from unspool.inspection.pictures.style import INK, one_line, png

_SIDE = 1.7  # inches of a picture
_MOST = 12  # rows; more would be no picture any more


def draw(preparations: Mapping[str, Preparation]) -> bytes:
    """Draw a row for each picture, what it became after each step from left to right.

    Parameters
    ----------
    preparations : mapping of str to Preparation
        One at least, by what the user calls the picture; the first twelve are drawn.

    Returns
    -------
    bytes
        A PNG file.
    """
    shown = list(preparations.items())[:_MOST]
    columns = max(len(found.steps) for _, found in shown)
    figure = Figure(figsize=(_SIDE * columns, (_SIDE + 0.55) * len(shown)), layout="constrained")
    parts = figure.subfigures(len(shown), squeeze=False)[:, 0]
    for part, (name, found) in zip(parts, shown, strict=True):
        part.suptitle(one_line(name), size=9, x=0.01, ha="left", color=INK, parse_math=False)
        panels = part.subplots(1, columns, squeeze=False)[0]
        for axes, (step, picture) in zip(panels, found.steps, strict=False):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_title(step, size=8)
        for axes in panels:
            axes.set_axis_off()
    return png(figure)
