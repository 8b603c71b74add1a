import numpy as np
import pytest
from PIL import Image

from unspool.data import inputs
from unspool.errors import DataError


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.jpeg"])
def test_a_picture_is_one_sequence_of_its_rows(tmp_path, name):
    Image.fromarray(np.full((4, 6), 200, np.uint8)).save(tmp_path / name)
    sequences, ids = inputs.read(tmp_path / name)
    assert sequences.lengths.tolist() == [4]
    assert sequences.num_features == 6
    assert ids == ["0"]
    assert abs(sequences.values.astype(int) - 200).max() <= 1


def test_any_other_file_is_read_without_labels(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((2, 3, 1), np.float32), y=["p", "q"])
    sequences, ids = inputs.read(tmp_path / "a.npz")
    assert len(sequences) == 2
    assert sequences.labels is None
    assert ids == ["0", "1"]


def test_a_table_says_what_its_sequences_are_called(tmp_path):
    (tmp_path / "a.csv").write_text("sequence,step,value\nleft,0,1\nright,0,2\nleft,1,3\n")
    sequences, ids = inputs.read(tmp_path / "a.csv")
    assert ids == ["left", "right"]
    assert sequences.lengths.tolist() == [2, 1]


def test_steps_and_json_may_be_mixed_and_keep_their_order():
    lines = ["1,2", "3 4", "[[5, 6]]", "7, 8", "", "", "9\t10", "[[11, 12], [13, 14]]"]
    sequences, ids = inputs.read_lines(lines)
    assert sequences.lengths.tolist() == [2, 1, 1, 1, 2]
    assert sequences.values.ravel().tolist() == list(range(1, 15))
    assert ids == list("01234")


def test_a_json_array_of_numbers_has_one_feature_a_step():
    sequences, ids = inputs.read_lines(["[1, 2, 3]"])
    assert (sequences.lengths.tolist(), sequences.num_features, ids) == ([3], 1, ["0"])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "standard input holds no sequences, expected at least one"),
        (["", " "], "standard input holds no sequences"),
        (
            ["1 2", "x y"],
            "standard input, line 2: could not convert string to float: 'x', expected",
        ),
        (["1 2", "3"], "standard input, line 2: 1 numbers, expected 2 as in the sequence's first"),
        (["[[1, 2]"], "standard input, line 1: not valid JSON .*expected one sequence a line"),
        (["[" * 100_000], "standard input, line 1: not valid JSON"),
        (["[[1, 2], [3]]"], "standard input: .*nested unevenly"),
        (["[[1]]", "[[1, 2]]"], "standard input: sequence 1 has 2 features a step, expected 1"),
        (["1 nan"], "standard input: sequence 0, step 0, feature 1 is nan, expected finite"),
        (["1 inf"], "standard input: sequence 0, step 0, feature 1 is inf"),
        (['[["a"]]'], "standard input: values of type .*, expected numbers"),
        (["[]"], "standard input: sequence 0 has no steps"),
        (["[null]"], "standard input"),
    ],
)
def test_lines_that_are_no_sequence_are_named(lines, message):
    with pytest.raises(DataError, match=message):
        inputs.read_lines(lines)
