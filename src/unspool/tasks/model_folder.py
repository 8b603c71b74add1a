"""A trained model on disk, of which nothing is ever pickled.

config.json, model.safetensors and README.md; and, where it reads text, vocabulary.json, or
source-vocabulary.json and target-vocabulary.json where it writes in another than it reads.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import nn

import unspool
from unspool.data.vocabulary import Vocabulary
from unspool.errors import DataError, ModelFolderError, RecipeError
from unspool.nn.keeping import keep_packed
from unspool.settings import problems
from unspool.storage import replacing_folder
from unspool.tasks import registry
from unspool.tasks.predictor import Description, Predictor

FORMAT = 1
_CONFIG, _WEIGHTS, _CARD = "config.json", "model.safetensors", "README.md"
_VOCABULARIES = ("vocabulary.json", "source-vocabulary.json", "target-vocabulary.json")
_LARGEST_CONFIG = 64 * 2**20  # bytes


def save(predictor: Predictor, folder: Path, card: str) -> None:
    """Write a model folder whole, or leave what was there.

    Parameters
    ----------
    predictor : Predictor
    folder : Path
    card : str
        The model card, in Markdown.

    Raises
    ------
    SaveError
        If it cannot be written, or the folder holds anything but a model.
    """
    config = {
        "format": FORMAT,
        "task": predictor.task,
        **predictor.description(),
        "versions": {
            "unspool": unspool.__version__,
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
    }
    state = predictor.model.state_dict()
    weights = {name: value.contiguous().cpu() for name, value in state.items()}
    text = json.dumps(config, indent=1, ensure_ascii=False) + "\n"
    with replacing_folder(
        folder, (_CONFIG, _WEIGHTS, _CARD, *_VOCABULARIES), (_CONFIG, "format")
    ) as aside:
        (aside / _CONFIG).write_text(text, encoding="utf-8")
        (aside / _WEIGHTS).write_bytes(safetensors.torch.save(weights))
        (aside / _CARD).write_text(card, encoding="utf-8")
        for name, vocabulary in predictor.vocabularies.items():
            (aside / name).write_text(vocabulary.to_json(), encoding="utf-8")


def find(path: str | Path) -> Path:
    """Find the model folder: the path itself, or ``model`` in a run's folder.

    Raises
    ------
    ModelFolderError
        If there is none.
    """
    given = Path(path)
    for folder in (given, given / "model"):
        if (folder / _CONFIG).is_file():
            return folder
    if not given.exists():
        raise ModelFolderError(f"no folder {given}, expected a run or a model folder")
    hint = (
        "; the run has not finished: unspool resume it" if (given / "recipe.toml").exists() else ""
    )
    raise ModelFolderError(f"{given} holds no {_CONFIG}, expected a run or a model folder{hint}")


def load(path: str | Path, device: torch.device | str = "cpu") -> Predictor:
    """Read a model from a run's or a model folder, whoever made it.

    Names and sizes of all tensors are compared with what config.json calls for before any of
    them is read, their types and that they are finite before the model takes them.

    Raises
    ------
    ModelFolderError
        If a file is missing, damaged, or does not fit the others.
    """
    folder = find(path)
    description = _described(folder / _CONFIG)
    try:
        predictor = description.restored(_vocabularies(folder))
    except (ModelFolderError, RecipeError) as error:
        raise ModelFolderError(f"{folder}: {error}") from error
    _load_weights(predictor.model, folder / _WEIGHTS)
    keep_packed(predictor.model.to(device).eval())
    return predictor


def read_card(path: str | Path) -> str:
    """Read the model card of a run's or a model folder; empty where there is none."""
    file = find(path) / _CARD
    if not file.is_file():
        return ""
    with file.open("rb") as opened:
        return opened.read(_LARGEST_CONFIG).decode(errors="replace")


def _described(path: Path) -> Description:
    config = _json(path)
    if not isinstance(config, dict):
        raise ModelFolderError(f"{path} holds a {type(config).__name__}, expected an object")
    found = config.pop("format", None)
    if found != FORMAT:
        raise ModelFolderError(
            f"{path} has format {found!r}, expected {FORMAT}; "
            "use the version of unspool that wrote it"
        )
    name = config.pop("task", None)
    kind = registry.find(name)
    if kind is None:
        raise ModelFolderError(
            f"{path} is of task {name!r}, expected one of {', '.join(registry.TASKS)}"
        )
    config.pop("versions", None)
    try:
        return kind.description.model_validate(config)
    except ValidationError as error:
        raise ModelFolderError(f"{path}: {'; '.join(problems(error))}") from error


def _vocabularies(folder: Path) -> dict[str, Vocabulary]:
    """Those that are there, by their files' names."""
    try:
        return {
            name: Vocabulary.load(folder / name)
            for name in _VOCABULARIES
            if (folder / name).is_file()
        }
    except DataError as error:
        raise ModelFolderError(str(error)) from error


def _json(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_CONFIG + 1)
    except OSError as error:
        raise ModelFolderError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > _LARGEST_CONFIG:
        raise ModelFolderError(f"{path} is larger than {_LARGEST_CONFIG} bytes, expected a few")
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelFolderError(f"{path} is not valid JSON: {error}") from error


def _load_weights(model: nn.Module, path: Path) -> None:
    expected = {
        name: (list(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()
    }
    if not path.is_file():  # a pipe would be waited for
        raise ModelFolderError(
            f"{path} is missing, expected beside {_CONFIG}; copy the whole folder"
        )
    try:
        with safe_open(path, framework="pt") as file:
            _compare(path, expected, {name: file.get_slice(name) for name in file.keys()})  # noqa: SIM118
            weights = {name: file.get_tensor(name) for name in expected}
    except (OSError, SafetensorError) as error:
        raise ModelFolderError(
            f"{path} cannot be read ({error}), expected a whole safetensors file; copy it again"
        ) from error
    for name, tensor in weights.items():
        if tensor.dtype != expected[name][1]:
            raise ModelFolderError(
                f"{path}: {name} is of type {tensor.dtype}, expected {expected[name][1]}"
            )
        if not bool(tensor.isfinite().all()):
            raise ModelFolderError(
                f"{path}: {name} holds values that are not finite, expected numbers; the file is "
                "damaged, or its training went astray"
            )
    model.load_state_dict(weights, assign=True)


def _compare(path: Path, expected: dict[str, Any], slices: dict[str, Any]) -> None:
    missing = sorted(expected.keys() - slices.keys())
    surplus = sorted(slices.keys() - expected.keys())
    if missing or surplus:
        raise ModelFolderError(
            f"{path} does not fit {_CONFIG}: lacks {_some(missing)}, has {_some(surplus)} too many"
        )
    for name, (shape, _) in expected.items():
        found = list(slices[name].get_shape())
        if found != shape:
            raise ModelFolderError(
                f"{path}: {name} has shape {found}, expected {shape} from config.json"
            )


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most]) or "nothing"
    return shown if len(names) <= most else f"{shown}, … ({len(names)} in all)"
