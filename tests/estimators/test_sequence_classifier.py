"""What the estimator learns, and what it tells of it."""

import numpy as np
import pytest
import torch

from unspool import RecipeError, SequenceClassifier


def test_defaults_learn_a_small_problem(waves):
    training, new = waves(40), waves(40, seed=1)
    classifier = SequenceClassifier(random_state=0).fit(training.x, training.y)
    assert classifier.score(new.x, new.y) > 0.9


@pytest.mark.parametrize(
    "parameters",
    [
        {"cell": "gru", "num_layers": 2, "dropout": 0.2},
        {"cell": "rnn", "optimizer": "rmsprop", "schedule": "constant"},
        {"bidirectional": True, "input_projection": 4, "schedule": "cosine", "warmup": 0.1},
        {"forget_bias": 1.0, "objective": "every-step", "clip_norm": None},
        {"class_weight": "balanced", "normalisation": "global", "weight_decay": 0.01},
    ],
)
def test_every_kind_of_network_beats_guessing(small, parameters, data):
    classifier = small(epochs=25, learning_rate=0.02, **parameters).fit(data.x, data.y)
    assert classifier.score(data.x, data.y) > 0.8


# --- randomness ----------------------------------------------------------------------------


def _weights(classifier):
    return torch.cat([weight.flatten() for weight in classifier.predictor_.model.parameters()])


def test_one_random_state_one_network(small, data):
    parameters = {"num_layers": 2, "dropout": 0.5, "validation_fraction": 0.25}
    first, second = (small(**parameters).fit(data.x, data.y) for _ in range(2))
    other = small(**parameters, random_state=1).fit(data.x, data.y)
    assert torch.equal(_weights(first), _weights(second))
    assert not torch.equal(_weights(first), _weights(other))


def test_a_random_state_instance_moves_on_between_fits(small, data):
    random = np.random.RandomState(0)
    first, second = (small(random_state=random).fit(data.x, data.y) for _ in range(2))
    again = small(random_state=np.random.RandomState(0)).fit(data.x, data.y)
    assert not torch.equal(_weights(first), _weights(second))
    assert torch.equal(_weights(first), _weights(again))


def test_without_random_state_numpys_global_state_decides(small, data):
    networks = []
    for _ in range(2):
        np.random.seed(5)  # noqa: NPY002 - the very state that scikit-learn falls back on
        networks.append(_weights(small(random_state=None).fit(data.x, data.y)))
    assert torch.equal(*networks)


def test_global_random_states_are_left_alone(small, data):
    before_torch, before_numpy = torch.get_rng_state(), np.random.get_state()[1:3]  # noqa: NPY002
    classifier = small(num_layers=2, dropout=0.5, validation_fraction=0.2).fit(data.x, data.y)
    classifier.predict_proba_by_step(data.x)
    after_numpy = np.random.get_state()[1:3]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before_torch)
    assert np.array_equal(after_numpy[0], before_numpy[0])
    assert after_numpy[1] == before_numpy[1]


# --- labels --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        np.array([10, 9], np.int8),
        np.array([-1, 1]),
        np.array([0.0, 2.0]),
        np.array([False, True]),
        np.array(["10", "9"]),  # by number 9 comes first, as text 10
        np.array(["ja", "nein"], object),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_come_back_as_they_were(small, labels, data):
    y = labels[(data.y == "grows").astype(int)]
    classifier = small(epochs=25, learning_rate=0.03).fit(data.x, y)
    answers = classifier.predict(data.x)
    assert answers.dtype == y.dtype
    assert (answers == y).mean() > 0.9  # and in the right order
    assert classifier.classes_.tolist() == sorted(labels.tolist())


@pytest.mark.parametrize("labels", [[3, 4], [3.0, 4.0], ["3", "4"], [False, True]])
def test_class_weights_are_named_by_the_labels_themselves(small, labels, data):
    y = np.array(labels)[(data.y == "grows").astype(int)]
    light, heavy = np.unique(y)
    classifier = small(
        epochs=20, learning_rate=0.05, class_weight={light: 1e-6, heavy: np.float64(1.0)}
    )
    assert (classifier.fit(data.x, y).predict(data.x) == heavy).all()


def test_balanced_weights_are_the_inverse_frequencies(small, data):
    y = np.repeat(["often", "seldom"], [36, 12])
    balanced = small(class_weight="balanced").fit(data.x, y)
    by_hand = small(class_weight={"often": 48 / 72, "seldom": 48 / 24}).fit(data.x, y)
    np.testing.assert_allclose(
        balanced.predict_proba(data.x), by_hand.predict_proba(data.x), rtol=1e-4
    )


# --- validation and history ----------------------------------------------------------------


def test_history_has_a_record_an_epoch(small, data):
    classifier = small(epochs=3, batch_size=7).fit(data.x, data.y)
    assert [(record["epoch"], record["split"]) for record in classifier.history_] == [
        (1, "train"),
        (2, "train"),
        (3, "train"),
    ]
    assert classifier.n_iter_ == 3
    assert classifier.validation_ is None


