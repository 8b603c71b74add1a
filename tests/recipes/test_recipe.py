import tomllib

import pytest

from unspool.errors import RecipeError
from unspool.recipes import recipe as recipes
from unspool.recipes.recipe import Recipe
from unspool.recipes.shipped import shipped, text_of
from unspool.training.settings import TrainingSettings


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "own.toml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def refusal(source, *overrides: str) -> str:
    with pytest.raises(RecipeError) as error:
        recipes.load(source, overrides)
    message = str(error.value)
    assert "\n" not in message
    return message


# --- what comes with the package -----------------------------------------------------------


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_is_complete_and_explained(name):
    named = recipes.load(name)
    values = tomllib.loads(text_of(name))
    assert named.name == name
    assert text_of(name).startswith("# ")
    assert {"task", "seed", "data", "model", "training"} <= values.keys()
    assert "optimizer" in values["training"]
    data = values["data"]["name"].removeprefix("tiny")
    named_after = {"fashion-draw": "fashion"}.get(name, data)
    assert name == named_after or name.startswith(f"{named_after}-")


def test_the_recipes_of_the_tutorials_are_theirs():
    """The facts of the issue: sizes, optimiser, rates and counts."""
    tutorial = recipes.load("mnist-tutorial").recipe
    assert (tutorial.model.cell, tutorial.model.num_layers) == ("lstm", 2)
    assert (tutorial.model.hidden_size, tutorial.model.output_init) == (128, "standard-normal")
    assert (tutorial.training.optimizer.name, tutorial.training.optimizer.lr) == ("adam", 0.001)
    assert (tutorial.training.batch_size, tutorial.training.report_every) == (128, 100)
    notebook = recipes.load("mnist-notebook").recipe
    assert (notebook.model.input_projection, notebook.model.hidden_size) == (128, 128)
    assert notebook.model.forget_bias == 1.0
    assert (notebook.training.optimizer.name, notebook.training.optimizer.lr) == ("adam", 0.001)
    assert (notebook.training.epochs, notebook.training.batch_size) == (5, 128)
    assert recipes.load("mnist-every-step").recipe.objective == "every-step"


# --- there and back ------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped())
def test_a_recipe_written_down_is_the_same_recipe(name, write):
    recipe = recipes.load(name).recipe
    assert recipes.load(write(recipe.to_toml())).recipe == recipe


def test_what_is_written_down_is_complete(write):
    text = recipes.load("digits").recipe.to_toml()
    values = tomllib.loads(text)
    assert list(values)[:2] == ["task", "seed"]
    optional = {
        key for key, field in TrainingSettings.model_fields.items() if field.default is None
    }
    assert set(TrainingSettings.model_fields) - optional <= values["training"].keys()


def test_odd_values_come_back(write):
    values = {
        "task": "classify",
        "seed": 2**63 - 1,
        "class_weights": {"3": 2.0, 'a"b.c': 1e-30, "größer": 1.0},
        "data": {"path": 'C:\\data\\"x".csv', "columns": {"features": ["b", "a"]}},
        "training": {"optimizer": {"lr": 1e-10, "betas": [0.5, 0.6]}},
    }
    recipe = recipes.check(values, "own")
    assert recipes.load(write(recipe.to_toml())).recipe == recipe


@pytest.mark.parametrize(
    ("name", "expected"), [("own.toml", "own"), ("digits-7/recipe.toml", "digits-7")]
)
def test_a_file_gives_its_run_a_name(write, name, expected):
    path = write(text_of("digits"), name)
    assert recipes.load(path).name == expected


def test_a_file_needs_no_ending_of_its_own(write):
    assert recipes.load(write(text_of("digits"), "own")).recipe.data.name == "digits"


# --- overrides -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("model.hidden_size=256", "model.hidden_size", 256),
        (" model.hidden_size = 256 ", "model.hidden_size", 256),
        ("training.optimizer.lr=1e-4", "training.optimizer.lr", 1e-4),
        ("model.bidirectional=true", "model.bidirectional", True),
        ("model.cell=gru", "model.cell", "gru"),
        ('model.cell="gru"', "model.cell", "gru"),
        ("training.optimizer.betas=[0.8, 0.9]", "training.optimizer.betas", (0.8, 0.9)),
        ("class_weights={3 = 2.0}", "class_weights", {"3": 2.0}),
        ("class_weights.3=2.0", "class_weights", {"3": 2.0}),
        ("class_weights=balanced", "class_weights", "balanced"),
        ("data.columns.label=what it is", "data.columns.label", "what it is"),
        ("data.columns.label=a=b", "data.columns.label", "a=b"),
        ("seed=7", "seed", 7),
    ],
)
def test_an_override_of_every_type(override, path, expected):
    value = recipes.load("digits", [override]).recipe
    for part in path.split("."):
        value = getattr(value, part)
    assert value == expected


