"""Text, token by token, through the classifier's task, commands and estimator."""

import io
import json

import numpy as np
import pytest

import unspool
from unspool import DataError, RecipeError, SequenceClassifier, runs
from unspool.data import source
from unspool.data.source import SequenceDataSettings
from unspool.recipes import recipe as recipes
from unspool.tasks import model_folder
from unspool.tasks.classify.predictor import LabelPredictor

FRUIT, TOWNS = ("apple", "banana", "cherry", "damson"), ("Aachen", "Bonn", "Celle", "Dachau")


def rows(count: int) -> list[tuple[str, str]]:
    random = np.random.default_rng(0)
    words = [(random.choice([*FRUIT, *TOWNS]), random.integers(9)) for _ in range(count)]
    return [(f"{word} {number}", "fruit" if word in FRUIT else "town") for word, number in words]


@pytest.fixture
def table(tmp_path):
    lines = [json.dumps({"words": text, "kind": label}) for text, label in rows(80)]
    (tmp_path / "own.jsonl").write_text("\n".join(lines))
    return tmp_path / "own.jsonl"


@pytest.fixture
def described(table):
    def describe(unit="character", **data):
        values = {
            "task": "classify",
            "data": {
                "path": str(table),
                "columns": {"text": "words", "label": "kind"},
                "vocabulary": {"unit": unit},
                "validation": 0.1,
                **data,
            },
            "model": {"hidden_size": 12, "embedding_size": 6},
            "training": {"epochs": 8, "batch_size": 8, "optimizer": {"lr": 0.03}},
        }
        return recipes.NamedRecipe("own", recipes.check(values, "own"))

    return describe


@pytest.fixture
def run(described, tmp_path):
    runs.train(described(), tmp_path / "run")
    return tmp_path / "run"


# --- the task ------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["character", "word", "byte"])
def test_it_learns_from_texts(described, tmp_path, unit):
    outcome = runs.train(described(unit), tmp_path / unit)
    assert outcome.validation["accuracy"] > 0.9
    loaded = model_folder.load(tmp_path / unit)
    assert isinstance(loaded, LabelPredictor)
    assert loaded.vocabulary.unit == unit
    assert loaded.model.embedding.weight.shape == (len(loaded.vocabulary), 6)
    assert f"text in {len(loaded.vocabulary):,} {unit}s" in loaded.summary()


def test_the_vocabulary_is_that_of_the_training_part(described):
    few, all_of_them = (source.load(described(**limit).recipe.data) for limit in ({"limit": 3}, {}))
    read = few.vocabulary.decode(few.training.values[:, 0])
    assert set(few.vocabulary.tokens) == {"<unk>", *read}
    assert len(few.vocabulary) < len(all_of_them.vocabulary)
    assert (few.test.values == few.vocabulary.unknown).any()


def test_what_shares_a_batch_changes_nothing(run):
    predictor = model_folder.load(run)
    long, short = (next(predictor.answers(text, 2, False)) for text in ("cherry 5", "Bonn"))
    texts = predictor.probabilities(_tokens(predictor, ["Bonn", "cherry 5", "apple apple apple"]))
    known = predictor.classes.index(short["label"])
    assert texts[0][known] == pytest.approx(short["probability"], rel=1e-5)
    known = predictor.classes.index(long["label"])
    assert texts[1][known] == pytest.approx(long["probability"], rel=1e-5)


def _tokens(predictor, texts):
    from unspool.data.labelled_text import LabelledText

    return LabelledText(tuple(texts)).tokenised(predictor.vocabulary)


def test_settings_that_are_not_for_text():
    for wrong, message in (
        ({"name": "languages", "augmentation": {"shift": 1}}, "augmentation is for pictures"),
        ({"path": "x", "labels_path": "y"}, "labels_path is for IDX files"),
    ):
        with pytest.raises(ValueError, match=message):
            SequenceDataSettings(vocabulary={"unit": "character"}, **wrong)


