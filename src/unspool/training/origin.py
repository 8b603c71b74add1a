"""What a run began with: it goes on with nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.errors import DataError, RecipeError
from unspool.tasks.task import Task

_FREE = (
    "decoding",
    "training.keep",
    "training.max_skipped",
    "training.patience",
    "training.report_every",
    "training.tensorboard",
)
"""What may be changed before a run goes on: it decides nothing that was learned so far."""

_WHOLE = ("class_weights",)
"""Settings whose keys are the user's own: one that is lacking is no setting of another version."""

_FROM_THE_RECIPE = {"model", "data", "decoding"}
"""What a predictor's description has from the recipe, and not from the data."""


@dataclass(frozen=True)
class Origin:
    """A run's recipe, and what tells its data from other data.

    Parameters
    ----------
    recipe : mapping
        All of it, as JSON has it.
    data : mapping of str to str
        SHA-256 of each part, of the vocabularies, and of the labels and the like.
    """

    recipe: Mapping[str, Any]
    data: Mapping[str, str]

    @classmethod
    def of(cls, recipe: Mapping[str, Any], task: Task) -> Origin:
        """Of a run that begins."""
        return cls(recipe, _fingerprints(task))

    def check(self, before: Mapping[str, Any], epochs: int) -> None:
        """Compare it with the origin of the run that is to go on.

        Parameters
        ----------
        before : mapping
            What the run began with: an origin's fields.
        epochs : int
            For which it was trained.

        Raises
        ------
        RecipeError
            If a setting that decides what is learned was changed, or there are to be fewer epochs
            than there were.
        DataError
            If the data was.
        """
        changes = [each for each in _changes(before["recipe"], self.recipe) if not self._free(each)]
        if changes:
            raise RecipeError(
                f"recipe.toml is not what the run began with: {'; '.join(map(str, changes))}; "
                "change that back, or train anew by unspool train"
            )
        wanted = self.recipe["training"]["epochs"]
        if wanted < epochs:
            raise RecipeError(
                f"training.epochs is {wanted} and the run has been trained for {epochs}, expected "
                "as many or more; raise it, or train anew by unspool train"
            )
        other = [name for name, found in self.data.items() if before["data"].get(name) != found]
        if other:
            raise DataError(
                f"the data is not what the run began with: another {', another '.join(other)}; "
                "bring it back as it was, or train anew by unspool train"
            )

    def _free(self, change: _Change) -> bool:
        if change.key == "training.epochs":
            schedule = self.recipe["training"]["schedule"]
            return schedule["name"] not in ("cosine", "one-cycle") and schedule["warmup"] == 0
        # The data is told by what it holds, wherever that lies.
        return change.key.startswith(_FREE) or change.key.endswith("path")


@dataclass(frozen=True)
class _Change:
    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key} was {json.dumps(self.before)} and is {json.dumps(self.now)}"


def _changes(before: Any, now: Any, key: str = "") -> Iterator[_Change]:
    """The settings that both have, and that differ."""
    if isinstance(before, dict) and isinstance(now, dict) and key not in _WHOLE:
        for name in sorted(before.keys() & now.keys()):
            yield from _changes(before[name], now[name], f"{key}.{name}".lstrip("."))
    elif before != now:
        yield _Change(key, before, now)


def _fingerprints(task: Task) -> dict[str, str]:
    """Other data would give weights a meaning that nobody has trained."""
    predictor = task.predictor
    found = {name: _sha(each.to_json()) for name, each in predictor.vocabularies.items()}
    description = predictor.description()
    labels = {key: description[key] for key in description.keys() - _FROM_THE_RECIPE}
    found["set of labels or features"] = _sha(json.dumps(labels, sort_keys=True))
    for name, arrays in task.parts.items():
        each = [_sha(f"{array.dtype} {array.shape}", array) for array in arrays]
        found[f"{name} part"] = _sha(" ".join(each))
    return found


def _sha(text: str, array: NDArray[Any] | None = None) -> str:
    found = sha256(text.encode())
    if array is not None and array.size:
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()
