import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

import unspool
from unspool import DataError, LanguageModel, RecipeError
from unspool.estimators.language_model import Candidate
from unspool.nn.dropout import LockedDropout

TEXTS = ["the cat sleeps and the mouse sings and"] * 12 + ["the mouse sleeps\nthe cat sings"] * 4


def fitted(**parameters) -> LanguageModel:
    values = {"cell": "gru", "hidden_size": 12, "epochs": 6, "batch_size": 4, "steps": 4}
    chosen = {**values, "learning_rate": 0.03, "random_state": 0, **parameters}
    return LanguageModel(**chosen).fit(TEXTS)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return fitted()


# --- learning ------------------------------------------------------------------------------


def test_it_learns(model):
    assert model.vocabulary_[:2] == ("<unk>", "<eos>")
    assert set(model.vocabulary_[2:]) == {"the", "cat", "mouse", "sleeps", "sings", "and"}
    assert model.n_iter_ == 6
    losses = [record["loss"] for record in model.history_]
    assert losses[-1] < losses[0] - 0.2
    assert model.validation_ is None


def test_one_random_state_gives_one_network(model, same_weights):
    assert same_weights(fitted().predictor_.model, model.predictor_.model)
    other = fitted(random_state=1)
    assert not same_weights(other.predictor_.model, model.predictor_.model)


def test_what_is_held_back_chooses_the_epoch():
    model = fitted(validation_fraction=0.25, patience=3)
    assert set(model.validation_) == {"loss", "perplexity"}
    held_back = model.score(TEXTS[-4:])
    assert -held_back == pytest.approx(model.validation_["loss"], rel=1e-5)


@pytest.mark.parametrize(
    "parameters",
    [
        {"unit": "character"},
        {"unit": "byte", "dropout": 0.2},
        {"unit": "bpe", "vocabulary_size": 262},
        {"view": "windows", "context": 2},
        {"vocabulary_size": 5, "tie_weights": True, "embedding_size": 7},
        {"optimizer": "nt-asgd", "learning_rate": 1.0, "validation_fraction": 0.2},
        {"cell": "lstm", "num_layers": 2, "dropout": 0.3, "schedule": "constant"},
    ],
)
def test_networks_and_tokens_of_every_kind(parameters):
    model = fitted(epochs=2, **parameters)
    assert 1 < model.perplexity(TEXTS) < len(model.vocabulary_) * 2
    assert len(model.generate("the", 5, random_state=0)) == 1
    assert sum(c.probability for c in model.predict_next("the", top=10_000)) == pytest.approx(1)


def test_one_share_of_dropout_stands_everywhere():
    network = fitted(epochs=1, num_layers=2, dropout=0.25).predictor_.model
    assert [type(dropout) for dropout in network.dropouts] == [LockedDropout] * 3
    dropout = network.settings.dropout
    assert (dropout.inputs, dropout.layers, dropout.outputs) == (0.25, 0.25, 0.25)
    assert (dropout.words, dropout.weights) == (0.0, 0.0)


@pytest.mark.parametrize("method", ["read", "predict_next", "generate", "perplexity", "score"])
def test_before_fit(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(LanguageModel(), method)("the cat")


def test_scikit_learn_s_conventions(model):
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "predictor_")
    assert not hasattr(copy, "vocabulary_")
    search = GridSearchCV(
        LanguageModel("gru", epochs=1, random_state=0), {"hidden_size": [2, 16]}, cv=2
    )
    search.fit(TEXTS)
    assert search.best_params_["hidden_size"] == 16


# --- what comes next -----------------------------------------------------------------------


def test_candidates_are_ranked(model):
    found = model.predict_next("the cat", top=3)
    assert all(isinstance(candidate, Candidate) for candidate in found)
    probabilities = [candidate.probability for candidate in found]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len(model.predict_next("the", top=99)) == len(model.vocabulary_)
    assert model.predict_next()  # at the beginning of a text
    assert model.predict_next("xyzzy") == model.predict_next("<unk>")
    with pytest.raises(ValueError, match="top is 0, expected 1 or more"):
        model.predict_next("the", top=0)


@pytest.mark.parametrize("view", ["streams", "windows"])
def test_a_state_stands_for_what_was_read(view):
    model = fitted(epochs=1, view=view)
    state = model.read("the cat")
    further = model.read("sleeps", state)
    for text, found in (
        ("the cat", model.predict_next(state=state, top=9)),
        ("the cat sleeps", model.predict_next("sleeps", state=state, top=9)),
        ("the cat sleeps and", model.predict_next("and", state=further, top=9)),
    ):
        expected = {c.token: c.probability for c in model.predict_next(text, top=9)}
        assert {c.token: c.probability for c in found} == pytest.approx(expected, rel=1e-5)
    assert repr(state).startswith("TextState(after ")


