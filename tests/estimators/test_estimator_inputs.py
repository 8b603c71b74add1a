"""The forms of X and y, and what is refused."""

import numpy as np
import pytest
import torch

from unspool import DataError
from unspool.estimators.inputs import form_of


@pytest.mark.parametrize(
    ("X", "form"),
    [
        (np.zeros((4, 3)), "table"),
        ([[1, 2], [3, 4]], "table"),
        (np.zeros(3), "table"),  # for scikit-learn to refuse
        (np.zeros((4, 3, 2)), "array"),
        ([[[1, 2]], [[3, 4]]], "array"),
        ([np.zeros(3), np.zeros(3)], "list"),
        ([np.zeros((3, 2)), np.zeros((4, 2))], "list"),
        ((torch.zeros(3), torch.zeros(3)), "list"),
        ([[1, 2], [3]], "list"),
        ([np.float64(1), np.float64(2)], "table"),
    ],
)
def test_forms(X, form):
    assert form_of(X) == form


def test_a_series_of_texts_is_text():
    polars = pytest.importorskip("polars")
    pandas = pytest.importorskip("pandas")
    for texts in (["a b", "c"], polars.Series(["a b", "c"]), pandas.Series(["a b", "c"])):
        assert form_of(texts) == "text"
    assert form_of(polars.Series([1.0, 2.0])) == "table"


def test_one_feature_can_be_written_in_four_ways(small, data):
    rows = data.x[:, :, 0]
    forms = [rows, rows[:, :, None], list(rows), rows.tolist()]
    answers = [small().fit(X, data.y).predict_proba(X) for X in forms]
    for answer in answers[1:]:
        assert np.array_equal(answer, answers[0])


def test_features_in_are_those_of_a_step_and_a_tables_columns(small, data):
    rows = data.x[:, :, 0]
    assert small(epochs=1).fit(data.x, data.y).n_features_in_ == 2
    assert small(epochs=1).fit(list(rows), data.y).n_features_in_ == 1
    assert small(epochs=1).fit(rows, data.y).n_features_in_ == 10


def test_a_table_is_asked_for_its_columns_and_sequences_are_not(small, data):
    rows = data.x[:, :, 0]
    classifier = small(epochs=1).fit(rows, data.y)
    for method in ("predict", "predict_proba", "predict_proba_by_step"):
        with pytest.raises(ValueError, match=r"X has 4 features, but .* is expecting 10 features"):
            getattr(classifier, method)(rows[:, :4])
    as_array = classifier.predict_proba(rows[:, :4, None])
    as_list = classifier.predict_proba([row[:4] for row in rows])
    assert np.array_equal(as_array, as_list)
    assert classifier.predict_proba_by_step(rows).shape == (48, 10, 2)


def test_a_network_of_one_feature_takes_tables_of_any_length(small, data):
    classifier = small(epochs=1).fit(data.x[:, :, :1], data.y)
    assert classifier.predict(data.x[:, :4, 0]).shape == (48,)


def test_prefixes_and_longer_sequences(fitted, data):
    assert fitted.predict(data.x[:, :1]).shape == (48,)
    assert fitted.predict(np.concatenate([data.x, data.x], axis=1)).shape == (48,)
    assert fitted.predict([data.x[0], data.x[1, :3]]).shape == (2,)


def test_what_shares_the_list_does_not_matter(fitted, data):
    together = fitted.predict_proba(data.unequal())
    alone = np.concatenate([fitted.predict_proba([x]) for x in data.unequal()])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([np.zeros((3, 2)), np.zeros((3, 5))], "sequence 1 has 5 features a step, expected 2"),
        ([np.zeros((3, 2)), np.zeros((0, 2))], "X: sequence 1 has no steps"),
        ([np.ones((3, 2)), np.full((1, 2), np.nan)], "X: sequence 1, step 0, feature 0 is nan"),
        (np.full((2, 3, 1), -np.inf), "X: sequence 0, step 0, feature 0 is -inf"),
        (np.zeros((2, 3, 1, 1)), r"shape \(2, 3, 1, 1\), expected \(sequences, steps, features\)"),
        (np.zeros((0, 3, 2)), "X holds no sequences"),
        (np.zeros((2, 3, 0)), "X has no features"),
        (np.zeros((2, 0, 3)), "X: sequence 0 has no steps"),
        (np.full((2, 3, 1), "up"), "expected numbers"),
        (np.full((2, 3, 1), 1e300), "beyond 32-bit floating point"),
        (np.full((2, 3), 1e300), "beyond 32-bit floating point"),
        (np.full((2, 3), np.nan), "Input X contains NaN"),
        (np.zeros((0, 3)), r"Found array with 0 sample\(s\)"),
        ([], "Expected 2D array, got 1D array"),
        (np.zeros(3), "Expected 2D array, got 1D array"),
        (None, "Expected 2D array, got scalar array"),
    ],
)
def test_sequences_that_cannot_be_learned_from(small, X, message):
    with pytest.raises(ValueError, match=message):
        small().fit(X, ["a", "b"])


def test_answers_ask_for_the_features_of_the_training(fitted, data):
    with pytest.raises(DataError, match="X has 1 features a step, expected 2 as in training"):
        fitted.predict(data.x[:, :, :1])
    with pytest.raises(DataError, match="X has 1 features a step, expected 2 as in training"):
        fitted.predict(data.x[:, :, 0])
    with pytest.raises(DataError, match="step 3, feature 1 is nan"):
        fitted.predict(np.where(np.arange(20).reshape(1, 10, 2) == 7, np.nan, data.x))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (["a", "b"], "y has 2 labels for 4 sequences, expected one each"),
        (["a"] * 4, "y holds one class, 'a', expected at least two"),
        (np.zeros((4, 2)), "y should be a 1d array"),
        ([0.5, 1.5, 2.5, 3.5], "Unknown label type: continuous"),
        ([1.0, 0.0, np.nan, 0.0], "Input y contains NaN"),
        (["a", "b", None, "b"], "y mixes labels of different types"),
    ],
)
def test_labels_that_cannot_be_learned(small, y, message):
    with pytest.raises(ValueError, match=message):
        small().fit(np.zeros((4, 3, 1)), y)


def test_a_validation_part_that_would_be_empty(small):
    with pytest.raises(DataError, match="too few"):
        small(validation_fraction=0.1).fit(np.zeros((2, 3, 1)), ["a", "b"])
