"""Nearest neighbours in state space, beside what they are neighbours of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from numpy.typing import NDArray

from unspool.data.sequences import Sequences
from unspool.inspection.neighbours import Neighbour
from unspool.inspection.pictures.inputs import SeenInput
from unspool.inspection.pictures.style import ACCENT, INK, bare, one_line, png

_MOST = 8


def neighbouring_sequences(
    seen: SeenInput, answer: str, found: Sequence[Neighbour], sequences: Sequences
) -> bytes:
    """Draw a sequence and those that left the network in the likest state.

    Parameters
    ----------
    seen : SeenInput
    answer : str
        What the network says.
    found : sequence of Neighbour
    sequences : Sequences
        What the neighbours are in.
    """
    shown = list(found)[:_MOST]
    figure = Figure(figsize=(1.55 * (len(shown) + 1) + 0.4, 2.75), layout="constrained")
    figure.suptitle("Which training examples end in the likest state", fontsize=13, color=INK)
    axes = figure.subplots(1, len(shown) + 1, squeeze=False)[0]
    assert seen.values is not None
    values = [seen.values, *(_values(sequences, each.place) for each in shown)]
    titles = [
        f"read as “{one_line(answer, 12)}”",
        *(f"“{one_line(each.label, 12)}”\nlikeness {each.likeness:.3f}" for each in shown),
    ]
    for axis, value, title in zip(axes, values, titles, strict=True):
        if seen.is_picture:
            axis.imshow(value, cmap="gray_r", interpolation="nearest")
        else:
            axis.plot(value, lw=1)
            bare(axis)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_title(title, fontsize=9, parse_math=False)
    for side in axes[0].spines.values():
        side.set(color=ACCENT, linewidth=2.5)
    return png(figure)


def neighbouring_texts(text: str, found: Sequence[Neighbour]) -> bytes:
    """Write a text, and where in the training text the network was in the likest state."""
    shown = list(found)[:_MOST]
    height = 1.35 + 0.36 * len(shown)
    figure = Figure(figsize=(11, height))
    axes = figure.add_axes((0.01, 0, 0.98, 1))
    axes.set(xlim=(0, 1), ylim=(height, 0))
    axes.axis("off")
    axes.text(
        0.005, 0.3, "Where in the training text the state was likest, and what came next there",
        fontsize=13, color=INK,
    )  # fmt: skip
    rows = [("this one", one_line(text[-60:], 60), "?", ACCENT)]
    rows += [
        (f"{each.likeness:.3f}", _tail(each.text), f"{one_line(each.label, 26)}", INK)
        for each in shown
    ]
    for place, (likeness, before, after, colour) in enumerate(rows):
        y = 0.8 + 0.36 * place
        style: dict[str, Any] = {"fontsize": 10, "va": "center", "parse_math": False}
        axes.text(0.005, y, likeness, color="#666666", **style)
        axes.text(0.70, y, before, ha="right", color=colour, family="monospace", **style)
        axes.text(0.715, y, after, color="#0072b2", family="monospace", weight="bold", **style)
    axes.axvline(0.7075, ymin=0, ymax=1 - 0.62 / height, color="#cccccc", lw=0.8)
    return png(figure)


def _tail(text: str, most: int = 62) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"…{line[1 - most :]}"


def _values(sequences: Sequences, place: int) -> NDArray[Any]:
    first = int(sequences.offsets[place])
    return sequences.values[first : first + int(sequences.lengths[place])]
