import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.data.punctuation import JOINER, put_together, set_apart


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("A dog runs.", "A dog runs ￭."),
        ("l'homme", "l ￭'￭ homme"),
        ("( well-known )", "( well ￭-￭ known )"),
        ("wait...", "wait ￭. ￭. ￭."),
        ('"No," she said', '"￭ No ￭, ￭" she said'),
        ("3.50 €", "3 ￭.￭ 50 €"),
        ("हिन्दी में, हाँ।", "हिन्दी में ￭, हाँ ￭।"),  # vowel signs are parts of words
        ("snake_case", "snake_case"),
        (" - ", "-"),
        ("", ""),
    ],
)
def test_marks_are_words_of_their_own(text, apart):
    assert set_apart(text) == apart


@given(st.text())
def test_what_was_set_apart_comes_together_again(text):
    expected = " ".join(text.replace(JOINER, "■").split())
    assert put_together(set_apart(text)) == expected


@given(st.text(alphabet="ab .,'(￭"))
def test_a_word_is_either_letters_or_one_mark(text):
    for word in set_apart(text).split():
        bare = word.removeprefix(JOINER).removesuffix(JOINER)
        assert bare.isalpha() or len(bare) == 1


def test_joiners_that_a_network_writes_anywhere_are_gone():
    assert put_together("￭ a ￭ ￭b￭ (￭ ￭) c ￭") == "ab() c"
