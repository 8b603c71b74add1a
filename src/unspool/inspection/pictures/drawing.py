"""Completions of a picture side by side.

Shapes: ``R`` rows, ``C`` columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unspool.inspection.pictures.style import ACCENT, INK, one_line, png

_ACROSS = 10  # panels beside each other
_SIDE = 1.15  # inches of a panel
_LABEL, _TITLE, _MARGIN = 0.24, 0.34, 0.1  # inches
_PAPER, _GIVEN_PAPER, _NOTHING = "#ffffff", "#dce8f5", "#eeeeee"


class Panel(NamedTuple):
    """A picture of a sheet.

    Parameters
    ----------
    picture : (R, C) array of uint8
    label : str
    given : int
        How many of its first rows were given.
    drawn : int, optional
        How many rows there are at all; all, when not given.
    """

    picture: NDArray[np.uint8]
    label: str
    given: int = 0
    drawn: int | None = None


def panels(
    samples: NDArray[np.uint8], rows: int = 0, original: NDArray[np.uint8] | None = None
) -> list[Panel]:
    """Arrange an original, its given part, and what came of it, ``(S, R, C)``."""
    drawn = [Panel(sample, str(number), rows) for number, sample in enumerate(samples, start=1)]
    if original is None or rows == 0:
        return drawn
    whole = Panel(original, "original")
    return [whole, Panel(original, f"given: {rows} rows", rows, rows), *drawn]


def sheet(shown: Sequence[Panel], title: str = "") -> bytes:
    """Draw panels in lines of ten, ink dark on paper; a line parts what was given from the rest.

    Returns
    -------
    bytes
        A PNG file.
    """
    across = min(len(shown), _ACROSS)
    down = -(-len(shown) // _ACROSS)
    rows, columns = shown[0].picture.shape
    wide = _SIDE * min(1.0, columns / rows)
    high = _SIDE * min(1.0, rows / columns)
    top = _TITLE if title else _MARGIN
    width = max(across * (wide + _MARGIN) + _MARGIN, 3.2)
    height = down * (high + _LABEL) + top + _MARGIN
    figure = Figure(figsize=(width, height))
    if title:
        figure.text(
            _MARGIN / width, 1 - 0.25 / height, one_line(title, int(width * 12)),
            size=10, color=INK, parse_math=False,
        )  # fmt: skip
    for number, panel in enumerate(shown):
        line, place = divmod(number, _ACROSS)
        left = _MARGIN + place * (wide + _MARGIN)
        below = height - top - (line + 1) * (high + _LABEL)
        axes = figure.add_axes((left / width, below / height, wide / width, high / height))
        axes.imshow(_coloured(panel), interpolation="nearest", aspect="auto")
        axes.set_title(panel.label, size=8, color=INK, pad=3)
        axes.set(xticks=[], yticks=[])
        for side in axes.spines.values():
            side.set(color="#bbbbbb", linewidth=0.6)
        if 0 < panel.given < rows:
            axes.axhline(panel.given - 0.5, color=ACCENT, lw=1.1)
    return png(figure, dpi=130)


def _coloured(panel: Panel) -> NDArray[np.float64]:
    """Ink on paper, ``(R, C, 3)``; the paper of rows that were given is tinted."""
    paper = np.tile(np.array(to_rgb(_PAPER)), (*panel.picture.shape, 1))
    paper[: panel.given] = to_rgb(_GIVEN_PAPER)
    ink = panel.picture[:, :, None] / 255
    coloured: NDArray[np.float64] = paper * (1 - ink) + np.array(to_rgb(INK)) * ink
    if panel.drawn is not None:
        coloured[panel.drawn :] = to_rgb(_NOTHING)
    return coloured
