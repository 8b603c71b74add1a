import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from unspool import reports, runs
from unspool.errors import DataError, SaveError, TrainingError, UnspoolError
from unspool.recipes import recipe as recipes
from unspool.tasks import model_folder
from unspool.training.report import Observer

TINY = ["training.epochs=2", "data.limit=100", "model.hidden_size=8", "model.num_layers=1"]


def tiny(*overrides: str):
    return recipes.load("digits", [*TINY, *overrides])


def test_what_a_run_leaves(digits_run):
    names = {path.name for path in digits_run.iterdir() if not path.name.startswith("evaluation-")}
    assert names == {"recipe.toml", "metrics.jsonl", "curves.png", "checkpoints", "model"}
    assert (digits_run / "curves.png").read_bytes().startswith(b"\x89PNG")
    records = [json.loads(line) for line in (digits_run / "metrics.jsonl").read_text().splitlines()]
    validation = [record for record in records if record["split"] == "validation"]
    assert [record["epoch"] for record in validation] == [1, 2, 3]
    assert [record["step"] for record in records] == sorted(record["step"] for record in records)
    card = (digits_run / "model" / "README.md").read_text()
    assert (digits_run / "recipe.toml").read_text().strip() in card
    assert f"| accuracy | {validation[-1]['metrics']['accuracy']:.4f} |" in card


def test_it_learns_the_digits(digits_run):
    predictor = model_folder.load(digits_run)
    from unspool.reports import part_of_its_data

    assert predictor.evaluate(*part_of_its_data(predictor, "test")).accuracy > 0.5


def test_the_recipe_that_a_run_leaves_repeats_it_bit_by_bit(tmp_path, same_weights):
    runs.train(tiny(), tmp_path / "one")
    runs.train(recipes.load(tmp_path / "one" / "recipe.toml"), tmp_path / "two")
    one, two = (tmp_path / name / "model" / "model.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert (tmp_path / "one" / "recipe.toml").read_bytes() == (
        tmp_path / "two" / "recipe.toml"
    ).read_bytes()
    runs.train(tiny("seed=2"), tmp_path / "three")
    assert (tmp_path / "three" / "model" / "model.safetensors").read_bytes() != one.read_bytes()


def test_the_caller_s_random_state_does_not_matter_and_is_left_alone(tmp_path):
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        runs.train(tiny("model.dropout=0.4"), tmp_path / f"run-{seed}")
        assert torch.equal(torch.get_rng_state(), before)
    one, other = (tmp_path / f"run-{seed}" / "model" / "model.safetensors" for seed in (1, 2))
    assert one.read_bytes() == other.read_bytes()


