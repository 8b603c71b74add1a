"""``copy`` and ``reverse``: random letters, and the same again or backwards; any number of pairs.

A network without memory can do neither, and every one with enough of it should do both.
"""

from string import ascii_lowercase

import numpy as np

from unspool.data.pairs import SPLITS, Pairs

SHORTEST, LONGEST = 4, 12

_BLOCK = 4096  # draws at a time; how many are asked for does not change what they are


def copy(split: str, count: int, seed: int) -> Pairs:
    """Draw texts that are to be repeated.

    Parameters
    ----------
    split : {"train", "validation", "test"}
        No text is in two parts.
    count : int
        How many; the first ones are the same whatever the count.
    seed : int

    Examples
    --------
    >>> list(copy("train", 2, seed=0))
    [('enmtuqcge', 'enmtuqcge'), ('nmlynd', 'nmlynd')]
    """
    texts = _draw(split, count, seed)
    return Pairs(texts, texts)


def reverse(split: str, count: int, seed: int) -> Pairs:
    """Draw texts that are to be turned around.

    Parameters are those of :func:`copy`.

    Examples
    --------
    >>> list(reverse("train", 2, seed=0))
    [('enmtuqcge', 'egcqutmne'), ('nmlynd', 'dnylmn')]
    """
    texts = _draw(split, count, seed)
    return Pairs(texts, tuple(text[::-1] for text in texts))


def _draw(split: str, count: int, seed: int) -> tuple[str, ...]:
    """Draw letters, and keep the texts that are of this part.

    Which part a text is of lies in its letters alone: their places in the alphabet, from 0, are
    added up, and a sum whose last digit is 0 is for the test, 1 for the validation.
    """
    random = np.random.Generator(np.random.PCG64([seed, SPLITS.index(split)]))
    texts: list[str] = []
    while len(texts) < count:
        lengths = (SHORTEST + random.random(_BLOCK) * (LONGEST + 1 - SHORTEST)).astype(np.int64)
        letters = (random.random((_BLOCK, LONGEST)) * len(ascii_lowercase)).astype(np.int64)
        digit = np.where(np.arange(LONGEST) < lengths[:, None], letters, 0).sum(axis=1) % 10
        mine = {"test": digit == 0, "validation": digit == 1, "train": digit > 1}[split]
        for row, length in zip(letters[mine].tolist(), lengths[mine].tolist(), strict=True):
            texts.append("".join(ascii_lowercase[letter] for letter in row[:length]))
    return tuple(texts[:count])
