"""The most probable answers, in the form in which every task gives them to a user.

Shapes: ``C`` answers that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def ranking(
    belief: NDArray[np.floating[Any]], label: Callable[[int], str], top: int
) -> dict[str, Any]:
    """The most probable answer, and the ``top`` most probable with their probabilities.

    Parameters
    ----------
    belief : (C,) array
        The probability of each answer.
    label : callable
        What the answer at a position is called.
    top : int
        How many, at most; 1 or more.

    Examples
    --------
    >>> ranking(np.array([0.25, 0.75]), ["no", "yes"].__getitem__, top=1)
    {'label': 'yes', 'probability': 0.75, 'top': [{'label': 'yes', 'probability': 0.75}]}
    """
    order = (-belief).argsort(kind="stable")[:top].tolist()
    ranked = [{"label": label(place), "probability": float(belief[place])} for place in order]
    return {**ranked[0], "top": ranked}


def by_step(rankings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is answered after each step, from the first on."""
    return [{"step": step, **found} for step, found in enumerate(rankings, start=1)]
