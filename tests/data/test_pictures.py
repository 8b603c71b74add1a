from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from sklearn.datasets import load_digits

from unspool.data import pictures
from unspool.data.pictures import PictureDataSettings, Pictures, grey_of
from unspool.data.sequences import Sequences
from unspool.errors import DataError


def saved(folder, name="own.npz", count=40, size=(4, 5), seed=0, **more):
    random = np.random.default_rng(seed)
    drawn = random.integers(0, 256, (count, *size), dtype=np.uint8)
    drawn[:, 0, 0] = 255
    np.savez(folder / name, x=drawn, **more)
    return str(folder / name), drawn


# --- where they come from ------------------------------------------------------------------


def test_the_built_in_digits_are_those_of_scikit_learn():
    division = pictures.load(PictureDataSettings(name="digits", validation=0.1, test=0.3))
    assert division.part("validation") is division.validation
    together = np.concatenate(
        [part.grey for part in (division.training, division.validation, division.test)]
    )
    assert division.white == 16
    expected = np.rint(load_digits().images / 16 * 255).astype(np.uint8)
    assert sorted(map(bytes, together)) == sorted(map(bytes, expected))
    shares = np.unique(division.test.labels, return_counts=True)[1] / len(division.test)
    assert np.allclose(shares, 0.1, atol=0.01)


def test_files_of_one_s_own(tmp_path):
    path, drawn = saved(tmp_path)
    division = pictures.load(PictureDataSettings(path=path, validation=0.25, test=0.25))
    assert (len(division.training), len(division.validation), len(division.test)) == (20, 10, 10)
    assert division.training.size == (4, 5)
    assert division.training.labels is None
    together = np.concatenate(
        [part.grey for part in (division.training, division.validation, division.test)]
    )
    assert sorted(map(bytes, together)) == sorted(map(bytes, drawn))


def test_a_test_part_of_its_own(tmp_path):
    labels = np.arange(40) % 2
    path, _ = saved(tmp_path, y=labels)
    test_path, held_out = saved(tmp_path, "test.npz", count=7, seed=1, y=labels[:7])
    settings = PictureDataSettings(path=path, test_path=test_path, validation=0.25, test=0.5)
    division = pictures.load(settings)
    assert (len(division.training), len(division.validation)) == (30, 10)
    assert np.array_equal(division.test.grey, held_out)
    assert division.test.labels.tolist() == ["0", "1", "0", "1", "0", "1", "0"]


def test_test_pictures_of_another_size_are_refused(tmp_path):
    path, _ = saved(tmp_path)
    test_path, _ = saved(tmp_path, "test.npz", size=(4, 6))
    with pytest.raises(DataError, match=r"test pictures of 4 x 6 pixels, expected 4 x 5 as in"):
        pictures.load(PictureDataSettings(path=path, test_path=test_path))


def test_a_quick_trial_is_a_part_of_the_training_part(tmp_path):
    path, _ = saved(tmp_path)
    whole = pictures.load(PictureDataSettings(path=path))
    few = pictures.load(PictureDataSettings(path=path, limit=5))
    assert len(few.training) == 5
    assert set(map(bytes, few.training.grey)) < set(map(bytes, whole.training.grey))
    assert np.array_equal(few.validation.grey, whole.validation.grey)


def test_there_are_three_parts(tmp_path):
    path, _ = saved(tmp_path)
    with pytest.raises(DataError, match="no split 'dev', expected one of train, validation, test"):
        pictures.load(PictureDataSettings(path=path)).part("dev")


def test_sequences_of_unequal_lengths_are_no_pictures():
    uneven = Sequences.from_list([np.ones((2, 3)), np.ones((4, 3))])
    with pytest.raises(DataError, match=r"own has sequences of 2 to 4 steps, expected pictures of"):
        pictures.of_sequences(uneven, "own", 1.0)


# --- brightness ----------------------------------------------------------------------------


@given(arrays(np.float64, 6, elements=st.floats(0, 100)), st.floats(0.1, 200))
def test_white_becomes_255_and_nothing_more(values, white):
    found = grey_of(values, white)
    exact = np.minimum(values / white, 1) * 255
    assert found.dtype == np.uint8
    assert np.abs(found - exact).max() <= 0.5 + 1e-9


def test_bytes_stay_as_they_are():
    values = np.arange(256, dtype=np.uint8)
    assert np.array_equal(grey_of(values, 255), values)


def test_negative_brightness_is_refused():
    with pytest.raises(DataError, match=r"value -0\.5, expected brightness: 0 for black"):
        grey_of(np.array([0.0, -0.5]), 1)


def test_pictures_that_are_black_all_over_are_refused(tmp_path):
    np.savez(tmp_path / "black.npz", x=np.zeros((9, 3, 3)))
    with pytest.raises(DataError, match=r"black\.npz is black all over, expected pictures"):
        pictures.load(PictureDataSettings(path=str(tmp_path / "black.npz")))


def test_white_can_be_told(tmp_path):
    path, drawn = saved(tmp_path)
    division = pictures.load(PictureDataSettings(path=path, white=510, validation=0, test=0))
    assert division.white == 510
    assert np.array_equal(division.training.grey, np.rint(drawn / 2).astype(np.uint8))
    assert pictures.load(PictureDataSettings(path=path), white=300).white == 300


def test_a_file_is_read_with_the_white_of_a_model(tmp_path):
    path, drawn = saved(tmp_path)
    found = pictures.read(Path(path), 510)
    assert np.array_equal(found.grey, np.rint(drawn / 2).astype(np.uint8))


def test_pictures_are_taken_with_their_labels():
    some = Pictures(np.arange(12, dtype=np.uint8).reshape(3, 2, 2), np.array(["a", "b", "c"]))
    taken = some.take([2, 0])
    assert taken.labels.tolist() == ["c", "a"]
    assert taken.grey[:, 0, 0].tolist() == [8, 0]


# --- settings ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"needs either name .* or path .*, and not both"),
        ({"name": "mnist", "path": "x"}, r"needs either name"),
        ({"name": "mnist", "test_path": "x"}, r"test_path goes with path \(a file\), not with"),
        ({"path": "x", "test_labels_path": "y"}, "test_labels_path needs test_path"),
        ({"path": "x", "white": 0}, "greater than 0"),
        ({"path": "x", "validation": 1.0}, "less than 1"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValidationError, match=message):
        PictureDataSettings(**settings)
