"""A run that was stopped and resumed must end bit-identical to one that never was."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from unspool import runs
from unspool.errors import DataError, ModelFolderError, RecipeError
from unspool.inspection import plots
from unspool.recipes import recipe as recipes
from unspool.tasks import model_folder
from unspool.tasks.classify.training import Classify
from unspool.training.report import Observer

OPTIMIZERS = ["adamw", "adam", "sgd", "rmsprop", "nt-asgd"]
SCHEDULES = {
    "constant": {"name": "constant", "warmup": 0.2},
    "cosine": {"name": "cosine", "warmup": 0.1},
    "one-cycle": {"name": "one-cycle", "warmup": 0.3},
    "step": {"name": "step", "every": 2},
    "plateau": {"name": "plateau"},
}
EPOCHS, STEPS = 5, 4  # STEPS an epoch


class Stop(Observer):
    """Interrupts a run at a moment: a step, or the records or the end of an epoch."""

    def __init__(self, moment: str, when: int) -> None:
        self._moment, self._when = moment, when

    def stepped(self, state, totals):
        self._interrupt("step", state.progress.step)

    def recorded(self, record):
        if record.split == "validation":
            self._interrupt("validation", record.epoch)

    def epoch_ended(self, state, improved):
        self._interrupt("epoch", state.progress.epoch)

    def _interrupt(self, moment: str, number: int) -> None:
        if (moment, number) == (self._moment, self._when):
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _quick_pictures(monkeypatch):
    monkeypatch.setattr(plots, "curves", lambda *_: b"")


@pytest.fixture
def described(tmp_path, sequences):
    """Make a recipe on small data of one length, with all that is random in a training."""
    data = sequences(50, 1, lengths=(5, 5))
    np.savez(tmp_path / "own.npz", x=data.values.reshape(50, 5, 3), y=data.labels)

    def describe(**training):
        values = {
            "task": "classify",
            "seed": 3,
            "data": {
                "path": str(tmp_path / "own.npz"),
                "validation": 0.2,
                "augmentation": {"shift": 1},
            },
            "model": {"hidden_size": 4, "num_layers": 2, "dropout": 0.3},
            "training": {
                "epochs": EPOCHS,
                "batch_size": 8,
                "report_every": 3,
                "clip_norm": 1.0,
                "optimizer": {"name": "adamw", "lr": 0.03},
                **training,
            },
        }
        return recipes.NamedRecipe("own", recipes.check(values, "own"))

    return describe


def stopped(recipe, folder: Path, moment: str, when: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        runs.train(recipe, folder, observers=[Stop(moment, when)])


def left_by(folder: Path) -> dict[str, object]:
    """All that a run leaves but for the seconds."""
    found: dict[str, object] = {
        "weights": (folder / "model" / "model.safetensors").read_bytes(),
        "card": (folder / "model" / "README.md").read_text(),
        "recipe": (folder / "recipe.toml").read_text(),
    }
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    found["metrics"] = [{**json.loads(line), "seconds": 0} for line in lines]
    for checkpoint in sorted((folder / "checkpoints").iterdir()):
        numbers = json.loads((checkpoint / "state.json").read_text())
        numbers["progress"]["seconds"] = 0
        found[checkpoint.name] = numbers, (checkpoint / "state.safetensors").read_bytes()
    return found


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_resumed_run_ends_as_if_it_had_never_stopped(tmp_path, described, optimizer, schedule):
    recipe = described(
        optimizer={"name": optimizer, "lr": 0.03, "momentum": 0.5, "weight_decay": 0.1},
        schedule=SCHEDULES[schedule],
    )
    runs.train(recipe, tmp_path / "whole")
    stopped(recipe, tmp_path / "parts", "step", 2 * STEPS + 2)
    runs.resume(tmp_path / "parts")
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")


@pytest.mark.parametrize(
    ("moment", "when"),
    [
        ("step", 1),
        ("step", STEPS),
        ("validation", 1),
        ("epoch", 1),
        ("step", STEPS + 1),
        ("validation", 3),
        ("epoch", EPOCHS),
    ],
)
def test_it_may_stop_at_any_moment(tmp_path, described, moment, when):
    recipe = described(schedule=SCHEDULES["one-cycle"])
    runs.train(recipe, tmp_path / "whole")
    stopped(recipe, tmp_path / "parts", moment, when)
    outcome = runs.resume(tmp_path / "parts")
    assert outcome.progress.epoch == EPOCHS
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")


def test_it_may_stop_again_and_again(tmp_path, described):
    recipe = described()
    runs.train(recipe, tmp_path / "whole")
    stopped(recipe, tmp_path / "parts", "step", 3)
    for moment, when in (("step", 6), ("epoch", 3), ("step", 17)):
        with pytest.raises(KeyboardInterrupt):
            runs.resume(tmp_path / "parts", observers=[Stop(moment, when)])
    runs.resume(tmp_path / "parts")
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")


def test_patience_goes_on_counting(tmp_path, described):
    recipe = described(epochs=40, patience=3, optimizer={"name": "sgd", "lr": 30.0})
    whole = runs.train(recipe, tmp_path / "whole")
    best = whole.progress.best_epoch
    assert whole.progress.epoch == best + 3 < 40
    stopped(recipe, tmp_path / "parts", "epoch", best + 1)
    parts = runs.resume(tmp_path / "parts")
    assert (parts.progress.epoch, parts.progress.best_epoch) == (best + 3, best)
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")


def test_a_finished_run_stays_as_it_is(tmp_path, described):
    runs.train(described(), tmp_path / "run")
    before = left_by(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model")
    seen = []

    class Look(Observer):
        def stepped(self, state, totals):
            seen.append(state)

    runs.resume(tmp_path / "run", observers=[Look()])
    assert left_by(tmp_path / "run") == before  # with the model that was missing
    assert not seen


def test_a_line_that_was_cut_off_does_not_matter(tmp_path, described):
    recipe = described()
    runs.train(recipe, tmp_path / "whole")
    stopped(recipe, tmp_path / "parts", "step", 10)
    with (tmp_path / "parts" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 11, "epo')
    runs.resume(tmp_path / "parts")
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")


@pytest.fixture
def _second_epoch_is_best(monkeypatch):
    """Validation losses as of a run that gets worse after its second epoch."""
    losses = iter([3.0, 1.0, *range(2, 99)])
    monkeypatch.setattr(Classify, "validate", lambda task: {"loss": next(losses), "accuracy": 0.5})


@pytest.mark.usefixtures("_second_epoch_is_best")
def test_the_newest_two_and_the_best_are_kept(tmp_path, described):
    recipe = described(epochs=7)
    kept = []

    class Look(Observer):
        def epoch_ended(self, state, improved):
            names = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
            epochs = {state.progress.epoch, state.progress.epoch - 1, state.progress.best_epoch}
            kept.append(names == {f"step-{STEPS * epoch}" for epoch in epochs if epoch > 0})

    outcome = runs.train(recipe, tmp_path / "run", observers=[Look()])
    assert kept == [True] * 7
    assert outcome.progress.best_epoch == 2  # a third one


# --- what cannot be resumed ----------------------------------------------------------------


@pytest.fixture
def run(tmp_path, described):
    """A run that was stopped after its third epoch."""
    folder = tmp_path / "run"
    stopped(described(), folder, "epoch", 3)
    return folder


def newest(run: Path) -> Path:
    return run / "checkpoints" / f"step-{3 * STEPS}"


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(
        ModelFolderError, match=r"holds no recipe\.toml, expected the folder of a run"
    ):
        runs.resume(tmp_path)


def test_a_finished_run_without_checkpoints_is_not_trained_again(tmp_path, described):
    runs.train(described(), tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(ModelFolderError, match="holds a finished model and no checkpoint"):
        runs.resume(tmp_path / "run")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def swap(key: str, value: object):
    def change(path: Path) -> None:
        numbers = json.loads(path.read_text())
        numbers[key] = value
        path.write_text(json.dumps(numbers))

    return change


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("state.safetensors", cut),
        ("state.safetensors", Path.unlink),
        ("state.safetensors", lambda path: path.write_bytes(b"")),
        ("state.json", cut),
        ("state.json", Path.unlink),
        ("state.json", lambda path: path.write_text("[]")),
        ("state.json", lambda path: path.write_text("{}")),
        ("state.json", swap("progress", {"epoch": 1})),
        ("state.json", swap("progress", 3)),
        ("state.json", swap("optimizer", [])),
        ("state.json", swap("schedule", None)),
    ],
)
def test_a_damaged_checkpoint_is_named(run, name, damage):
    damage(newest(run) / name)
    with pytest.raises(ModelFolderError) as error:
        runs.resume(run)
    message = str(error.value)
    assert f"checkpoint {newest(run)} is damaged" in message
    assert "remove it to go on from the one before it" in message
    assert "\n" not in message


def test_without_the_damaged_one_it_goes_on_from_the_one_before(tmp_path, run, described):
    runs.train(described(), tmp_path / "whole")
    shutil.rmtree(newest(run))
    runs.resume(run)
    assert left_by(run) == left_by(tmp_path / "whole")


def edit(run: Path, before: str, now: str) -> None:
    """Change a line of the recipe."""
    text = (run / "recipe.toml").read_text()
    assert text.count(f"{before}\n") == 1
    (run / "recipe.toml").write_text(text.replace(f"{before}\n", f"{now}\n"))


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        ("hidden_size = 4", "hidden_size = 5", "model.hidden_size was 4 and is 5; change"),
        ("lr = 0.03", "lr = 0.3", "training.optimizer.lr was 0.03 and is 0.3; change that back"),
        ('name = "adamw"', 'name = "sgd"', 'training.optimizer.name was "adamw" and is "sgd"'),
        ("seed = 3", "seed = 4", "seed was 3 and is 4; change that back, or train anew"),
        ("shift = 1", "shift = 0", "data.augmentation.shift was 1 and is 0"),
        ("dropout = 0.3", "dropout = 0.25", "model.dropout was 0.3 and is 0.25"),
    ],
)
def test_a_run_does_not_go_on_by_another_recipe(run, before, now, message):
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    edit(run, before, now)
    with pytest.raises(RecipeError, match=f"not what the run began with: .*{message}"):
        runs.resume(run)
    edit(run, now, before)
    assert files == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_what_decides_nothing_that_was_learned_may_be_changed(tmp_path, run):
    edit(run, f"epochs = {EPOCHS}", f"epochs = {EPOCHS + 1}")
    edit(run, 'keep = "best"', 'keep = "last"\npatience = 9')
    data = str(tmp_path / "own.npz")
    moved = shutil.move(data, tmp_path / "moved.npz")
    edit(run, f'path = "{data}"', f'path = "{moved}"')
    assert runs.resume(run).kept_epoch == EPOCHS + 1


def test_no_run_goes_back(run):
    edit(run, f"epochs = {EPOCHS}", "epochs = 2")
    with pytest.raises(RecipeError, match="epochs is 2 and the run has been trained for 3"):
        runs.resume(run)
    edit(run, "epochs = 2", "epochs = 3")
    assert runs.resume(run).progress.epoch == 3


@pytest.mark.parametrize("weights", ["{ low = 3.0 }", "{ low = 2.0, mid = 3.0 }", "{ mid = 2.0 }"])
def test_no_class_gets_another_weight(tmp_path, described, weights):
    run, named = tmp_path / "run", described()
    values = {**named.recipe.model_dump(), "class_weights": {"low": 2.0}}
    stopped(recipes.NamedRecipe("own", recipes.check(values, "own")), run, "epoch", 3)
    text = (run / "recipe.toml").read_text()
    assert text.count("[class_weights]\nlow = 2.0\n") == 1
    changed = text.replace("[class_weights]\nlow = 2.0\n", "")
    (run / "recipe.toml").write_text(f"class_weights = {weights}\n{changed}")
    with pytest.raises(RecipeError, match=r'class_weights was \{"low": 2.0\} and is \{'):
        runs.resume(run)


def test_a_schedule_that_spans_the_run_keeps_its_epochs(tmp_path, described):
    stopped(described(schedule=SCHEDULES["one-cycle"]), tmp_path / "run", "epoch", 3)
    edit(tmp_path / "run", f"epochs = {EPOCHS}", "epochs = 9")
    with pytest.raises(RecipeError, match=f"training.epochs was {EPOCHS} and is 9"):
        runs.resume(tmp_path / "run")


def test_a_run_does_not_go_on_with_other_values(tmp_path, run):
    with np.load(tmp_path / "own.npz") as file:
        x, y = file["x"], file["y"]
    first, second = np.unique(y)[:2]
    for values, labels in ((x[:, ::-1], y), (x, np.where(y == first, second, first))):
        np.savez(tmp_path / "own.npz", x=values, y=labels)
        with pytest.raises(
            DataError, match=r"began with: .*another training part, another validation"
        ):
            runs.resume(run)
    np.savez(tmp_path / "own.npz", x=x, y=y)
    runs.resume(run)


def test_a_run_of_an_earlier_version_has_nothing_to_compare(run):
    swap("origin", None)(newest(run) / "state.json")
    with pytest.raises(ModelFolderError, match="is damaged"):
        runs.resume(run)
    numbers = json.loads((newest(run) / "state.json").read_text())
    del numbers["origin"]
    (newest(run) / "state.json").write_text(json.dumps(numbers))
    runs.resume(run)


TRANSLATE = {
    "task": "translate",
    "data": {"path": "own.src", "target_path": "own.tgt"},
    "model": {"hidden_size": 4},
}
PREDICT = {
    "task": "predict",
    "data": {"path": "own.src", "vocabulary": {"unit": "byte"}},
    "model": {"hidden_size": 4},
}
TEXT = "".join("b" + " a" * (number % 7 + 1) + "\n" for number in range(30))


@pytest.mark.parametrize(
    ("recipe", "text", "what"),
    [
        (TRANSLATE, TEXT + "c c\n", "source-vocabulary.json, another target-vocabulary.json"),
        (TRANSLATE, TEXT.replace("b a", "a b"), "another training part"),
        (PREDICT, TEXT.replace("b a", "a b"), "another training part, another validation part;"),
    ],
)
def test_a_run_does_not_go_on_with_another_text(tmp_path, monkeypatch, recipe, text, what):
    """Its tokens' numbers may mean other words by then, and its model be written anew with them."""
    monkeypatch.chdir(tmp_path)
    sides = [tmp_path / name for name in ("own.src", "own.tgt")]
    for side in sides:
        side.write_text(TEXT)
    values = {**recipe, "training": {"epochs": 2, "batch_size": 8}}
    run = tmp_path / "run"
    runs.train(recipes.NamedRecipe("own", recipes.check(values, "own")), run)
    if recipe is TRANSLATE:
        edit(run, "beam = 5", "beam = 3")
        runs.resume(run)  # how answers are searched for is nothing that was learned
    before = left_by(run)
    folder = {path.name: path.read_bytes() for path in (run / "model").iterdir()}
    for side in sides:
        side.write_text(text)
    with pytest.raises(DataError, match=f"the data is not what the run began with: .*{what}"):
        runs.resume(run)
    assert left_by(run) == before
    assert folder == {path.name: path.read_bytes() for path in (run / "model").iterdir()}


