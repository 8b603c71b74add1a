"""Where an answer looked in its source, as a matrix.

Shapes: ``T`` tokens of the answer, ``S`` of the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from numpy.typing import NDArray

from unspool.inspection.pictures.style import INK, one_line, png, shown


def attention_matrix(
    attention: NDArray[Any], source: Sequence[str], answer: Sequence[str], title: str = ""
) -> bytes:
    """Draw the source across, the answer down, and dark where each token of it looked.

    Parameters
    ----------
    attention : (T, S) array
        Shares; each row adds up to 1.
    source, answer : sequences of str, ``S`` and ``T``
        The tokens.
    title : str
    """
    across, down = [shown(token) for token in source], [shown(token) for token in answer]
    rows, columns = len(down), len(across)
    longest = max(map(len, across), default=1)
    cell = min(0.38, 11 / max(columns, 1), 14 / max(rows, 1))
    width = max(cell * columns + 0.09 * max(map(len, down), default=1) + 1.6, 5.0)
    height = max(cell * rows + (0.09 * longest if longest > 1 else 0.1) + 1.2, 3.2)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    drawn = axes.imshow(attention, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    size = min(10.0, 72 * cell * 0.75)
    axes.set_xticks(range(columns), across, fontsize=size, parse_math=False)
    for name in axes.get_xticklabels():
        name.set_rotation(90 if len(name.get_text()) > 1 else 0)
    axes.set_yticks(range(rows), down, fontsize=size, parse_math=False)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
    axes.set_xticks([each - 0.5 for each in range(1, columns)], minor=True)
    axes.set_yticks([each - 0.5 for each in range(1, rows)], minor=True)
    axes.grid(which="minor", color="#eeeeee", lw=0.6)
    axes.tick_params(which="minor", length=0)
    for side in axes.spines.values():
        side.set_color("#cccccc")
    axes.set_xlabel("what was read")
    axes.set_ylabel("what was written")
    bar = figure.colorbar(drawn, ax=axes, shrink=0.6, pad=0.02, aspect=18)
    bar.set_ticks([0, 0.5, 1], labels=["0 %", "50 %", "100 %"], fontsize=8)
    bar.outline.set_visible(False)
    bar.set_label("share of the look", fontsize=8)
    if title:
        figure.suptitle(one_line(title), fontsize=12, color=INK, parse_math=False)
    return png(figure)
