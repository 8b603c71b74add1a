from collections import Counter

import pytest

from unspool.data.artificial_pairs import LONGEST, SHORTEST, copy, reverse
from unspool.data.pairs import SPLITS


@pytest.mark.parametrize("draw", [copy, reverse])
def test_no_text_is_in_two_parts(draw):
    parts = [set(draw(split, 3000, 0).sources) for split in SPLITS]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]


def test_copy_repeats_and_reverse_turns_around():
    assert all(source == target for source, target in copy("train", 100, 0))
    assert all(source == target[::-1] for source, target in reverse("train", 100, 0))
    assert copy("test", 100, 0).sources == reverse("test", 100, 0).sources


def test_every_length_and_letter_is_about_as_frequent():
    texts = copy("train", 9000, 0).sources
    lengths = Counter(map(len, texts))
    assert sorted(lengths) == list(range(SHORTEST, LONGEST + 1))
    assert min(lengths.values()) > 850
    letters = Counter("".join(texts))
    assert sorted("".join(letters)) == list("abcdefghijklmnopqrstuvwxyz")
    assert min(letters.values()) > 0.9 * max(letters.values())


@pytest.mark.parametrize("split", SPLITS)
def test_the_first_ones_are_the_same_whatever_the_count(split):
    assert copy(split, 5000, 3).take(range(10)) == copy(split, 10, 3)
    assert copy(split, 10, 3) != copy(split, 10, 4)
    assert len(copy(split, 0, 3)) == 0
