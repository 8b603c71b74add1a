"""Sentences in the plane in which an encoder tells them apart most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unspool.inspection.pictures.style import COLOURS, INK, QUIET, bare, one_line, png, spread
from unspool.inspection.sentences import Plane

_MOST = 40
"""How many sentences are written beside their points: the first ones."""


def sentence_map(
    texts: Sequence[str], plane: Plane, groups: Sequence[str] | None = None, title: str = ""
) -> bytes:
    """Draw sentences as points, like ones near to each other (Sutskever et al. 2014, figure 2).

    Parameters
    ----------
    texts : sequence of str, ``N``
        Each is written beside its point; after the first forty only points are drawn.
    plane : Plane
        Where the ``N`` points are.
    groups : sequence of str, optional
        What each of the ``N`` sentences is an example of; each group has a colour of its own.
    title : str
    """
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots()
    named = groups or [""] * len(texts)
    colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(dict.fromkeys(named))}
    for name, colour in colours.items():
        chosen = plane.points[[group == name for group in named]]
        axes.scatter(
            chosen[:, 0], chosen[:, 1], color=colour, s=36, zorder=3, label=one_line(name, 30)
        )
    axes.margins(0.35, 0.12)
    _label(axes, texts[:_MOST], plane.points[:_MOST])
    first, second = plane.explained
    axes.set_xlabel(f"first principal component ({first:.0%} of the variance)")
    axes.set_ylabel(f"second ({second:.0%})")
    axes.set_title(one_line(title), fontsize=13, color=INK, parse_math=False)
    if groups:
        axes.legend(fontsize=9, frameon=False)
    bare(axes)
    return png(figure)


def _label(axes: Axes, texts: Sequence[str], points: NDArray[np.float64]) -> None:
    """Write each text to the right of its point, none of a half upon another."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    in_the_left_half = points[:, 0] < (left + right) / 2
    for half in (in_the_left_half, ~in_the_left_half):
        numbers = np.flatnonzero(half)
        heights = spread(points[numbers, 1].tolist(), 0.034 * (high - low), low, high)
        for number, height in zip(numbers.tolist(), heights.tolist(), strict=True):
            axes.annotate(
                one_line(texts[number], 45),
                points[number],
                (points[number, 0] + 0.025 * (right - left), height),
                va="center",
                fontsize=8,
                color=INK,
                parse_math=False,
                arrowprops={"arrowstyle": "-", "color": QUIET, "lw": 0.6, "relpos": (0, 0.5)},
            )
