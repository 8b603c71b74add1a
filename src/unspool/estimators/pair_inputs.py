"""What users may give as sources and targets: texts, or lists of tokens.

A list of tokens is handed on as the text of these tokens with a space between each, which is what a
vocabulary of words takes apart again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from unspool.data.pairs import Pairs
from unspool.errors import DataError
from unspool.estimators.inputs import check_text


class Texts(NamedTuple):
    """Texts of one side.

    Parameters
    ----------
    texts : list of str
    tokenised : bool
        Whether lists of tokens were given; then white space parts them, and nothing else does.
    """

    texts: list[str]
    tokenised: bool


def read_pairs(sources: Any, targets: Any) -> tuple[Pairs, bool]:
    """Check sources and the targets that answer them.

    Returns
    -------
    pairs : Pairs
    tokenised : bool
        See :class:`Texts`.

    Raises
    ------
    DataError
        If one side is no list of texts or of lists of tokens, they are not as many, or not alike.
    """
    if targets is None:
        raise DataError("targets is None, expected one for each source; give both")
    ours, theirs = read_texts(sources, "sources"), read_texts(targets, "targets")
    if len(ours.texts) != len(theirs.texts):
        raise DataError(
            f"sources has {len(ours.texts)} texts and targets has {len(theirs.texts)}, expected as "
            "many, each target in the place of its source"
        )
    if ours.tokenised != theirs.tokenised:
        kinds = {True: "lists of tokens", False: "texts"}
        raise DataError(
            f"sources holds {kinds[ours.tokenised]} and targets {kinds[theirs.tokenised]}, "
            "expected both alike; split the texts, or join the tokens"
        )
    return Pairs(tuple(ours.texts), tuple(theirs.texts)), ours.tokenised


def read_texts(given: Any, name: str) -> Texts:
    """Check the texts, or the lists of tokens, of one side; white space around a text is not.

    Raises
    ------
    DataError
        If they are none, or not of one kind, or there are none.

    Examples
    --------
    >>> read_texts([["k", "ae", "t"]], "targets")
    Texts(texts=['k ae t'], tokenised=True)
    """
    if isinstance(given, (str, bytes)):
        raise DataError(f"{name} is one {_kind(given)}, expected a list of texts; give [text]")
    if not isinstance(given, Iterable):
        raise DataError(f"{name} is a {_kind(given)}, expected a list of texts")
    texts = list(given)
    if not texts:
        raise DataError(f"{name} is empty, expected at least one text")
    tokenised = not isinstance(texts[0], str)
    if tokenised:
        return Texts([_joined(text, f"{name}[{n}]") for n, text in enumerate(texts)], True)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                f"{name}[{number}] is a {_kind(text)}, expected a string as {name}[0] is"
            )
        check_text(text, f"{name}[{number}]")
    return Texts([text.strip() for text in texts], False)


def _joined(tokens: Any, place: str) -> str:
    if isinstance(tokens, str) or not isinstance(tokens, Iterable):
        raise DataError(
            f"{place} is a {_kind(tokens)}, expected texts throughout, or lists of tokens "
            "throughout"
        )
    tokens = list(tokens)
    for number, token in enumerate(tokens):
        if not isinstance(token, str):
            raise DataError(f"{place}[{number}] is a {_kind(token)}, expected a token, a string")
        if token.split() != [token]:
            raise DataError(
                f"{place}[{number}] is {token!r}, expected a token: at least one character, and no "
                "white space"
            )
        check_text(token, f"{place}[{number}]")
    return " ".join(tokens)


def _kind(given: Any) -> str:
    return "string" if isinstance(given, str) else type(given).__name__
