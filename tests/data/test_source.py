import numpy as np
import pytest

from unspool.data import source
from unspool.data.source import SequenceDataSettings
from unspool.errors import DataError


@pytest.fixture
def archive(tmp_path):
    def write(name="own.npz", count=60, features=2, **arrays):
        x = np.random.default_rng(count).normal(size=(count, 4, features)).astype(np.float32)
        y = np.arange(count) % 3
        np.savez(tmp_path / name, **{"x": x, "y": y, **arrays})
        return str(tmp_path / name)

    return write


def load(**settings):
    return source.load(SequenceDataSettings(**settings))


def rows(sequences):
    return {x.tobytes() for x in sequences.values.reshape(len(sequences), -1)}


def test_the_parts_are_disjoint_and_complete():
    parts = load(name="digits", validation=0.1, test=0.3333)
    assert [len(part) for part in (parts.training, parts.validation, parts.test)] == [
        1018,
        180,
        599,
    ]
    assert parts.part("train") is parts.training
    assert parts.part("validation") is parts.validation
    assert parts.part("test") is parts.test
    with pytest.raises(DataError, match="no split 'dev', expected one of train, validation, test"):
        parts.part("dev")


def test_a_limit_takes_from_the_training_part_alone():
    whole, few = load(name="digits"), load(name="digits", limit=50)
    assert len(few.training) == 50
    assert rows(few.training) <= rows(whole.training)
    np.testing.assert_array_equal(few.validation.values, whole.validation.values)
    np.testing.assert_array_equal(few.test.values, whole.test.values)
    assert len(load(name="digits", limit=10**9).training) == len(whole.training)


def test_a_test_part_of_its_own_is_taken_as_it_is(archive):
    own, test = archive(), archive("test.npz", count=7)
    parts = load(path=own, test_path=test, test=0.5, validation=0.1)
    assert [len(part) for part in (parts.training, parts.validation, parts.test)] == [54, 6, 7]
    assert not rows(parts.training) & rows(parts.test)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs either name .* or path .*, and not both"),
        ({"name": "digits", "path": "x"}, "needs either name .* or path .*, and not both"),
        ({"name": "digits", "test_path": "x"}, "test_path goes with path .*, not with name"),
        ({"name": "digits", "labels_path": "x"}, "labels_path goes with path"),
        ({"path": "x", "test_labels_path": "y"}, "test_labels_path needs test_path"),
        ({"name": "digits", "validation": 1}, "less than 1"),
        ({"name": "digits", "test": -0.1}, "greater than or equal to 0"),
        ({"name": "digits", "limit": 0}, "greater than or equal to 1"),
        ({"name": "digits", "normalisation": "max"}, "'standard', 'global', 'range' or 'none'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SequenceDataSettings(**settings)


def test_what_messages_call_the_data():
    assert SequenceDataSettings(name="digits").title == "digits"
    assert SequenceDataSettings(path="/a/b/own.npz").title == "own.npz"


def test_data_without_labels_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 2, 1), np.float32))
    with pytest.raises(DataError, match=r"x\.npz has no labels, expected one for each sequence"):
        load(path=str(tmp_path / "x.npz"))


def test_a_test_part_of_another_width_is_refused(archive):
    own, test = archive(), archive("test.npz", features=3)
    with pytest.raises(DataError, match=r"test.npz has 3 features a step, expected 2 as in .*own"):
        load(path=own, test_path=test)


def test_too_few_sequences_are_refused(archive):
    with pytest.raises(DataError, match="too few"):
        load(path=archive(count=2), validation=0.5, test=0.4)


def test_parts_that_leave_nothing_are_refused():
    with pytest.raises(DataError, match="leave nothing for training"):
        load(name="digits", validation=0.6, test=0.4)


def test_a_missing_file_and_an_unknown_set_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.npz: no such file"):
        load(path=str(tmp_path / "nowhere.npz"))
    with pytest.raises(DataError, match=r"no data set is called 'digit', .*did you mean 'digits'"):
        load(name="digit")
