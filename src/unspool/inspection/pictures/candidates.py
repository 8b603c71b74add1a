"""What a language model holds likely after each token, as a table.

Shapes: ``T`` tokens read, ``K`` candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from unspool.inspection.pictures.style import INK, one_line, png, shown

_MOST_ROWS = 40


class Guess(NamedTuple):
    """A token that may come next."""

    token: str
    probability: float


def candidate_table(
    tokens: Sequence[str], guesses: Sequence[Sequence[Guess]], title: str = "", first: int = 1
) -> bytes:
    """Draw a line for each token that was read, and beside it what may follow it.

    A bar in each field says how likely a candidate is; the one that does follow in the text is
    framed.

    Parameters
    ----------
    tokens : sequence of str, ``T``
        The first ``40`` of them are drawn.
    guesses : sequence of T sequences of Guess
        The likeliest first.
    title : str
    first : int
        Which step the first token is.
    """
    rows = min(len(tokens), _MOST_ROWS)
    columns = max((len(each) for each in guesses), default=0)
    names = [shown(token) for token in tokens]
    figure = Figure(figsize=(2.2 + 1.55 * columns, 1.15 + 0.34 * rows))
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.97))
    left, wide = 1.45, 1.0
    axes.set(xlim=(0, left + columns * wide), ylim=(rows + 0.1, -2.1))
    axes.axis("off")
    axes.text(0.06, -1.45, one_line(title, 90), fontsize=12, color=INK, parse_math=False)
    axes.text(left - 0.12, -0.45, "read", ha="right", fontsize=9, color="#666666")
    axes.text(
        left + 0.06,
        -0.45,
        "what may come next, the likeliest first; framed: what does come",
        fontsize=9,
        color="#666666",
    )
    for row in range(rows):
        axes.text(0.06, row + 0.5, str(first + row), va="center", fontsize=7, color="#999999")
        axes.text(
            left - 0.12, row + 0.5, names[row], ha="right", va="center", fontsize=10,
            weight="bold", color=INK, parse_math=False,
        )  # fmt: skip
        following = tokens[row + 1] if row + 1 < len(tokens) else None
        for place, guess in enumerate(guesses[row]):
            x, came = left + place * wide, guess.token == following
            _field(axes, x, row, wide, guess, came)
    axes.plot([0, left + columns * wide], [-0.12, -0.12], color="#cccccc", lw=0.8)
    return png(figure)


def _field(axes: object, x: float, row: int, wide: float, guess: Guess, came: bool) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    bar = (wide - 0.08) * min(guess.probability, 1.0)
    axes.add_patch(Rectangle((x + 0.03, row + 0.1), wide - 0.08, 0.8, color="#f4f4f4", lw=0))
    axes.add_patch(Rectangle((x + 0.03, row + 0.1), bar, 0.8, color="#a8cfe8", lw=0))
    if came:
        axes.add_patch(
            Rectangle((x + 0.03, row + 0.1), wide - 0.08, 0.8, fill=False, ec="#0072b2", lw=1.6)
        )
    axes.text(
        x + 0.08, row + 0.5, shown(guess.token), va="center", fontsize=9, color=INK,
        weight="bold" if came else "normal", parse_math=False, clip_on=True,
    )  # fmt: skip
    axes.text(
        x + wide - 0.09, row + 0.5, f"{100 * guess.probability:.0f} %", va="center", ha="right",
        fontsize=7, color="#555555",
    )  # fmt: skip
