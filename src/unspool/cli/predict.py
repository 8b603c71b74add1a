"""``unspool predict``: what a model says of files, or of standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unspool.cli.options import Device, DeviceOption, JsonOption, ModelArgument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unspool.tasks.classify import Classify


def predict(
    model: ModelArgument,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files: pictures, .npy, .npz, .csv, .parquet, .jsonl, .ts, IDX; "
            "- or nothing: standard input.",
            metavar="INPUT",
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="The K most probable classes.")] = 1,
    by_step: Annotated[
        bool, typer.Option("--by-step", help="The belief after every step.")
    ] = False,
    as_json: JsonOption = False,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Say what each sequence is, and how sure the model is.

    Standard input holds a sequence a line as JSON, [[step], [step], …]; or a step a line, numbers
    with commas or spaces between, and an empty line between sequences.
    """
    from unspool.devices import device_called
    from unspool.tasks import model_folder

    task = model_folder.load(model, device_called(device))
    answers = [answer for name in inputs or ["-"] for answer in _answers(task, name, top, by_step)]
    if as_json:
        typer.echo(json.dumps({"task": task.name, "predictions": answers}))
        return
    for answer in answers:
        _print(answer)


def _answers(task: Classify, name: str, top: int, by_step: bool) -> Iterator[dict[str, Any]]:
    """What the model says of each sequence of one input."""
    from unspool.data import inputs

    if name == "-":
        title, (sequences, ids) = "standard input", inputs.read_lines(sys.stdin)
    else:
        columns = task.data.columns if task.data else None
        title, (sequences, ids) = name, inputs.read(Path(name), columns)
    task.check_features(sequences, title)
    beliefs = task.probabilities(sequences)  # (N, C)
    steps = task.probabilities_by_step(sequences) if by_step else [None] * len(sequences)
    for called, belief, after_steps in zip(ids, beliefs, steps, strict=True):
        answer = {"input": title, "id": called, **_answer(belief, task.classes, top)}
        if after_steps is not None:
            answer["by_step"] = [
                {"step": step, **_answer(after, task.classes, top)}
                for step, after in enumerate(after_steps, start=1)
            ]
        yield answer


def _answer(belief: NDArray[np.float64], classes: tuple[str, ...], top: int) -> dict[str, Any]:
    """The most probable class, and the ``top`` most probable with their probabilities."""
    order = (-belief).argsort(kind="stable")[:top]
    ranked = [{"label": classes[i], "probability": float(belief[i])} for i in order]
    return {**ranked[0], "top": ranked}


def _print(answer: dict[str, Any]) -> None:
    typer.echo(f"{answer['input']}[{answer['id']}]  {_in_words(answer)}")
    for step in answer.get("by_step", []):
        typer.echo(f"  after step {step['step']:3}  {_in_words(step)}")


def _in_words(answer: dict[str, Any]) -> str:
    return "  ".join(f"{rank['label']} {rank['probability']:.2%}" for rank in answer["top"])
