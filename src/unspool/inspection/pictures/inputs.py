"""The input of a sequence, drawn along the time that a picture's panels share.

Shapes: ``T`` steps, ``F`` features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from unspool.inspection.pictures.style import COLOURS, bare, shown
from unspool.inspection.trace import Trace

_FEWEST_OF_A_PICTURE = 4
_MOST_TOKENS = 60


class SeenInput:
    """What a network reads of one sequence, as a picture can show it.

    Parameters
    ----------
    trace : Trace
    number : int
        Which of its sequences.
    most : int, optional
        How many steps at most, the first ones.
    part : str
        Of a network of several parts, which one's input: ``encoder``; else the one that answers.

    Attributes
    ----------
    steps : array of int
        The steps that were kept and are no padding, from 1.
    values : (T, F) array, optional
        Where it is numbers that are read.
    tokens : list of str, optional
        Where it is text.
    """

    def __init__(self, trace: Trace, number: int, most: int | None = None, part: str = "") -> None:
        of_encoder = part == "encoder"
        own = "encoder." if of_encoder else ""
        first = trace.about["steps"][0]
        kept = trace[f"{own}input"].shape[1]
        kept = kept if most is None else min(kept, most)
        count = int(np.clip(trace[f"{own}lengths"][number] - first, 0, kept))
        self.steps = first + 1 + np.arange(count)
        tokens = trace.about.get("encoder_tokens" if of_encoder else "tokens")
        self.tokens: list[str] | None = None if tokens is None else tokens[number][:count]
        self.values: NDArray[Any] | None = None
        if self.tokens is None:
            self.values = trace["input"][number, :count]

    @property
    def is_picture(self) -> bool:
        """Whether its steps are rows of a picture, or as good as that."""
        return self.values is not None and self.values.shape[1] >= _FEWEST_OF_A_PICTURE

    @property
    def word(self) -> str:
        """What a step is called."""
        return "row" if self.is_picture else "token" if self.tokens is not None else "step"

    def draw(self, axes: Axes) -> None:
        """Draw it along the time: a picture turned on its side, lines, or tokens."""
        if self.values is None:
            axes.axis("off")
            return
        first, last = self.edges
        if self.is_picture:
            axes.imshow(
                self.values.T,
                cmap="gray_r",
                aspect="auto",
                origin="lower",
                extent=(first, last, 0, self.values.shape[1]),
                interpolation="nearest",
            )
            axes.set_yticks([])
            return
        for feature, colour in zip(self.values.T, COLOURS, strict=False):
            axes.plot(self.steps, feature, color=colour, lw=1.2)
        axes.set_xlim(first, last)
        bare(axes)

    def mark_time(self, axes: Axes) -> None:
        """Name the steps below the last panel, by the tokens where there are not too many."""
        axes.set_xlim(*self.edges)
        if self.tokens is None or len(self.tokens) > _MOST_TOKENS:
            axes.set_xlabel(f"{self.word}s read" if self.tokens is None else "tokens read")
            return
        names = [shown(token) for token in self.tokens]
        turned = any(len(name) > 1 and not name.startswith("⟨") for name in names)
        axes.set_xticks(self.steps, names, parse_math=False)
        for label, name in zip(axes.get_xticklabels(), names, strict=True):
            label.set_rotation(90 if turned or len(name) > 1 else 0)
            label.set_fontsize(10 if len(names) <= 24 else 7)
        axes.tick_params(axis="x", length=0)

    @property
    def edges(self) -> tuple[float, float]:
        """Where the time begins and ends, half a step before the first and after the last."""
        return float(self.steps[0]) - 0.5, float(self.steps[-1]) + 0.5


def named(labels: Sequence[str], place: int) -> str:
    """What a class is called, fit for a picture."""
    return shown(labels[place])