@pytest.mark.usefixtures("_losses_to_and_fro")
def test_a_damaged_checkpoint_may_be_removed_wherever_the_best_one_is(tmp_path, described):
    """The one before it names another best epoch, which must be there as well."""
    run = tmp_path / "run"
    stopped(described(epochs=7), run, "epoch", 5)
    shutil.rmtree(run / "checkpoints" / f"step-{5 * STEPS}")
    assert runs.resume(run).progress.epoch == 7


@pytest.mark.usefixtures("_losses_to_and_fro")
@pytest.mark.parametrize("damaged", [3, 4])
@pytest.mark.parametrize("content", ["{", "[]", '{"progress": 3}', "[" * 100_000])
def test_a_damaged_checkpoint_that_nobody_needs_ends_nothing(tmp_path, described, damaged, content):
    """The fifth is the newest, and the best."""
    run = tmp_path / "run"
    stopped(described(epochs=7), run, "epoch", 5)
    (run / "checkpoints" / f"step-{damaged * STEPS}" / "state.json").write_text(content)
    assert runs.resume(run).progress.epoch == 7
    names = {path.name for path in (run / "checkpoints").iterdir()}
    assert names == {f"step-{epoch * STEPS}" for epoch in (damaged, 5, 6, 7)}


@pytest.fixture
def _losses_to_and_fro(monkeypatch):
    """Validation losses of which the fourth is none of the best so far."""
    losses = iter([5.0, 4.0, 3.0, 9.0, 2.0, *range(10, 99)])
    monkeypatch.setattr(Classify, "validate", lambda task: {"loss": next(losses), "accuracy": 0.5})


