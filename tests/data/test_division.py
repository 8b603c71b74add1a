import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from unspool.data.division import divide
from unspool.errors import DataError

FRACTIONS = st.sampled_from([0.0, 0.05, 0.1, 0.2, 1 / 3, 0.45])


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.booleans(), FRACTIONS, FRACTIONS)
def test_parts_are_sorted_disjoint_and_complete(labels, labelled, validation, test):
    try:
        parts = divide(labels if labelled else None, len(labels), validation=validation, test=test)
    except DataError:
        reject()  # too few sequences for these fractions, which has its own test
    assert all((np.diff(part) > 0).all() for part in parts)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    if labelled:
        assert {labels[index] for index in parts.train} == set(labels)


@given(st.lists(st.integers(50, 200), min_size=1, max_size=5), FRACTIONS, FRACTIONS)
def test_parts_have_the_size_asked_for_and_each_label_its_share(sizes, validation, test):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = divide(labels, len(labels), validation=validation, test=test)
    for part, fraction in ((parts.validation, validation), (parts.test, test)):
        assert abs(len(part) - fraction * len(labels)) <= 0.5
        share = np.bincount(labels[part], minlength=len(sizes))
        assert (abs(share - fraction * np.array(sizes)) < 1).all()


@given(FRACTIONS)
def test_the_test_part_does_not_depend_on_the_validation_part(validation):
    labels = np.arange(100) % 3
    alone = divide(labels, 100, validation=0, test=0.2)
    both = divide(labels, 100, validation=validation, test=0.2)
    assert np.array_equal(alone.test, both.test)


def test_the_division_never_changes():
    """Numbers written down once: a change would make all earlier results incomparable."""
    parts = divide(list("aaaaaabbbbbb"), 12, validation=1 / 6, test=1 / 3)
    assert [part.tolist() for part in parts] == [
        [0, 2, 3, 6, 7, 10],
        [1, 9],
        [4, 5, 8, 11],
    ]


def test_labels_need_not_be_sorted_and_parts_are_mixed():
    parts = divide(None, 1000, validation=0.1, test=0.2)
    assert [len(part) for part in parts] == [700, 100, 200]
    assert 350 < parts.test.mean() < 650  # drawn from everywhere, not from one end


def test_a_third_of_digits_is_stratified():
    from unspool.data import catalogue

    digits, _ = catalogue.load("digits")
    parts = divide(digits.labels, len(digits), validation=0, test=1 / 3)
    assert len(parts.test) == 599
    _, whole = np.unique(digits.labels, return_counts=True)
    _, third = np.unique(digits.labels[parts.test], return_counts=True)
    assert (abs(third - whole / 3) < 1).all()


def test_a_label_with_one_member_goes_to_training():
    labels = ["common"] * 20 + ["rare"]
    parts = divide(labels, 21, validation=0.3, test=0.3)
    assert 20 in parts.train


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({"validation": 1.0, "test": 0}, "validation fraction is 1, expected 0 <= validation < 1"),
        ({"validation": 0, "test": -0.1}, "test fraction is -0.1"),
        ({"validation": 0, "test": float("nan")}, "test fraction is nan"),
        ({"validation": 0.5, "test": 0.5}, "leave nothing for training"),
    ],
)
def test_impossible_fractions_are_refused(fractions, message):
    with pytest.raises(DataError, match=message):
        divide(None, 10, **fractions)


def test_too_few_sequences_are_refused():
    with pytest.raises(DataError, match=r"2 sequences are too few: the test part of fraction 0.5"):
        divide(["a", "b"], 2, validation=0, test=0.5)


def test_labels_of_another_count_are_refused():
    with pytest.raises(DataError, match=r"labels have shape \(1,\), expected \(2,\)"):
        divide(["a"], 2, validation=0, test=0)
