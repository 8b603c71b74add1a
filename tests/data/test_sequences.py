import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.data.sequences import Sequences
from unspool.errors import DataError


def test_bytes_stay_bytes_and_all_else_becomes_float32():
    assert Sequences.from_array(np.zeros((2, 3, 4), np.uint8)).values.dtype == np.uint8
    for dtype in (np.int64, np.float64, bool, ">f4"):
        assert Sequences.from_array(np.zeros((2, 3, 4), dtype)).values.dtype == np.float32


def test_memory_is_writable_even_where_the_source_is_not():
    frozen = np.frombuffer(bytes(12), np.uint8).reshape(1, 3, 4)
    assert Sequences.from_array(frozen).values.flags.writeable


def test_two_dimensions_are_one_feature_a_step():
    assert Sequences.from_array(np.zeros((2, 3))).values.shape == (6, 1)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.data())
def test_take_gives_what_a_list_would_give(lengths, data):
    arrays = [np.full((length, 2), number) for number, length in enumerate(lengths)]
    labels = [str(number) for number in range(len(lengths))]
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=10))
    taken = Sequences.from_list(arrays, labels).take(chosen)
    assert taken.lengths.tolist() == [lengths[index] for index in chosen]
    assert taken.labels.tolist() == [labels[index] for index in chosen]
    expected = [value for index in chosen for value in arrays[index].tolist()]
    assert taken.values.tolist() == expected


def test_padding_is_dropped():
    x = np.arange(6).reshape(2, 3, 1)
    assert Sequences.from_array(x, lengths=[1, 3]).values.ravel().tolist() == [0, 3, 4, 5]


@pytest.mark.parametrize(
    ("labels", "texts"),
    [
        ([1, 2], ["1", "2"]),
        ([1.0, 2.0], ["1", "2"]),
        ([1.5, 2.0], ["1.5", "2"]),
        ([1e20, 2e20], ["1" + "0" * 20, "2" + "0" * 20]),
        (["a", "b"], ["a", "b"]),
        ([b"a", "ü".encode()], ["a", "ü"]),
        (np.array(["a", 2], object), ["a", "2"]),
    ],
)
def test_labels_become_text(labels, texts):
    assert Sequences.from_array(np.zeros((2, 1)), labels).labels.tolist() == texts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.zeros(3)}, r"shape \(3,\), expected \(sequences, steps, features\)"),
        ({"x": [["a"]]}, "type <U1, expected numbers"),
        ({"x": np.zeros((1, 2), complex)}, "type complex128, expected numbers"),
        ({"x": np.array([[None, "a"]], object)}, "type object, expected numbers"),
        ({"x": [[1, 2], [3]]}, "nested unevenly"),
        ({"x": [[1e300]]}, r"1e\+300 is beyond 32-bit"),
        ({"x": [[1]], "lengths": [2]}, "lengths run from 2 to 2, expected 0 to 1"),
        ({"x": [[1]], "lengths": [-1]}, "lengths run from -1 to -1"),
        ({"x": [[1]], "lengths": [1.0]}, "float64, expected 1 whole numbers"),
        ({"x": [[1]], "lengths": [1, 1]}, r"shape \(2,\)"),
        ({"x": [[1]], "labels": ["a", "b"]}, "2 labels for 1 sequences"),
        ({"x": [[1]], "labels": [["a"]]}, r"labels have shape \(1, 1\)"),
        ({"x": [[1]], "labels": [1j]}, "type complex128, expected text or numbers"),
        ({"x": [[1], [2]], "labels": [0.0, np.nan]}, "label 1 is missing"),
        ({"x": [[1], [2]], "labels": [None, "a"]}, "label 0 is missing"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        Sequences.from_array(**arguments)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([np.zeros((2, 3)), np.zeros((2, 4))], "sequence 1 has 4 features a step, expected 3"),
        ([np.zeros((1, 2, 3))], r"sequence 0 has shape \(1, 2, 3\)"),
    ],
)
def test_uneven_sequences_are_refused(arrays, message):
    with pytest.raises(DataError, match=message):
        Sequences.from_list(arrays)


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        (Sequences.from_list([]), "^here holds no sequences"),
        (Sequences.from_array(np.zeros((1, 2, 0))), "^here has no features"),
        (Sequences.from_array([[1, 2], [3, 4]], lengths=[2, 0]), "here: sequence 1 has no steps"),
        (
            Sequences.from_list([[[1, 2]], [[3, 4], [5, np.nan]]]),
            "here: sequence 1, step 1, feature 1 is nan, expected finite",
        ),
        (Sequences.from_list([[np.inf]]), "sequence 0, step 0, feature 0 is inf"),
    ],
)
def test_check_refuses_what_no_network_can_learn_from(sequences, message):
    with pytest.raises(DataError, match=message):
        sequences.check("here")


def test_check_returns_good_sequences():
    sequences = Sequences.from_list([[1, 2]])
    assert sequences.check("here") is sequences
