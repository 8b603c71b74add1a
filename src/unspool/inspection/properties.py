"""What anyone can see of an input at each step, to be compared with what units do.

Shapes: ``T`` steps, ``F`` features.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Course = NDArray[np.float64]
"""A number at each step, ``(T,)``; not a number where it makes no sense."""

_OPENING, _CLOSING, _EITHER = ("“", "``", "«"), ("”", "''", "»"), '"'
_INK = 0.25  # of the brightest pixel: what is brighter is of a stroke


def of_picture(rows: NDArray[Any]) -> dict[str, Course]:
    """What can be seen of each row of a picture, light on dark.

    Parameters
    ----------
    rows : (T, F) array

    Examples
    --------
    >>> seen = of_picture(np.array([[0, 0, 0, 0, 0], [9, 0, 0, 0, 9]]))
    >>> seen["strokes that the row crosses"].tolist()
    [0.0, 2.0]
    >>> seen["where the stroke is, from left to right"].tolist()
    [nan, 0.5]
    """
    values = rows.astype(np.float64) - rows.min(initial=0)
    values /= max(values.max(initial=0), 1e-12)
    ink = values.sum(1)
    places = np.linspace(0, 1, values.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = np.where(ink > _INK, values @ places / ink, np.nan)
    lit = values > _INK
    begins = lit & ~np.pad(lit, ((0, 0), (1, 0)))[:, :-1]
    return {
        "ink in the row": ink,
        "where the stroke is, from left to right": centre,
        "strokes that the row crosses": begins.sum(1).astype(np.float64),
        "rows since the first ink": np.cumsum(np.logical_or.accumulate(ink > _INK)).astype(
            np.float64
        ),
        "how far down": np.arange(len(rows), dtype=np.float64),
    }


def of_series(steps: NDArray[Any], names: Sequence[str] = ()) -> dict[str, Course]:
    """What can be seen of each step of a series: its features, and how far it has come."""
    found = {
        names[place] if names else f"feature {place}": column.astype(np.float64)
        for place, column in enumerate(steps.T)
    }
    return {**found, "steps so far": np.arange(len(steps), dtype=np.float64)}


def of_tokens(tokens: Sequence[str]) -> dict[str, Course]:
    """What can be seen of each token of a text, of characters or of words.

    Examples
    --------
    >>> of_tokens(list('a "b" c'))["inside quotes"].tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    """
    if all(len(token) <= 1 for token in tokens):
        return _of_characters(tokens)
    ends = [token in (".", "!", "?", "<eos>", "￭.", "￭!", "￭?") for token in tokens]
    return {
        "words in the sentence so far": _since(ends),
        "letters of the word": np.array([len(token) for token in tokens], np.float64),
        "inside quotes": _inside_quotes(tokens),
        "punctuation": _flags(tokens, lambda token: re.fullmatch(r"[^\w\s]+", token) is not None),
        "a number": _flags(tokens, lambda token: token == "N" or any(map(str.isdigit, token))),
        "words so far": np.arange(len(tokens), dtype=np.float64),
    }


def _of_characters(tokens: Sequence[str]) -> dict[str, Course]:
    return {
        "inside quotes": _inside_quotes(tokens),
        "inside brackets": _inside_brackets(tokens),
        "characters in the line so far": _since([token == "\n" for token in tokens]),
        "characters in the word so far": _since([not token.isalnum() for token in tokens]),
        "characters in the sentence so far": _since([token in ".!?" for token in tokens]),
        "a capital letter": _flags(tokens, str.isupper),
        "a space or the end of a line": _flags(tokens, str.isspace),
        "a digit": _flags(tokens, str.isdigit),
        "a vowel": _flags(tokens, lambda token: token.lower() in tuple("aeiouy")),
    }


def _flags(tokens: Sequence[str], test: Callable[[str], bool]) -> Course:
    return np.array([test(token) for token in tokens], np.float64)


def _since(ends: Sequence[bool]) -> Course:
    """How many have come since the last end; 0 at an end itself."""
    count, counts = 0, []
    for end in ends:
        count = 0 if end else count + 1
        counts.append(count)
    return np.array(counts, np.float64)


def _inside_quotes(tokens: Sequence[str]) -> Course:
    """1 between an opening quote and a closing one, 0 at both."""
    inside, found = False, []
    for token in tokens:
        if token in _OPENING or token in _CLOSING or token == _EITHER:
            inside = token in _OPENING or (token == _EITHER and not inside)
            found.append(0.0)
        else:
            found.append(float(inside))
    return np.array(found)


def _inside_brackets(tokens: Sequence[str]) -> Course:
    """1 between an opening bracket and the closing one, 0 at both."""
    depth, found = 0, []
    for token in tokens:
        if token in (")", "]", "}"):
            depth = max(depth - 1, 0)
        found.append(float(depth > 0 and token not in (")", "]", "}")))
        depth += token in ("(", "[", "{")
    return np.array(found)
