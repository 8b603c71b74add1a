"""Keeps a run's states on disk, so that it can go on after it was stopped."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from unspool.errors import ModelFolderError, UnspoolError
from unspool.storage import replacing_folder
from unspool.training.origin import Origin
from unspool.training.report import Observer
from unspool.training.state import TrainingState, part_of

_TENSORS, _NUMBERS = "state.safetensors", "state.json"
_NEWEST_KEPT = 2


class Checkpoints(Observer):
    """Folders ``step-N``, one after each epoch.

    The newest two are kept, so that a damaged one is no loss, and the best epoch of either.

    Parameters
    ----------
    folder : Path
        Where the ``step-N`` folders lie.
    origin : Origin
        What the run is trained from.
    """

    def __init__(self, folder: Path, origin: Origin) -> None:
        self._folder, self._origin = folder, origin

    def epoch_ended(self, state: TrainingState, improved: bool) -> None:
        """Save the state, then drop what is no longer needed."""
        del improved
        tensors = {name: value.contiguous() for name, value in state.tensors().items()}
        folder = self._folder / f"step-{state.progress.step}"
        with replacing_folder(folder, (_TENSORS, _NUMBERS), (_NUMBERS, "progress")) as aside:
            (aside / _TENSORS).write_bytes(safetensors.torch.save(tensors))
            numbers = {"origin": asdict(self._origin), **state.numbers()}
            (aside / _NUMBERS).write_text(json.dumps(numbers, indent=1))
        self._drop_old()

    def resume(self, state: TrainingState) -> None:
        """Bring a run's state to where its newest checkpoint was taken.

        Without any, as when the run stopped in its first epoch, the state stays at the start.

        Raises
        ------
        ModelFolderError
            If a checkpoint is damaged.
        RecipeError, DataError
            If the run began with another recipe, or with other data.
        """
        folders = checkpoints_in(self._folder)
        if not folders:
            return
        for unfinished in self._folder.glob(".step-*"):  # the process was killed while saving
            shutil.rmtree(unfinished)
        newest = folders[0]
        tensors, numbers = _tensors(newest), _numbers(newest)
        try:
            if "origin" in numbers:  # runs of earlier versions have none
                self._origin.check(numbers["origin"], numbers["progress"]["epoch"])
            state.restore(tensors, numbers, self._best_weights(numbers))
        except UnspoolError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            problem = " ".join(f"{type(error).__name__}: {error}".split())
            raise _damaged(newest, f"it does not fit recipe.toml: {problem}") from error

    def _best_weights(self, numbers: dict[str, Any]) -> dict[str, Tensor] | None:
        best_epoch = numbers["progress"]["best_epoch"]
        if best_epoch == 0:
            return None
        for folder in checkpoints_in(self._folder):
            if _progress(folder).get("epoch") == best_epoch:
                return part_of(_tensors(folder), "model")
        for folder in checkpoints_in(self._folder):
            _numbers(folder)  # a damaged one, which may have been it, is named
        raise ModelFolderError(
            f"{self._folder} lacks the checkpoint of epoch {best_epoch}, the best one, expected "
            "beside the newest; start the run again with unspool train"
        )

    def _drop_old(self) -> None:
        folders = checkpoints_in(self._folder)
        newest, old = folders[:_NEWEST_KEPT], folders[_NEWEST_KEPT:]
        kept = {None, *(_progress(folder).get("best_epoch") for folder in newest)}
        for folder in old:
            if _progress(folder).get("epoch") not in kept:
                shutil.rmtree(folder)


def checkpoints_in(folder: Path) -> list[Path]:
    """The complete ones, the newest first."""
    if not folder.is_dir():
        return []
    complete = [path for path in folder.iterdir() if re.fullmatch(r"step-\d+", path.name)]
    return sorted(complete, key=lambda path: int(path.name[5:]), reverse=True)


def _tensors(folder: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(folder / _TENSORS)
    except (OSError, SafetensorError) as error:
        raise _damaged(folder, f"{_TENSORS}: {error}") from error


def _numbers(folder: Path) -> dict[str, Any]:
    try:
        numbers: dict[str, Any] = json.loads((folder / _NUMBERS).read_text())
        return numbers
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(folder, f"{_NUMBERS}: {error}") from error


def _progress(folder: Path) -> dict[str, Any]:
    """How far a checkpoint is; nothing of a damaged one, which must not end the training."""
    try:
        found = _numbers(folder)["progress"]
    except (ModelFolderError, LookupError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _damaged(folder: Path, problem: str) -> ModelFolderError:
    return ModelFolderError(
        f"checkpoint {folder} is damaged ({problem}); remove it to go on from the one before it"
    )
