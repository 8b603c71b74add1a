"""``dates``: dates as many languages write them, and in ISO 8601; any number, from a seed.

Every calendar day belongs to one part, always the same one, and no text has two readings: so none
that the validation or the test asks for was seen in training, nor was its answer.
"""

from collections.abc import Iterator
from datetime import date
from functools import cache
from itertools import islice
from typing import NamedTuple

import numpy as np

from unspool.data.date_readings import Readings
from unspool.data.date_styles import FIRST_YEAR, LAST_YEAR, LOCALES, DateStyle, styles_of
from unspool.data.division import divide
from unspool.data.pairs import SPLITS, Pairs

_BLOCK = 4096  # draws at a time; how many are asked for does not change what they are


class WrittenDate(NamedTuple):
    """A day as some locale writes it.

    Parameters
    ----------
    locale : str
    text : str
    day : date
    """

    locale: str
    text: str
    day: date


def draw(split: str, count: int, seed: int, *, locale_mark: bool = False) -> Pairs:
    """Draw pairs of a part: locale, style and day, each as likely as any other.

    Texts that have another reading in any of the styles are left out; of two numbers that may both
    be the month, for instance, one is therefore above twelve or they are equal.

    Parameters
    ----------
    split : {"train", "validation", "test"}
    count : int
        How many; the first ones are the same whatever the count.
    seed : int
    locale_mark : bool
        Put the locale before the date, as in ``<en_GB> 03/04/2021``. Then a text is left out only
        if it has another reading within this locale.

    Examples
    --------
    >>> [(source, target)] = draw("test", 1, seed=0)
    >>> _readings(None).of(source) == {date.fromisoformat(target)}
    True
    """
    found = list(islice(written(split, seed, by_locale=locale_mark), count))
    return Pairs(
        tuple(f"<{each.locale}> {each.text}" if locale_mark else each.text for each in found),
        tuple(each.day.isoformat() for each in found),
    )


def written(split: str, seed: int, *, by_locale: bool = False) -> Iterator[WrittenDate]:
    """Draw dates of a part without end, as :func:`draw` does, each with its locale.

    Parameters
    ----------
    split, seed
        As for :func:`draw`.
    by_locale : bool
        Leave a text out only if it has another reading within its locale.
    """
    days = _days()[split]
    random = np.random.Generator(np.random.PCG64([seed, SPLITS.index(split)]))
    while True:
        for place, manner, moment in random.random((_BLOCK, 3)).tolist():
            locale = LOCALES[int(place * len(LOCALES))]
            styles = _styles(locale)
            day = date.fromordinal(days[int(moment * len(days))])
            text = styles[int(manner * len(styles))].write(day)
            if len(_readings(locale if by_locale else None).of(text)) == 1:
                yield WrittenDate(locale, text, day)


@cache
def _days() -> dict[str, list[int]]:
    """The days of each part by their ordinals: eight tenths, one and one."""
    first, last = date(FIRST_YEAR, 1, 1).toordinal(), date(LAST_YEAR, 12, 31).toordinal()
    parts = divide(None, last - first + 1, validation=0.1, test=0.1)
    return {split: (first + part).tolist() for split, part in parts._asdict().items()}


@cache
def _styles(locale: str) -> tuple[DateStyle, ...]:
    return styles_of(locale)


@cache
def _readings(locale: str | None) -> Readings:
    """How a text is read by those of one locale, or of all."""
    return Readings(style for code in ([locale] if locale else LOCALES) for style in _styles(code))
