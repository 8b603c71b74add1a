import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unspool import DataError
from unspool.data.labels import from_text, to_text, type_of

_KINDS = st.one_of(arrays.integer_dtypes(), arrays.unsigned_integer_dtypes(), st.just(np.bool_))


@given(st.data())
def test_numbers_and_booleans_come_back(data):
    labels = data.draw(arrays.arrays(data.draw(_KINDS), st.integers(1, 6)))
    again = from_text(to_text(labels).tolist(), type_of(labels))
    assert again.tolist() == labels.tolist()


def test_the_largest_numbers_come_back_beside_small_ones():
    labels = np.array([2**63 + 1, 0, 2**64 - 1], np.uint64)
    assert from_text(to_text(labels).tolist(), "int").tolist() == labels.tolist()


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1))
def test_whole_floats_come_back(numbers):
    labels = np.array(numbers, float)
    again = from_text(to_text(labels).tolist(), type_of(labels))
    assert again.dtype == float
    assert again.tolist() == labels.tolist()


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1))
def test_text_comes_back(texts):
    labels = np.array(texts, object)
    assert from_text(to_text(labels).tolist(), type_of(labels)).tolist() == texts


@pytest.mark.parametrize(
    ("texts", "label_type"),
    [
        (["cat"], "int"),
        (["1.0"], "int"),
        ([" 1"], "int"),
        (["1_000"], "int"),
        (["1.0"], "float"),
        (["cat"], "float"),
        (["true"], "bool"),
        (["1"], "bool"),
        (["9" * 5000], "int"),
    ],
)
def test_other_text_is_refused(texts, label_type):
    with pytest.raises(DataError, match=f"not all of type {label_type}"):
        from_text(texts, label_type)
