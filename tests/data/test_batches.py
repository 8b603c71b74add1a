import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unspool.data.batches import Batches, batch_generator
from unspool.data.sequences import Sequences

RAGGED = Sequences.from_list([[[step, step] for step in range(n)] for n in (3, 1, 4, 2, 2)])
EVEN = Sequences.from_array(np.arange(60, dtype=np.uint8).reshape(5, 4, 3))


@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    batch_size=st.integers(1, 15),
    seed=st.integers(0, 2**63 - 1),
)
def test_every_sequence_comes_once_with_its_own_steps(lengths, batch_size, seed):
    data = Sequences.from_list([np.full((n, 2), i + 1.0) for i, n in enumerate(lengths)])
    batches = Batches(data, batch_size)
    for order in (batches.in_order(), batches.shuffled(seed, 3)):
        seen = []
        for batch in order:
            assert len(batch) <= batch_size
            assert batch.x.shape[1] == int(batch.lengths.max())
            for x, length, index in zip(batch.x, batch.lengths, batch.indices, strict=True):
                assert int(length) == lengths[index]
                assert (x[:length] == index + 1).all()
                assert (x[length:] == 0).all()
            seen += batch.indices.tolist()
        assert sorted(seen) == list(range(len(lengths)))
    assert len(list(batches.in_order())) == len(batches)


def test_in_order_is_the_order_of_the_data():
    assert torch.cat([b.indices for b in Batches(RAGGED, 2).in_order()]).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("data", [RAGGED, EVEN])
def test_seed_and_epoch_decide_the_order_and_the_batch_size_does_not(data):
    def order(seed, epoch, size=2):
        return torch.cat([b.indices for b in Batches(data, size).shuffled(seed, epoch)]).tolist()

    assert order(1, 0) == order(1, 0) == order(1, 0, size=5)
    orders = [order(seed, epoch) for seed in range(4) for epoch in range(4)]
    assert len(set(map(tuple, orders))) > 10


def test_bytes_stay_bytes():
    assert next(Batches(EVEN, 2).in_order()).x.dtype == torch.uint8


def test_no_data_is_no_batch():
    empty = EVEN.take([])
    assert list(Batches(empty, 2).in_order()) == []
    assert list(Batches(empty, 2).shuffled(1, 0)) == []
    assert len(Batches(empty, 2)) == 0


def test_a_batch_has_randomness_of_its_own():
    draws = {
        float(torch.rand((), generator=batch_generator(seed, epoch, batch)))
        for seed in range(3)
        for epoch in range(3)
        for batch in range(3)
    }
    assert len(draws) == 27
    first, again = (torch.rand(3, generator=batch_generator(2**62, 1, 2)) for _ in range(2))
    assert torch.equal(first, again)