def test_an_outcome_says_how_it_ended(tmp_path):
    outcome = runs.train(tiny(), tmp_path / "run")
    assert outcome.folder.path == tmp_path / "run"
    assert outcome.progress.epoch == 2
    predictor = model_folder.load(tmp_path / "run")
    from unspool.reports import part_of_its_data

    evaluation = predictor.evaluate(*part_of_its_data(predictor, "validation"))
    assert outcome.validation["accuracy"] == pytest.approx(evaluation.accuracy)
    assert outcome.validation["loss"] == pytest.approx(evaluation.loss, rel=1e-6)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_it_says_which_weights_were_kept(tmp_path, keep):
    """The rate is so high that the best epoch is not the last one."""
    high = ("training.optimizer={name='sgd', lr=30.0}", "training.schedule={name='constant'}")
    few = ("training.epochs=4", f"training.keep={keep}", "training.clip_norm=100")
    outcome = runs.train(tiny(*high, *few), tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    losses = [r["loss"] for r in map(json.loads, lines) if r["split"] == "validation"]
    best = losses.index(min(losses)) + 1
    assert outcome.progress.best_epoch == best < 4
    assert outcome.kept_epoch == (best if keep == "best" else 4)
    assert outcome.validation["loss"] == pytest.approx(losses[outcome.kept_epoch - 1])


def test_without_a_validation_part_there_are_no_figures(tmp_path):
    outcome = runs.train(tiny("data.validation=0"), tmp_path / "run")
    assert outcome.validation is None
    assert "There was no such part." in (tmp_path / "run" / "model" / "README.md").read_text()


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SaveError, match="already exists and is not empty; choose another --out"):
        runs.train(tiny(), tmp_path)
    with pytest.raises(SaveError, match="already exists"):
        runs.train(tiny(), tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_will_do(tmp_path):
    assert runs.train(tiny("training.epochs=1"), tmp_path).folder.model.is_dir()


@pytest.mark.parametrize(
    "override", ["class_weights={hm=2.0}", "data.name=nothing", "data.validation=0.7"]
)
def test_a_run_that_cannot_start_leaves_no_folder(tmp_path, override):
    with pytest.raises(UnspoolError):
        runs.train(tiny(override), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_training_that_fails_leaves_its_curves_and_no_model(tmp_path):
    explode = tiny(
        "training.optimizer={name='sgd', lr=1e38}",
        "training.schedule={name='constant'}",
        "training.report_every=1",
        "model.cell=rnn",
        "objective=every-step",
        "training.epochs=50",
    )
    with pytest.raises(TrainingError, match="not finite"):
        runs.train(explode, tmp_path / "run")
    assert (tmp_path / "run" / "curves.png").exists()
    assert not (tmp_path / "run" / "model").exists()


def test_the_first_free_folder(tmp_path):
    assert runs.free_folder("a", tmp_path) == tmp_path / "a-1"
    (tmp_path / "a-1").mkdir()
    (tmp_path / "a-2").touch()
    assert runs.free_folder("a", tmp_path) == tmp_path / "a-3"


def test_data_is_looked_for_where_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("UNSPOOL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mnist").mkdir()
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (tmp_path / "mnist" / f"{part}-{kind}-ubyte").write_bytes(b"no digits")
    with pytest.raises(DataError, match=str(tmp_path / "mnist")):
        runs.train(recipes.load("mnist"), tmp_path / "run", data_dir=tmp_path)


def test_the_search_for_a_rate_does_not_depend_on_what_came_before(tmp_path):
    recipe = tiny("model.dropout=0.3").recipe
    np.random.default_rng()
    assert runs.search_lr(recipe) == runs.search_lr(recipe)


def test_event_files_are_written_when_asked_for(tmp_path):
    pytest.importorskip("tensorboard")
    runs.train(tiny("training.tensorboard=true", "training.epochs=1"), tmp_path / "run")
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))


def test_without_tensorboard_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UnspoolError, match="needs the package tensorboard: pip install"):
        runs.train(tiny("training.tensorboard=true"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_observers_are_told(tmp_path):
    told = []

    class Look(Observer):
        def epoch_ended(self, state, improved):
            told.append(state.progress.epoch)
            newest = tmp_path / "run" / "checkpoints" / f"step-{state.progress.step}"
            assert newest.is_dir()  # the checkpoint is safe before anyone hears of the epoch

    runs.train(tiny(), tmp_path / "run", observers=[Look()])
    assert told == [1, 2]


def test_a_table_is_answered_by_its_columns_names_not_their_order(tmp_path):
    rows = [
        (f"{kind}{number}", step, x, y, kind)
        for number in range(12)
        for kind, x, y in (("A", 1.0, -1.0), ("B", -1.0, 1.0))
        for step in range(3)
    ]
    columns = ("sequence", "step", "x", "y", "label")

    def table(name: str, order: tuple[str, ...]) -> Path:
        lines = [
            ",".join(str(dict(zip(columns, row, strict=True))[key]) for key in order)
            for row in rows
        ]
        path = tmp_path / name
        path.write_text("\n".join([",".join(order), *lines]) + "\n")
        return path

    path = table("train.csv", columns)
    swapped = table("swapped.csv", ("label", "y", "x", "step", "sequence"))
    small = ["model.hidden_size=8", "training.epochs=12", "training.optimizer.lr=0.05"]
    recipe = tmp_path / "walks.toml"
    recipe.write_text(
        f'task = "classify"\n[data]\npath = "{path}"\ntest_path = "{swapped}"\nvalidation = 0.0\n'
    )
    runs.train(recipes.load(recipe, small), tmp_path / "run")

    predictor = model_folder.load(tmp_path / "run")
    assert predictor.data.columns.features == ("x", "y")
    for sequences, title in (
        reports.part_of_its_data(predictor, "test"),
        reports.labelled_file(predictor, swapped),
    ):
        assert predictor.evaluate(sequences, title).accuracy == 1.0
