import io

import numpy as np
import pytest
from PIL import Image

from unspool.inspection import plots
from unspool.tasks.classify.evaluation import LabelEvaluation
from unspool.tasks.classify.predictor import LabelPredictor

(ACCURACY,) = LabelPredictor.metrics
ODD_NAMES = ["$x_", "$\\frac$", "数字", "a" * 300, "two\nlines", "[red]", "", "😀", "\x07"]


def check(picture: bytes) -> None:
    """A picture that opens, of a sensible size, and not blank."""
    image = Image.open(io.BytesIO(picture))
    image.load()
    assert image.format == "PNG"
    assert 300 < min(image.size) <= max(image.size) <= 1600
    assert np.asarray(image.convert("L")).std() > 1


def record(step, split="train", loss=1.0, accuracy=0.5):
    return {
        "step": step,
        "epoch": 1,
        "seconds": 1.0,
        "split": split,
        "loss": loss,
        "metrics": {"accuracy": accuracy},
    }


def evaluation(classes, seed=0, count=50, by_step=None):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.ones(len(classes)), count)
    return LabelEvaluation.of(
        classes, probabilities, random.integers(0, len(classes), count), by_step
    )


@pytest.mark.parametrize(
    "records",
    [
        [],
        [record(1)],
        [record(step, loss=1 / step) for step in range(1, 50)],
        [record(1, loss=None, accuracy=None)],
        [record(1), record(1, "validation", loss=None)],
        [record(1), record(1, "validation"), record(2), record(2, "validation", 0.5, 1.0)],
        [record(1, loss=0.0, accuracy=1.0), record(1, "validation", loss=0.0, accuracy=1.0)],
        [record(1, loss=1e30), record(2, loss=1e-30)],
    ],
    ids=["none", "one", "no validation", "no figures", "nan", "usual", "perfect", "wide"],
)
def test_curves(records):
    check(plots.curves(records, "run", ACCURACY, "sequence"))


@pytest.mark.parametrize("title", ODD_NAMES)
def test_odd_titles(title):
    check(plots.curves([record(1)], title, ACCURACY, "sequence"))
    check(plots.confusion(evaluation(["a", "b"]), title))
    check(plots.accuracy_by_step(evaluation(["a", "b"], by_step=[0.5, 1.0]), title))


@pytest.mark.parametrize(
    "classes",
    [["only"], ["a", "b"], list(map(str, range(10))), list(map(str, range(40))), ODD_NAMES],
    ids=["1", "2", "10", "40", "odd"],
)
def test_confusion(classes):
    check(plots.confusion(evaluation(classes), "digits (test part)"))


def test_confusion_without_a_mistake():
    perfect = LabelEvaluation.of(["a", "b"], np.eye(2), np.arange(2))
    check(plots.confusion(perfect, "digits"))


@pytest.mark.parametrize("steps", [1, 2, 1000])
def test_accuracy_by_step(steps):
    accuracies = np.linspace(0, 1, steps).tolist()
    check(plots.accuracy_by_step(evaluation(["a", "b"], by_step=accuracies), "digits"))


def test_learning_rates():
    rates = np.geomspace(1e-6, 1, 50).tolist()
    check(plots.lr_search(rates, [1.0 / (1 + rate) for rate in rates], 0.01))
