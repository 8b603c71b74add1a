import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unspool.data.permutation import Permutation


@given(count=st.integers(1, 2000), seed=st.integers(0, 2**63), epoch=st.integers(0, 1000))
def test_every_number_comes_once(count, seed, epoch):
    order = Permutation(count, seed, epoch)(np.arange(count))
    assert sorted(order.tolist()) == list(range(count))


def test_seed_and_epoch_decide():
    orders = {
        tuple(Permutation(50, seed, epoch)(np.arange(50)).tolist())
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


def test_places_are_independent_of_what_else_is_asked_for():
    order = Permutation(1000, 1, 2)
    assert order(np.array([7, 3])).tolist() == order(np.arange(10))[[7, 3]].tolist()


def test_the_order_is_mixed_well():
    count = 100_000
    order = Permutation(count, 3, 0)(np.arange(count))
    position = np.arange(count)
    assert abs(np.corrcoef(order, position)[0, 1]) < 0.02
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.02
    pairs = np.histogram2d(order, position, bins=10)[0]
    assert np.all(abs(pairs - count / 100) < 6 * np.sqrt(count / 100))


def test_an_order_of_very_many_needs_no_memory():
    order = Permutation(10**12, 1, 1)
    found = order(np.arange(10**12 - 5, 10**12))
    assert len(set(found.tolist())) == 5
    assert ((found >= 0) & (found < 10**12)).all()
