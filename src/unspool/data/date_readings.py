"""What a written date can be read as: which dates, in any of some styles.

``03/04/2021`` is the third of April to some and the fourth of March to others. Which texts have
several readings is found out from the styles, not from texts that happen to collide: two styles
that write the same but for the digits, with the fields in another order or for another month, have
texts in common. (*Listopada* is October in Croatian and November in Polish, but only the Croats
write ``3. listopada 2021.`` with dots.)
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from itertools import product
from typing import NamedTuple
from unicodedata import decimal

from unspool.data.date_styles import FIRST_YEAR, LAST_YEAR, DateStyle

_RUN = re.compile(r"\d+")
_INVISIBLE = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


class _Reading(NamedTuple):
    """How a text of some shape is read.

    Parameters
    ----------
    letters : str
        What each run of digits is, in their order: ``y``, ``M``, ``d``, or ``E`` for one within the
        name of a weekday.
    month : int
        The month where it is written in letters alone, else 0.
    """

    letters: str
    month: int


class Readings:
    """How people who write in some styles read a date.

    They do not mind whether a number is padded with a zero, nor upper or lower case, nor what
    kind of space there is, and do not work out whether the weekday is right.

    Parameters
    ----------
    styles : iterable of DateStyle

    Examples
    --------
    >>> from unspool.data.date_styles import styles_of
    >>> readings = Readings([*styles_of("en_US"), *styles_of("en_GB")])
    >>> sorted(map(str, readings.of("03/04/2021")))
    ['2021-03-04', '2021-04-03']
    >>> sorted(map(str, readings.of("13/04/2021")))
    ['2021-04-13']
    """

    def __init__(self, styles: Iterable[DateStyle]) -> None:
        self._by_shape: dict[str, set[_Reading]] = defaultdict(set)
        for style in styles:
            weekdays = range(7 if any(field.letter == "E" for field in style.fields) else 1)
            for month, weekday in product(range(12), weekdays):
                numbers = {"y": 0, "M": month, "d": 0, "E": weekday, "G": 0}
                shape, _ = _shape_and_runs(style.fill(numbers))
                self._by_shape[shape].add(_reading(style, numbers))

    def of(self, text: str) -> set[date]:
        """Every date that the text may be; none where it is written in another style."""
        shape, runs = _shape_and_runs(text)
        dates = set()
        for letters, month in self._by_shape.get(shape, ()):
            found = dict(zip(letters, runs, strict=True))
            if FIRST_YEAR <= found["y"] <= LAST_YEAR:
                try:
                    dates.add(date(found["y"], month or found["M"], found["d"]))
                except ValueError:  # no such day or month
                    continue
        return dates


def _shape_and_runs(text: str) -> tuple[str, list[int]]:
    """What is seen of a text, with a zero of the same script for each run of digits, and these."""
    visible = " ".join(_INVISIBLE.sub("", text).casefold().split())
    runs = _RUN.findall(visible)
    zero = chr(ord(runs[0][0]) - decimal(runs[0][0])) if runs else "0"
    return _RUN.sub(zero, visible), [int(run) for run in runs]


def _reading(style: DateStyle, numbers: dict[str, int]) -> _Reading:
    """How the texts of a style in this month and on this weekday are read."""
    letters = "".join(
        field.letter * len(_RUN.findall(field.texts[numbers[field.letter]]))
        for field in style.fields
    )
    return _Reading(letters, 0 if "M" in letters else numbers["M"] + 1)
