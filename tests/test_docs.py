"""The documents say what is true of the code."""

import re
import tomllib
from pathlib import Path

from unspool.recipes.recipe import Recipe, check
from unspool.recipes.shipped import shipped

_ROOT = Path(__file__).parents[1]


def test_every_key_of_a_recipe_is_documented_and_no_other():
    text = (_ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `([\w.]+)` \|", text, flags=re.MULTILINE)
    tables = {"data", "model", "training"}
    assert sorted(documented) == sorted(set(Recipe.keys()) - tables)


def test_every_shipped_recipe_has_a_result():
    text = (_ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert [name for name in shipped() if f"`{name}`" not in text] == []


def test_links_between_documents_lead_somewhere():
    for page in [_ROOT / "README.md", *(_ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_recipes_that_documents_show_are_right():
    shown = [
        block
        for page in [_ROOT / "README.md", *(_ROOT / "docs").glob("*.md")]
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    assert shown
    for block in shown:
        assert check(tomllib.loads(block), "shown").task == "classify"
