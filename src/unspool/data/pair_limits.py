"""Pairs that are too long to learn from, or have nothing to learn, and how many there were."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from unspool.data.pair_corpus import PairCorpus


class LengthLimits(NamedTuple):
    """Tokens that a source and a target may have, the special ones not counted; None for any."""

    source: int | None = None
    target: int | None = None


@dataclass(frozen=True)
class LeftOut:
    """How many pairs of a part are not used, and why.

    Parameters
    ----------
    empty : int
        Pairs of which a side has no tokens.
    too_long : int
        Others of which a side has more tokens than allowed.
    among : int
        Pairs that there were.

    Examples
    --------
    >>> print(LeftOut(empty=3, too_long=41, among=29_000))
    44 of 29,000 pairs left out: 3 with an empty side, 41 too long
    """

    empty: int
    too_long: int
    among: int

    @property
    def count(self) -> int:
        """Pairs that are left out."""
        return self.empty + self.too_long

    def __str__(self) -> str:
        reasons = {"with an empty side": self.empty, "too long": self.too_long}
        named = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
        return f"{self.count:,} of {self.among:,} pairs left out" + (f": {named}" if named else "")


def within(corpus: PairCorpus, limits: LengthLimits) -> tuple[PairCorpus, LeftOut]:
    """Keep the pairs of which neither side is empty or too long.

    Examples
    --------
    >>> from unspool.data.pair_codecs import PairVocabularySettings, fit_codecs
    >>> from unspool.data.pairs import Pairs
    >>> pairs = Pairs(("one", "one two", "", "two"), ("1", "1 2", "3", "2"))
    >>> corpus = PairCorpus.encoded(pairs, fit_codecs(pairs, PairVocabularySettings()))
    >>> kept, left_out = within(corpus, LengthLimits(source=1))
    >>> kept.pairs.sources, str(left_out)
    (('one', 'two'), '2 of 4 pairs left out: 1 with an empty side, 1 too long')
    """
    source, target = corpus.sources.lengths - 1, corpus.targets.lengths - 2  # BEGIN and END
    empty = (source == 0) | (target == 0)
    too_long = np.zeros(len(corpus), bool)
    for lengths, limit in ((source, limits.source), (target, limits.target)):
        if limit is not None:
            too_long |= lengths > limit
    left_out = LeftOut(int(empty.sum()), int((too_long & ~empty).sum()), len(corpus))
    kept = corpus.take(np.flatnonzero(~(empty | too_long))) if left_out.count else corpus
    return kept, left_out
