"""The documents say what is true of the code."""

import re
import tomllib
from pathlib import Path

import pytest

from unspool.recipes.recipe import check, recipe_type
from unspool.recipes.shipped import shipped
from unspool.tasks.registry import TASKS

_ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("task", TASKS)
def test_every_key_of_a_recipe_is_documented_and_no_other(task):
    """A section that names a task in its heading is about that task alone, all others about all."""
    text = (_ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)
    headings = {name: f"`{name}`\n" for name in TASKS}
    documented = []
    for section in sections:
        others = [line for name, line in headings.items() if name != task]
        if not any(line in section[: section.index("\n") + 1] for line in others):
            documented += re.findall(r"^\| `([\w.]+)` \|", section, flags=re.MULTILINE)
    tables = {"data", "model", "training"}
    assert sorted(documented) == sorted(set(recipe_type(task).keys()) - tables)


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
        assert check(tomllib.loads(block), "shown").task in TASKS