def test_the_last_override_wins():
    assert recipes.load("digits", ["seed=2", "seed=3"]).recipe.seed == 3


@pytest.mark.parametrize("override", ["", "seed", "=3", ".=3", "model.=3", "model..cell=gru"])
def test_a_malformed_override_is_explained(override):
    message = refusal("digits", override)
    assert message == (f"--set {override!r}: expected key=value, as in model.hidden_size=256")


def test_a_value_is_no_table():
    message = refusal("digits", "training.epochs.more=3")
    assert message == "--set 'training.epochs.more=3': epochs is a value, expected a table"


# --- what is wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.hiden_size=3", "model.hiden_size: unknown key, did you mean model.hidden_size?"),
        ("hidden_size=3", "hidden_size: unknown key, did you mean model.hidden_size?"),
        ("lr=3", "lr: unknown key, did you mean training.optimizer.lr?"),
        ("training.lr=3", "training.lr: unknown key, did you mean training.optimizer.lr?"),
        ("optimiser.name=sgd", "optimiser: unknown key, did you mean training.optimizer?"),
        ("task=sing", "task = 'sing', expected 'classify'"),
        ("seed=-1", "seed = -1, expected greater than or equal to 0"),
        ("training.optimizer.lr=inf", "training.optimizer.lr = inf, expected a finite number"),
        ("training.epochs=ten", "training.epochs = 'ten', expected a whole number"),
        ("data.path=x.csv", "data: needs either name (a catalogue set) or path (a file), and not"),
        ("training.schedule.warmup=0", "training.schedule: one-cycle needs warmup above 0"),
    ],
)
def test_what_is_wrong_is_named(override, expected):
    assert expected in refusal("digits", override)


def test_everything_that_is_wrong_is_told_at_once_in_one_line():
    message = refusal(
        "digits", "training.epochs=0", "model.hidden_size=-3", "data.test=2", "modle.cell=gru"
    )
    assert message.startswith("recipe digits: ")
    for part in (
        "training.epochs = 0",
        "model.hidden_size = -3",
        "data.test = 2, expected less than 1",
        "modle: unknown key, did you mean model?",
    ):
        assert part in message


@pytest.mark.parametrize("watcher", ["training.patience=3", "training.schedule={name='plateau'}"])
def test_watching_a_validation_part_that_is_not_there_is_refused(watcher):
    message = refusal("digits", watcher, "data.validation=0")
    assert "watches the validation part, expected data.validation above 0" in message
    assert recipes.load("digits", [watcher]).recipe.data.validation > 0


def test_an_unknown_recipe_is_told_the_nearest_and_all():
    message = refusal("digit")
    assert message.startswith("no recipe is called 'digit'; did you mean digits? expected")
    assert "mnist-tutorial" in message
    assert refusal("xyzzy").startswith("no recipe is called 'xyzzy', expected a .toml file or one")


def test_a_file_that_is_missing_or_no_toml(tmp_path, write):
    missing = tmp_path / "nowhere.toml"
    assert refusal(missing) == f"recipe {missing}: no such file; check the path"
    broken = write("task = classify\n")
    assert refusal(broken).startswith(f"recipe {broken} is not valid TOML: ")
    assert "line 1" in refusal(broken)
    broken.write_bytes(b"\xff\xfe\x00")
    assert "is not valid TOML" in refusal(broken)
    (tmp_path / "folder.toml").mkdir()
    assert "folder.toml cannot be read: Is a directory" in refusal(tmp_path / "folder.toml")


def test_an_empty_recipe_says_what_is_missing(write):
    path = write("")
    assert refusal(path) == f"recipe {path}: data: missing; task: missing"


def test_a_recipe_cannot_be_changed():
    recipe = recipes.load("digits").recipe
    assert isinstance(recipe, Recipe)
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 3
