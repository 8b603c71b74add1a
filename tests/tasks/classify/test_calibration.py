import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.tasks.classify.calibration import reliability


def by_definition(confidence, right, bins):
    """Equation 3 of Guo et al., bin by bin."""
    error = 0.0
    for m in range(1, bins + 1):
        held = (confidence > (m - 1) / bins) & (confidence <= m / bins)
        if held.any():
            error += held.mean() * abs(right[held].mean() - confidence[held].mean())
    return error


@given(st.integers(1, 200), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_the_error_is_that_of_its_definition(count, bins, seed):
    random = np.random.default_rng(seed)
    confidence = random.uniform(0.01, 1, count)
    right = random.random(count) < 0.5
    found = reliability(confidence, right, steps=3, bins=bins)
    assert found.error == pytest.approx(by_definition(confidence, right, bins))
    assert (found.steps, len(found.bins)) == (3, bins)
    assert sum(each.count for each in found.bins) == count
    assert sum(each.count * each.accuracy for each in found.bins) == pytest.approx(right.sum())


def test_a_belief_at_its_word_has_no_error():
    confidence = np.repeat([0.25, 0.5, 1.0], 4)
    right = np.array([1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1], bool)
    assert reliability(confidence, right, 1).error == 0
    assert reliability(confidence, ~right, 1).error == pytest.approx((0.5 + 0 + 1) / 3)


def test_the_edges_of_a_bin():
    found = reliability(np.array([0.0, 0.5, 0.5 + 1e-9, 1.0]), np.ones(4, bool), 1, bins=2)
    assert [each.count for each in found.bins] == [2, 2]
