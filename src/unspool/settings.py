"""The base of every settings class: frozen, typed, and strict about unknown keys."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

_LONGEST = 80  # characters of a value in a message
_KINDS = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a table",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a table",
    "string_type": "text",
    "tuple_type": "a list",
}
"""What a recipe calls the types that pydantic names after Python's."""


class Settings(BaseModel):
    """One part's settings, declared beside the code that they configure.

    Strict: ``"10"`` and ``true`` are no numbers. A tuple's field allows the list that TOML and JSON
    have in its place by ``Field(strict=False)``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def keys(cls, prefix: str = "") -> Iterator[str]:
        """Every key with its tables before it, as in ``training.optimizer.lr``."""
        for name, field in cls.model_fields.items():
            yield prefix + name
            for kind in (field.annotation, *get_args(field.annotation)):  # also of an optional one
                if isinstance(kind, type) and issubclass(kind, Settings):
                    yield from kind.keys(f"{prefix}{name}.")


def problems(
    error: ValidationError,
    settings: type[Settings] | None = None,
    names: Mapping[str, str] | None = None,
) -> list[str]:
    """Put everything that is wrong with some settings in words, one line a problem.

    Parameters
    ----------
    error : pydantic.ValidationError
    settings : type, optional
        The settings that were asked for, so that an unknown key can be told the nearest known.
    names : mapping of str to str, optional
        What the user calls a key, where that is not ``training.optimizer.lr`` and the like.
    """
    by_key: dict[str, list[Any]] = {}
    for problem in error.errors():
        by_key.setdefault(_key(problem), []).append(problem)
    return [
        _in_words(names.get(key, key) if names else key, same, settings)
        for key, same in by_key.items()
        if not any(other.startswith(f"{key}.") for other in by_key)
    ]


def _key(problem: Any) -> str:
    """The key as a user writes it, without pydantic's names for the alternatives of a union."""
    return ".".join(
        str(part) for part in problem["loc"] if not str(part).startswith(("literal[", "dict["))
    )


def _in_words(key: str, same: list[Any], settings: type[Settings] | None) -> str:
    """Say what is wrong with one key; of a union, what each alternative would be."""
    problem = same[0]
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{_nearest(key, settings)}"
    if problem["type"] == "missing":
        return f"{key}: missing"
    if problem["type"] == "value_error":
        message = problem["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        return f"{key}: {message}" if key else message
    value = repr(problem["input"])
    value = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    return f"{key} = {value}, expected {' or '.join(map(_expected, same))}"


def _expected(problem: Any) -> str:
    """What a value should have been, in a recipe's terms and not in Python's."""
    kind, limits = problem["type"], problem.get("ctx", {})
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in ("too_short", "too_long"):
        most = "at least" if kind == "too_short" else "at most"
        return f"{most} {limits.get('min_length', limits.get('max_length'))} values"
    return str(problem["msg"]).removeprefix("Input should be ")


def _nearest(key: str, settings: type[Settings] | None) -> str:
    """The known key that was most likely meant: of like spelling, or of that name elsewhere."""
    if settings is None:
        return ""
    known = list(settings.keys())
    name = key.rpartition(".")[2]
    elsewhere = [other for other in known if other.rpartition(".")[2] == name]
    close = elsewhere or difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if not close:
        names = {other.rpartition(".")[2]: other for other in known}
        close = [names[other] for other in difflib.get_close_matches(name, names, n=1)]
    return f", did you mean {close[0]}?" if close else ""
