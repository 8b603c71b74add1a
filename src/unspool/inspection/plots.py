"""Pictures of a run and of an evaluation, as PNG bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from unspool.inspection import belief, calibration
from unspool.tasks.classify.evaluation import LabelEvaluation
from unspool.tasks.evaluation import Evaluation
from unspool.tasks.metric import Metric, nats_per

_TRAINING, _VALIDATION = "#8a8a8a", "#1668b8"


def curves(records: Sequence[Mapping[str, Any]], title: str, headline: Metric, unit: str) -> bytes:
    """Draw loss and headline metric of training and validation against the steps.

    Parameters
    ----------
    records : sequence of mapping
        The records of a metrics.jsonl.
    title : str
    headline : Metric
    unit : str
        What the loss is a mean over, such as ``sequence``.
    """
    title = _short(title, 40)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _curve(left, records, lambda record: record["loss"])
    left.set(title="loss", xlabel="step", ylabel=nats_per(unit))
    left.set_ylim(bottom=0)
    _curve(right, records, lambda record: record["metrics"].get(headline.name))
    right.set(title=headline.label, xlabel="step")
    if headline.in_per_cent:
        right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    judged = [r for r in records if r["split"] == "validation" and r["loss"] is not None]
    if judged:
        best = min(judged, key=lambda record: record["loss"])
        value = headline.text(best["metrics"][headline.name])
        title += f": lowest validation loss after epoch {best['epoch']}, {headline.name} {value}"
        for axes in (left, right):
            axes.axvline(best["step"], color=_VALIDATION, lw=0.8, ls=":")
    figure.suptitle(title, parse_math=False)
    return _png(figure)


def _curve(axes: Axes, records: Sequence[Mapping[str, Any]], value: Any) -> None:
    for split, colour, marker in (("train", _TRAINING, ""), ("validation", _VALIDATION, "o")):
        points = [(record["step"], value(record)) for record in records if record["split"] == split]
        points = [point for point in points if point[1] is not None]
        if points:
            name = "training" if split == "train" else split
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, ms=4, label=name)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()


@singledispatch
def pictures(evaluation: Evaluation, title: str) -> dict[str, bytes | None]:
    """Draw what can be drawn of an evaluation.

    Returns
    -------
    dict
        A picture, or None for one that was not asked for, by the name of its file. It is empty for
        a task that has registered no pictures of its own.
    """
    del evaluation, title
    return {}


@pictures.register
def _(evaluation: LabelEvaluation, title: str) -> dict[str, bytes | None]:
    asked = evaluation.accuracy_by_step is not None
    diagrams, until = evaluation.reliability, evaluation.until
    return {
        "confusion.png": confusion(evaluation, title),
        "accuracy-by-step.png": accuracy_by_step(evaluation, title) if asked else None,
        "reliability.png": calibration.reliability_diagrams(diagrams, title) if diagrams else None,
        "until.png": belief.early_answers(until, evaluation.count, title) if until else None,
    }


def confusion(evaluation: LabelEvaluation, title: str) -> bytes:
    """Draw which class was taken for which, mistakes coloured by their share of the true class."""
    matrix = evaluation.confusion
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)  # (C, C)
    mistakes = np.where(np.eye(len(matrix), dtype=bool), np.nan, shares)
    size = min(max(4.5, 0.55 * len(matrix) + 2), 16)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    highest = max(float(np.nanmax(mistakes, initial=0.0)), 1e-9)
    axes.imshow(np.nan_to_num(mistakes), cmap="Reds", vmin=0, vmax=highest)
    if len(matrix) <= 25:
        for row, column in np.argwhere(matrix):
            dark = row != column and shares[row, column] > 0.6 * highest
            axes.text(
                column,
                row,
                str(matrix[row, column]),
                ha="center",
                va="center",
                color="white" if dark else "black",
                weight="bold" if row == column else "normal",
            )
        positions = range(len(matrix))
        names = [_short(label) for label in evaluation.classes]
        rotation = 90 if max(map(len, names)) > 3 else 0
        axes.set_xticks(positions, names, rotation=rotation, parse_math=False)
        axes.set_yticks(positions, names, parse_math=False)
    axes.set(xlabel="answer", ylabel="true class")
    axes.set_title(
        f"{_short(title, 60)}\n{evaluation.accuracy:.2%} of {evaluation.count:,} right",
        parse_math=False,
    )
    return _png(figure)


def accuracy_by_step(evaluation: LabelEvaluation, title: str) -> bytes:
    """Draw the accuracy against the number of steps read."""
    accuracies = evaluation.accuracy_by_step
    assert accuracies is not None
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(accuracies) + 1), accuracies, color=_VALIDATION, marker="o", ms=3)
    commonest = float(evaluation.confusion.sum(1).max()) / evaluation.count
    axes.axhline(commonest, color=_TRAINING, ls=":")
    axes.text(
        len(accuracies),
        commonest,
        "always the commonest class",
        ha="right",
        va="bottom",
        color=_TRAINING,
    )
    axes.set_title(_short(title, 60), parse_math=False)
    axes.set(xlabel="steps read", ylabel="accuracy", ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(alpha=0.3)
    return _png(figure)


def lr_search(rates: Sequence[float], losses: Sequence[float], suggestion: float) -> bytes:
    """Draw the loss against the learning rate, the suggested one marked."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(rates, losses, color=_VALIDATION)
    axes.axvline(suggestion, color="#c03028", ls="--", label=f"suggested: {suggestion:.2g}")
    axes.set(title="learning-rate search", xlabel="learning rate", ylabel="training loss (nats)")
    axes.grid(alpha=0.3)
    axes.legend()
    return _png(figure)


def _short(name: str, most: int = 24) -> str:
    """The user's own name for something, on one line and not too long for a picture."""
    line = " ".join(name.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # then a box stands for it
        figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
