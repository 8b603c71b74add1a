"""``unspool evaluate``: how good a model is on a part of its data, or on other data."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unspool.cli.options import DataDirOption, Device, DeviceOption, JsonOption, ModelArgument

if TYPE_CHECKING:
    from unspool.tasks.evaluation import Evaluation


class Split(StrEnum):
    """The parts that data is divided into."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


def evaluate(
    model: ModelArgument,
    split: Annotated[Split, typer.Option(help="The part to judge the model on.")] = Split.TEST,
    data: Annotated[
        Path | None,
        typer.Option(help="Judge it on all of this labelled file instead.", metavar="FILE"),
    ] = None,
    by_step: Annotated[
        bool, typer.Option("--by-step", help="Also the accuracy after 1, 2, … steps.")
    ] = False,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the report and pictures. [default: in the run's folder]"),
    ] = None,
    data_dir: DataDirOption = None,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Judge a model: accuracy, each class, and what it takes for what."""
    from unspool import reports
    from unspool.cli import downloads
    from unspool.devices import device_called
    from unspool.tasks import model_folder

    task = model_folder.load(model, device_called(device))
    if data is None and task.data is not None:
        downloads.fetch(task.data.name, data_dir, quiet=as_json)
    sequences, title = (
        reports.labelled_file(task, data)
        if data
        else reports.part_of_its_data(task, split, data_dir)
    )
    evaluation = task.evaluate(sequences, title, by_step)
    name = data.name if data else str(split)
    if as_json:
        typer.echo(json.dumps({"task": task.name, **_summary(evaluation, name)}))
    else:
        _print(evaluation, name)
    folder = out or _folder_of_run(model, name)
    if folder is not None:
        reports.write(evaluation, title, folder)
        if not as_json:
            typer.echo(f"report and pictures in {folder}")


def _folder_of_run(model: Path, name: str) -> Path | None:
    """Where a run keeps what evaluate finds; a bare model folder is left as it is."""
    return model / f"evaluation-{name}" if (model / "recipe.toml").is_file() else None


def _summary(evaluation: Evaluation, split: str) -> dict[str, Any]:
    summary = {
        "split": split,
        "count": evaluation.count,
        "loss": evaluation.loss,
        "accuracy": evaluation.accuracy,
    }
    if evaluation.accuracy_by_step is not None:
        summary["accuracy_by_step"] = evaluation.accuracy_by_step
    return summary


def _print(evaluation: Evaluation, split: str) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, emoji=False)  # labels are the user's own
    table = Table("class", *("precision", "recall", "F1", "count"), box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in evaluation.by_class():
        shares = (f"{row[figure]:.2%}" for figure in ("precision", "recall", "f1"))
        table.add_row(row["label"], *shares, f"{row['count']:,}")
    console.print(table)
    if evaluation.accuracy_by_step is not None:
        steps = Table("steps read", "accuracy", box=None, pad_edge=False)
        for step, accuracy in enumerate(evaluation.accuracy_by_step, start=1):
            steps.add_row(str(step), f"{accuracy:.2%}")
        console.print(steps)
    typer.echo(
        f"{split}: accuracy {evaluation.accuracy:.2%} of {evaluation.count:,}, "
        f"loss {evaluation.loss:.4f} nats a sequence"
    )
