"""``unspool predict``: what a model says of files, of text, or of standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from unspool.cli import reading, translating
from unspool.cli.options import (
    BeamOption,
    Device,
    DeviceOption,
    JsonOption,
    LengthPenaltyOption,
    ModelArgument,
    refuse,
    warn_of_texts,
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
    until: Annotated[
        float | None,
        typer.Option(
            help="Sequences: answer as soon as the most probable class has this probability, and "
            "read no further.",
            metavar="BELIEF",
        ),
    ] = None,
    show_steps: Annotated[
        Path | None,
        typer.Option(
            "--show-steps",
            help="Pictures: draw into this file how each was prepared for the model.",
            metavar="FILE.png",
        ),
    ] = None,
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
    out: Annotated[
        Path | None,
        typer.Option(help="Pairs: write the answers here, a line a text.", metavar="FILE"),
    ] = None,
    goes_on: Annotated[
        bool,
        typer.Option("--continue", help="Pairs: go on with an interrupted --out."),
    ] = False,
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
    from unspool.tasks.sequence_reader import SequenceReader
    from unspool.tasks.translator import TextTranslator

    predictor = model_folder.load(model, device_called(device))
    members: list[Path] = []
    if isinstance(predictor, TextTranslator):
        members, inputs = translating.parted(inputs or ())
    warn_of_texts(predictor, inputs or ())
    if isinstance(predictor, TextTranslator):
        refuse(predictor, by_step=by_step, until=until, show_steps=show_steps)
        translating.join(predictor, [*members, *(others or ())], device)
        decoding = translating.decoding(predictor, n_best or top, beam, length_penalty)
        file = translating.answer_file(out, goes_on, decoding, as_json, inputs or ["-"])
        if as_json:
            translating.print_object(predictor, inputs or ["-"], decoding)
        else:
            translating.translate(predictor, inputs or ["-"], decoding, file)
        return
    refuse(predictor, beam=beam, length_penalty=length_penalty, n_best=n_best, out=out)
    refuse(predictor, **{"with": others, "continue": goes_on})
    if not isinstance(predictor, SequenceReader):
        refuse(predictor, until=until, show_steps=show_steps)
    elif show_steps is not None:
        reading.show_steps(predictor, inputs or (), show_steps)
    answers = [
        answer
        for name in inputs or ["-"]
        for answer in reading.answers(
            predictor, sys.stdin if name == "-" else name, top, by_step, until
        )
    ]
    if as_json:
        typer.echo(json.dumps({"task": predictor.task, "predictions": answers}))
        return
    for answer in answers:
        _print(answer)
        if "unknown" in answer:
            typer.echo(f"not in the vocabulary: {' '.join(answer['unknown'])}", err=True)
        if "prepared" in answer:
            typer.echo(f"{answer['input']}: {answer['prepared']}", err=True)


def _print(answer: dict[str, Any]) -> None:
    read = f"  after {answer['steps_read']} of {answer['steps']} steps" if "steps" in answer else ""
    typer.echo(f"{answer['input']}[{answer['id']}]  {_in_words(answer)}{read}")
    for step in answer.get("by_step", []):
        typer.echo(f"  after step {step['step']:3}  {_in_words(step)}")


def _in_words(answer: dict[str, Any]) -> str:
    return "  ".join(f"{_shown(rank['label'])} {rank['probability']:.2%}" for rank in answer["top"])


def _shown(label: str) -> str:
    """A label as it is, in quotes where nobody would see it."""
    return label if label.isprintable() and label.strip() else repr(label)
