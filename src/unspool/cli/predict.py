"""``unspool predict``: what a model says of files, of text, or of standard input."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from unspool.cli.options import Device, DeviceOption, JsonOption, ModelArgument


def predict(
    model: ModelArgument,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files: pictures, .npy, .npz, .csv, .parquet, .jsonl, .ts, IDX, text; or text "
            "itself; - or nothing: standard input.",
            metavar="INPUT",
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="The K most probable answers.")] = 1,
    by_step: Annotated[
        bool, typer.Option("--by-step", help="The belief after every step.")
    ] = False,
    as_json: JsonOption = False,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Say what each sequence is, or which word comes next, and how sure the model is.

    For a model of sequences standard input holds a sequence a line as JSON, [[step], [step], …]; or
    a step a line, numbers with commas or spaces between, and an empty line between sequences. For
    one of text it holds a text a line, as files do.
    """
    from unspool.devices import device_called
    from unspool.tasks import model_folder

    predictor = model_folder.load(model, device_called(device))
    answers = [
        answer
        for name in inputs or ["-"]
        for answer in predictor.answers(sys.stdin if name == "-" else name, top, by_step)
    ]
    if as_json:
        typer.echo(json.dumps({"task": predictor.task, "predictions": answers}))
        return
    for answer in answers:
        _print(answer)
        if "unknown" in answer:
            typer.echo(f"not in the vocabulary: {' '.join(answer['unknown'])}", err=True)


def _print(answer: dict[str, Any]) -> None:
    typer.echo(f"{answer['input']}[{answer['id']}]  {_in_words(answer)}")
    for step in answer.get("by_step", []):
        typer.echo(f"  after step {step['step']:3}  {_in_words(step)}")


def _in_words(answer: dict[str, Any]) -> str:
    return "  ".join(f"{_shown(rank['label'])} {rank['probability']:.2%}" for rank in answer["top"])


def _shown(label: str) -> str:
    """A label as it is, in quotes where nobody would see it."""
    return label if label.isprintable() and label.strip() else repr(label)