def test_texts_are_written_on(model):
    texts = model.generate("the", 8, count=3, random_state=5)
    assert texts == model.generate("the", 8, count=3, random_state=5)
    assert texts[:1] == model.generate("the", 8, random_state=5)
    assert len(set(texts)) > 1
    assert all(text.startswith((" ", "\n")) for text in texts)
    state = model.read("the cat")
    assert model.generate("", 5, state=state, random_state=1) == model.generate(
        "the cat", 5, random_state=1
    )
    stopped = model.generate("the", 200, count=4, stop=["and"], random_state=0)
    assert stopped == model.generate("the", 200, count=4, stop="and", random_state=0)
    assert all(text.split()[-1] == "and" for text in stopped)


# --- judging -------------------------------------------------------------------------------


def test_perplexity_and_score_are_one(model):
    assert model.perplexity(TEXTS) == pytest.approx(math.exp(-model.score(TEXTS)))
    assert model.score(["and and and the the"]) < model.score(TEXTS)
    likelihood, state = 0.0, None
    for word in ("the", "cat", "sleeps"):
        found = model.predict_next(top=99, state=state)
        likelihood += math.log(next(c.probability for c in found if c.token == word))
        state = model.read(word, state)
    end = next(c for c in model.predict_next(top=99, state=state) if c.token == "<eos>")
    likelihood += math.log(end.probability)
    assert model.score(["the cat sleeps"]) == pytest.approx(likelihood / 4, rel=1e-5)


# --- folders -------------------------------------------------------------------------------


def test_a_saved_model_comes_back(model, tmp_path):
    model.save(tmp_path / "model")
    loaded = unspool.load(tmp_path / "model")
    assert isinstance(loaded, LanguageModel)
    assert loaded.predict_next("the cat") == model.predict_next("the cat")
    assert (loaded.cell, loaded.hidden_size, loaded.unit) == ("gru", 12, "word")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "# A language model trained on data in memory" in card
    assert clone(loaded).get_params() == loaded.get_params()


# --- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("the cat", r"X is one string, expected a list of texts; give \[text\]"),
        ([], "X holds no text, expected at least a word"),
        (["", " \n"], "X holds no text, expected at least a word"),
        (["the", 3], "text 1 of X is a int, expected a string"),
        (
            ["the", "a\ud800b"],
            r"text 1 of X has half of a surrogate pair, '.ud800', at character 1",
        ),
    ],
)
def test_texts_that_are_none(model, texts, message):
    for use in (LanguageModel(epochs=1).fit, model.score, model.perplexity):
        with pytest.raises(DataError, match=message):
            use(texts)


def test_a_text_that_is_no_string(model):
    with pytest.raises(DataError, match="the text is a ndarray, expected a string"):
        model.predict_next(np.array(["the"]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_size": 0, "epochs": 0}, "hidden_size = 0.*epochs = 0"),
        ({"dropout": 1.0}, "LanguageModel: dropout = 1.0, expected less than 1$"),
        ({"unit": "letter"}, "unit = 'letter', expected 'word', 'character', 'byte' or 'bpe'"),
        ({"unit": "bpe"}, "needs a size of 256"),
        ({"patience": 2}, "expected validation_fraction above 0"),
        ({"view": "panes"}, "view = 'panes', expected 'streams' or 'windows'"),
        ({"validation_fraction": 0.99}, "too few to hold back 0.99"),
        ({"view": "windows", "context": 50}, "the longest document has 9 tokens"),
    ],
)
def test_parameters_that_make_no_sense(parameters, message):
    with pytest.raises((RecipeError, DataError), match=message):
        LanguageModel(**parameters).fit(TEXTS)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"temperature": -1.0}, "generate: temperature = -1.0, expected greater than or equal"),
        ({"top_k": 0}, "generate: top_k = 0, expected greater than or equal to 1"),
        ({"top_p": 2.0}, "generate: top_p = 2.0, expected less than or equal to 1"),
    ],
)
def test_rules_that_make_no_sense(model, rules, message):
    with pytest.raises(RecipeError, match=message):
        model.generate("the", **rules)


def test_global_random_state_is_left_alone(model):
    before = torch.get_rng_state()
    fitted(epochs=1)
    model.generate("the", 3, random_state=0)
    assert torch.equal(torch.get_rng_state(), before)
