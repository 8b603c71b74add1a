"""A figure by which a task judges itself, such as accuracy or perplexity."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """What a figure is called, which way it is good, and how it is written.

    Parameters
    ----------
    name : str
        Its name in metrics.jsonl, in pictures and in print.
    higher_is_better : bool
    format : str
        As :func:`format` takes it: ``.2%`` for a share, ``.2f`` for a plain number.

    Examples
    --------
    >>> Metric("accuracy", higher_is_better=True, format=".2%").text(0.98765)
    '98.77%'
    """

    name: str
    higher_is_better: bool
    format: str

    def text(self, value: float | None) -> str:
        """Write a value; None is what a record holds of one that was not finite."""
        return format(math.nan if value is None else value, self.format)

    @property
    def label(self) -> str:
        """The name, with a word for those who would expect more to be better."""
        return self.name if self.higher_is_better else f"{self.name} (lower is better)"

    @property
    def in_per_cent(self) -> bool:
        """Whether it is a share, written in per cent."""
        return self.format.endswith("%")


def nats_per(unit: str) -> str:
    """What a loss is measured in, given what it is a mean over.

    Examples
    --------
    >>> nats_per("word"), nats_per("image")
    ('nats a word', 'nats an image')
    """
    return f"nats {'an' if unit[0] in 'aeiou' else 'a'} {unit}"
