import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unspool.data.corpus import Corpus
from unspool.data.vocabulary import Vocabulary
from unspool.data.windows import Windows
from unspool.errors import DataError

LETTERS = Vocabulary.of_tokens("character", ["<unk>", *"abcdefghij"])


def corpus_of(*lengths: int) -> Corpus:
    """Documents of some lengths, in which every token is another one."""
    tokens = np.arange(sum(lengths), dtype=np.uint16)
    starts = np.cumsum([0, *lengths[:-1]])
    return Corpus(tokens, starts.astype(np.int64), LETTERS)


def rows(batches) -> list[list[int]]:
    return [
        [*tokens, target]
        for batch in batches
        for tokens, target in zip(batch.tokens.tolist(), batch.targets.tolist(), strict=True)
    ]


@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    context=st.integers(1, 5),
    batch_size=st.integers(1, 9),
    seed=st.integers(0, 2**63),
)
def test_every_window_of_every_document_comes_once(lengths, context, batch_size, seed):
    corpus = corpus_of(*lengths)
    documents = np.split(corpus.tokens, corpus.starts[1:])
    expected = [
        document[start : start + context + 1].tolist()
        for document in documents
        for start in range(len(document) - context)
    ]
    if not expected:
        with pytest.raises(DataError):
            Windows(corpus, context, batch_size)
        return
    windows = Windows(corpus, context, batch_size)
    assert rows(windows.in_order()) == expected
    assert sorted(rows(windows.shuffled(seed, 1))) == expected
    assert windows.count == len(expected)
    assert len(list(windows.in_order())) == len(windows)


def test_seed_and_epoch_decide_the_order_and_the_batch_size_does_not():
    corpus = corpus_of(40, 30)
    one = rows(Windows(corpus, 3, 4).shuffled(1, 0))
    assert one == rows(Windows(corpus, 3, 7).shuffled(1, 0))
    others = [rows(Windows(corpus, 3, 4).shuffled(*which)) for which in ((1, 1), (2, 0))]
    assert one not in others
    assert others[0] != others[1]


def test_tokens_are_whole_numbers_of_torch():
    batch = next(Windows(corpus_of(9), 3, 4).in_order())
    assert (batch.tokens.dtype, batch.targets.dtype) == (torch.int64, torch.int64)
    assert (batch.tokens.shape, batch.targets.shape, len(batch)) == ((4, 3), (4,), 4)


@pytest.mark.parametrize(("lengths", "longest"), [((3, 2), 3), ((1,), 1)])
def test_a_text_shorter_than_a_window_is_refused(lengths, longest):
    with pytest.raises(
        DataError, match=f"longest document has {longest} tokens, expected at least 4"
    ):
        Windows(corpus_of(*lengths), 3, 8)


def test_no_text_is_refused():
    with pytest.raises(DataError, match="longest document has 0 tokens"):
        Windows(Corpus.from_texts([], LETTERS), 3, 8)
