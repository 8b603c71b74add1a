"""The base of every settings class: frozen, typed, and strict about unknown keys."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


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


def problems(error: ValidationError, settings: type[Settings] | None = None) -> list[str]:
    """Put everything that is wrong with some settings in words, one line a problem.

    Parameters
    ----------
    error : pydantic.ValidationError
    settings : type, optional
        The settings that were asked for, so that an unknown key can be told the nearest known.
    """
    return [_in_words(problem, settings) for problem in error.errors()]


def _in_words(problem: Any, settings: type[Settings] | None) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{_nearest(key, settings)}"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if problem["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key} = {problem['input']!r}: {message}"


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