def test_text_that_is_not_said_to_be_text():
    recipe = {"task": "classify", "data": {"name": "languages"}}
    with pytest.raises(DataError, match=r"languages holds texts, expected data.vocabulary to say"):
        recipes.check(recipe, "own").build(1)
    recipe = {"task": "classify", "data": {"name": "digits", "vocabulary": {}}}
    with pytest.raises(DataError, match="digits is sequences, expected labelled text"):
        recipes.check(recipe, "own").build(1)
    recipe = {"task": "classify", "data": {"name": "digits"}, "model": {"embedding_size": 3}}
    with pytest.raises(RecipeError, match="embedding_size is for text"):
        recipes.check(recipe, "own").build(1)


# --- the commands --------------------------------------------------------------------------


def test_texts_on_the_command_line(command, run, table, tmp_path):
    status, out, _ = command("evaluate", run)
    assert status == 0
    assert "test: accuracy " in out
    assert "own.jsonl: accuracy " in command("evaluate", run, "--data", table).out
    answers = command("predict", run, "banana 3", "Celle 1").out.splitlines()
    assert [line.split()[2] for line in answers] == ["fruit", "town"]
    (tmp_path / "own.txt").write_text("apple\nBonn\n")
    found = json.loads(command("predict", run, tmp_path / "own.txt", "--json").out)
    assert [one["label"] for one in found["predictions"]] == ["fruit", "town"]
    found = json.loads(command("predict", run, table, "--json").out)
    assert len(found["predictions"]) == 80
    lines = command("predict", run, "--by-step", stdin="Bonn\napple\n").out.splitlines()
    assert len(lines) == 2 + 4 + 5


def test_an_empty_text_is_refused(command, run):
    answer = command("predict", run, "")
    assert answer.status == 1
    assert "text 0 has no tokens, expected at least one" in answer.err


def test_standard_input_that_is_no_utf8(run):
    predictor = model_folder.load(run)
    stream = io.TextIOWrapper(io.BytesIO(b"Bonn\n\xff\n"), encoding="utf-8")
    with pytest.raises(DataError, match=r"standard input, byte 5 \(from 0\): found 0xff, expected"):
        next(predictor.answers(stream, 1, False))


# --- the estimator -------------------------------------------------------------------------


def test_the_estimator_takes_texts(tmp_path):
    texts, labels = zip(*rows(80), strict=True)
    classifier = SequenceClassifier("gru", 12, epochs=10, random_state=0, embedding_size=5)
    classifier.fit(list(texts), labels)
    assert classifier.score(list(texts), labels) > 0.9
    assert classifier.predict(np.array(["Bonn 2", "cherry 3"])).tolist() == ["town", "fruit"]
    beliefs = classifier.predict_proba_by_step(["Bonn", "a"])
    assert [belief.shape for belief in beliefs] == [(4, 2), (1, 2)]
    classifier.save(tmp_path / "model")
    loaded = unspool.load(tmp_path / "model")
    assert isinstance(loaded, SequenceClassifier)
    assert (loaded.unit, loaded.embedding_size) == ("character", 5)
    np.testing.assert_array_equal(
        loaded.predict_proba(list(texts)), classifier.predict_proba(list(texts))
    )
    with pytest.raises(DataError, match="X holds no texts, expected them as in training"):
        classifier.predict(np.zeros((2, 3)))
    with pytest.raises(DataError, match="text 1 has no tokens"):
        classifier.predict(["a", ""])
    for use in (classifier.predict, lambda texts: classifier.fit(texts, ["x", "y"])):
        with pytest.raises(DataError, match="text 1 of X has half of a surrogate pair"):
            use(["a", "b\ud83d"])
    with pytest.raises(DataError, match="a label of y has half of a surrogate pair"):
        classifier.fit(["a", "b"], ["x\ud83d", "y"])


def test_a_classifier_of_numbers_takes_no_texts():
    X = np.random.default_rng(0).normal(size=(12, 4))
    classifier = SequenceClassifier(hidden_size=3, epochs=1).fit(X, np.arange(12) % 2)
    with pytest.raises(DataError, match="X holds no numbers, expected them as in training"):
        classifier.predict(["a", "b"])
