import numpy as np
import pytest
from PIL import Image

from unspool.data import inputs
from unspool.data.centring import PictureFormat
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


# --- pictures that are prepared ------------------------------------------------------------

FORMAT = PictureFormat(rows=28, columns=28, box=20, brightest=255)


@pytest.fixture
def page():
    """A dark cross of 20 x 20 on a white page, ``(60, 40)``."""
    page = np.full((60, 40), 255, np.uint8)
    page[10:30, 12:16] = page[18:22, 4:24] = 20
    return page


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.npy", "colour.png", "colour.npy", "clear.png"]
)
def test_a_picture_of_any_kind_is_prepared(tmp_path, page, name):
    if name == "clear.png":
        drawn = np.zeros((60, 40, 4), np.uint8)
        drawn[:, :, 3] = 255 - page
        page = drawn
    elif name.startswith("colour"):
        page = np.repeat(page[:, :, None], 3, 2)
    if name.endswith(".npy"):
        np.save(tmp_path / name, page)
    else:
        Image.fromarray(page).save(tmp_path / name)
    found = inputs.read_prepared(tmp_path / name, FORMAT)
    assert found.summary == "60 x 40 pixels, dark on light, brought to 28 x 28, light on dark"
    columns = (found.picture > 127).sum(0)
    assert columns[columns > 0].tolist() == [4] * 8 + [20] * 4 + [4] * 8
    assert 4 <= columns.argmax() - 8 <= 5  # the middle is between two pixels


def test_what_is_no_single_picture_is_left_to_other_readers(tmp_path):
    np.save(tmp_path / "many.npy", np.ones((3, 5, 28)))
    np.savez(tmp_path / "many.npz", x=np.ones((3, 5, 28)))
    (tmp_path / "table.csv").write_text("a,b\n")
    for name in ("many.npy", "many.npz", "table.csv"):
        assert inputs.read_prepared(tmp_path / name, FORMAT) is None


def test_a_picture_without_ink_is_named(tmp_path):
    Image.new("L", (30, 40), 255).save(tmp_path / "white.png")
    with pytest.raises(DataError, match=r"white\.png: a picture without ink"):
        inputs.read_prepared(tmp_path / "white.png", FORMAT)
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(DataError, match=r"bad\.png is no picture"):
        inputs.read_prepared(tmp_path / "bad.png", FORMAT)


# --- lines ---------------------------------------------------------------------------------


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
