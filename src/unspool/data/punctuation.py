"""Punctuation as words of its own, set apart so that it can be put back where it stood.

A mark that stood close to its neighbour shows it by a joiner on that side, as in the joiner
annotation of OpenNMT's tokenizer (Klein et al. 2017, arXiv 1701.02810): ``"No," she said`` is
``"￭ No ￭, ￭" she said``.
"""

import re
import unicodedata

JOINER = "\uffed"

_NEITHER_LETTER_NOR_SPACE = re.compile(r"[^\w\s]")


def set_apart(text: str) -> str:
    """Part punctuation and symbols from words and from each other by spaces.

    What they are is Unicode's: the categories P and S, but for the underscore. A joiner that is
    in the text already becomes U+25A0, a larger square.

    Examples
    --------
    >>> set_apart("Don't (ever)!")
    "Don ￭'￭ t (￭ ever ￭) ￭!"
    """
    text = text.replace(JOINER, "\u25a0")
    return " ".join(_NEITHER_LETTER_NOR_SPACE.sub(_parted, text).split())


def put_together(text: str) -> str:
    """Undo :func:`set_apart`, but for runs of white space, which have become one space.

    Examples
    --------
    >>> put_together(set_apart("Don't (ever)!"))
    "Don't (ever)!"
    """
    return text.replace(f" {JOINER}", "").replace(f"{JOINER} ", "").replace(JOINER, "")


def _parted(found: re.Match[str]) -> str:
    mark, text = found[0], found.string
    if not _is_mark(mark):
        return mark
    before, after = text[: found.start()][-1:], text[found.end() :][:1]
    left = JOINER if before and not before.isspace() else ""
    # A mark that follows has a joiner of its own on this side.
    right = JOINER if after and not after.isspace() and not _is_mark(after) else ""
    return f" {left}{mark}{right} "


def _is_mark(character: str) -> bool:
    return character != "_" and unicodedata.category(character)[0] in "PS"
