"""Judging a trained model, and the files that are left of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any

from unspool.errors import DataError
from unspool.inspection import plots
from unspool.storage import replacing_folder
from unspool.tasks.evaluation import Evaluation
from unspool.tasks.predictor import Predictor

_REPORT = "report.json"


def part_of_its_data(
    predictor: Predictor, split: str, data_dir: Path | None = None
) -> tuple[Sized, str]:
    """Read a part of the data that a model was made for, and what to call it.

    Raises
    ------
    DataError
        If the model came from data in memory, the data is missing, or the part is empty.
    """
    if predictor.data is None:
        raise DataError("the model was trained on data in memory; name a file with --data FILE")
    title = f"{predictor.data.title} ({split} part)"
    examples = predictor.read_part(split, data_dir)
    if len(examples) == 0:
        raise DataError(
            f"{title} is empty: the recipe divides nothing off for it; "
            "choose another with --split, such as train"
        )
    return examples, title


def labelled_file(predictor: Predictor, path: Path) -> tuple[Sized, str]:
    """Read a file to be judged on in the way that the model's own data was read.

    Raises
    ------
    DataError
        If it is missing, damaged, or has no labels.
    """
    return predictor.read_file(path), str(path)


def write(evaluation: Evaluation, title: str, folder: Path) -> None:
    """Write the figures as report.json, those that can be drawn as pictures, and their texts.

    Raises
    ------
    SaveError
        If they cannot be written, or the folder holds anything but an earlier report; what was
        there before then stays.
    """
    pictures = plots.pictures(evaluation, title)
    texts = evaluation.texts()
    with replacing_folder(folder, (_REPORT, *pictures, *texts), (_REPORT, "loss")) as aside:
        (aside / _REPORT).write_text(to_json(evaluation.report(), indent=1) + "\n")
        for name, picture in pictures.items():
            if picture is not None:
                (aside / name).write_bytes(picture)
        for name, text in texts.items():
            (aside / name).write_text(text, encoding="utf-8", newline="")


def to_json(figures: Mapping[str, Any], **options: Any) -> str:
    """Write figures as JSON, which has no number that is not finite: null."""
    return json.dumps(_finite(figures), **options)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
