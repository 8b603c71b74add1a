import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

import unspool
from unspool import DataError, RecipeError, Seq2Seq
from unspool.data.pairs import Pairs
from unspool.tasks.translate.scores import scores

COLOURS = {"red": "rouge", "green": "verte", "yellow": "jaune"}
THINGS = {"house": "maison", "car": "voiture", "apple": "pomme", "door": "porte"}
SOURCES = [f"a {colour} {thing}" for colour in COLOURS for thing in THINGS]
TARGETS = [f"une {THINGS[thing]} {COLOURS[colour]}" for colour in COLOURS for thing in THINGS]


def small(**parameters) -> Seq2Seq:
    values = {"cell": "gru", "hidden_size": 16, "learning_rate": 0.03, "max_length": 9}
    return Seq2Seq(**{**values, "epochs": 2, "random_state": 0, **parameters})


@pytest.fixture(scope="module")
def model() -> Seq2Seq:
    return small(epochs=80).fit(SOURCES, TARGETS)


@pytest.fixture(scope="module")
def of_tokens() -> Seq2Seq:
    """Spells: letters in, and the same doubled out."""
    words = [list(word) for word in ("ab", "ba", "aab", "b", "a", "abb")] * 3
    return small(epochs=60).fit(words, [["".join((x, x)) for x in word] for word in words])


# --- learning ------------------------------------------------------------------------------


def test_it_learns(model):
    assert model.predict(SOURCES) == TARGETS
    assert model.score(SOURCES, TARGETS) == 1.0
    assert 1 < model.perplexity(SOURCES, TARGETS) < 1.2
    losses = [record["loss"] for record in model.history_]
    assert losses[-1] < losses[0] - 1
    assert (model.n_iter_, model.left_out_, model.validation_) == (80, [], None)


def test_one_random_state_gives_one_network(same_weights):
    one, again, other = (
        small(random_state=seed).fit(SOURCES, TARGETS).predictor_.model for seed in (0, 0, 1)
    )
    assert same_weights(one, again)
    assert not same_weights(one, other)


def test_what_is_held_back_has_sources_of_its_own():
    pairs = Pairs((*SOURCES, *SOURCES), (*TARGETS, *(f"{target} !" for target in TARGETS)))
    model = small(validation_fraction=0.25, patience=3).fit(*pairs_of(pairs))
    held_back = pairs.divide(validation=0.25, test=0.0)["validation"]
    assert len(held_back) == 6
    assert set(model.validation_) == {"loss", "perplexity", "accuracy"}
    perplexity = model.perplexity(*pairs_of(held_back))
    assert perplexity == pytest.approx(model.validation_["perplexity"], rel=1e-5)


def pairs_of(pairs: Pairs) -> tuple[list[str], list[str]]:
    return list(pairs.sources), list(pairs.targets)


@pytest.mark.parametrize(
    "parameters",
    [
        {"unit": "character", "num_layers": 2, "num_decoder_layers": 1},
        {"unit": "byte", "attention": "none", "bidirectional": False, "reverse_source": True},
        {"unit": "bpe", "vocabulary_size": 262, "joint_vocabulary": True, "tie_weights": True},
        {"attention": "multiplicative", "input_feeding": True, "dropout": 0.2, "lowercase": True},
        {"cell": "lstm", "label_smoothing": 0.1, "embedding_size": 7, "schedule": "constant"},
    ],
)
def test_networks_and_tokens_of_every_kind(parameters, tmp_path):
    model = small(**parameters).fit(SOURCES, TARGETS)
    answers = model.predict(["a red door", ""])
    assert all(isinstance(answer, str) for answer in answers)
    assert answers[1] == ""
    model.save(tmp_path / "model")
    loaded = unspool.load(tmp_path / "model")
    assert loaded.predict(SOURCES) == model.predict(SOURCES)
    assert loaded.score(SOURCES, TARGETS) == model.score(SOURCES, TARGETS)
    kept = model.get_params().keys() - {"schedule", "learning_rate", "epochs", "random_state"}
    assert {name: loaded.get_params()[name] for name in kept} == {
        name: model.get_params()[name] for name in kept
    }


