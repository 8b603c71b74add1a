import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)

from unspool.tasks.classify.evaluation import LabelEvaluation


@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_figures_are_those_of_scikit_learn(count, classes, seed):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(classes), count)
    targets = random.integers(0, classes, count)
    evaluation = LabelEvaluation.of([str(c) for c in range(classes)], probabilities, targets)
    answers = probabilities.argmax(1)
    assert evaluation.count == count == evaluation.confusion.sum()
    assert evaluation.accuracy == pytest.approx(accuracy_score(targets, answers))
    expected = log_loss(targets, probabilities, labels=range(classes))
    assert evaluation.loss == pytest.approx(expected, abs=1e-9)
    np.testing.assert_array_equal(
        evaluation.confusion, confusion_matrix(targets, answers, labels=range(classes))
    )
    figures = precision_recall_fscore_support(
        targets, answers, labels=range(classes), zero_division=0
    )
    names = ("precision", "recall", "f1", "count")
    for row, *wanted in zip(evaluation.by_class(), *figures, strict=True):
        assert [row[name] for name in names] == pytest.approx(wanted)


def test_a_probability_that_underflowed_gives_a_large_and_finite_loss():
    evaluation = LabelEvaluation.of(["a", "b"], np.array([[1.0, 0.0]]), np.array([1]))
    assert 700 < evaluation.loss < 710
    assert evaluation.accuracy == 0


def test_a_class_that_is_not_there_has_zeros():
    evaluation = LabelEvaluation.of(["a", "b"], np.array([[0.9, 0.1]]), np.array([0]))
    assert evaluation.by_class()[1] == {
        "label": "b",
        "precision": 0,
        "recall": 0,
        "f1": 0,
        "count": 0,
    }


def test_a_single_class():
    evaluation = LabelEvaluation.of(["only"], np.ones((3, 1)), np.zeros(3, np.int64))
    assert (evaluation.loss, evaluation.accuracy, evaluation.confusion.tolist()) == (0, 1, [[3]])
    assert evaluation.by_class()[0]["recall"] == 1
