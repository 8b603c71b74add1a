import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from unspool import runs
from unspool.recipes import recipe
from unspool.tasks import model_folder

TINY = ["training.epochs=1", "data.limit=40", "model.hidden_size=4"]
GREY = ["model.pixels=grey", "model.conditional=true"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run of black and white digits, and one of grey ones of a kind; tests only read them."""
    folder = tmp_path_factory.mktemp("runs")
    runs.train(recipe.load("digits-draw", TINY), folder / "binary")
    runs.train(recipe.load("digits-draw", [*TINY, *GREY]), folder / "grey")
    return folder


@pytest.fixture
def picture(tmp_path):
    """A stroke on paper, larger than the model's pictures."""
    paper = Image.new("L", (90, 120), 230)
    ImageDraw.Draw(paper).line([(30, 20), (60, 100)], fill=20, width=9)
    paper.save(tmp_path / "stroke.png")
    return tmp_path / "stroke.png"


def drawn(command, *arguments):
    """What the command tells as JSON, and the picture's size."""
    answer = command("draw", *arguments, "--json")
    assert (answer.status, answer.err) == (0, "")
    told = json.loads(answer.out)
    assert answer.out == json.dumps(told) + "\n"
    with Image.open(told["out"]) as image:
        assert image.format == "PNG"
        return told, image.size


def test_it_goes_on_with_a_picture(command, folders, picture, tmp_path):
    told, size = drawn(
        command, folders / "binary", picture, "--out", tmp_path / "a.png", "--seed", 3
    )
    assert (told["task"], told["seed"], told["rows"], told["samples"]) == ("draw", 3, 4, 8)
    assert told["input"] == str(picture)
    assert len(told["nats_by_row"]) == 8
    assert told["nats"] == pytest.approx(sum(told["nats_by_row"]))
    again, _ = drawn(command, folders / "binary", picture, "--out", tmp_path / "b.png", "--seed", 3)
    assert again == {**told, "out": str(tmp_path / "b.png")}
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    other, wider = drawn(
        command, folders / "binary", picture, "--out", tmp_path / "c.png", "--seed", 4,
        "--samples", 3,
    )  # fmt: skip
    assert other["nats"] == told["nats"]
    assert other["nats_of_samples"] != told["nats_of_samples"][:3]
    assert wider[0] < size[0]


def test_it_tells_what_it_did(command, folders, picture, tmp_path):
    out, steps = tmp_path / "a.png", tmp_path / "steps.png"
    answer = command(
        "draw", folders / "binary", picture, "--out", out, "--seed", 3, "--show-steps", steps
    )
    assert answer.status == 0
    nats, last = answer.out.splitlines()
    assert nats.startswith(f"{picture}: ")
    assert nats.endswith(" nats as the model sees it")
    assert last == f"{out}: 8 drawn, seed 3"
    assert f"how the picture was prepared: {steps}" in answer.err
    assert f"{picture}: 120 x 90 pixels, dark on light, brought to 8 x 8" in answer.err
    with Image.open(steps) as image:
        assert image.format == "PNG"


def test_it_draws_from_nothing(command, folders, picture, tmp_path):
    out = tmp_path / "a.png"
    told, _ = drawn(command, folders / "binary", "--out", out, "--seed", 1, "--samples", 12)
    assert (told["input"], told["rows"], told["nats"]) == (None, 0, None)
    kept = out.read_bytes()
    told, _ = drawn(
        command, folders / "binary", picture, "--out", out, "--seed", 1, "--samples", 12,
        "--rows", 0,
    )  # fmt: skip
    assert told["nats"] > 0
    assert out.read_bytes() == kept


def test_it_goes_on_with_a_picture_of_its_data(command, folders, tmp_path):
    told, _ = drawn(
        command, folders / "grey", "--from-data", "test", "--number", 5, "--out", tmp_path / "a.png"
    )
    assert told["input"] == "digits (test part), picture 5"
    predictor = model_folder.load(folders / "grey")
    part = predictor.read_part("test", None).take([5])
    assert told["nats"] == pytest.approx(predictor.evaluate(part, "x").loss, rel=1e-5)


def test_arrays_are_pictures(command, folders, picture, tmp_path):
    np.save(tmp_path / "stroke.npy", np.asarray(Image.open(picture)))
    one, two = (
        drawn(command, folders / "binary", path, "--out", tmp_path / "a.png", "--seed", 1)[0]
        for path in (picture, tmp_path / "stroke.npy")
    )
    assert one["nats_of_samples"] == two["nats_of_samples"]


def test_what_a_label_names_is_drawn(command, folders, tmp_path):
    one, two = (
        drawn(
            command, folders / "grey", "--label", label, "--out", tmp_path / "a.png", "--seed", 1
        )[0]
        for label in ("3", "7")
    )
    assert (one["label"], two["label"]) == ("3", "7")
    assert one["nats_of_samples"] != two["nats_of_samples"]


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("binary", ["{white}"], "white.png: a picture without ink"),
        ("binary", ["{text}"], "text.png is no picture, expected a PNG or JPEG picture"),
        ("binary", ["{missing}"], "missing.png: no such file"),
        ("binary", ["{pile}"], "pile.npy holds 3 pictures, expected one, (rows, columns)"),
        ("binary", ["{picture}", "--rows", 9], "9 rows are to be kept, expected 0 to 8"),
        ("binary", ["--rows", 3], "3 rows are to be kept of no picture"),
        ("binary", ["--label", 3], "label '3' for a model that was trained without labels"),
        ("grey", ["--label", "A"], "label 'A', never seen in training; expected one of 0, 1, 2"),
        ("grey", ["{picture}"], "no label for a model that draws what it is told"),
        ("binary", ["--from-data", "dev"], "no split 'dev', expected one of train, validation"),
        ("binary", ["--from-data", "test", "--number", 999], "no picture 999, expected a number"),
        ("binary", ["{picture}", "--from-data", "test"], "expected one of them; leave one out"),
        ("binary", ["--number", 3], "--number 3 without --from-data, expected both"),
        ("binary", ["--temperature", "inf"], "--temperature inf, expected a finite number"),
        ("binary", ["--show-steps", "{steps}"], "there is no IMAGE that the model prepares"),
    ],
)
def test_what_cannot_be_drawn(command, folders, picture, tmp_path, kind, arguments, message):
    names = {name: tmp_path / f"{name}.png" for name in ("white", "text", "missing", "steps")}
    names |= {"picture": picture, "pile": tmp_path / "pile.npy"}
    Image.new("L", (50, 40), 255).save(names["white"])
    names["text"].write_text("no picture")
    np.save(names["pile"], np.ones((3, 8, 8)))
    given = [str(argument).format(**names) for argument in arguments]
    answer = command("draw", folders / kind, *given, "--out", tmp_path / "out.png")
    assert answer.status == 1
    assert message in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_a_model_of_another_task_is_told_its_command(command, folders, digits_run, tmp_path):
    answer = command("draw", digits_run, "--out", tmp_path / "out.png")
    assert answer.status == 1
    assert "of task 'classify', expected one of task 'draw'; use: unspool predict" in answer.err
    for name, *more in (["predict", tmp_path / "x.png"], ["generate"]):
        answer = command(name, folders / "binary", *more)
        assert answer.status == 1
        assert "use: unspool draw MODEL IMAGE --out PICTURE.png" in answer.err
        assert answer.err.count("\n") == 1


