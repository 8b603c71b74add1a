import json

import numpy as np
import pytest
from PIL import Image

from unspool.data import catalogue
from unspool.tasks import model_folder


@pytest.fixture(scope="module")
def digits():
    """The first three digits, ``(3, 8, 8)``."""
    return catalogue.load("digits")[0].values.reshape(-1, 8, 8)[:3]


@pytest.fixture(scope="module")
def beliefs(digits_run, digits):
    from unspool.data.sequences import Sequences

    return model_folder.load(digits_run).probabilities(Sequences.from_array(digits))


@pytest.fixture
def write(tmp_path, digits):
    """Write the three digits in a format, or the first of them where it holds one."""

    def write(name):
        path = tmp_path / name
        if name.endswith(".png"):
            Image.fromarray(digits[0]).save(path)
        elif name.endswith(".npz"):
            np.savez(path, x=digits)
        elif name.endswith(".npy"):
            np.save(path, digits)
        else:
            rows = ["sequence,step," + ",".join(f"p{p}" for p in range(8))]
            for name, picture in zip("abc", digits, strict=True):
                rows += [f"{name},{i}," + ",".join(map(str, row)) for i, row in enumerate(picture)]
            path.write_text("\n".join(rows) + "\n")
        return path

    return write


def predictions(answer):
    assert (answer.status, answer.err) == (0, "")
    found = json.loads(answer.out)
    assert answer.out == json.dumps(found) + "\n"
    assert list(found) == ["task", "predictions"]
    assert found["task"] == "classify"
    return found["predictions"]


@pytest.mark.parametrize(
    ("name", "ids"),
    [("a.png", ["0"]), ("a.npz", list("012")), ("a.npy", list("012")), ("a.csv", list("abc"))],
)
def test_every_format_gives_the_model_s_belief(command, digits_run, write, beliefs, name, ids):
    if name == "a.csv":
        pytest.importorskip("polars")
    path = write(name)
    found = predictions(command("predict", digits_run, path, "--json"))
    assert [answer["id"] for answer in found] == ids
    for answer, belief in zip(found, beliefs, strict=False):
        assert list(answer) == ["input", "id", "label", "probability", "top"]
        assert answer["input"] == str(path)
        assert answer["label"] == str(belief.argmax())
        assert answer["probability"] == pytest.approx(belief.max(), abs=1e-6)
        assert answer["top"] == [{"label": answer["label"], "probability": answer["probability"]}]


def json_lines(pictures):
    return "".join(json.dumps(picture.tolist()) + "\n" for picture in pictures)


def step_lines(pictures, between=" "):
    return "\n".join(
        "".join(between.join(map(str, row)) + "\n" for row in picture) for picture in pictures
    )


@pytest.mark.parametrize("arguments", [[], ["-"]])
@pytest.mark.parametrize(
    "text",
    [json_lines, step_lines, lambda p: step_lines(p, ","), lambda p: step_lines(p, ", ")],
)
def test_standard_input_in_both_forms(command, digits_run, digits, beliefs, arguments, text):
    found = predictions(command("predict", digits_run, *arguments, "--json", stdin=text(digits)))
    assert [answer["id"] for answer in found] == ["0", "1", "2"]
    assert {answer["input"] for answer in found} == {"standard input"}
    assert [answer["label"] for answer in found] == [str(belief.argmax()) for belief in beliefs]


def test_the_most_probable_classes(command, digits_run, write, beliefs):
    found = predictions(command("predict", digits_run, write("a.npz"), "--top", 3, "--json"))
    for answer, belief in zip(found, beliefs, strict=True):
        order = np.argsort(-belief)[:3]
        assert [rank["label"] for rank in answer["top"]] == [str(place) for place in order]
        assert [rank["probability"] for rank in answer["top"]] == pytest.approx(belief[order])
    many = predictions(command("predict", digits_run, write("a.png"), "--top", 99, "--json"))
    assert len(many[0]["top"]) == 10
    assert sum(rank["probability"] for rank in many[0]["top"]) == pytest.approx(1)


def test_the_belief_after_every_step(command, digits_run, write):
    (answer,) = predictions(command("predict", digits_run, write("a.png"), "--by-step", "--json"))
    assert [step["step"] for step in answer["by_step"]] == list(range(1, 9))
    last = answer["by_step"][-1]
    assert last["label"] == answer["label"]
    assert last["probability"] == pytest.approx(answer["probability"], abs=1e-6)


def test_words_for_people(command, digits_run, write):
    path = write("a.npz")
    status, out, err = command("predict", digits_run, path, "--top", 2)
    assert (status, err) == (0, "")
    assert [line.split("  ")[0] for line in out.splitlines()] == [f"{path}[{i}]" for i in range(3)]
    assert all(line.count("%") == 2 for line in out.splitlines())
    _, out, _ = command("predict", digits_run, write("a.png"), "--by-step")
    assert len(out.splitlines()) == 9
    assert out.splitlines()[1].startswith("  after step   1  ")


def test_several_inputs(command, digits_run, write):
    names = [write("a.png"), write("a.npz")]
    found = predictions(command("predict", digits_run, *names, "--json"))
    assert [answer["input"] for answer in found] == [str(names[0])] + [str(names[1])] * 3


def test_bad_inputs_are_explained(command, digits_run, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "a.xyz").write_text("what?")
    Image.new("L", (9, 8)).save(tmp_path / "black.png")
    np.savez(tmp_path / "wide.npz", x=np.ones((1, 8, 9)))
    for arguments, stdin, expected in (
        ([tmp_path / "nowhere.png"], "", "nowhere.png: no such file; check the path"),
        ([tmp_path / "a.png"], "", "a.png is no picture, expected a PNG or JPEG picture"),
        ([tmp_path / "a.xyz"], "", "a.xyz is of no known format, expected an IDX file or a name"),
        ([tmp_path / "black.png"], "", "black.png: a picture without ink"),
        ([tmp_path / "wide.npz"], "", "wide.npz has 9 features a step, expected 8 as in training"),
        ([], "", "standard input holds no sequences, expected at least one"),
        ([], "1 2 3\n", "standard input has 3 features a step, expected 8 as in training"),
        ([], "[[1, 2], [3]]\n", "standard input: values are nested unevenly"),
        ([], "1 2 nan 4 5 6 7 8\n", "standard input: sequence 0, step 0, feature 2 is nan"),
        ([], "hello\n", "standard input, line 1: could not convert string to float: 'hello'"),
    ):
        status, out, err = command("predict", digits_run, *arguments, "--json", stdin=stdin)
        assert (status, out) == (1, "")
        assert err.startswith("unspool: ")
        assert expected in err
        assert len(err.splitlines()) == 1


def test_a_damaged_model_is_explained(command, digits_run, tmp_path):
    import shutil

    shutil.copytree(digits_run / "model", tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    status, out, err = command("predict", tmp_path / "model", stdin="1 2 3 4 5 6 7 8\n")
    assert (status, out) == (1, "")
    assert err.startswith(f"unspool: {weights} cannot be read (")
    assert err.endswith("expected a whole safetensors file; copy it again\n")
