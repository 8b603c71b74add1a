"""What in an input speaks for an answer and what against it.

Shapes: ``T`` steps, ``F`` features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from unspool.inspection.pictures.inputs import SeenInput
from unspool.inspection.pictures.style import INK, SIGNED, bare, one_line, png, shown

_FOR, _AGAINST = "#b2182b", "#2166ac"
_LINE, _MOST_LINES = 72, 24  # characters


def attribution_picture(
    seen: SeenInput, values: NDArray[np.float64], answer: str, note: str
) -> bytes:
    """Draw each number of the input in the colour of what it says about the answer.

    Parameters
    ----------
    seen : SeenInput
    values : (T, F) array
        See :class:`unspool.inspection.attribution.Attribution`; for text one a token is enough.
    answer : str
        What is explained.
    note : str
        A line below the title.
    """
    if seen.tokens is not None:
        return _of_tokens(seen.tokens, values.sum(1), answer, note)
    return (
        _of_picture(seen, values, answer, note)
        if seen.is_picture
        else _of_series(seen, values, answer, note)
    )


def _title(answer: str) -> str:
    return f"What speaks for “{one_line(answer, 24)}” (red) and against it (blue)"


def _titles(figure: Figure, answer: str, note: str) -> None:
    figure.suptitle(_title(answer), fontsize=13, color=INK, parse_math=False)
    figure.text(0.5, 0.885, note, ha="center", fontsize=9, color="#666666", parse_math=False)


def _of_picture(seen: SeenInput, values: NDArray[np.float64], answer: str, note: str) -> bytes:
    assert seen.values is not None
    figure = Figure(figsize=(9.5, 4.3))
    _titles(figure, answer, note)
    wide, high = 3.1 / 9.5, 3.1 / 4.3  # square
    left = figure.add_axes((0.015, 0.06, wide, high))
    middle = figure.add_axes((0.355, 0.06, wide, high))
    right = figure.add_axes((0.73, 0.06, 0.25, high))
    left.imshow(seen.values, cmap="gray_r", interpolation="nearest", aspect="auto")
    left.set_title("the picture", fontsize=10)
    highest = float(max(np.quantile(np.abs(values), 0.99), 1e-12))
    faint = np.asarray(seen.values, np.float64)
    middle.imshow(faint, cmap="gray_r", alpha=0.15, interpolation="nearest", aspect="auto")
    bent = np.sign(values) * np.sqrt(np.clip(np.abs(values) / highest, 0, 1))
    middle.imshow(
        bent,
        cmap=SIGNED,
        vmin=-1,
        vmax=1,
        alpha=np.abs(bent),
        interpolation="nearest",
        aspect="auto",
    )
    middle.set_title("what each pixel says", fontsize=10)
    for axes in (left, middle):
        axes.set_xticks([])
        axes.set_yticks([])
    _bars(right, np.asarray(values.sum(1)))
    right.set_ylim(len(values) - 0.5, -0.5)
    right.set_title(f"what each {seen.word} says (nats)", fontsize=10)
    return png(figure)


def _bars(axes: Axes, values: NDArray[np.float64]) -> None:
    colours = [_FOR if value > 0 else _AGAINST for value in values]
    axes.barh(np.arange(len(values)), values, color=colours, height=0.8)
    axes.axvline(0, color="#999999", lw=0.8)
    axes.set_yticks([0, len(values) - 1], ["1", str(len(values))])
    bare(axes)


def _of_series(seen: SeenInput, values: NDArray[np.float64], answer: str, note: str) -> bytes:
    figure = Figure(figsize=(9.5, 4.6))
    _titles(figure, answer, note)
    above, below = (
        figure.add_axes((0.08, 0.48, 0.88, 0.33)),
        figure.add_axes((0.08, 0.12, 0.88, 0.3)),
    )
    seen.draw(above)
    above.tick_params(labelbottom=False)
    above.set_ylabel("input")
    by_step = values.sum(1)
    below.bar(
        seen.steps, by_step, color=[_FOR if each > 0 else _AGAINST for each in by_step], width=1
    )
    below.axhline(0, color="#999999", lw=0.8)
    below.set_ylabel("nats")
    bare(below)
    seen.mark_time(below)
    return png(figure)


def _of_tokens(tokens: Sequence[str], values: NDArray[Any], answer: str, note: str) -> bytes:
    lines = laid_out([shown(token) for token in tokens])
    count = max(place for place, _, _ in lines) + 1
    drawn = min(count, _MOST_LINES)
    height = 1.15 + 0.36 * drawn
    figure = Figure(figsize=(9.5, height))
    title = _title(answer)
    figure.text(0.02, 1 - 0.32 / height, title, fontsize=13, color=INK, parse_math=False)
    figure.text(0.02, 1 - 0.62 / height, note, fontsize=9, color="#666666", parse_math=False)
    axes = figure.add_axes((0.01, 0.0, 0.98, 1 - 0.85 / height))
    coloured_text(axes, [shown(token) for token in tokens], values, drawn)
    return png(figure)


def laid_out(tokens: Sequence[str]) -> list[tuple[int, int, int]]:
    """Break tokens into lines: of each its line, where it begins, and how many characters it has.

    A line ends where it is full, and after the sign for the end of one.

    Examples
    --------
    >>> laid_out(["a", "bc"])
    [(0, 0, 1), (0, 2, 2)]
    >>> laid_out(["a", "↵", "b"])
    [(0, 0, 1), (0, 1, 1), (1, 0, 1)]
    """
    apart = 0 if all(len(token) <= 1 for token in tokens) else 1
    places, line, column = [], 0, 0
    for token in tokens:
        if column and column + len(token) > _LINE:
            line, column = line + 1, 0
        places.append((line, column, len(token)))
        column += len(token) + apart
        if token == "↵":
            line, column = line + 1, 0
    return places


def coloured_text(
    axes: Axes, tokens: Sequence[str], values: NDArray[Any], most_lines: int = _MOST_LINES
) -> None:
    """Write tokens on grounds that tell a value of each: red above zero, blue below."""
    highest = float(max(np.abs(values).max(initial=0), 1e-12))
    axes.set(xlim=(-0.5, _LINE + 0.5), ylim=(most_lines, 0))
    axes.axis("off")
    for token, value, (line, column, wide) in zip(tokens, values, laid_out(tokens), strict=True):
        if line >= most_lines:
            break
        colour = _FOR if value > 0 else _AGAINST
        x, wider = column - 0.1, wide + 0.2 * (wide > 1)
        strength = 0.75 * abs(float(value)) / highest
        axes.add_patch(Rectangle((x, line + 0.12), wider, 0.78, color=colour, alpha=strength, lw=0))
        axes.text(
            column + wide / 2, line + 0.52, token, ha="center", va="center", fontsize=10,
            family="monospace", parse_math=False, color=INK,
        )  # fmt: skip
