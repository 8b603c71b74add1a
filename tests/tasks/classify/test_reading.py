import numpy as np
import pytest
import torch

from unspool.data.sequences import Sequences
from unspool.errors import DataError
from unspool.tasks.classify.reading import read_until

CELLS = ["rnn", "lstm", "gru"]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pooling", ["last", "max"])
@pytest.mark.parametrize("share", [0.2, 0.6, 1.0])
def test_the_beliefs_are_those_by_step_up_to_the_first_that_is_strong_enough(
    make_task, sequences, cell, pooling, share
):
    predictor = make_task(
        cell=cell, pooling=pooling, num_layers=2, input_projection=4, dropout=0.5
    ).predictor
    data = sequences(300, 7, lengths=(1, 9))  # more than one batch
    beliefs = predictor.probabilities_by_step(data)
    until = np.quantile(np.concatenate(beliefs).max(1), share) + 1e-5  # no belief is that near
    read = predictor.probabilities_until(data, until)
    stopped = 0
    for found, by_step in zip(read, beliefs, strict=True):
        np.testing.assert_allclose(found, by_step[: len(found)], atol=1e-6)
        assert (found[:-1].max(1) < until).all()
        assert len(found) == len(by_step) or found[-1].max() >= until
        stopped += len(found) < len(by_step)
    assert stopped == 0 if share == 1 else stopped > 10


def test_steps_that_come_after_are_not_looked_at(make_task, sequences):
    """What is not finite would show in the belief."""
    predictor = make_task(cell="lstm").predictor
    data = sequences(60, 3, lengths=(8, 8))
    whole = predictor.probabilities_until(data, 0.4)
    values = data.values.reshape(60, 8, -1).copy()
    for row, read in zip(values, whole, strict=True):
        row[len(read) :] = np.nan
    again = predictor.probabilities_until(Sequences.from_array(values), 0.4)
    for one, other in zip(again, whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_is_computed_for_what_was_left(make_task, sequences, monkeypatch):
    model = make_task(cell="gru").predictor.model.eval()
    data = sequences(40, 3, lengths=(6, 6))
    x = torch.from_numpy(data.values).view(40, 6, -1)
    sizes = []
    step = model.recurrent.step
    monkeypatch.setattr(
        model.recurrent, "step", lambda x_t, state: (sizes.append(len(x_t)), step(x_t, state))[1]
    )
    with torch.inference_mode():
        read = read_until(model, x, torch.from_numpy(data.lengths), 0.4)
    steps = np.array([len(beliefs) for beliefs in read])
    assert sizes == [(steps > before).sum() for before in range(steps.max())]
    assert sizes[-1] < 40


def test_a_text_is_read_until_it_is_known():
    from unspool.data.labelled_text import LabelledText
    from unspool.data.vocabulary import VocabularySettings
    from unspool.data.vocabulary_fitting import fit
    from unspool.models.classifier import ClassifierSettings
    from unspool.tasks.classify.predictor import LabelPredictor

    texts = LabelledText(("abc", "cabbage", "bad", "a"), np.array(["p", "q", "p", "q"]))
    vocabulary = fit(texts.texts, VocabularySettings(unit="character"))
    data = texts.tokenised(vocabulary)
    predictor = LabelPredictor.untrained(
        data, ClassifierSettings(hidden_size=5, token_dropout=0.3), 1, vocabulary=vocabulary
    )
    read = predictor.probabilities_until(data, 1.0)
    for found, by_step in zip(read, predictor.probabilities_by_step(data), strict=True):
        np.testing.assert_allclose(found, by_step, atol=1e-6)


def test_a_network_that_reads_from_both_ends_cannot_stop(make_task, sequences):
    predictor, data = make_task(bidirectional=True).predictor, sequences(3, 1)
    with pytest.raises(DataError, match=r"reads from both ends, .* model\.bidirectional=false"):
        predictor.probabilities_until(data, 0.9)
    with pytest.raises(DataError, match="reads from both ends"):
        predictor.evaluate(data, "data", until=0.9)


def test_evaluation_stops_where_reading_does(make_task, sequences):
    predictor, data = make_task().predictor, sequences(300, 8, lengths=(2, 9))
    found = predictor.evaluate(data, "data", until=0.4).until
    read = predictor.probabilities_until(data, 0.4)
    answers = np.array([beliefs[-1].argmax() for beliefs in read])
    assert found.chosen.belief == 0.4
    assert found.chosen.accuracy == pytest.approx(
        (answers == predictor.targets(data, "data")).mean()
    )
    assert found.chosen.mean_steps == pytest.approx(np.mean([len(beliefs) for beliefs in read]))
    assert found.steps == pytest.approx(data.lengths.mean())


def test_calibration_by_step_is_that_of_the_beliefs_by_step(make_task, sequences):
    from unspool.tasks.classify.calibration import reliability

    predictor, data = make_task().predictor, sequences(90, 8, lengths=(8, 8))
    evaluation = predictor.evaluate(data, "data", by_step=True)
    beliefs = np.stack(predictor.probabilities_by_step(data))
    targets = predictor.targets(data, "data")
    expected = [
        reliability(belief.max(1), belief.argmax(1) == targets, step).error
        for step, belief in enumerate(beliefs.swapaxes(0, 1), start=1)
    ]
    assert evaluation.ece_by_step == pytest.approx(expected)
    assert [one.steps for one in evaluation.reliability] == [4, 6, 8]
    assert evaluation.until is None
