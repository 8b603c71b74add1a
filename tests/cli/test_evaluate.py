import json

import numpy as np
import pytest

from unspool.data import catalogue

KEYS = ["task", "split", "count", "loss", "accuracy"]


@pytest.fixture
def model(digits_run, tmp_path):
    """The model folder alone, which evaluate leaves as it is."""
    (tmp_path / "model").symlink_to(digits_run / "model")
    return tmp_path / "model"


@pytest.fixture
def labelled(tmp_path):
    """Some of the digits as a file of one's own."""

    def write(name="own.npz", **changes):
        digits, _ = catalogue.load("digits")
        arrays = {"x": digits.values.reshape(-1, 8, 8)[:50], "y": digits.labels[:50], **changes}
        np.savez(tmp_path / name, **{key: value for key, value in arrays.items() if len(value)})
        return tmp_path / name

    return write


def test_one_object_with_exactly_these_keys(command, digits_run):
    status, out, err = command("evaluate", digits_run, "--split", "test", "--json")
    assert (status, err) == (0, "")
    summary = json.loads(out)
    assert out == json.dumps(summary) + "\n"
    assert list(summary) == KEYS
    assert (summary["task"], summary["split"], summary["count"]) == ("classify", "test", 599)
    assert 0.5 < summary["accuracy"] < 1
    assert summary["loss"] > 0
    assert json.loads(command("evaluate", digits_run, "--json").out) == summary  # the default


def test_by_step(command, digits_run):
    summary = json.loads(command("evaluate", digits_run, "--json", "--by-step").out)
    assert list(summary) == [*KEYS, "accuracy_by_step", "ece_by_step"]
    assert len(summary["accuracy_by_step"]) == 8
    assert summary["accuracy_by_step"][-1] == pytest.approx(summary["accuracy"])
    assert summary["accuracy_by_step"][0] < 0.5
    assert len(summary["ece_by_step"]) == 8
    assert all(0 <= error < 1 for error in summary["ece_by_step"])


@pytest.mark.parametrize(("split", "count"), [("train", 400), ("validation", 180), ("test", 599)])
def test_every_part(command, digits_run, split, count):
    summary = json.loads(command("evaluate", digits_run, "--split", split, "--json").out)
    assert (summary["split"], summary["count"]) == (split, count)
    assert (digits_run / f"evaluation-{split}" / "report.json").is_file()


def test_words_for_people(command, digits_run):
    status, out, err = command("evaluate", digits_run, "--by-step")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["class", "precision", "recall", "F1", "count"]
    assert [line.split()[0] for line in lines[1:11]] == list("0123456789")
    assert "steps read" in out
    assert any(line.startswith("test: accuracy ") and "of 599, loss" in line for line in lines)
    assert lines[-1] == f"report and pictures in {digits_run / 'evaluation-test'}"


def test_a_model_folder_is_left_as_it_is(command, model, tmp_path):
    before = sorted(path.name for path in model.iterdir())
    assert command("evaluate", model).status == 0
    assert sorted(path.name for path in model.iterdir()) == before
    _, out, _ = command("evaluate", model, "--out", tmp_path / "report")
    assert f"report and pictures in {tmp_path / 'report'}" in out
    assert (tmp_path / "report" / "confusion.png").is_file()


def test_labelled_data_of_one_s_own(command, model, labelled):
    summary = json.loads(command("evaluate", model, "--data", labelled(), "--json").out)
    assert (summary["split"], summary["count"]) == ("own.npz", 50)


def test_labels_that_look_like_markup(command, tmp_path):
    """A label is the user's own text, not an instruction to the terminal."""
    labels = np.array(["[/red]", "[bold]x", ":smile:"])
    np.savez(
        tmp_path / "x.npz", x=np.random.default_rng(0).normal(size=(60, 3)), y=np.tile(labels, 20)
    )
    recipe = tmp_path / "own.toml"
    path = str(tmp_path / "x.npz")
    recipe.write_text(
        f"task = 'classify'\n[data]\npath = '{path}'\n[model]\nhidden_size = 4\n"
        "[training]\nepochs = 1\n"
    )
    assert command("train", recipe, "--out", tmp_path / "R", "--quiet").status == 0
    status, out, err = command("evaluate", tmp_path / "R")
    assert (status, err) == (0, "")
    assert all(label in out for label in labels)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"y": np.array(["ten"] * 50)}, "own.npz has labels never seen in training: 'ten'; expect"),
        ({"y": []}, "own.npz has no labels, expected one for each sequence"),
        ({"x": np.ones((50, 8, 9), np.float32)}, "own.npz has 9 features a step, expected 8"),
        ({"x": np.full((50, 8, 8), np.nan)}, "own.npz: sequence 0, step 0, feature 0 is nan"),
        ({"y": np.arange(49)}, "own.npz: 49 labels for 50 sequences"),
    ],
)
def test_bad_data(command, model, labelled, changes, expected):
    status, out, err = command("evaluate", model, "--data", labelled(**changes), "--json")
    assert (status, out) == (1, "")
    assert expected in err
    assert len(err.splitlines()) == 1


def test_a_file_that_is_not_there(command, model, tmp_path):
    status, out, err = command("evaluate", model, "--data", tmp_path / "nowhere.npz")
    assert (status, out) == (1, "")
    assert "nowhere.npz: no such file" in err


def test_a_folder_that_is_no_report_is_not_replaced(command, digits_run, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    status, _, err = command("evaluate", digits_run, "--out", tmp_path)
    assert status == 1
    assert "holds thesis.tex, expected a new or empty folder" in err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
