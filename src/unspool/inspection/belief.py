"""What a classifier gains by stopping to read when it is sure, as a picture."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from unspool.inspection.pictures.style import ACCENT, COLOURS, INK, QUIET, bare, one_line, png
from unspool.tasks.classify.stopping import EarlyAnswers, Stop

_TICKS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
_NAMED = (0.8, 0.9, 0.95, 0.99, 0.999)  # beliefs that are written beside the curve


def early_answers(found: EarlyAnswers, count: int, title: str) -> bytes:
    """Draw the accuracy against the steps read on average, for all strengths of belief.

    Beside it stands what comes of reading equally much of every sequence.

    Parameters
    ----------
    found : EarlyAnswers
    count : int
        Sequences judged: no accuracy is drawn closer to 100 % than half of one of them.
    title : str

    Returns
    -------
    bytes
        A PNG file.
    """
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    nearest = 0.5 / count
    steps, accuracies = np.array(found.fixed).T
    read, right = np.array([(stop.mean_steps, stop.accuracy) for stop in found.curve]).T
    accuracies, right = (np.minimum(seen, 1 - nearest) for seen in (accuracies, right))
    axes.plot(
        steps, accuracies, color=QUIET, marker="o", ms=3, label="equally far in every sequence"
    )
    axes.plot(read, right, color=COLOURS[0], lw=2, label="until the belief is as written")
    for stop in found.landmarks:
        if stop.belief in _NAMED and stop.belief != found.chosen.belief:
            _name(axes, stop, nearest, COLOURS[0])
    _name(axes, found.chosen, nearest, ACCENT)
    axes.plot([], [], "o", color=ACCENT, label=_in_words(found))
    _stretch(axes, np.concatenate([accuracies, right]), nearest)
    axes.set_xlim(0, max(steps[-1] * 1.02, 1))
    axes.set(xlabel="steps read, on average", ylabel="accuracy")
    axes.set_title(one_line(title), parse_math=False, color=INK, size=11)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", frameon=False)
    bare(axes)
    return png(figure)


def _name(axes: Axes, stop: Stop, nearest: float, colour: str) -> None:
    """Mark a stop on the curve, and write its belief beside it."""
    place = (stop.mean_steps, min(stop.accuracy, 1 - nearest))
    axes.plot(*place, "o", ms=5, color=colour)
    axes.annotate(
        f"{stop.belief:.6g}",
        place,
        xytext=(-5, 4),
        textcoords="offset points",
        ha="right",
        size=8,
        color=colour,
    )


def _in_words(found: EarlyAnswers) -> str:
    chosen = found.chosen
    return (
        f"{chosen.belief:.6g}: {chosen.accuracy:.2%} after {chosen.mean_steps:.1f} of "
        f"{found.steps:.3g} steps"
    )


def _stretch(axes: Axes, seen: NDArray[np.float64], nearest: float) -> None:
    """Give every halving of the errors the same height: the last per cents are what matters."""

    def height(accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
        return -np.log10(np.maximum(1 - accuracy, nearest / 10))

    def accuracy(height: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 - 10 ** -np.asarray(height, np.float64)

    axes.set_yscale("function", functions=(height, accuracy))
    axes.yaxis.set_major_locator(FixedLocator([0, *_TICKS]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.6g}%"))
    low, high = height(seen.min()) - 0.03, height(seen.max()) + 0.2
    axes.set_ylim(float(accuracy(low)), float(accuracy(high)))
