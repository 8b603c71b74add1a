import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.preprocessing import StandardScaler

from unspool.data import normalisation
from unspool.data.sequences import Sequences

VALUES = np.random.default_rng(0).normal([0, 5, -3], [1, 20, 0.1], (50, 3)).astype(np.float32)


def scaled(values, kind):
    data = Sequences.from_array(np.asarray(values)[None])
    centre, scale = normalisation.fit(data, kind)
    assert centre.dtype == scale.dtype == np.float32
    assert centre.shape == scale.shape == (data.num_features,)
    return (data.values.astype(np.float32) - centre) / scale


def test_standard_is_that_of_scikit_learn():
    np.testing.assert_allclose(
        scaled(VALUES, "standard"), StandardScaler().fit_transform(VALUES), atol=1e-5
    )


def test_global_takes_all_features_together():
    result = scaled(VALUES, "global")
    assert result.mean() == pytest.approx(0, abs=1e-6)
    assert result.std() == pytest.approx(1, abs=1e-6)
    assert abs(result.mean(0)).max() > 0.1


def test_range_is_from_0_to_1():
    result = scaled(VALUES, "range")
    assert (result.min(), result.max()) == (0, 1)


def test_none_leaves_all_as_it_is():
    np.testing.assert_array_equal(scaled(VALUES, "none"), VALUES)


@pytest.mark.parametrize("kind", ["standard", "global", "range"])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e6, 255.0])
def test_what_never_changes_becomes_0_and_stays_small(kind, value):
    """A spread of rounding alone would blow up new values."""
    data = Sequences.from_array(np.full((1, 1001, 2), value, np.float32))
    centre, scale = normalisation.fit(data, kind)
    np.testing.assert_array_equal(scale, 1)
    np.testing.assert_array_equal(data.values - centre, 0)


def test_one_constant_feature_does_not_touch_the_others():
    values = np.stack([np.full(1001, 0.1), np.arange(1001)], axis=1)
    result = scaled(values, "standard")
    assert abs(result[:, 0]).max() < 1e-6
    assert result[:, 1].std() == pytest.approx(1)


def test_bytes_do_not_overflow():
    values = np.array([[0], [255], [255], [250]] * 1000, np.uint8)
    result = scaled(values, "standard")
    assert result.mean() == pytest.approx(0, abs=1e-5)
    assert result.std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["standard", "global", "range", "none"])
@given(
    values=npst.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 3)),
        elements=st.floats(-1e9, 1e9, width=32),
    )
)
def test_the_result_is_always_finite(kind, values):
    assert np.isfinite(scaled(values, kind)).all()
