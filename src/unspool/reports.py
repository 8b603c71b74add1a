"""Judging a trained model, and the files that are left of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from unspool.data import series, source
from unspool.data.sequences import Sequences
from unspool.errors import DataError
from unspool.inspection import plots
from unspool.storage import replacing_folder
from unspool.tasks.classify import Classify
from unspool.tasks.evaluation import Evaluation

_REPORT, _CONFUSION, _BY_STEP = "report.json", "confusion.png", "accuracy-by-step.png"


def part_of_its_data(
    task: Classify, split: str, data_dir: Path | None = None
) -> tuple[Sequences, str]:
    """Read a part of the data that a model was made for, and what to call it.

    Raises
    ------
    DataError
        If the model came from arrays in memory, the data is missing, or the part is empty.
    """
    if task.data is None:
        raise DataError(
            "the model was trained on arrays in memory; name a labelled file with --data FILE"
        )
    title = f"{task.data.title} ({split} part)"
    sequences = source.load(task.data, data_dir).part(split)
    if len(sequences) == 0:
        raise DataError(f"{title} is empty: the recipe divides nothing off for it")
    return sequences, title


def labelled_file(task: Classify, path: Path) -> tuple[Sequences, str]:
    """Read a labelled file in the way that the model's own data was read.

    Raises
    ------
    DataError
        If it is missing, damaged, or has no labels.
    """
    columns = task.data.columns if task.data else None
    return series.read(path, columns=columns), str(path)


def write(evaluation: Evaluation, title: str, folder: Path) -> None:
    """Write the figures as report.json, and the confusion (and the steps) as pictures.

    Raises
    ------
    SaveError
        If they cannot be written, or the folder holds anything but an earlier report; what was
        there before then stays.
    """
    figures = asdict(evaluation)
    figures["confusion"] = evaluation.confusion.tolist()
    figures["by_class"] = evaluation.by_class()
    with replacing_folder(folder, (_REPORT, _CONFUSION, _BY_STEP)) as aside:
        (aside / _REPORT).write_text(json.dumps(figures, indent=1) + "\n")
        (aside / _CONFUSION).write_bytes(plots.confusion(evaluation, title))
        if evaluation.accuracy_by_step is not None:
            (aside / _BY_STEP).write_bytes(plots.accuracy_by_step(evaluation, title))