@pytest.mark.usefixtures("_second_epoch_is_best")
def test_the_best_checkpoint_must_be_there(tmp_path, described):
    recipe = described(epochs=7)
    best = runs.train(recipe, tmp_path / "run").progress.best_epoch
    shutil.rmtree(tmp_path / "run" / "checkpoints" / f"step-{STEPS * best}")
    with pytest.raises(ModelFolderError, match=f"lacks the checkpoint of epoch {best}, the best"):
        runs.resume(tmp_path / "run")


@pytest.mark.usefixtures("_second_epoch_is_best")
def test_the_best_checkpoint_is_named_where_it_is_damaged(tmp_path, described):
    recipe = described(epochs=7)
    best = runs.train(recipe, tmp_path / "run").progress.best_epoch
    folder = tmp_path / "run" / "checkpoints" / f"step-{STEPS * best}"
    cut(folder / "state.json")
    with pytest.raises(ModelFolderError, match=f"checkpoint {folder} is damaged"):
        runs.resume(tmp_path / "run")


def test_a_run_that_has_not_finished_has_no_model(run):
    with pytest.raises(ModelFolderError, match="has not finished: unspool resume it"):
        model_folder.load(run)


def test_what_a_killed_save_left_is_cleared_away(digits_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(digits_run, run)
    left = run / "checkpoints" / ".step-99-0123"
    left.mkdir()
    (left / "state.safetensors").write_bytes(b"half")
    runs.resume(run)
    assert not left.exists()
