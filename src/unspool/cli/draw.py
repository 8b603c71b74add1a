"""``unspool draw``: how a picture goes on, or one from nothing."""

from __future__ import annotations

import json
import math
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unspool.cli.options import (
    DataDirOption,
    Device,
    DeviceOption,
    JsonOption,
    ModelArgument,
    check_picture,
)

if TYPE_CHECKING:
    from unspool.tasks.drawer import Drawing, Original, PictureDrawer


def draw(
    model: ModelArgument,
    out: Annotated[
        Path,
        typer.Option(help="Where the picture of what was drawn is written.", metavar="PICTURE.png"),
    ],
    image: Annotated[
        Path | None,
        typer.Argument(
            help="A picture to go on with: PNG, JPEG, or an .npy array (rows, columns), of any "
            "size. [default: draw from nothing]",
            metavar="IMAGE",
        ),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Keep the first N rows, as the model sees the picture; 0 draws from nothing. "
            "[default: half of them]",
            metavar="N",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, max=1000, help="How many are drawn.", metavar="N")
    ] = 8,
    temperature: Annotated[
        float,
        typer.Option(min=0, help="Below 1 more usual, above more daring; 0: no chance at all."),
    ] = 1.0,
    label: Annotated[
        str | None,
        typer.Option(help="What to draw, for a model that learned with labels.", metavar="KIND"),
    ] = None,
    from_data: Annotated[
        str | None,
        typer.Option(
            "--from-data",
            help="In place of IMAGE, a picture of the model's own data: train, validation or test.",
            metavar="PART",
        ),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option(
            min=0, help="With --from-data: which picture, from 0. [default: 0]", metavar="N"
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="The same seed draws the same.", metavar="N")
    ] = None,
    show_steps: Annotated[
        Path | None,
        typer.Option(
            "--show-steps",
            help="Draw into this file how IMAGE was prepared for the model.",
            metavar="FILE.png",
        ),
    ] = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Go on with a picture, or draw one from nothing.

    The picture's first rows are kept, and all below them is drawn, several times. --out shows the
    original, what was given, and each drawing side by side.
    """
    from unspool.cli import downloads
    from unspool.devices import device_called
    from unspool.errors import UnspoolError
    from unspool.inspection.pictures import drawing
    from unspool.storage import write_file
    from unspool.tasks import model_folder
    from unspool.tasks.drawer import PictureDrawer

    if not math.isfinite(temperature):
        raise UnspoolError(f"--temperature {temperature}, expected a finite number, 0 or more")
    inputs = [] if image is None else [str(image)]
    check_picture("--out", out, inputs)
    if show_steps is not None:
        check_picture("--show-steps", show_steps, [*inputs, str(out)])
    drawer = model_folder.load(model, device_called(device))
    if not isinstance(drawer, PictureDrawer):
        raise UnspoolError(
            f"{model} is a model of task {drawer.task!r}, expected one of task 'draw'; "
            f"use: {drawer.use}"
        )
    if from_data is not None and drawer.data is not None:
        downloads.fetch(drawer.data.name, data_dir, quiet=as_json)
    original = _original(drawer, image, from_data, number, data_dir)
    if show_steps is not None:
        _show_steps(original, show_steps)
    chosen = secrets.randbits(32) if seed is None else seed
    drawn = drawer.draw(original, rows, samples, temperature=temperature, label=label, seed=chosen)
    title = _title(original, drawn, label)
    write_file(out, drawing.sheet(drawing.panels(drawn.samples, drawn.rows, drawn.picture), title))
    if as_json:
        told = {"task": drawer.task, "out": str(out), "seed": chosen, "temperature": temperature}
        typer.echo(json.dumps({**told, "label": label, **_figures(original, drawn)}))
        return
    if original is not None and original.preparation and original.preparation.summary:
        typer.echo(f"{original.title}: {original.preparation.summary}", err=True)
    if original is not None:
        typer.echo(f"{original.title}: {drawn.nats:.2f} nats as the model sees it")
    typer.echo(f"{out}: {len(drawn.samples)} drawn, seed {chosen}")


def _original(
    drawer: PictureDrawer,
    image: Path | None,
    from_data: str | None,
    number: int | None,
    data_dir: Path | None,
) -> Original | None:
    """The picture to go on with, where there is one."""
    from unspool.errors import UnspoolError

    if image is not None and from_data is not None:
        raise UnspoolError(
            f"IMAGE {image} and --from-data {from_data}, expected one of them; leave one out"
        )
    if from_data is not None:
        return drawer.original_of_part(from_data, number or 0, data_dir)
    if number is not None:
        raise UnspoolError(
            f"--number {number} without --from-data, expected both; add --from-data test"
        )
    return None if image is None else drawer.read_original(image)


def _show_steps(original: Original | None, target: Path) -> None:
    """Draw how a picture was prepared.

    Raises
    ------
    UnspoolError
        If there is none, or the file cannot be written.
    """
    from unspool.errors import UnspoolError
    from unspool.inspection import preparation
    from unspool.storage import write_file

    if original is None or original.preparation is None:
        raise UnspoolError(
            f"--show-steps {target}: there is no IMAGE that the model prepares, expected a PNG, "
            "JPEG or .npy file; leave it out"
        )
    write_file(target, preparation.draw({original.title: original.preparation}))
    typer.echo(f"how the picture was prepared: {target}", err=True)


def _title(original: Original | None, drawn: Drawing, label: str | None) -> str:
    kind = f" of {label}" if label else ""
    if original is None or drawn.rows == 0:
        return f"{len(drawn.samples)} pictures{kind} from nothing"
    return f"{original.title}{kind}: {drawn.rows} of {len(drawn.samples[0])} rows given"


def _figures(original: Original | None, drawn: Drawing) -> dict[str, Any]:
    """What is told of a drawing: negative log-likelihoods in nats."""
    return {
        "input": None if original is None else original.title,
        "rows": drawn.rows,
        "samples": len(drawn.samples),
        "nats": drawn.nats,
        "nats_by_row": drawn.nats_by_row,
        "nats_of_samples": drawn.sample_nats,
    }
