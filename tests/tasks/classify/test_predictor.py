import numpy as np
import pytest
import torch

from unspool.data.sequences import Sequences
from unspool.data.source import Division
from unspool.errors import DataError
from unspool.nn import levels

# --- answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_answer_does_not_depend_on_what_shares_the_batch(
    make_task, sequences, cell, bidirectional
):
    predictor = make_task(cell=cell, bidirectional=bidirectional, num_layers=2).predictor
    data = sequences(300, 7)  # more than one batch
    together, by_step = predictor.probabilities(data), predictor.probabilities_by_step(data)
    assert together.shape == (300, 3)
    np.testing.assert_allclose(together.sum(1), 1, atol=1e-12)
    for place in (0, 17, 255, 256, 299):
        one = data.take([place])
        np.testing.assert_allclose(predictor.probabilities(one)[0], together[place], atol=1e-6)
        np.testing.assert_allclose(
            predictor.probabilities_by_step(one)[0], by_step[place], atol=1e-6
        )
    shuffled = np.random.default_rng(0).permutation(300)
    np.testing.assert_allclose(
        predictor.probabilities(data.take(shuffled)), together[shuffled], atol=1e-6
    )


@pytest.mark.skipif(not levels.names(), reason="there is no native kernel")
@pytest.mark.parametrize("settings", [{}, {"input_projection": 5}, {"pooling": "max"}])
def test_with_native_kernels_no_bit_does(make_task, sequences, settings):
    predictor = make_task(hidden_size=24, **settings).predictor
    data = sequences(70, 7)
    together = predictor.probabilities(data)
    for places in ([0], [7, 3], range(20, 53), range(69)):
        np.testing.assert_array_equal(
            predictor.probabilities(data.take(places)), together[list(places)]
        )


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_belief_after_the_last_step_is_the_answer(make_task, sequences, bidirectional):
    predictor, data = make_task(bidirectional=bidirectional).predictor, sequences(20, 7)
    beliefs = predictor.probabilities_by_step(data)
    assert [len(belief) for belief in beliefs] == data.lengths.tolist()
    last = np.stack([belief[-1] for belief in beliefs])
    np.testing.assert_allclose(last, predictor.probabilities(data), atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_accuracy_by_step_is_that_of_beginnings_cut_by_hand(make_task, sequences, bidirectional):
    predictor = make_task(bidirectional=bidirectional).predictor
    data = sequences(300, 8, lengths=(2, 9))
    data = data.take(np.argsort(data.lengths))  # the first batch has no sequence of nine steps
    assert data.lengths[255] < 9
    evaluation = predictor.evaluate(data, "data", by_step=True)
    longest = int(data.lengths.max())
    assert len(evaluation.accuracy_by_step) == longest
    pieces = np.split(data.values, data.offsets[1:-1])
    for steps, accuracy in enumerate(evaluation.accuracy_by_step, start=1):
        cut = Sequences.from_list([piece[:steps] for piece in pieces], data.labels)
        assert accuracy == pytest.approx(predictor.evaluate(cut, "cut").accuracy)
    assert evaluation.accuracy_by_step[-1] == pytest.approx(evaluation.accuracy)


def test_answering_leaves_the_mode_and_the_random_state_alone(make_task, sequences):
    predictor = make_task(dropout=0.5).predictor
    predictor.model.train()
    before = torch.get_rng_state()
    first, second = (predictor.probabilities(sequences(9, 1)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert predictor.model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_labels_that_are_numbers_are_in_their_order(make_task):
    labels = np.array(["10", "9", "-1", "9.5"])
    data = Sequences.from_array(np.zeros((4, 2, 1), np.float32), labels)
    predictor = make_task(parts=Division(data, data.take([]), data)).predictor
    assert predictor.classes == ("-1", "9", "9.5", "10")


# --- bad data ------------------------------------------------------------------------------


def test_labels_never_seen_in_training_are_named(make_task, sequences):
    data = sequences(3, 1)
    strange = Sequences(data.values, data.lengths, np.array(["low", "high", "higher"]))
    with pytest.raises(
        DataError,
        match=r"x\.npz has labels never seen in training: 'high', 'higher'; expected some of 'low'",
    ):
        make_task().predictor.evaluate(strange, "x.npz")


def test_many_strange_labels_are_cut_short(make_task):
    labels = np.array([f"class {number:02}" for number in range(30)])
    data = Sequences.from_array(np.zeros((30, 2, 3), np.float32), labels)
    with pytest.raises(DataError, match=r"'class 09', … \(30 in all\)"):
        make_task().predictor.evaluate(data, "x.npz")


def test_sequences_without_labels_cannot_be_judged(make_task, sequences):
    data = sequences(3, 1)
    with pytest.raises(DataError, match=r"x\.npz has no labels"):
        make_task().predictor.evaluate(Sequences(data.values, data.lengths), "x.npz")


def test_another_width_is_refused(make_task, sequences):
    with pytest.raises(DataError, match=r"x\.npz has 2 features a step, expected 3 as in training"):
        make_task().predictor.evaluate(sequences(3, 1, features=2), "x.npz")
