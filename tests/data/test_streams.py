import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unspool.data.corpus import Corpus
from unspool.data.streams import Streams
from unspool.data.vocabulary import Vocabulary

LETTERS = Vocabulary.of_tokens("word", ["<unk>", *(f"w{n}" for n in range(299))])
START = LETTERS.start

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=6)


def corpus_of(*lengths: int) -> Corpus:
    """Documents of some lengths, in which every token is another one, from 1."""
    tokens = np.arange(1, sum(lengths) + 1, dtype=np.uint16)
    return Corpus(tokens, np.cumsum([0, *lengths[:-1]]).astype(np.int64), LETTERS)


def joined(segments) -> list[np.ndarray]:
    """Tokens, targets, resets and mask of all segments, ``(B, steps)``."""
    found = list(segments)
    return [
        torch.cat([getattr(segment, name) for segment in found], dim=1).numpy()
        for name in ("tokens", "targets", "resets", "mask")
    ]


@given(
    lengths=LENGTHS,
    batch_size=st.integers(1, 8),
    steps=st.integers(1, 7),
    warm_up=st.integers(0, 20),
    seed=st.integers(0, 2**63),
)
def test_every_token_is_predicted_once_from_the_one_before_it(
    lengths, batch_size, steps, warm_up, seed
):
    corpus = corpus_of(*lengths)
    firsts = {int(corpus.tokens[start]) for start in corpus.starts}
    streams = Streams(corpus, batch_size, steps, warm_up)
    for segments in (streams.in_order(), streams.shuffled(seed, 2)):
        tokens, targets, resets, mask = joined(segments)
        assert sorted(targets[mask].tolist()) == corpus.tokens.tolist()
        for token, target, reset in zip(tokens[mask], targets[mask], resets[mask], strict=True):
            if target in firsts:
                assert (token, reset) == (START, True)
            else:
                assert token == target - 1
        follows = tokens[:, 1:] == np.where(resets[:, 1:], START, targets[:, :-1])
        follows[:, -1:] |= ~mask[:, 1:][:, -1:]  # where a stream is one token shorter
        assert follows.all()
        assert resets[:, 0].all()
    assert len(list(streams.in_order())) == len(streams)


@given(length=st.integers(1, 60), batch_size=st.integers(1, 8), steps=st.integers(1, 7))
def test_streams_one_after_another_are_the_text(length, batch_size, steps):
    corpus = corpus_of(length)
    _, targets, _, mask = joined(Streams(corpus, batch_size, steps).in_order())
    streams = [row[row_mask] for row, row_mask in zip(targets, mask, strict=True)]
    assert np.concatenate(streams).tolist() == corpus.tokens.tolist()
    sizes = [len(stream) for stream in streams]
    assert max(sizes) - min(sizes) <= 1
    assert len(streams) == min(batch_size, length)


def test_one_document_is_cut_in_the_classic_way():
    corpus = corpus_of(12)
    tokens, targets, resets, mask = joined(Streams(corpus, 3, 2).shuffled(1, 5))
    assert targets.tolist() == np.arange(1, 13).reshape(3, 4).tolist()
    assert tokens.tolist() == [[START, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert resets.tolist() == [[True, False, False, False]] * 3
    assert mask.all()


def test_the_last_segment_is_shorter_rather_than_dropped():
    segments = list(Streams(corpus_of(11), 2, 4).in_order())
    assert [tuple(segment.tokens.shape) for segment in segments] == [(2, 4), (2, 2)]
    assert segments[-1].mask.tolist() == [[True, True], [True, False]]


def test_documents_reset_the_state_where_they_begin():
    tokens, targets, resets, _ = joined(Streams(corpus_of(2, 3, 1), 1, 4).in_order())
    assert targets.tolist() == [[1, 2, 3, 4, 5, 6]]
    assert tokens.tolist() == [[START, 1, START, 3, 4, START]]
    assert resets.tolist() == [[True, False, True, False, False, True]]


def test_a_warm_up_reads_what_came_before_and_predicts_nothing():
    _, targets, _, mask = joined(Streams(corpus_of(10), 2, 3, warm_up=2).in_order())
    assert targets.tolist() == [[1, 2, 3, 4, 5, 6], [5, 6, 7, 8, 9, 10]]
    assert mask.tolist() == [[True] * 6, [False] * 2 + [True] * 4]


def test_seed_and_epoch_decide_the_order_of_documents():
    corpus = corpus_of(*[3] * 20)

    def order(seed, epoch, steps=5):
        return joined(Streams(corpus, 2, steps).shuffled(seed, epoch))[1].tolist()

    assert order(1, 0) == order(1, 0) == order(1, 0, steps=7)
    assert len({str(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_fewer_tokens_than_streams_are_fewer_streams():
    [segment] = Streams(corpus_of(3), 64, 20).in_order()
    assert segment.targets.tolist() == [[1], [2], [3]]
    [segment] = Streams(corpus_of(1), 64, 20).in_order()
    assert (segment.tokens.tolist(), segment.targets.tolist()) == ([[START]], [[1]])


def test_no_text_is_no_segment():
    streams = Streams(Corpus.from_texts([], LETTERS), 4, 5, warm_up=3)
    assert len(streams) == 0
    assert list(streams.in_order()) == list(streams.shuffled(1, 0)) == []


def test_types_are_what_they_say():
    segment = next(Streams(corpus_of(9), 2, 3).in_order())
    assert segment.tokens.dtype == segment.targets.dtype == torch.int64
    assert segment.resets.dtype == segment.mask.dtype == torch.bool


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_sum_over_the_text_does_not_depend_on_how_it_is_cut(batch_size):
    """A memory of three steps needs a warm-up of three."""
    corpus = corpus_of(7, 1, 30, 12)

    def total(streams) -> float:
        tokens, targets, resets, mask = joined(streams.in_order())
        state, found = np.zeros((len(tokens), 3)), 0.0
        for step in range(tokens.shape[1]):
            state[resets[:, step]] = 0
            state = np.concatenate([state[:, 1:], tokens[:, step : step + 1]], axis=1)
            found += float((state.prod(1) * targets[:, step])[mask[:, step]].sum())
        return found

    assert total(Streams(corpus, batch_size, 4, warm_up=3)) == total(Streams(corpus, 1, 9))
