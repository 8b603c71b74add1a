import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unspool.data.pair_codecs import PairCodecs
from unspool.data.pair_corpus import PairCorpus, TokenRows
from unspool.data.pairs import Pairs
from unspool.data.text_codec import BEGIN, END, PADDING, TextCodec
from unspool.data.vocabulary import Vocabulary

LETTERS = TextCodec(Vocabulary.of_tokens("character", ["<unk>", *"abcd"]))
CODECS = PairCodecs(LETTERS, LETTERS)


@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=5), max_size=6), st.data())
def test_rows_are_kept_and_padded(rows, data):
    kept = TokenRows.from_list(rows)
    assert (kept.tokens.dtype, kept.offsets.dtype) == (np.int32, np.int64)
    assert len(kept) == len(rows)
    assert kept.lengths.tolist() == [len(row) for row in rows]
    assert [kept.row(number).tolist() for number in range(len(rows))] == rows
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=4)) if rows else []
    expected = [rows[number] for number in chosen]
    taken = kept.take(chosen)
    assert [taken.row(number).tolist() for number in range(len(taken))] == expected
    padded, lengths = kept.padded(chosen)
    longest = max(map(len, expected), default=0)
    assert padded.shape == (len(chosen), longest)
    assert padded.tolist() == [[*row, *[PADDING] * (longest - len(row))] for row in expected]
    assert lengths.tolist() == [len(row) for row in expected]


def test_sources_end_and_targets_begin_and_end():
    pairs = Pairs(("ab", "", "x"), ("ba", "c", ""))
    corpus = PairCorpus.encoded(pairs, CODECS)
    assert [corpus.sources.row(n).tolist() for n in range(3)] == [[4, 5, END], [END], [3, END]]
    assert [corpus.targets.row(n).tolist() for n in range(3)] == [
        [BEGIN, 5, 4, END],
        [BEGIN, 6, END],
        [BEGIN, END],
    ]
    assert len(corpus) == 3
    assert LETTERS.decode(corpus.targets.row(0)) == "ba"


def test_pairs_and_tokens_are_taken_together():
    corpus = PairCorpus.encoded(Pairs(("a", "b", "cd"), ("b", "a", "dc")), CODECS).take([2, 0])
    assert corpus.pairs == Pairs(("cd", "a"), ("dc", "b"))
    assert [LETTERS.decode(corpus.sources.row(n)) for n in range(2)] == ["cd", "a"]
    assert [LETTERS.decode(corpus.targets.row(n)) for n in range(2)] == ["dc", "b"]
    assert len(corpus.take([])) == 0
