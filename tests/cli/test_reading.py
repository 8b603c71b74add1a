"""Answers before the end, and pictures of any size."""

import json

import numpy as np
import pytest
from PIL import Image

from unspool.data import catalogue
from unspool.data.sequences import Sequences
from unspool.tasks import model_folder


@pytest.fixture(scope="module")
def digits():
    return catalogue.load("digits")[0].values.reshape(-1, 8, 8)[:40]


@pytest.fixture(scope="module")
def predictor(digits_run):
    return model_folder.load(digits_run)


@pytest.fixture
def file(tmp_path, digits):
    np.save(tmp_path / "digits.npy", digits)
    return tmp_path / "digits.npy"


@pytest.fixture
def photograph(tmp_path, digits):
    """The first digit, a nought, as dark ink on a light page, not in the middle."""
    page = np.full((300, 200), 230.0)
    page[40:200, 10:170] -= np.kron(digits[0] / 16, np.ones((20, 20))) * 180
    Image.fromarray(page.astype(np.uint8)).save(tmp_path / "nought.jpg")
    return tmp_path / "nought.jpg"


def predictions(answer):
    assert answer.status == 0, answer.err
    return json.loads(answer.out)["predictions"]


# --- until ---------------------------------------------------------------------------------


def test_answers_as_soon_as_it_is_sure(command, digits_run, predictor, digits, file):
    until = 0.6
    found = predictions(command("predict", digits_run, file, "--until", until, "--json"))
    beliefs = predictor.probabilities_by_step(Sequences.from_array(digits))
    for answer, belief in zip(found, beliefs, strict=True):
        sure = np.flatnonzero(belief.max(1) >= until)
        read = sure[0] + 1 if len(sure) else 8
        assert (answer["steps_read"], answer["steps"]) == (read, 8)
        assert answer["probability"] == pytest.approx(belief[read - 1].max(), abs=1e-6)
        assert answer["label"] == str(belief[read - 1].argmax())
    assert len({answer["steps_read"] for answer in found}) > 1


def test_only_the_steps_that_were_read_are_shown(command, digits_run, file):
    found = predictions(command("predict", digits_run, file, "--until", 0.6, "--by-step", "--json"))
    for answer in found:
        assert [step["step"] for step in answer["by_step"]] == list(
            range(1, answer["steps_read"] + 1)
        )
    _, out, _ = command("predict", digits_run, file, "--until", 0.6)
    lines = out.splitlines()
    assert len(lines) == 40
    assert all(line.endswith(" of 8 steps") for line in lines)


def test_an_evaluation_of_early_answers(command, digits_run, tmp_path):
    out = tmp_path / "report"
    answer = command("evaluate", digits_run, "--until", 0.6, "--json", "--out", out)
    summary = json.loads(answer.out)
    assert list(summary) == ["task", "split", "count", "loss", "accuracy", "until"]
    assert list(summary["until"]) == ["belief", "accuracy", "mean_steps"]
    assert 1 < summary["until"]["mean_steps"] < 8
    report = json.loads((out / "report.json").read_text())
    assert report["until"]["chosen"] == summary["until"]
    curve = report["until"]["curve"]
    assert len(curve) > 20
    assert curve[-1]["mean_steps"] <= 8
    words = command("evaluate", digits_run, "--until", 0.6, "--out", out).out
    assert "answers at a belief of" in words
    assert any(line.strip().startswith("> 0.6 ") for line in words.splitlines())


@pytest.mark.parametrize("name", ["predict", "evaluate"])
@pytest.mark.parametrize("until", [0, 1.5, -1])
def test_no_such_belief(command, digits_run, name, until):
    status, out, err = command(name, digits_run, "--until", until, "--json", stdin="1 2\n")
    assert (status, out) == (1, "")
    assert "--until" in err
    assert len(err.splitlines()) == 1


def test_only_models_of_sequences_read_until(command, fable_run):
    for name in ("predict", "evaluate"):
        status, _, err = command(name, fable_run, "--until", 0.9)
        assert status == 1
        assert "--until: not for models of task 'predict'; leave that out" in err
    status, _, err = command("predict", fable_run, "--show-steps", "x.png")
    assert (status, "--show-steps: not for models" in err) == (1, True)


# --- pictures ------------------------------------------------------------------------------


def test_a_photograph_is_prepared(command, digits_run, photograph, tmp_path):
    answer = command(
        "predict", digits_run, photograph, "--json", "--show-steps", tmp_path / "steps.png"
    )
    (found,) = predictions(answer)
    assert found["label"] == "0"
    assert found["prepared"] == "300 x 200 pixels, dark on light, brought to 8 x 8, light on dark"
    with Image.open(tmp_path / "steps.png") as steps:
        assert steps.width > 500
    _, out, err = command("predict", digits_run, photograph)
    assert out.startswith(f"{photograph}[0]  0 ")
    assert err == f"{photograph}: {found['prepared']}\n"


def test_steps_are_not_drawn_over_an_input(command, digits_run, photograph, tmp_path):
    picture = tmp_path / "nought.png"
    Image.open(photograph).save(picture)
    before = picture.read_bytes()
    for name, message in (
        (picture, f"--show-steps {picture} is also an input"),
        (tmp_path / "steps.txt", "steps.txt: expected a name that ends in .png"),
    ):
        status, out, err = command("predict", digits_run, picture, "--show-steps", name)
        assert (status, out) == (1, "")
        assert message in err
    assert picture.read_bytes() == before


def test_steps_of_what_is_no_picture_are_not_shown(command, digits_run, file, tmp_path):
    status, out, err = command("predict", digits_run, file, "--show-steps", tmp_path / "steps.png")
    assert (status, out) == (1, "")
    assert "no INPUT is a picture that the model prepares" in err
    assert not (tmp_path / "steps.png").exists()


def test_a_folder_made_before_pictures_were_known(command, digits_run, photograph, tmp_path):
    import shutil

    shutil.copytree(digits_run / "model", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    del config["picture"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    status, _, err = command("predict", tmp_path / "model", photograph)
    assert status == 1
    assert "nought.jpg has 200 features a step, expected 8 as in training" in err


def test_a_format_that_does_not_fit_the_network_is_refused(command, digits_run, tmp_path):
    import shutil

    shutil.copytree(digits_run / "model", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["picture"]["columns"] = 9
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    status, _, err = command("predict", tmp_path / "model", stdin="1 2\n")
    assert status == 1
    assert "picture.columns is 9, expected 8 as num_features" in err
