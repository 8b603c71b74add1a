import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from unspool.data.pair_batches import PairBatches
from unspool.data.pair_corpus import PairCorpus, TokenRows
from unspool.data.pairs import Pairs

lengths = st.lists(st.tuples(st.integers(1, 9), st.integers(2, 9)), max_size=40)


def corpus_of(pairs: list[tuple[int, int]]) -> PairCorpus:
    """Pairs of such lengths, each filled with a number of its own."""
    names = tuple(map(str, range(len(pairs))))
    sources = [[10 + n] * source for n, (source, _) in enumerate(pairs)]
    targets = [[1000 + n] * target for n, (_, target) in enumerate(pairs)]
    return PairCorpus(
        Pairs(names, names), TokenRows.from_list(sources), TokenRows.from_list(targets)
    )


MANY = corpus_of([(1 + n % 7, 2 + n * n % 11) for n in range(300)])


@given(lengths, st.integers(1, 60), st.integers(0, 2**32), st.integers(0, 5))
def test_every_pair_comes_once_whole_and_no_batch_is_too_large(pairs, tokens, seed, epoch):
    batches = PairBatches(corpus_of(pairs), tokens)
    for found in (list(batches.by_length()), list(batches.shuffled(seed, epoch))):
        assert len(found) == len(batches)
        numbers = [number for batch in found for number in batch.numbers.tolist()]
        assert sorted(numbers) == list(range(len(pairs)))
        for batch in found:
            longest = max(batch.source.shape[1], batch.target.shape[1])
            assert len(batch) * longest <= tokens or len(batch) == 1
            sides = (
                (batch.source, batch.source_lengths, 10, 0),
                (batch.target, batch.target_lengths, 1000, 1),
            )
            for padded, lengths, base, side in sides:
                assert padded.dtype == lengths.dtype == torch.int64
                assert padded.shape == (len(batch), int(lengths.max()))
                for row, length, number in zip(padded, lengths, batch.numbers, strict=True):
                    assert int(length) == pairs[number][side]
                    assert (row[:length] == base + number).all()
                    assert (row[length:] == 0).all()


def test_a_batch_is_as_large_as_it_may_be():
    batches = [
        batch.numbers.tolist() for batch in PairBatches(corpus_of([(3, 2)] * 7), 9).by_length()
    ]
    assert batches == [[0, 1, 2], [3, 4, 5], [6]]


def test_little_is_padding():
    random = np.random.default_rng(0)
    target = random.integers(3, 40, 2000)
    source = np.maximum(1, target + random.integers(-5, 6, 2000))
    corpus = corpus_of(list(zip(source.tolist(), target.tolist(), strict=True)))
    batches = list(PairBatches(corpus, 1000).shuffled(1, 0))
    padded = sum(batch.source.numel() + batch.target.numel() for batch in batches)
    assert (source.sum() + target.sum()) / padded > 0.9
    in_any_order = np.stack([source, target])[:, : 2000 // len(batches) * len(batches)]
    blocks = in_any_order.reshape(2, len(batches), -1)
    assert in_any_order.sum() / (blocks.max(axis=2).sum() * blocks.shape[2]) < 0.7


def test_seed_and_epoch_decide_the_batches():
    def order(seed, epoch):
        return [batch.numbers.tolist() for batch in PairBatches(MANY, 50).shuffled(seed, epoch)]

    assert order(1, 0) == order(1, 0)
    orders = [order(seed, epoch) for seed in range(3) for epoch in range(3)]
    assert len({str(found) for found in orders}) == 9
    assert len({str(sorted(map(sorted, found))) for found in orders}) == 9  # other company, too


def test_by_length_is_always_the_same_and_ascends():
    found = list(PairBatches(MANY, 50).by_length())
    longest = [max(batch.source.shape[1], batch.target.shape[1]) for batch in found]
    assert longest == sorted(longest)
    again = PairBatches(MANY, 50).by_length()
    assert [b.numbers.tolist() for b in found] == [b.numbers.tolist() for b in again]
