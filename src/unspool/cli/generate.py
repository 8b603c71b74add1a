"""``unspool generate``: a language model goes on with a text."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated

import typer

from unspool.cli.options import Device, DeviceOption, ModelArgument, checked


def generate(
    model: ModelArgument,
    prompt: Annotated[
        str,
        typer.Option(
            help="What the text begins with; - reads it from standard input.", metavar="TEXT"
        ),
    ] = "",
    length: Annotated[
        int, typer.Option(min=1, help="Tokens to write, at most.", metavar="N")
    ] = 100,
    temperature: Annotated[
        float,
        typer.Option(
            min=0,
            help="Below 1 likely tokens get likelier; 0 takes the likeliest.",
            metavar="X",
        ),
    ] = 1.0,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", min=1, help="Draw from the K likeliest only.", metavar="K"),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p",
            min=0,
            max=1,
            help="Draw from the likeliest that have probability P together.",
            metavar="P",
        ),
    ] = None,
    typical: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Draw from the most typical that have probability P together.",
            metavar="P",
        ),
    ] = None,
    repetition_penalty: Annotated[
        float,
        typer.Option(
            "--repetition-penalty",
            min=1,
            help="Above 1: avoid what has occurred.",
            metavar="X",
        ),
    ] = 1.0,
    stop: Annotated[
        list[str] | None,
        typer.Option(help="End after this word. Repeatable.", metavar="WORD"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="The same seed writes the same text.", metavar="N"),
    ] = None,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Write on after a prompt, or from the beginning of a text."""
    from unspool.decoding.sampling import SamplingSettings
    from unspool.devices import device_called
    from unspool.errors import UnspoolError
    from unspool.tasks import model_folder, standard_input
    from unspool.tasks.predictor import TextWriter

    sampling = checked(
        SamplingSettings,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        typical=typical,
        repetition_penalty=repetition_penalty,
    )
    writer = model_folder.load(model, device_called(device))
    if not isinstance(writer, TextWriter):
        raise UnspoolError(
            f"{model} is a model of task {writer.task!r}, expected one that writes, such as of "
            f"task 'predict'; use: {writer.use}"
        )
    beginning = standard_input.read(sys.stdin).rstrip("\n") if prompt == "-" else prompt
    pieces = writer.write(
        beginning,
        sampling,
        length=length,
        seed=secrets.randbits(32) if seed is None else seed,
        stop=stop or (),
    )
    if unknown := writer.unknown(beginning):
        typer.echo(f"not in the vocabulary: {' '.join(unknown)}", err=True)
    typer.echo(beginning, nl=False)
    for piece in pieces:
        typer.echo(piece, nl=False)
        sys.stdout.flush()
    typer.echo()
