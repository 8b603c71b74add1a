"""Keeps a run's states on disk, so that it can go on after it was stopped."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from unspool.errors import DataError, ModelFolderError
from unspool.storage import replacing_folder
from unspool.training.report import Observer
from unspool.training.state import TrainingState, part_of

_TENSORS, _NUMBERS = "state.safetensors", "state.json"
_NEWEST_KEPT = 2


class Checkpoints(Observer):
    """Folders ``step-N``, one after each epoch; the newest two and the best are kept.

    Parameters
    ----------
    folder : Path
        Where the ``step-N`` folders lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def epoch_ended(self, state: TrainingState, improved: bool) -> None:
        """Save the state, then drop what is no longer needed."""
        del improved
        tensors = {name: value.contiguous() for name, value in state.tensors().items()}
        folder = self._folder / f"step-{state.progress.step}"
        with replacing_folder(folder, (_TENSORS, _NUMBERS)) as aside:
            (aside / _TENSORS).write_bytes(safetensors.torch.save(tensors))
            (aside / _NUMBERS).write_text(json.dumps(state.numbers(), indent=1))
        self._drop_old(state.progress.best_epoch)

    def resume(self, state: TrainingState) -> None:
        """Bring a run's state to where its newest checkpoint was taken.

        Without any, as when the run stopped in its first epoch, the state stays at the start.

        Raises
        ------
        ModelFolderError
            If a checkpoint is damaged, or does not fit the run's recipe.
        DataError
            If the run began with other data.
        """
        folders = self._newest_first()
        if not folders:
            return
        for unfinished in self._folder.glob(".step-*"):  # the process was killed while saving
            shutil.rmtree(unfinished)
        newest = folders[0]
        tensors, numbers = _tensors(newest), _numbers(newest)
        try:
            state.restore(tensors, numbers, self._best_weights(numbers))
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, ModelFolderError | DataError):
                raise
            problem = " ".join(f"{type(error).__name__}: {error}".split())
            raise _damaged(newest, f"it does not fit recipe.toml: {problem}") from error

    @property
    def exist(self) -> bool:
        """Whether there is any to go on from."""
        return bool(self._newest_first())

    def _best_weights(self, numbers: dict[str, Any]) -> dict[str, Tensor] | None:
        best_epoch = numbers["progress"]["best_epoch"]
        if best_epoch == 0:
            return None
        for folder in self._newest_first():
            if _numbers(folder)["progress"]["epoch"] == best_epoch:
                return part_of(_tensors(folder), "model")
        raise ModelFolderError(
            f"{self._folder} lacks the checkpoint of epoch {best_epoch}, the best one, expected "
            "beside the newest; start the run again with unspool train"
        )

    def _newest_first(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        complete = [path for path in self._folder.iterdir() if re.fullmatch(r"step-\d+", path.name)]
        return sorted(complete, key=lambda path: int(path.name[5:]), reverse=True)

    def _drop_old(self, best_epoch: int) -> None:
        for folder in self._newest_first()[_NEWEST_KEPT:]:
            if _numbers(folder)["progress"]["epoch"] != best_epoch:
                shutil.rmtree(folder)


def _tensors(folder: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(folder / _TENSORS)
    except (OSError, SafetensorError) as error:
        raise _damaged(folder, f"{_TENSORS}: {error}") from error


def _numbers(folder: Path) -> dict[str, Any]:
    try:
        numbers: dict[str, Any] = json.loads((folder / _NUMBERS).read_text())
        return numbers
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{_NUMBERS}: {error}") from error


def _damaged(folder: Path, problem: str) -> ModelFolderError:
    return ModelFolderError(
        f"checkpoint {folder} is damaged ({problem}); remove it to go on from the one before it"
    )