def test_validation_chooses_the_network_that_is_kept(small, data):
    classifier = small(epochs=6, validation_fraction=0.25, learning_rate=0.1, schedule="constant")
    classifier.fit(data.x, data.y)
    losses = [record["loss"] for record in classifier.history_ if record["split"] == "validation"]
    assert len(losses) == 6
    assert classifier.validation_["loss"] == pytest.approx(min(losses))


def test_patience_ends_a_training_that_no_longer_improves(small, data):
    noise = np.random.default_rng(0).permutation(data.y)
    classifier = small(epochs=60, validation_fraction=0.25, patience=2, learning_rate=0.03)
    assert classifier.fit(data.x, noise).n_iter_ < 60


def test_verbose_prints_the_records(small, data, capsys):
    small(epochs=1, validation_fraction=0.25, verbose=True).fit(data.x, data.y)
    training, validation = capsys.readouterr().out.splitlines()
    assert training.startswith("epoch 1  train  loss 0.")
    assert validation.startswith("epoch 1  validation  loss 0.")


# --- beliefs -------------------------------------------------------------------------------


def test_probabilities_add_up_and_choose_the_answer(fitted, data):
    probabilities = fitted.predict_proba(data.x)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert np.array_equal(fitted.classes_[probabilities.argmax(1)], fitted.predict(data.x))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_belief_after_a_step_is_that_of_the_beginning_alone(small, bidirectional, data):
    classifier = small(bidirectional=bidirectional).fit(data.x, data.y)
    by_step = classifier.predict_proba_by_step(data.x)
    assert by_step.shape == (48, 10, 2)
    for steps in (1, 4, 10):
        beginning = classifier.predict_proba(data.x[:, :steps])
        np.testing.assert_allclose(by_step[:, steps - 1], beginning, atol=1e-6)


def test_beliefs_about_a_list_are_a_list(fitted, data):
    by_step = fitted.predict_proba_by_step(data.unequal())
    assert [belief.shape for belief in by_step[:3]] == [(10, 2), (9, 2), (8, 2)]
    last = np.stack([belief[-1] for belief in by_step])
    np.testing.assert_allclose(last, fitted.predict_proba(data.unequal()), atol=1e-6)


def test_reading_until_it_is_sure(fitted, data, small):
    X = data.unequal()
    beliefs = fitted.predict_proba_by_step(X)
    labels, steps = fitted.read_until(X, belief=0.8)
    for belief, label, read in zip(beliefs, labels, steps, strict=True):
        sure = np.flatnonzero(belief.max(1) >= 0.8)
        assert read == (sure[0] + 1 if len(sure) else len(belief))
        assert label == fitted.classes_[belief[read - 1].argmax()]
    assert 1 < steps.mean() < 10
    for wrong in (0, 1.1, -1, np.nan):
        with pytest.raises(ValueError, match="expected a probability above 0 and at most 1"):
            fitted.read_until(X, belief=wrong)
    both = small(bidirectional=True).fit(data.x, data.y)
    with pytest.raises(ValueError, match="reads from both ends"):
        both.read_until(data.x)


# --- parameters ----------------------------------------------------------------------------


def test_everything_wrong_is_told_at_once_by_its_own_name(small, data):
    wrong = small(cell="lstn", hidden_size=0, learning_rate=-1.0, validation_fraction=1.0)
    with pytest.raises(RecipeError) as raised:
        wrong.fit(data.x, data.y)
    for problem in ("cell = 'lstn'", "hidden_size = 0", "learning_rate = -1.0", "validation_fract"):
        assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cell": "gru", "forget_bias": 1.0}, "forget_bias needs cell 'lstm'"),
        ({"warmup": 0.0}, "schedule: one-cycle needs warmup above 0"),
        ({"patience": 2}, "patience watches the validation part, expected validation_fraction"),
        ({"schedule": "plateau"}, "schedule 'plateau' watches the validation part"),
        ({"class_weight": "heavy"}, "class_weight: expected 'balanced' or {label: weight above 0}"),
        ({"class_weight": {"fades": 0}}, "class_weight: expected 'balanced' or {label: weight ab"),
        ({"class_weight": {"stays": 1}}, "class_weight names 'stays', expected labels of y: 'fade"),
        ({"device": "tpu"}, "device = 'tpu'"),
        ({"validation_fraction": np.nan}, "validation_fraction"),
    ],
)
def test_wrong_parameters_are_explained(small, parameters, message, data):
    with pytest.raises(RecipeError) as raised:
        small(**parameters).fit(data.x, data.y)
    assert message in str(raised.value)


def test_numpys_numbers_are_numbers(small, data):
    classifier = small(hidden_size=np.int64(4), learning_rate=np.float32(0.01), epochs=np.int16(1))
    assert classifier.fit(data.x, data.y).n_iter_ == 1