def test_pairs_that_are_left_out_are_told():
    model = small(max_source_length=3, max_target_length=4)
    model.fit([*SOURCES, "a very red house", ""], [*TARGETS, "x", "y"])
    assert model.left_out_ == ["train: 2 of 14 pairs left out: 1 with an empty side, 1 too long"]


# --- answers -------------------------------------------------------------------------------


def test_the_best_answers(model):
    found = model.predict(["a red house", ""], beam=4, n_best=3)
    assert [len(answers) for answers in found] == [3, 1]
    assert len(set(found[0])) == 3
    assert found[0][0] == "une maison rouge"
    assert (
        model.predict(["a red house"], n_best=9)[0][:3]
        == model.predict(["a red house"], beam=9, n_best=3)[0]
    )
    assert model.predict(["a red house"], beam=1) == ["une maison rouge"]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"beam": 0}, "predict: beam = 0, expected greater than or equal to 1"),
        ({"n_best": 0}, "predict: n_best = 0, expected greater than or equal to 1"),
        ({"beam": 2, "n_best": 3}, "predict: n_best is 3 and beam is 2"),
    ],
)
def test_searches_that_make_no_sense(model, search, message):
    with pytest.raises(RecipeError, match=message):
        model.predict(["a red house"], **search)


def test_white_space_around_a_text_counts_for_nothing(model):
    spaced = [f" {text}\n" for text in SOURCES], [f"\t{text} " for text in TARGETS]
    assert model.score(*spaced) == 1.0
    assert model.predict(spaced[0]) == TARGETS
    assert small().fit(*spaced).predict(SOURCES) == small().fit(SOURCES, TARGETS).predict(SOURCES)


def test_lists_of_tokens_are_answered_by_such(of_tokens, tmp_path):
    assert of_tokens.predict([["a", "b"], []]) == [["aa", "bb"], []]
    assert of_tokens.predict(["a b"]) == ["aa bb"]
    best, other = of_tokens.predict([("b", "a")], n_best=2)[0]
    assert best == ["bb", "aa"] != other
    assert of_tokens.score([["a"], ["b"]], [["aa"], ["a"]]) == 0.5
    of_tokens.save(tmp_path / "model")
    assert unspool.load(tmp_path / "model").predict([["a", "b"]]) == [["aa", "bb"]]


def test_texts_of_any_array():
    for kind in (np.array, pd.Series, tuple, iter):
        assert len(small(epochs=1).fit(kind(SOURCES), kind(TARGETS)).predict(kind(SOURCES))) == 12


# --- judging -------------------------------------------------------------------------------


def test_scores_of_every_kind(model):
    wrong = [TARGETS[0].upper(), *TARGETS[1:]]
    assert model.score(SOURCES, wrong) == pytest.approx(11 / 12)
    for metric in ("bleu", "chrf"):
        judge = unspool.Seq2Seq(metric=metric)
        judge.predictor_ = model.predictor_
        assert judge.score(SOURCES, wrong) == scores(TARGETS, wrong)[metric].value
        assert 0 < judge.score(SOURCES, wrong) < 100 or metric == "bleu"


