"""Every shipped recipe runs, for a tiny moment."""

import json
import os

import numpy as np
import pytest

from unspool import runs
from unspool.recipes import recipe as recipes
from unspool.recipes.shipped import shipped
from unspool.tasks import model_folder

MOMENT = ["training.epochs=1", "data.limit=64"]
BUILT_IN = ["dates", "digits", "digits-draw", "fable", "languages", "python-docs", "reverse"]
PICTURES = ["fashion-draw", *sorted(name for name in shipped() if "mnist" in name)]
TEXTS = ["fable-lstm", "ptb", "ptb-awd", "ptb-small", "ptb-small-gru", "shakespeare-characters"]
PAIRS = sorted(name for name in shipped() if name.startswith("multi30k"))
DRAWN = ["data.size=300", "model.hidden_size=8"]  # pairs that are drawn from a seed
SMALLER = ["model.hidden_size=8"]  # what takes its time is trained smaller: this is no training
ALL_LABELS = ["data.limit=1500"]  # 64 names do not show all 32 languages


def test_every_recipe_is_run():
    assert sorted([*BUILT_IN, *PICTURES, *TEXTS, *PAIRS]) == sorted(shipped())


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNSPOOL_CACHE", str(tmp_path / "cache"))


def run_a_moment(named, folder):
    outcome = runs.train(named, folder)
    assert outcome.progress.epoch == 1
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert all(record["loss"] > 0 for record in records)
    assert recipes.load(folder / "recipe.toml").recipe == named.recipe
    assert model_folder.load(folder).data == named.recipe.data


@pytest.mark.parametrize("name", BUILT_IN)
def test_on_built_in_data(name, tmp_path):
    more = DRAWN if name in ("dates", "reverse") else []
    if name == "languages":
        more = [*ALL_LABELS, *SMALLER]
    run_a_moment(recipes.load(name, [*MOMENT, *more]), tmp_path / "run")


@pytest.mark.parametrize("name", TEXTS)
def test_on_any_text(name, tmp_path):
    """What a recipe asks of its data is there with any text, too."""
    words = " ".join(f"word{number * number % 97}" for number in range(4000))
    (tmp_path / "own.txt").write_text("\n".join(words[i : i + 60] for i in range(0, 20_000, 60)))
    values = recipes.load(name, [*MOMENT, *SMALLER]).recipe.model_dump(exclude_none=True)
    values["data"] |= {"path": str(tmp_path / "own.txt"), "validation": 0.2}
    del values["data"]["name"]
    run_a_moment(recipes.NamedRecipe(name, recipes.check(values, name)), tmp_path / "run")


@pytest.mark.parametrize("name", PAIRS)
def test_on_any_pairs(name, tmp_path):
    """What a recipe asks of its data is there with any pairs, too."""
    lines = [f"a word{number * number % 7}, and word{number % 11}." for number in range(80)]
    for file, change in (("own.en", str), ("own.fr", str.upper)):
        (tmp_path / file).write_text("".join(f"{change(line)}\n" for line in lines))
    values = recipes.load(name, [*MOMENT, *SMALLER]).recipe.model_dump(exclude_none=True)
    values["data"] |= {"path": str(tmp_path / "own.en"), "target_path": str(tmp_path / "own.fr")}
    for key in ("name", "source_language", "target_language"):
        del values["data"][key]
    run_a_moment(recipes.NamedRecipe(name, recipes.check(values, name)), tmp_path / "run")


@pytest.mark.parametrize("name", PICTURES)
def test_on_random_pictures(name, tmp_path):
    """What a recipe asks of its data is there with any pictures of the same size."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (24, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "pictures.npz", x=pictures, y=np.arange(24) % 3)
    values = recipes.load(name, MOMENT).recipe.model_dump(exclude_none=True)
    values["data"] |= {"path": str(tmp_path / "pictures.npz"), "validation": 0.2}
    del values["data"]["name"]
    run_a_moment(recipes.NamedRecipe(name, recipes.check(values, name)), tmp_path / "run")


@pytest.mark.data
@pytest.mark.parametrize("name", [*PICTURES, *TEXTS, *PAIRS])
def test_on_data_of_the_catalogue(name, tmp_path):
    from unspool.data import catalogue

    wanted = recipes.load(name).recipe.data.name
    if not os.environ.get("UNSPOOL_DATA") or None in catalogue.locate(wanted).values():
        pytest.skip(f"{wanted} is not in $UNSPOOL_DATA")
    smaller = SMALLER if name in TEXTS or name in PAIRS else []
    run_a_moment(recipes.load(name, [*MOMENT, *smaller]), tmp_path / "run")