def test_wrong_usage(command, folders, tmp_path):
    assert command("draw", folders / "binary").status == 2
    answer = command("draw", folders / "binary", "--out", tmp_path / "a.png", "--rows", -1)
    assert answer.status == 2


def test_it_is_evaluated_as_every_model_is(command, folders):
    answer = command("evaluate", folders / "binary", "--json")
    told = json.loads(answer.out)
    assert told["nats_per_image"] == told["loss"]
    answer = command("evaluate", folders / "binary", "--by-step")
    assert "nats an image" in answer.out.splitlines()[-2]
    assert answer.out.splitlines()[-2].startswith("test: nats_per_image ")


def test_an_input_is_not_drawn_over(command, folders, picture, tmp_path):
    before = picture.read_bytes()
    for options in (
        ["--out", picture],
        ["--out", tmp_path / "out.png", "--show-steps", picture],
    ):
        answer = command("draw", folders / "binary", picture, *options)
        assert answer.status == 1
        assert f"{picture} is also an input, expected another; choose a new one" in answer.err
        assert picture.read_bytes() == before
        assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("name", ["out.jpg", "out", "."])
def test_a_picture_is_called_one(command, folders, tmp_path, name):
    answer = command("draw", folders / "binary", "--out", tmp_path / name)
    assert answer.status == 1
    assert "expected a name that ends in .png" in answer.err
    assert list(tmp_path.iterdir()) == []
