import pytest

from unspool.data.pair_codecs import PairVocabularySettings, fit_codecs
from unspool.data.pair_corpus import PairCorpus
from unspool.data.pair_limits import LeftOut, LengthLimits, within
from unspool.data.pairs import Pairs

PAIRS = Pairs(("a b c", "a", "", "a b", " ", "a b c"), ("1", "1 2 3", "1", "1 2", "1 2 3", ""))
CORPUS = PairCorpus.encoded(PAIRS, fit_codecs(PAIRS, PairVocabularySettings()))


@pytest.mark.parametrize(
    ("limits", "kept", "empty", "too_long"),
    [
        (LengthLimits(), [0, 1, 3], 3, 0),
        (LengthLimits(source=2), [1, 3], 3, 1),
        (LengthLimits(target=2), [0, 3], 3, 1),
        (LengthLimits(2, 2), [3], 3, 2),
        (LengthLimits(3, 3), [0, 1, 3], 3, 0),
        (LengthLimits(1, 1), [], 3, 3),
    ],
)
def test_pairs_are_kept_that_are_neither_empty_nor_too_long(limits, kept, empty, too_long):
    found, left_out = within(CORPUS, limits)
    assert found.pairs == PAIRS.take(kept)
    assert len(found) == len(found.sources) == len(found.targets) == len(kept)
    assert left_out == LeftOut(empty, too_long, 6)
    assert left_out.count == 6 - len(kept)


def test_where_nothing_is_left_out_nothing_is_copied():
    whole = CORPUS.take([0, 3])
    assert within(whole, LengthLimits(3, 2)) == (whole, LeftOut(0, 0, 2))


@pytest.mark.parametrize(
    ("left_out", "text"),
    [
        (LeftOut(0, 0, 5), "0 of 5 pairs left out"),
        (LeftOut(2, 0, 5), "2 of 5 pairs left out: 2 with an empty side"),
        (LeftOut(1, 1000, 2000), "1,001 of 2,000 pairs left out: 1 with an empty side, 1,000 too"),
    ],
)
def test_the_reasons_are_told(left_out, text):
    assert str(left_out).startswith(text)
