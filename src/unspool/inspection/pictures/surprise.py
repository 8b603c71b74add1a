"""How surprising each pixel of a drawing was to a network that had seen all before it.

Shapes: ``R`` rows, ``C`` columns.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from unspool.inspection.pictures.style import INK, bare, png
from unspool.inspection.trace import Trace


def surprise(trace: Trace, number: int = 0) -> bytes:
    """Draw a drawing, and beside it where it is not what was expected.

    Parameters
    ----------
    trace : Trace
        Of a network of pictures.
    number : int
        Which of the pictures.
    """
    drawing, nats = trace["input"][number], -trace["log_likelihood"][number]  # (R, C)
    first = trace.about["steps"][0]
    figure = Figure(figsize=(9.5, 4.2))
    figure.suptitle(
        f"This drawing's {nats.sum():.1f} nats of surprise: where it is not as expected",
        fontsize=13,
        color=INK,
    )
    wide, high = 3.1 / 9.5, 3.1 / 4.2  # square
    left = figure.add_axes((0.015, 0.07, wide, high))
    middle = figure.add_axes((0.355, 0.07, wide, high))
    right = figure.add_axes((0.73, 0.07, 0.25, high))
    left.imshow(drawing, cmap="gray_r", interpolation="nearest", aspect="auto")
    left.set_title("the drawing", fontsize=10)
    middle.imshow(nats, cmap="Oranges", vmin=0, interpolation="nearest", aspect="auto")
    middle.set_title("surprise of each pixel, given all before it", fontsize=10)
    for axes in (left, middle):
        axes.set_xticks([])
        axes.set_yticks([])
    rows = np.arange(len(nats))
    right.barh(rows, nats.sum(1), color="#e6550d", height=0.8)
    right.set_ylim(len(nats) - 0.5, -0.5)
    right.set_yticks([0, len(nats) - 1], [str(first + 1), str(first + len(nats))])
    right.set_title("surprise of each row (nats)", fontsize=10)
    bare(right)
    return png(figure)
