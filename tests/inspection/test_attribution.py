"""What speaks for an answer: integrated gradients by their axioms, and of the models."""

import numpy as np
import pytest
import torch

from unspool.errors import DataError
from unspool.inspection.attribution import integrated_gradients, log_odds
from unspool.inspection.explaining import explain
from unspool.inspection.tracing import subject
from unspool.nn import LSTM


def test_of_a_sum_every_number_gets_what_it_adds():
    weights = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
    x, baseline = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.ones(2, 2)
    found = integrated_gradients(lambda each: (each * weights).sum((1, 2)), x, baseline)
    assert np.allclose(found.values, ((x - baseline) * weights).numpy())
    assert np.allclose(found.by_step, [-2, 9])
    assert found.gap < 1e-5
    assert found.points == 32


def test_a_known_integral():
    """Of x² y from zero: 2/3 of the whole to x and 1/3 to y."""
    found = integrated_gradients(
        lambda each: each[:, 0, 0] ** 2 * each[:, 0, 1],
        torch.tensor([[2.0, 3.0]]),
        torch.zeros(1, 2),
        fewest=512,
    )
    assert np.allclose(found.values, [[8.0, 4.0]], atol=1e-3)
    assert (found.output, found.baseline) == (12, 0)


def test_points_are_added_until_the_parts_add_up():
    def steep(each):
        return torch.sigmoid(400 * (each[:, 0, 0] - 0.701))

    x, baseline = torch.ones(1, 1), torch.zeros(1, 1)
    found = integrated_gradients(steep, x, baseline, fewest=2)
    assert found.points > 2
    assert found.gap <= 0.01
    assert integrated_gradients(steep, x, baseline, fewest=2, most=2).points == 2


def test_of_a_recurrent_network_the_parts_add_up():
    torch.manual_seed(0)
    layer = LSTM(3, 8, batch_first=True).requires_grad_(False)
    x = torch.randn(6, 3)
    found = integrated_gradients(lambda each: layer(each)[0][:, -1].sum(1), x, torch.zeros(6, 3))
    assert found.values.shape == (6, 3)
    assert found.gap <= 0.01 * abs(found.output - found.baseline)


def test_log_odds():
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    p = logits.softmax(-1)[0, 1]
    assert torch.allclose(log_odds(logits, 1), torch.log(p / (1 - p))[None])


def test_an_answer_about_a_picture(picture_classifier, pictures):
    predictor = picture_classifier
    read = subject(predictor, pictures[:2])
    found = explain(read, 1)
    logits = torch.from_numpy(predictor.probabilities(read.sequences)[1]).log()
    assert found.label == predictor.classes[int(logits.argmax())]
    assert found.compared_with == "a blank picture"
    assert found.attribution.output == pytest.approx(
        float(log_odds(logits[None], int(logits.argmax()))[0]), abs=1e-4
    )
    assert (found.attribution.values[pictures[1] == 0] == 0).all()
    assert found.attribution.gap <= 0.02
    other = explain(read, 1, "b" if found.label == "a" else "a")
    assert other.attribution.output < found.attribution.output
    assert "add up but for" in found.note
    assert np.isclose(sum(found.finding()["by_step"]), found.attribution.values.sum())


def test_an_answer_about_a_series_is_compared_with_the_mean(classifier, sequences):
    predictor = classifier()
    read = subject(predictor, sequences(3, 9))
    found = explain(read, 2)
    assert found.compared_with == "the mean of the training data"
    assert found.attribution.values.shape == (read.sequences.lengths[2], 3)
    assert all(each.requires_grad for each in predictor.model.parameters())


@pytest.mark.parametrize("view", ["streams", "windows"])
def test_the_next_word(language_model, view):
    predictor = language_model(view=view)
    found = explain(subject(predictor, "the mice met"), 0)
    best = predictor.next_tokens(predictor.read("the mice met"), 1)
    assert found.label == best["label"]
    steps = 3 if view == "windows" else 4
    assert found.attribution.values.shape == (steps, 1)
    odds = np.log(best["probability"] / (1 - best["probability"]))
    assert found.attribution.output == pytest.approx(odds, abs=1e-4)
    assert explain(subject(predictor, "the mice met"), 0, "barn").label == "barn"
    assert not predictor.model.embedding._forward_hooks


def test_what_cannot_be_explained(picture_classifier, pictures, language_model, pair_model):
    with pytest.raises(DataError, match="has 'x', expected one of the labels 'a', 'b', 'c'"):
        explain(subject(picture_classifier, pictures), 0, "x")
    with pytest.raises(DataError, match="has 'dog', expected a token"):
        explain(subject(language_model(), "the"), 0, "dog")
    with pytest.raises(DataError, match="is of task 'translate'"):
        explain(subject(pair_model(), "ab"), 0)
