"""``unspool inspect``: files, findings, and what it refuses."""

import json

import numpy as np
import pytest
from PIL import Image

from unspool import Trace, runs
from unspool.inspection import inspecting
from unspool.recipes import recipe


@pytest.fixture(scope="module")
def reverse_run(tmp_path_factory):
    """A run of the letters, short; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "reverse"
    changes = ["data.size=200", "training.epochs=1", "model.hidden_size=8", "decoding.beam=1"]
    runs.train(recipe.load("reverse", changes), folder)
    return folder


@pytest.fixture
def digit(tmp_path):
    """A picture of 8 x 8 pixels, light on dark."""
    values = np.zeros((8, 8), np.uint8)
    values[1:7, 3:5] = 255
    Image.fromarray(values).save(tmp_path / "digit.png")
    return tmp_path / "digit.png"


def test_a_picture(command, digits_run, digit, tmp_path):
    status, out, err = command("inspect", digits_run, digit, "--out", tmp_path / "new")
    assert (status, err) == (0, "")
    names = {"trace.npz", "trace.json", "belief.png", "belief.gif", "gates-layer-0.png"}
    assert {path.name for path in (tmp_path / "new").iterdir()} == names | {"attribution.png"}
    assert out.splitlines()[-1].startswith(f"{tmp_path / 'new'}: trace.npz, trace.json, belief.png")
    found = Trace.load(tmp_path / "new")
    assert found["belief"].shape == (1, 8, 10)
    answer = command("predict", digits_run, digit, "--json").out
    probability = json.loads(answer)["predictions"][0]["probability"]
    assert found["belief"][0, -1].max() == pytest.approx(probability)


def test_pictures_of_an_earlier_inspection_are_gone(
    command, digits_run, fable_run, digit, tmp_path
):
    out = tmp_path / "inside"
    assert command("inspect", digits_run, digit, "--out", out, "--neighbours", "2").status == 0
    assert (out / "neighbours.png").exists()
    (out / "mine.png").write_text("not a trace's")
    description = json.loads((out / "trace.json").read_text())
    (out / "a-folder.png").mkdir()
    for name in ("0/belief.png", "1/belief.png", "1/mine.png"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).touch()
    description["pictures"] += ["a-folder.png", "0/belief.png", "1/belief.png"]
    (out / "trace.json").write_text(json.dumps(description))
    assert command("inspect", fable_run, "the mice", "--out", out).status == 0
    listed = json.loads((out / "trace.json").read_text())["pictures"]
    names = {path.name for path in out.iterdir()}
    assert names == {"trace.npz", "trace.json", "mine.png", "a-folder.png", "1", *listed}
    assert [path.name for path in (out / "1").iterdir()] == ["mine.png"]
    assert "neighbours.png" not in names
    Trace.load(out)


def test_one_object(command, digits_run, digit, tmp_path):
    options = ("--steps", "2:5", "--layers", "0", "--attribute", "3", "--neighbours", "2")
    found = json.loads(
        command("inspect", digits_run, digit, "--out", tmp_path, *options, "--json").out
    )
    assert found["task"] == "classify"
    assert found["steps"] == [2, 5]
    assert found["arrays"]["layer.0.forward.gate.f"]["shape"] == [1, 3, 24]
    assert found["attribution"][0]["label"] == "3"
    assert len(found["neighbours"][0]) == 2
    assert "neighbours.png" in found["files"]


def test_several_sequences_have_folders(command, digits_run, tmp_path, monkeypatch):
    monkeypatch.setattr(inspecting, "MOST_PICTURED", 2)
    np.save(tmp_path / "many.npy", np.random.default_rng(0).uniform(0, 16, (15, 8, 8)))
    status, out, _ = command("inspect", digits_run, tmp_path / "many.npy", "--out", tmp_path / "o")
    assert status == 0
    assert (tmp_path / "o" / "1" / "belief.png").is_file()
    assert not (tmp_path / "o" / "2").exists()
    assert "pictures of the first 2 of 15" in out
    assert (tmp_path / "o" / "units.png").is_file()


def test_a_text_and_an_answer(command, stream_run, reverse_run, tmp_path):
    status, out, _ = command("inspect", stream_run, "the mice", "--out", tmp_path / "a")
    assert status == 0
    assert "candidates.png" in out
    status, out, _ = command("inspect", reverse_run, "abcd", "--out", tmp_path / "b")
    assert status == 0
    assert "attention.png" in out or "gates-decoder-layer-0.png" in out
    answer = command("inspect", reverse_run, "abcd.txt", "--out", tmp_path / "c")
    assert answer.status == 0
    assert "no file abcd.txt: read as text" in answer.err


def test_pictures_that_show_nothing(command, digits_run, tmp_path):
    def error(name: str) -> str:
        status, out, err = command("inspect", digits_run, tmp_path / name, "--out", tmp_path / "o")
        assert (status, out) == (1, "")
        assert len(err.splitlines()) == 1
        return err

    for grey in (255, 0, 90):
        Image.new("L", (8, 8), grey).save(tmp_path / "blank.png")
        assert "blank.png: a picture without ink" in error("blank.png")
    (tmp_path / "no.png").write_text("no picture")
    assert "no.png is no picture, expected a PNG or JPEG" in error("no.png")
    (tmp_path / "empty.png").write_bytes(b"")
    assert "empty.png is no picture" in error("empty.png")
    Image.new("L", (5, 8), 3).save(tmp_path / "narrow.png")
    assert "narrow.png" in error("narrow.png")
    assert "missing.png" in error("missing.png")
    assert not (tmp_path / "o").exists()


def test_what_is_refused(command, digits_run, reverse_run, digit, tmp_path):
    def error(model, given, *options) -> str:
        status, out, err = command("inspect", model, given, "--out", tmp_path / "o", *options)
        assert (status, out) == (1, "")
        return err

    assert "would take" in error(digits_run, digit, "--max-memory", "0.00001")
    assert "layers has 5, expected some of 0" in error(digits_run, digit, "--layers", "0,5")
    assert "--layers has 'a', expected numbers" in error(digits_run, digit, "--layers", "a")
    for steps in ("3", "a:b", "1:2:3"):
        assert f"--steps has {steps!r}, expected A:B" in error(digits_run, digit, "--steps", steps)
    assert "expected some of the sequences' 8 steps" in error(digits_run, digit, "--steps", "9:")
    assert "expected one of the labels" in error(digits_run, digit, "--attribute", "x")
    assert "of task 'translate'" in error(reverse_run, "ab", "--attribute", "x")
    assert "of task 'translate'" in error(reverse_run, "ab", "--neighbours", "3")
    assert not (tmp_path / "o").exists()
    assert command("inspect", digits_run, digit).status == 2


def test_a_folder_that_cannot_be_written(command, digits_run, digit, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = command("inspect", digits_run, digit, "--out", tmp_path / "file")
    assert status == 1
    assert "could not write" in err
