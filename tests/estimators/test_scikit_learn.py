"""scikit-learn's own checks, and its tools at work with the estimator."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from unspool import SequenceClassifier


@parametrize_with_checks(
    [SequenceClassifier(hidden_size=16, epochs=20, learning_rate=0.02, random_state=0)],
)
def test_conventions(estimator, check):
    check(estimator)


def test_clone_has_the_parameters_and_no_network(fitted):
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    assert not hasattr(copied, "predictor_")


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_answer_alike(fitted, data, duplicate):
    copied = duplicate(fitted)
    assert np.array_equal(copied.predict_proba(data.x), fitted.predict_proba(data.x))
    assert copied.history_ == fitted.history_


def test_a_fitted_classifier_keeps_no_training_data(small, waves):
    few, many = (small(epochs=1).fit(w.x, w.y) for w in (waves(32), waves(320)))
    difference = len(pickle.dumps(many)) - len(pickle.dumps(few))
    assert abs(difference) < waves(32).x.astype(np.float32).nbytes


def test_grid_search_over_lists_of_unequal_lengths(small, data):
    grid = {"cell": ["gru", "rnn"], "hidden_size": np.array([2, 4])}
    search = GridSearchCV(small(), grid, cv=2, error_score="raise").fit(data.unequal(), data.y)
    assert search.best_params_ in [
        {"cell": cell, "hidden_size": size} for cell in grid["cell"] for size in (2, 4)
    ]
    assert set(search.predict(data.unequal())) <= {"fades", "grows"}


def test_cross_validation_in_processes_equals_that_in_one(small, data):
    apart = cross_val_score(small(), data.x, data.y, cv=2, n_jobs=2, error_score="raise")
    within = cross_val_score(small(), data.x, data.y, cv=2, error_score="raise")
    assert apart.tolist() == within.tolist()


def test_pipeline_of_a_table(small):
    X, y = make_blobs(60, n_features=3, centers=2, random_state=0)
    X *= [1, 10, 100]
    pipeline = make_pipeline(StandardScaler(), small(epochs=20, learning_rate=0.03)).fit(X, y)
    assert pipeline.score(X, y) > 0.9
    assert pipeline[-1].n_features_in_ == 3


def test_names_of_a_data_frame_are_kept_until_the_next_fit(small, data):
    frame = pd.DataFrame(data.x[:, :3, 0], columns=["first", "second", "third"])
    classifier = small(epochs=1).fit(frame, pd.Series(data.y))
    assert classifier.feature_names_in_.tolist() == ["first", "second", "third"]
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(frame.rename(columns={"first": "last"}))
    classifier.fit(data.x, data.y)
    assert not hasattr(classifier, "feature_names_in_")


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_proba_by_step", "save"])
def test_before_fit(small, method, data):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(small(), method)(data.x)
