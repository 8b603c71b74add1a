"""What all pictures of a trace have in common: colours, words, and how they become files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""For what is told apart, after Okabe and Ito: also by those who see few colours."""

QUIET, INK, ACCENT = "#b8b8b8", "#222222", "#d55e00"
"""For what stands behind, for what is read, and for what is to be seen first."""

OPEN, SIGNED = "viridis", "RdBu_r"
"""Colour maps for gates from closed to open, and for values on both sides of zero."""

_LARGE, _FEWER_COLOURS = 120_000, 256  # bytes


def png(figure: Figure, dpi: int = 110) -> bytes:
    """The picture as a small file: with fewer colours where it would be large."""
    picture = image(figure, dpi)
    whole = _file(picture)
    if len(whole) <= _LARGE:
        return whole
    return _file(picture.quantize(_FEWER_COLOURS, method=Image.Quantize.MEDIANCUT))


def _file(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def image(figure: Figure, dpi: int = 110) -> Image.Image:
    """The picture as pixels."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # then a box stands for it
        canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return Image.fromarray(pixels).convert("RGB")


def shown(token: str) -> str:
    """A token as it can be seen: spaces and ends of lines by signs of their own."""
    visible = token.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")
    visible = "".join(sign if sign.isprintable() else "�" for sign in visible)
    return visible if len(visible) <= 16 else f"{visible[:15]}…"


def one_line(text: str, most: int = 70) -> str:
    """A text of the user's own, on one line and not too long for a picture."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def bare(axes: Axes) -> None:
    """Leave the lines away that frame nothing."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def spread(heights: Sequence[float], least: float, low: float, high: float) -> NDArray[np.float64]:
    """Move labels apart until none covers another, and as little as that needs.

    Parameters
    ----------
    heights : sequence of float
        Where the labels belong.
    least : float
        How far two of them have to be apart.
    low, high : float
        Where there is room.

    Examples
    --------
    >>> spread([0.5, 0.52], least=0.1, low=0, high=1).round(2).tolist()
    [0.46, 0.56]
    """
    places = np.array(heights, float)
    order = np.argsort(places, kind="stable")
    for _ in range(200):
        gaps = np.diff(places[order])
        close = np.flatnonzero(gaps < least - 1e-9)
        if not len(close):
            break
        for place in close:
            push = (least - (places[order[place + 1]] - places[order[place]])) / 2
            places[order[place]] -= push
            places[order[place + 1]] += push
        places = places.clip(low, high)
    return places
