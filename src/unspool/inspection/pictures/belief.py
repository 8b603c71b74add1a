"""The belief of a classifier as it rises and falls over the steps, as a picture and moving.

Shapes: ``T`` steps, ``F`` features, ``C`` classes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray
from PIL import Image

from unspool.inspection.pictures.inputs import SeenInput, named
from unspool.inspection.pictures.style import ACCENT, COLOURS, INK, QUIET, bare, image, png, spread
from unspool.inspection.trace import Trace

_MENTIONED = 0.15  # the belief from which on a class is told apart
_FRAMES = 60


def belief_over_time(trace: Trace, number: int = 0) -> bytes:
    """Draw the input along the time, and below it what the network took it for.

    Classes that were ever likely are told apart by colour and named where they are likeliest.
    """
    seen = SeenInput(trace, number)
    belief = trace["belief"][number, : len(seen.steps)]
    labels = trace.about["classes"]
    best = int(belief[-1].argmax())
    has_input = seen.values is not None
    figure = Figure(figsize=(9.5, 5.6 if has_input else 4), layout="constrained")
    title = (
        f"After {len(seen.steps)} {seen.word}s the network says {named(labels, best)} "
        f"({_percent(belief[-1, best])})"
    )
    figure.suptitle(title, fontsize=14, color=INK, parse_math=False)
    grid = figure.add_gridspec(
        2 if has_input else 1,
        2 if seen.is_picture else 1,
        height_ratios=[1, 1.55] if has_input else [1],
        width_ratios=[1, 3] if seen.is_picture else [1],
    )
    lines = figure.add_subplot(grid[-1, -1])
    if has_input:
        above = figure.add_subplot(grid[0, -1], sharex=lines)
        seen.draw(above)
        above.tick_params(labelbottom=False)
        if seen.is_picture:
            above.set_title("the same, turned: each column is a row", fontsize=9, color="#666666")
            _draw_upright(figure.add_subplot(grid[0, 0]), seen)
            _explain(figure.add_subplot(grid[1, 0]), seen)
    _draw_lines(lines, seen, belief, labels)
    return png(figure)


def _draw_upright(axes: Axes, seen: SeenInput) -> None:
    assert seen.values is not None
    axes.imshow(seen.values, cmap="gray_r", interpolation="nearest")
    axes.set_xticks([])
    rows = len(seen.values)
    axes.set_yticks([0, rows - 1], [str(seen.steps[0]), str(seen.steps[-1])], fontsize=8)
    axes.set_title("read from the top,\nrow by row", fontsize=9, color="#666666")
    axes.annotate(
        "",
        (-0.07, 0.12),
        (-0.07, 0.88),
        "axes fraction",
        arrowprops={"arrowstyle": "->", "color": ACCENT, "lw": 1.5},
    )


def _explain(axes: Axes, seen: SeenInput) -> None:
    axes.axis("off")
    words = (
        f"The network reads one\n{seen.word} after the other and\nremembers what it has seen."
        f"\n\nThe lines tell what it\nbelieves after each {seen.word}:\nhow likely it holds each\n"
        "class to be."
    )
    axes.text(0, 0.95, words, va="top", fontsize=9, color="#666666", linespacing=1.35)


def _draw_lines(
    axes: Axes, seen: SeenInput, belief: NDArray[np.float64], labels: Sequence[str]
) -> None:
    peaks = belief.max(0)
    mentioned = [place for place in np.argsort(-peaks, kind="stable") if peaks[place] >= _MENTIONED]
    best = int(belief[-1].argmax())
    mentioned = sorted(mentioned[: len(COLOURS)], key=lambda place: place != best)
    colours = dict(zip(mentioned, COLOURS, strict=False))
    for place in range(belief.shape[1]):
        colour = colours.get(place)
        axes.plot(
            seen.steps,
            belief[:, place],
            color=colour or QUIET,
            lw=2.4 if place == best else 1.8 if colour else 0.8,
            zorder=3 if colour else 1,
        )
    at_end = [place for place in colours if belief[-1, place] >= 0.05]
    heights = spread([belief[-1, place] for place in at_end], 0.075, 0, 1)
    for place, height in zip(at_end, heights, strict=True):
        axes.annotate(
            f"{named(labels, place)}  {_percent(belief[-1, place])}",
            (seen.steps[-1], height),
            (8, 0),
            textcoords="offset points",
            va="center",
            color=colours[place],
            weight="bold",
            annotation_clip=False,
            parse_math=False,
        )
    for place in colours:
        if place not in at_end:
            peak = int(belief[:, place].argmax())
            axes.annotate(
                named(labels, place),
                (seen.steps[peak], belief[peak, place]),
                (0, 5),
                textcoords="offset points",
                ha="center",
                color=colours[place],
                weight="bold",
                path_effects=[withStroke(linewidth=3, foreground="white")],
                parse_math=False,
                zorder=4,
            )
    axes.set_ylim(-0.02, 1.08)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylabel("belief")
    axes.grid(axis="y", alpha=0.25)
    bare(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    seen.mark_time(axes)


# ----------------------------------------------------------------------------------------- moving


def belief_moving(trace: Trace, number: int = 0) -> bytes:
    """Draw the same as an animation, a GIF: row after row, and the belief beside it."""
    seen = SeenInput(trace, number)
    assert seen.values is not None
    belief = trace["belief"][number, : len(seen.steps)]
    labels = trace.about["classes"]
    order = _shown_classes(belief)
    count = len(seen.steps)
    stops = sorted({round(each) for each in np.linspace(1, count, min(count, _FRAMES))})
    frames = [_frame(seen, belief, labels, order, stop) for stop in stops]
    palette = frames[-1].quantize(64, method=Image.Quantize.MEDIANCUT)
    small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    small[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=small[1:],
        duration=[*[180] * (len(small) - 1), 2500],
        loop=0,
        optimize=False,
    )
    return buffer.getvalue()


def _shown_classes(belief: NDArray[np.float64], most: int = 10) -> list[int]:
    """The classes that were likeliest at any time, in their own order."""
    chosen = np.argsort(-belief.max(0), kind="stable")[:most]
    return sorted(chosen.tolist())


def _frame(
    seen: SeenInput,
    belief: NDArray[np.float64],
    labels: Sequence[str],
    order: Sequence[int],
    stop: int,
) -> Image.Image:
    assert seen.values is not None
    figure = Figure(figsize=(5.6, 2.9))
    left, right = figure.add_axes((0.03, 0.06, 0.4, 0.8)), figure.add_axes((0.53, 0.06, 0.36, 0.8))
    faded = np.array(seen.values, np.float64)
    low, high = faded.min(), max(faded.max(), faded.min() + 1e-9)
    faded[stop:] = low + 0.12 * (faded[stop:] - low)
    left.imshow(faded, cmap="gray_r", vmin=low, vmax=high, interpolation="nearest")
    features = faded.shape[1]
    left.add_patch(Rectangle((-0.5, stop - 1.5), features, 1, fill=False, edgecolor=ACCENT, lw=1.6))
    left.set_xticks([])
    left.set_yticks([])
    left.set_title(f"{seen.word} {seen.steps[stop - 1]} of {seen.steps[-1]}", fontsize=11)
    now = belief[stop - 1]
    best = int(now.argmax())
    places = range(len(order))
    colours = [ACCENT if each == best else "#9db4c8" for each in order]
    right.barh(places, [now[each] for each in order], color=colours, height=0.72)
    for place, each in zip(places, order, strict=True):
        if now[each] >= 0.02:
            right.text(now[each] + 0.02, place, _percent(now[each], 0), va="center", fontsize=8)
    right.set_yticks(places, [named(labels, each) for each in order], parse_math=False)
    right.set(xlim=(0, 1), xticks=[])
    right.invert_yaxis()
    right.tick_params(length=0)
    for side in ("top", "right", "bottom"):
        right.spines[side].set_visible(False)
    right.set_title("belief", fontsize=11)
    return image(figure, 90)


def _percent(share: float, decimals: int = 1) -> str:
    """A share in words; what is nearly all is not called all."""
    if 1 - 0.5 * 10 ** -(decimals + 2) <= share < 1:
        return f"> {100 - 10**-decimals:.{decimals}f} %"
    return f"{100 * share:.{decimals}f} %"
