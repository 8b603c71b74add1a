"""Reliability diagrams: whether a classifier is as often right as it says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter, StrMethodFormatter, SymmetricalLogLocator

from unspool.inspection.pictures.style import ACCENT, COLOURS, INK, QUIET, bare, one_line, png
from unspool.tasks.classify.calibration import Reliability

_BAR, _PALE = COLOURS[5], 0.3
_FEW = 10  # answers that a share says little of
_LEVEL = 1.8  # points


def reliability_diagrams(found: Sequence[Reliability], title: str) -> bytes:
    """Draw how often answers are right by how sure they were, side by side for numbers of steps.

    After Guo et al. 2017, arXiv 1706.04599, figure 1: where a bar ends at its mean belief, the
    belief can be taken at its word; where it ends below, the network is too sure of itself. Under
    each bar stands how many answers it is of.

    Parameters
    ----------
    found : sequence of Reliability
        One at least.
    title : str

    Returns
    -------
    bytes
        A PNG file.
    """
    figure = Figure(figsize=(3.2 * len(found) + 0.6, 4.7), layout="constrained")
    panels = figure.subplots(
        2, len(found), squeeze=False, sharex=True, sharey="row", height_ratios=(4, 1)
    )
    for column, one in enumerate(found):
        _bars(panels[0, column], one)
        _counts(panels[1, column], one)
    panels[0, 0].set_ylabel("share that is right")
    panels[1, 0].set_ylabel("answers")
    signs = [
        Patch(color=_BAR, label="right"),
        Patch(color=_BAR, alpha=_PALE, label=f"right, of fewer than {_FEW} answers"),
        Line2D([], [], color=ACCENT, lw=_LEVEL, label="mean belief: where the bar should end"),
    ]
    figure.legend(handles=signs, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(one_line(title), parse_math=False, color=INK, size=11)
    return png(figure)


def _bars(axes: Axes, found: Reliability) -> None:
    """Accuracy by belief, and the belief itself."""
    edges = np.linspace(0, 1, len(found.bins) + 1)
    width = edges[1]
    axes.plot([0, 1], [0, 1], color=QUIET, lw=1, zorder=1)
    for left, each in zip(edges, found.bins, strict=False):
        if each.count:
            alpha = _PALE if each.count < _FEW else 1
            axes.bar(left, each.accuracy, width, align="edge", color=_BAR, ec="white", alpha=alpha)
            axes.plot([left, left + width], [each.confidence] * 2, color=ACCENT, lw=_LEVEL)
    steps = "step" if found.steps == 1 else "steps"
    axes.set_title(f"after {found.steps} {steps}\ncalibration error {found.error:.2%}", size=10)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xticks=(0, 0.5, 1))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    bare(axes)


def _counts(axes: Axes, found: Reliability) -> None:
    """How many answers each bar is of."""
    edges = np.linspace(0, 1, len(found.bins) + 1)
    counts = [each.count for each in found.bins]
    axes.bar(edges[:-1], counts, edges[1], align="edge", color=QUIET, ec="white")
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ticks = SymmetricalLogLocator(base=10, linthresh=1, subs=(1,))
    ticks.set_params(numticks=4)
    axes.yaxis.set_major_locator(ticks)
    axes.set_ylim(0, 2 * max(counts))
    axes.set_xlabel("belief")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    bare(axes)
