"""Units that follow something visible, beside what they follow.

Shapes: ``T`` steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unspool.inspection.pictures.attribution import coloured_text, laid_out
from unspool.inspection.pictures.inputs import SeenInput
from unspool.inspection.pictures.style import ACCENT, INK, bare, png, shown
from unspool.inspection.trace import Trace
from unspool.inspection.units import Follower, activity, properties_of

_MOST_UNITS = 5
_MOST_STEPS = 170
_LINES = 4


def unit_picture(trace: Trace, found: Sequence[Follower]) -> bytes:
    """Draw for each property the unit that follows it best.

    Parameters
    ----------
    trace : Trace
    found : sequence of Follower
        As :func:`unspool.inspection.units.followers` found them.
    """
    best = list({follower.seen: follower for follower in reversed(found)}.values())
    best = sorted(best, key=lambda follower: -abs(follower.correlation))[:_MOST_UNITS]
    if SeenInput(trace, 0).tokens is not None:
        return _in_text(trace, best)
    return _in_courses(trace, best)


def _title(follower: Follower) -> str:
    *group, _, layer, direction = follower.layer.split(".")
    part = f"{group[0]}, " if group else ""
    backwards = ", backwards" if direction == "backward" else ""
    way = "rises with" if follower.correlation > 0 else "falls with"
    return (
        f"unit {follower.unit} of {part}layer {layer}{backwards} {way}: {follower.seen} "
        f"(r = {follower.correlation:.2f})"
    )


def _in_courses(trace: Trace, best: Sequence[Follower]) -> bytes:
    inputs: list[SeenInput] = []
    for number in range(len(trace["lengths"])):
        seen = SeenInput(trace, number)
        if inputs and sum(len(each.steps) for each in inputs) + len(seen.steps) > _MOST_STEPS:
            break
        inputs.append(seen)
    bounds = np.cumsum([0, *(len(each.steps) for each in inputs)])
    count = int(bounds[-1])
    figure = Figure(figsize=(10, 1.9 + 1.45 * len(best)), layout="constrained")
    figure.suptitle("Units that follow something visible", fontsize=13, color=INK)
    axes = figure.subplots(
        len(best) + 1, 1, sharex=True, gridspec_kw={"height_ratios": [1.1, *[1] * len(best)]}
    )
    _draw_inputs(axes[0], inputs, bounds)
    courses = properties_of(trace)
    steps = np.arange(count) + 0.5
    for axis, follower in zip(axes[1:], best, strict=True):
        course = courses[follower.seen][:count]
        axis.fill_between(steps, _scaled(course), step="mid", color="#d5dde5", lw=0)
        axis.set_yticks([])
        axis.set_title(_title(follower), fontsize=10, loc="left", color=INK)
        hidden = activity(trace, follower.layer)[:count, follower.unit]
        beside = axis.twinx()
        _draw_by_parts(beside, steps, hidden, bounds)
        beside.set_ylim(-1.05, 1.05)
        beside.set_yticks([-1, 0, 1])
        for bound in bounds[1:-1]:
            axis.axvline(bound, color="#888888", lw=0.6)
        bare(axis)
    axes[-1].set_xlabel(
        "steps, one input after the other; grey: what is seen, orange: the unit's h"
    )
    axes[-1].set_xticks([])
    axes[-1].set_xlim(0, count)
    return png(figure)


def _draw_inputs(axes: Axes, inputs: Sequence[SeenInput], bounds: NDArray[np.int64]) -> None:
    for seen, bound in zip(inputs, bounds, strict=False):
        assert seen.values is not None
        if seen.is_picture:
            axes.imshow(
                seen.values.T,
                cmap="gray_r",
                aspect="auto",
                origin="lower",
                extent=(bound, bound + len(seen.steps), 0, seen.values.shape[1]),
                interpolation="nearest",
            )
        else:
            axes.plot(bound + np.arange(len(seen.steps)) + 0.5, seen.values, lw=1)
        axes.axvline(bound, color="#888888", lw=0.6)
    axes.set_xlim(0, bounds[-1])
    axes.set_yticks([])
    axes.set_title(
        "inputs, each turned so that time runs to the right", fontsize=9, color="#666666"
    )


def _draw_by_parts(
    axes: Axes, steps: NDArray[Any], hidden: NDArray[Any], bounds: NDArray[np.int64]
) -> None:
    for first, last in pairwise(bounds.tolist()):
        axes.plot(steps[first:last], hidden[first:last], color=ACCENT, lw=1.8)
    for side in ("top", "left"):
        axes.spines[side].set_visible(False)


def _scaled(course: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.nanmin(course), np.nanmax(course)
    return np.nan_to_num((course - low) / max(high - low, 1e-12))


def _in_text(trace: Trace, best: Sequence[Follower]) -> bytes:
    courses = properties_of(trace)
    tokens = [
        token
        for number in range(len(trace["lengths"]))
        for token in SeenInput(trace, number).tokens or ()
    ]
    names = [shown(token) for token in tokens]
    lines = np.array([line for line, _, _ in laid_out(names)])
    height = 0.7 + len(best) * (0.45 + 0.3 * _LINES)
    figure = Figure(figsize=(9.5, height))
    title = "Units that follow something visible (red: h above its mean, blue: below)"
    figure.text(0.02, 1 - 0.32 / height, title, fontsize=13, color=INK)
    top = height - 0.6
    for follower in best:
        first = _telling_line(courses[follower.seen], lines)
        chosen = np.flatnonzero((lines >= first) & (lines < first + _LINES))
        figure.text(
            0.02, (top - 0.25) / height, _title(follower), fontsize=10, color=INK, weight="bold"
        )
        axes = figure.add_axes(
            (0.01, (top - 0.35 - 0.3 * _LINES) / height, 0.98, 0.3 * _LINES / height)
        )
        hidden = activity(trace, follower.layer)[:, follower.unit]
        values = (hidden - hidden.mean())[chosen]
        coloured_text(axes, [names[place] for place in chosen], values, _LINES)
        top -= 0.45 + 0.3 * _LINES
    return png(figure)


def _telling_line(course: NDArray[np.float64], lines: NDArray[np.int64]) -> int:
    """From which line on a few lines tell most of a property: where it changes most."""
    last = max(int(lines[-1]) - _LINES + 1, 0)
    apart = np.nan_to_num((course - np.nanmean(course)) ** 2)
    spreads = [
        apart[(lines >= first) & (lines < first + _LINES)].sum() for first in range(last + 1)
    ]
    return int(np.argmax(spreads))
