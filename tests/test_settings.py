from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from unspool.recipes.recipe import recipe_type
from unspool.settings import Settings, problems


class Inner(Settings):
    rate: float = 1.0
    sizes: Annotated[tuple[int, int], Field(strict=False)] = (1, 2)


class Outer(Settings):
    inner: Inner = Inner()
    name: str = "a"
    flag: bool = False


def words(settings: type[Settings], values: object, **keywords) -> list[str]:
    with pytest.raises(ValidationError) as error:
        settings.model_validate(values)
    return problems(error.value, settings, **keywords)


def test_keys_are_those_of_all_tables():
    assert list(Outer.keys()) == ["inner", "inner.rate", "inner.sizes", "name", "flag"]


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Outer().name = "b"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nane": 1}, "nane: unknown key, did you mean name?"),
        ({"rate": 1}, "rate: unknown key, did you mean inner.rate?"),
        ({"inner": {"rat": 1}}, "inner.rat: unknown key, did you mean inner.rate?"),
        ({"zzzzzz": 1}, "zzzzzz: unknown key"),
        ({"inner": 5}, "inner = 5, expected a table"),
        ({"inner": {"rate": "fast"}}, "inner.rate = 'fast', expected a number"),
        ({"inner": {"rate": float("nan")}}, "inner.rate = nan, expected a finite number"),
        ({"inner": {"sizes": 3}}, "inner.sizes = 3, expected a list"),
        ({"inner": {"sizes": [1, 2, 3]}}, "inner.sizes = [1, 2, 3], expected at most 2 values"),
        ({"inner": {"sizes": [1.5, 2]}}, "inner.sizes.0 = 1.5, expected a whole number"),
        ({"name": 3}, "name = 3, expected text"),
        ({"flag": 1}, "flag = 1, expected true or false"),
        ({"inner": {"rate": "2"}}, "inner.rate = '2', expected a number"),
        ({"inner": {"rate": True}}, "inner.rate = True, expected a number"),
        ({"flag": "perhaps"}, "flag = 'perhaps', expected true or false"),
    ],
)
def test_a_problem_in_words(values, message):
    assert words(Outer, values) == [message]


def test_a_long_value_is_cut():
    (message,) = words(Outer, {"flag": "x" * 500})
    assert len(message) < 150
    assert "…" in message


def test_all_problems_are_told_at_once():
    found = words(Outer, {"nane": 1, "flag": "x", "inner": {"rate": "y"}})
    assert len(found) == 3


def test_a_union_is_told_in_the_words_of_a_recipe():
    values = {"task": "classify", "data": {"name": "digits"}}
    assert words(recipe_type("classify"), {**values, "class_weights": "x"}) == [
        "class_weights = 'x', expected 'balanced' or a table"
    ]
    assert words(recipe_type("classify"), {**values, "class_weights": {"3": -1}}) == [
        "class_weights.3 = -1, expected greater than 0"
    ]


def test_a_missing_key_and_an_own_name_for_it():
    assert words(recipe_type("classify"), {"data": {"name": "digits"}}) == ["task: missing"]
    assert words(Outer, {"flag": "x"}, names={"flag": "the_flag"})[0].startswith("the_flag = 'x'")
