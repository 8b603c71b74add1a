"""Model folders: from the estimator to the command line, and the other way."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import unspool
from unspool import ModelFolderError, SaveError


def _config(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize(
    ("labels", "label_type", "restored"),
    [
        (np.array([-3, 10], np.int16), "int", np.int64),
        (np.array([0.0, 1.0], np.float32), "float", np.float64),
        (np.array([False, True]), "bool", np.bool_),
        (np.array(["10", "9"]), "str", np.dtype("<U2")),
        (np.array(["ja", "nein"], object), "str", np.dtype("<U4")),
    ],
    ids=["int16", "float32", "bool", "str", "object"],
)
def test_answers_and_label_types_survive(small, labels, label_type, restored, data, tmp_path):
    y = labels[(data.y == "grows").astype(int)]
    saved = small().fit(data.x, y)
    saved.save(tmp_path / "model")
    loaded = unspool.load(tmp_path / "model")
    assert _config(tmp_path / "model")["label_type"] == label_type
    assert loaded.classes_.dtype == restored
    assert loaded.classes_.tolist() == saved.classes_.tolist()
    assert np.array_equal(loaded.predict(data.x), saved.predict(data.x))
    assert np.array_equal(loaded.predict_proba(data.x), saved.predict_proba(data.x))


def test_the_network_is_described_by_the_loaded_parameters(small, data, tmp_path):
    architecture = {"cell": "gru", "num_layers": 2, "bidirectional": True, "input_projection": 3}
    saved = small(**architecture, dropout=0.1, objective="every-step").fit(data.x, data.y)
    saved.save(tmp_path / "model")
    loaded = unspool.load(tmp_path / "model")
    named = [*architecture, "hidden_size", "dropout", "objective", "forget_bias"]
    assert {name: loaded.get_params()[name] for name in named} == {
        name: saved.get_params()[name] for name in named
    }
    assert loaded.n_features_in_ == 2
    assert loaded.score(data.x, data.y) == saved.score(data.x, data.y)


def test_saving_what_was_loaded_changes_nothing(small, data, tmp_path):
    small(validation_fraction=0.25).fit(data.x, data.y).save(tmp_path / "first")
    unspool.load(tmp_path / "first").save(tmp_path / "second")
    for name in ("config.json", "model.safetensors", "README.md"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert "| accuracy |" in (tmp_path / "second" / "README.md").read_text()


def test_a_model_replaces_a_model_and_nothing_else(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    fitted.save(str(tmp_path / "model"))
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "love.txt").write_text("...")
    with pytest.raises(SaveError, match=r"love\.txt"):
        fitted.save(tmp_path / "letters")
    assert (tmp_path / "letters" / "love.txt").exists()


def test_the_command_line_predicts_with_it(fitted, data, tmp_path, command):
    fitted.save(tmp_path / "model")
    np.save(tmp_path / "waves.npy", data.x[:4])
    answer = command("predict", tmp_path / "model", tmp_path / "waves.npy", "--json")
    assert answer.status == 0, answer.err
    labels = [prediction["label"] for prediction in json.loads(answer.out)["predictions"]]
    assert labels == fitted.predict(data.x[:4]).tolist()


def test_a_run_of_the_command_line_becomes_a_classifier(digits_run):
    classifier = unspool.load(digits_run)
    images = load_digits().images[:20]
    assert classifier.classes_.tolist() == [str(digit) for digit in range(10)]
    assert classifier.get_params()["hidden_size"] == 24
    assert classifier.predict_proba_by_step(images).shape == (20, 8, 10)
    classifier.fit(images, load_digits().target[:20])  # and learns anew
    assert classifier.classes_.dtype == np.int64


def test_a_folder_without_label_type_has_text(fitted, data, tmp_path):
    fitted.save(tmp_path)
    config = _config(tmp_path)
    del config["label_type"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert unspool.load(tmp_path).predict(data.x[:1])[0] in ("fades", "grows")


def test_labels_that_are_not_of_their_type_are_refused(fitted, tmp_path):
    fitted.save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**_config(tmp_path), "label_type": "int"}))
    with pytest.raises(ModelFolderError, match="not all of type int"):
        unspool.load(tmp_path)


def test_no_model(tmp_path):
    with pytest.raises(ModelFolderError, match="expected a run or a model folder"):
        unspool.load(tmp_path)