# --- scikit-learn --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["predict", "score", "perplexity"])
def test_before_fit(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(Seq2Seq(), method)(*[["a"]] * (1 if method == "predict" else 2))


def test_scikit_learn_s_conventions(model):
    cloned = clone(model)
    assert cloned.get_params() == model.get_params()
    assert not hasattr(cloned, "predictor_")
    search = GridSearchCV(small(), {"hidden_size": [2, 4], "attention": ["none"]}, cv=2)
    search.fit(SOURCES, TARGETS)
    assert search.best_params_["attention"] == "none"
    assert len(search.predict(SOURCES)) == 12
    assert len(cross_val_score(small(), SOURCES, TARGETS, cv=3, error_score="raise")) == 3


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_answer_alike(duplicate, joint):
    model = small(joint_vocabulary=joint).fit(SOURCES, TARGETS)
    copied = duplicate(model)
    assert copied.predict(SOURCES, n_best=3) == model.predict(SOURCES, n_best=3)
    assert copied.history_ == model.history_
    assert copied.predictor_.codecs.joint == joint


def test_a_run_of_the_command_line_becomes_an_estimator(tmp_path, command):
    changes = {
        "data.size": 200,
        "training.epochs": 1,
        "model.hidden_size": 8,
        "model.num_decoder_layers": 2,
        "decoding.beam": 3,
        "decoding.min_length": 2,
    }
    sets = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    assert command("train", "reverse", *sets, "--out", tmp_path / "run").status == 0
    model = unspool.load(tmp_path / "run")
    assert (model.unit, model.num_layers, model.num_decoder_layers) == ("character", 1, 2)
    answers = command("predict", tmp_path / "run", "abcd", "efg").out.splitlines()
    assert model.predict(["abcd", "efg"]) == answers
    model.fit(SOURCES, TARGETS)  # and learns anew
    assert model.predictor_.model.settings.num_decoder_layers == 2


# --- bad input -----------------------------------------------------------------------------

UNUSABLE = [
    ("abc", ["x"], "sources is one string, expected a list of texts; give [text]"),
    (["a"], "x", "targets is one string"),
    (["a"], None, "targets is None, expected one for each source"),
    (3, ["x"], "sources is a int, expected a list of texts"),
    ([], [], "sources is empty, expected at least one text"),
    (["a", "b", "c"], ["x"], "sources has 3 texts and targets has 1, expected as many"),
    (["a", 3], ["x", "y"], "sources[1] is a int, expected a string as sources[0] is"),
    (["a", None], ["x", "y"], "sources[1] is a NoneType"),
    ([["a"], "b"], ["x", "y"], "sources[1] is a string, expected texts throughout"),
    ([["a", 7]], [["x"]], "sources[0][1] is a int, expected a token, a string"),
    ([["a"]], [["x", "y z"]], "targets[0][1] is 'y z', expected a token: at least one character"),
    ([["a"]], [["x", ""]], "targets[0][1] is '', expected a token"),
    (["a", "b\ud83d"], ["x", "y"], "sources[1] has half of a surrogate pair, '\\ud83d', at char"),
    ([["a"]], [["\udc00"]], "targets[0][0] has half of a surrogate pair"),
    ([["a"]], ["x"], "sources holds lists of tokens and targets texts, expected both alike"),
]


@pytest.mark.parametrize(("sources", "targets", "message"), UNUSABLE)
def test_pairs_that_are_none(model, sources, targets, message):
    for use in (Seq2Seq(epochs=1).fit, model.score, model.perplexity):
        with pytest.raises(DataError, match=re.escape(message)):
            use(sources, targets)


def test_pairs_with_nothing_to_learn():
    with pytest.raises(DataError, match="every pair has an empty side, expected at least one"):
        small().fit(["", "a"], ["x", " "])
    with pytest.raises(
        DataError, match=r"\(train part\) has no pairs to use.* 1 of 1 pairs .*too l"
    ):
        small(max_target_length=1).fit(["a"], ["x y"])


def test_lists_of_tokens_for_a_network_of_texts(model):
    for use in (model.predict, lambda x: model.score(x, x), lambda x: model.perplexity(x, x)):
        with pytest.raises(DataError, match="expected texts: the network was fitted on texts"):
            use([["a", "red", "house"]])
    with pytest.raises(RecipeError, match="unit = 'character', expected 'word' for lists of tok"):
        small(unit="character").fit([["a"]], [["b"]])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_size": 0, "beam": 0}, "hidden_size = 0.*beam = 0"),
        ({"reverse_source": True}, "reverse_source changes nothing for an encoder that is bidir"),
        ({"attention": "none", "input_feeding": True}, "input_feeding feeds what attention saw"),
        ({"unit": "bpe"}, "needs a size of 256"),
        ({"metric": "accuracy"}, "metric = 'accuracy', expected 'exact_match', 'bleu' or 'chrf'"),
        ({"num_decoder_layers": 0}, "num_decoder_layers = 0, expected greater than or equal to 1"),
    ],
)
def test_parameters_that_make_no_sense(parameters, message):
    with pytest.raises(RecipeError, match=message):
        Seq2Seq(**parameters).fit(SOURCES, TARGETS)
