"""``unspool predict``: what a model says of files, of text, or of standard input."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from unspool.cli import translating
from unspool.cli.options import (
    BeamOption,
    Device,
    DeviceOption,
    JsonOption,
    LengthPenaltyOption,
    ModelArgument,
    refuse,
)


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
    top: Annotated[int, typer.Option(min=1, help="The K most probable answers.", metavar="K")] = 1,
    by_step: Annotated[
        bool, typer.Option("--by-step", help="The belief after every step.")
    ] = False,
    beam: BeamOption = None,
    length_penalty: LengthPenaltyOption = None,
    n_best: Annotated[
        int | None,
        typer.Option(
            "--n-best", min=1, help="Pairs: the N best answers to each text.", metavar="N"
        ),
    ] = None,
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--with", help="Pairs: another model that has a say. Repeatable.", metavar="MODEL"
        ),
    ] = None,
    as_json: JsonOption = False,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Say what a sequence is, what comes next, or answer a text.

    For a model of sequences standard input holds a sequence a line as JSON, [[step], [step], …]; or
    a step a line, numbers with commas or spaces between, and an empty line between sequences. For
    one of text it holds a text a line, as files do.
    """
    from unspool.devices import device_called
    from unspool.tasks import model_folder
    from unspool.tasks.translator import TextTranslator

    predictor = model_folder.load(model, device_called(device))
    for name in inputs or ():
        if predictor.vocabulary is not None and _sounds_like_a_file(name):
            typer.echo(f"no file {name}: read as text", err=True)
    if isinstance(predictor, TextTranslator):
        refuse(predictor, by_step=by_step)
        predictor.join([translating.load(path, device) for path in others or ()])
        decoding = translating.decoding(predictor, n_best or top, beam, length_penalty)
        translating.translate(predictor, inputs or ["-"], decoding, as_json=as_json)
        return
    refuse(predictor, beam=beam, length_penalty=length_penalty, n_best=n_best, **{"with": others})
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


def _sounds_like_a_file(name: str) -> bool:
    """Whether someone who gives this as a text may have mistyped the name of a file."""
    return re.fullmatch(r"\S+\.\w{2,7}", name) is not None and not Path(name).exists()


def _print(answer: dict[str, Any]) -> None:
    typer.echo(f"{answer['input']}[{answer['id']}]  {_in_words(answer)}")
    for step in answer.get("by_step", []):
        typer.echo(f"  after step {step['step']:3}  {_in_words(step)}")


def _in_words(answer: dict[str, Any]) -> str:
    return "  ".join(f"{_shown(rank['label'])} {rank['probability']:.2%}" for rank in answer["top"])


def _shown(label: str) -> str:
    """A label as it is, in quotes where nobody would see it."""
    return label if label.isprintable() and label.strip() else repr(label)
