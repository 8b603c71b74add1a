"""The base of every settings class: frozen, typed, and strict about unknown keys."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

_LONGEST = 80  # characters of a value in a message


class Settings(BaseModel):
    """One part's settings, declared beside the code that they configure."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def keys(cls, prefix: str = "") -> Iterator[str]:
        """Every key with its tables before it, as in ``training.optimizer.lr``."""
        for name, field in cls.model_fields.items():
            yield prefix + name
            kind = field.annotation
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
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if problem["type"] == "value_error":
        return f"{key}: {message}" if key else message
    value = repr(problem["input"])
    value = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    return f"{key} = {value}, expected {' or '.join(map(_expected, same))}"


def _expected(problem: Any) -> str:
    """What a value should have been, in a recipe's terms and not in Python's."""
    if problem["type"] in ("model_type", "dict_type"):
        return "a table"
    if problem["type"] in ("tuple_type", "list_type"):
        return "a list"
    message: str = problem["msg"]
    return message.removeprefix("Input should be ").replace("a valid ", "a ")


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
