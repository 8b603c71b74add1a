"""``unspool inspect``: everything that a network computes on an input, and pictures of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from unspool.cli.options import (
    DataDirOption,
    Device,
    DeviceOption,
    JsonOption,
    ModelArgument,
    warn_of_texts,
)

_GIBIBYTE = 2**30


def inspect(
    model: ModelArgument,
    input: Annotated[
        str,
        typer.Argument(
            help="A file as `predict` reads it: a picture, .npy, a table, text; or a text itself.",
            metavar="INPUT",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Where trace and pictures are written.", metavar="FOLDER")
    ],
    steps: Annotated[
        str | None,
        typer.Option(
            help="Keep steps A to B alone, from 0 and without B; either may be left out.",
            metavar="A:B",
        ),
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help="Keep these layers alone, from 0.", metavar="0,1,…")
    ] = None,
    attribute: Annotated[
        str | None,
        typer.Option(
            help="Tell what in the input speaks for this answer. [default: the model's own answer]",
            metavar="LABEL",
        ),
    ] = None,
    neighbours: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Find the N sequences of the model's training data that end in the likest state.",
            metavar="N",
        ),
    ] = None,
    max_memory: Annotated[
        float,
        typer.Option(
            "--max-memory", min=0, help="GiB that the trace may take at most.", metavar="X"
        ),
    ] = 1.0,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Look inside a network while it reads, in numbers and pictures.

    The folder gets trace.npz and trace.json, which unspool.Trace.load reads, and pictures: the
    belief as it changes, the gates of each layer, what speaks for the answer; for texts what may
    come next after each word, and where an answer looked.
    """
    from unspool.devices import device_called
    from unspool.inspection.inspecting import Wishes, inspect
    from unspool.tasks import model_folder

    wishes = Wishes(
        layers=None if layers is None else _layers(layers),
        steps=None if steps is None else _steps(steps),
        max_bytes=int(max_memory * _GIBIBYTE),
        attribute=attribute,
        neighbours=neighbours,
    )
    predictor = model_folder.load(model, device_called(device))
    warn_of_texts(predictor, [input])
    found = inspect(predictor, input, wishes, data_dir)
    found.save(out)
    files = ["trace.npz", "trace.json", *found.pictures]
    if as_json:
        told = {"task": predictor.task, "folder": str(out), "files": files, **found.findings}
        typer.echo(json.dumps({**told, **found.trace.description()}))
        return
    for line in found.lines():
        typer.echo(line)
    typer.echo(f"{out}: {', '.join(files)}")


def _layers(text: str) -> tuple[int, ...]:
    from unspool.errors import UnspoolError

    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise UnspoolError(
            f"--layers has {text!r}, expected numbers from 0 with commas between, as in 0,1"
        ) from None


def _steps(text: str) -> tuple[int, int | None]:
    from unspool.errors import UnspoolError

    first, colon, last = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return int(first or 0), int(last) if last else None
    except ValueError:
        raise UnspoolError(
            f"--steps has {text!r}, expected A:B as in 0:14, the first fourteen"
        ) from None
