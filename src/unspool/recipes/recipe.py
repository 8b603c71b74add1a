"""Reads, checks, overrides and writes recipes."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from unspool.errors import RecipeError
from unspool.recipes.shipped import text_of
from unspool.settings import problems
from unspool.tasks import registry
from unspool.tasks.task import TaskSettings
from unspool.training.settings import TrainingSettings


def _known_task(name: object) -> object:
    if registry.find(name) is None:
        known = " or ".join(map(repr, registry.TASKS))
        raise PydanticCustomError("unknown_task", "{known}", {"known": known})
    return name


class Recipe(TaskSettings):
    """A complete description of a run: what all recipes have.

    The rest is the task's own, see :func:`recipe_type`.

    Parameters
    ----------
    task : str
        A name of the registry.
    seed : int
        Decides the first weights, the order of the batches, augmentation and dropout.
    training : TrainingSettings
    """

    task: Annotated[str, BeforeValidator(_known_task)]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="after")
    def _validation_is_there_to_be_watched(self) -> Recipe:
        name = self.training.watching_validation
        if name and not self.has_validation:
            raise ValueError(
                f"training {name} watches the validation part, expected data.validation above 0, "
                "such as 0.1"
            )
        return self

    def to_toml(self) -> str:
        """Write the recipe down, every value included."""
        values = self.model_dump(mode="json", exclude_none=True)
        leading = {key: values.pop(key) for key in ("task", "seed")}
        return tomli_w.dumps({**leading, **values})


class _UnknownPart(TaskSettings):
    """Stands in for a task that nobody knows, so that the rest is checked all the same."""

    model_config = ConfigDict(extra="ignore")

    data: Any


def recipe_type(task: object) -> type[Recipe]:
    """The recipes of a task: its own part, and what all recipes have.

    Parameters
    ----------
    task : object
        What was given as the task's name.
    """
    kind = registry.find(task)
    return _with_part(kind.settings if kind else _UnknownPart)


@cache
def _with_part(part: type[TaskSettings]) -> type[Recipe]:
    bases: tuple[type[Any], ...] = (Recipe, part)
    recipe: type[Recipe] = create_model("Recipe", __base__=bases)
    return recipe


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe and what to call a run of it."""

    name: str
    recipe: Recipe


def load(source: str | Path, overrides: Sequence[str] = ()) -> NamedRecipe:
    """Find a recipe, apply overrides, and check all of it.

    Parameters
    ----------
    source : str or Path
        The name of a shipped recipe, or the path of a TOML file.
    overrides : sequence of str
        Each ``key=value``, as in ``model.hidden_size=256``; the value as TOML has it, quotes
        around text left out.

    Raises
    ------
    RecipeError
        If there is no such recipe, or with everything that is wrong with it.
    """
    name, values = _read(source)
    for override in overrides:
        _override(values, override)
    return NamedRecipe(name, check(values, f"recipe {source}"))


def check(values: dict[str, Any], title: str) -> Recipe:
    """Check a recipe's values.

    Raises
    ------
    RecipeError
        With everything that is wrong, in one line.
    """
    recipe = recipe_type(values.get("task"))
    try:
        return recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"{title}: {'; '.join(problems(error, recipe))}") from error


def _read(source: str | Path) -> tuple[str, dict[str, Any]]:
    path = Path(source)
    if path.suffix == ".toml" or path.is_file():
        name = path.parent.name if path.name == "recipe.toml" else path.stem
        try:
            return name or "recipe", tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RecipeError(f"recipe {path}: no such file; check the path") from None
        except OSError as error:
            raise RecipeError(f"recipe {path} cannot be read: {error.strerror or error}") from error
        except ValueError as error:  # not TOML, or not UTF-8
            raise RecipeError(f"recipe {path} is not valid TOML: {error}") from error
    return str(source), tomllib.loads(text_of(str(source)))


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    tables = key.strip().split(".")
    if not equals or not all(tables):
        raise RecipeError(f"--set {override!r}: expected key=value, as in model.hidden_size=256")
    for table in tables[:-1]:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise RecipeError(f"--set {override!r}: {table} is a value, expected a table")
    values[tables[-1]] = _value(text.strip())


def _value(text: str) -> Any:
    """The value as TOML has it; anything else is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
