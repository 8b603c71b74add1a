"""Nearest neighbours in state space."""

import numpy as np
import pytest
import torch

from unspool.data.corpus import Corpus
from unspool.errors import DataError
from unspool.inspection.neighbours import final_states, neighbours
from unspool.inspection.tracing import subject
from unspool.tasks.predict.predictor import TextPredictor


class Known:
    """Stands for the settings of data whose parts a test gives itself."""

    title = "own"


def test_sequences(classifier, sequences, monkeypatch):
    predictor, training = classifier(), sequences(30, 1)
    predictor.data = Known()
    monkeypatch.setattr(predictor, "read_part", lambda split, _: {"train": training}[split])
    found = neighbours(subject(predictor, training.take([4, 7])), 5)
    assert [of_one[0].place for of_one in found.found] == [4, 7]
    assert found.found[0][0].likeness == pytest.approx(1, abs=1e-5)
    for of_one in found.found:
        assert len(of_one) == 5
        likenesses = [each.likeness for each in of_one]
        assert likenesses == sorted(likenesses, reverse=True)
        assert [each.label for each in of_one] == training.labels[
            [e.place for e in of_one]
        ].tolist()
    states = final_states(predictor, training)
    assert states.shape == (30, 9)
    by_hand = states - states.mean(0)
    by_hand /= np.linalg.norm(by_hand, axis=1, keepdims=True)
    expected = np.argsort(-by_hand @ by_hand[4], kind="stable")[:5]
    assert [each.place for each in found.found[0]] == expected.tolist()


@pytest.mark.parametrize("view", ["streams", "windows"])
def test_places_in_a_text(language_model, view, monkeypatch):
    predictor: TextPredictor = language_model(view=view)
    text = "the cat slept. the mice spoke! the mice met in the old barn " * 6
    corpus = Corpus.from_texts([text], predictor.vocabulary)
    predictor.data = Known()
    predictor.data.field = "text"
    monkeypatch.setattr(predictor, "read_part", lambda *_: corpus)
    found = neighbours(subject(predictor, ["in the old barn"]), 3).found
    best = found[0][0]
    assert best.text.endswith("the old barn" if view == "windows" else best.text[-4:])
    assert best.likeness <= 1 + 1e-5
    assert len({each.text for each in found[0]}) == len(found[0]) == 3
    if view == "windows":
        assert best.likeness == pytest.approx(1, abs=1e-5)
        assert best.label.startswith("the cat")


def test_without_data_or_of_another_task(classifier, sequences, pair_model):
    with pytest.raises(DataError, match="does not know its training data"):
        neighbours(subject(classifier(), sequences(2, 1)), 3)
    with pytest.raises(DataError, match="is of task 'translate'"):
        neighbours(subject(pair_model(), "ab"), 3)
    assert not torch.is_inference_mode_enabled()
