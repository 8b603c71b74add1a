"""Units whose activity follows something that can be seen in the input.

Shapes: ``N`` steps of all sequences, ``H`` units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.inspection import properties
from unspool.inspection.pictures.inputs import SeenInput
from unspool.inspection.properties import Course
from unspool.inspection.trace import Trace

FEWEST_STEPS = 100
"""How many steps there have to be, for a correlation to say something."""

_FEWEST_OF_EACH = 5
"""What is there or not has to be there, and not to be there, at so many steps."""


@dataclass(frozen=True)
class Follower:
    """A unit that follows a property.

    Parameters
    ----------
    seen : str
        The property.
    layer : str
        With its direction, such as ``layer.0.forward``.
    unit : int
    correlation : float
        Pearson's, of the property and h; negative where the unit falls as the property rises.
    steps : int
        Over how many steps of all sequences.
    """

    seen: str
    layer: str
    unit: int
    correlation: float
    steps: int

    def finding(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)


def followers(trace: Trace, most: int = 5) -> list[Follower]:
    """Find the units that follow each property best, the closest followed property first.

    The best of many units is found even where none means anything: what it does on other inputs is
    the test of it.

    Parameters
    ----------
    trace : Trace
        Of several sequences or of a long one.
    most : int
        How many units are named of each property.

    Returns
    -------
    list of Follower
        Empty where there are fewer than :data:`FEWEST_STEPS` steps.
    """
    courses = properties_of(trace)
    if not courses or len(next(iter(courses.values()))) < FEWEST_STEPS:
        return []
    found: list[list[Follower]] = []
    for seen, course in courses.items():
        of_one = [
            Follower(seen, layer, unit, float(value), int(np.isfinite(course).sum()))
            for layer in (
                name.removesuffix(".hidden") for name in trace if name.endswith(".hidden")
            )
            for unit, value in enumerate(correlations(course, activity(trace, layer)))
            if np.isfinite(value)
        ]
        of_one.sort(key=lambda follower: -abs(follower.correlation))
        if of_one:
            found.append(of_one[:most])
    found.sort(key=lambda of_one: -abs(of_one[0].correlation))
    return [follower for of_one in found for follower in of_one]


def correlations(course: Course, units: NDArray[Any]) -> NDArray[np.float64]:
    """Correlate a property with every unit.

    Parameters
    ----------
    course : (N,) array
        Steps at which it is not a number do not count.
    units : (N, H) array

    Returns
    -------
    (H,) array
        Not a number where either never changes, or what is there or not hardly ever does.

    Examples
    --------
    >>> units = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]] * 5)
    >>> correlations(np.array([1.0, 0.0, 1.0] * 5), units).round(3)
    array([-1., nan])
    """
    known = np.isfinite(course)
    property_, active = course[known], units[known].astype(np.float64)
    none = np.full(units.shape[1], np.nan)
    values, counts = np.unique(property_, return_counts=True)
    if len(values) < 2 or (len(values) == 2 and counts.min() < _FEWEST_OF_EACH):
        return none
    property_ = property_ - property_.mean()
    active -= active.mean(0)
    norms = np.linalg.norm(active, axis=0) * np.linalg.norm(property_)
    changing = norms > 1e-9 * len(property_)
    none[changing] = (property_ @ active)[changing] / norms[changing]
    return none


def properties_of(trace: Trace) -> Mapping[str, Course]:
    """What can be seen in all sequences of a trace, one after another; (N,) each."""
    parts: dict[str, list[Course]] = {}
    for number in range(len(trace["lengths"])):
        seen = SeenInput(trace, number)
        if seen.tokens is not None:
            found = properties.of_tokens(seen.tokens)
        elif seen.is_picture:
            found = properties.of_picture(seen.values)  # type: ignore[arg-type]
        else:
            found = properties.of_series(seen.values)  # type: ignore[arg-type]
        for name, course in found.items():
            parts.setdefault(name, []).append(course)
    count = len(trace["lengths"])  # texts of characters and of words have not the same ones
    return {name: np.concatenate(each) for name, each in parts.items() if len(each) == count}


def activity(trace: Trace, layer: str) -> NDArray[Any]:
    """H of a layer at all steps that are no padding, sequence after sequence: (N, H)."""
    hidden = trace[f"{layer}.hidden"]
    counts = [len(SeenInput(trace, number).steps) for number in range(len(hidden))]
    return np.concatenate([part[:count] for part, count in zip(hidden, counts, strict=True)])
