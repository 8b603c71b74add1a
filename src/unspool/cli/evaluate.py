"""``unspool evaluate``: how good a model is on a part of its data, or on other data."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unspool.cli.options import (
    BeamOption,
    DataDirOption,
    Device,
    DeviceOption,
    JsonOption,
    LengthPenaltyOption,
    ModelArgument,
    checked,
    refuse,
)

if TYPE_CHECKING:
    from unspool.tasks.evaluation import Evaluation
    from unspool.tasks.predictor import Predictor


def evaluate(
    model: ModelArgument,
    split: Annotated[
        str,
        typer.Option(
            help="The part to judge the model on: train, validation, test, or what the data calls "
            "one of several test parts.",
            metavar="PART",
        ),
    ] = "test",
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Judge it on all of this file instead: labelled sequences, text, or a table of "
            "pairs; of pairs in two text files the sources, and by a second --data the targets.",
            metavar="FILE",
        ),
    ] = None,
    by_step: Annotated[
        bool,
        typer.Option("--by-step", help="Also accuracy and calibration after 1, 2, … steps."),
    ] = False,
    until: Annotated[
        float | None,
        typer.Option(
            help="Sequences: also answers given as soon as the most probable class has this "
            "probability.",
            metavar="BELIEF",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            min=1, help="Text in windows: tokens from one window to the next.", metavar="TOKENS"
        ),
    ] = None,
    dynamic: Annotated[
        float | None,
        typer.Option(
            help="Text in streams: learn on from what was judged, at this rate.", metavar="RATE"
        ),
    ] = None,
    dynamic_decay: Annotated[
        float | None,
        typer.Option(
            "--dynamic-decay",
            help="How far each such step draws back to the trained weights. [default: 0]",
            metavar="X",
        ),
    ] = None,
    cache: Annotated[
        int | None,
        typer.Option(help="Text in streams: remember this many positions.", metavar="POSITIONS"),
    ] = None,
    cache_weight: Annotated[
        float | None,
        typer.Option(
            "--cache-weight", help="The cache's share in the answer. [default: 0.1]", metavar="X"
        ),
    ] = None,
    cache_flatness: Annotated[
        float | None,
        typer.Option(
            "--cache-flatness",
            help="How much it counts that states are alike. [default: 0.3]",
            metavar="X",
        ),
    ] = None,
    beam: BeamOption = None,
    length_penalty: LengthPenaltyOption = None,
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--with", help="Pairs: another model that has a say. Repeatable.", metavar="MODEL"
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            min=1,
            help="Text in streams, and pairs: how many side by side. [default: 32, and 64]",
            metavar="N",
        ),
    ] = None,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the report and pictures. [default: in the run's folder]"),
    ] = None,
    data_dir: DataDirOption = None,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Judge a model on a part of its data, or on other data."""
    from unspool import reports
    from unspool.cli import downloads, translating
    from unspool.devices import device_called
    from unspool.tasks import model_folder
    from unspool.tasks.translator import TextTranslator

    predictor = model_folder.load(model, device_called(device))
    if isinstance(predictor, TextTranslator):
        translating.join(predictor, others or (), device)
    else:
        refuse(predictor, **{"with": others})
    options = _options(
        predictor,
        until=until,
        batch_size=batch_size,
        beam=beam,
        length_penalty=length_penalty,
        stride=stride,
        dynamic=_table("dynamic", rate=dynamic, decay=dynamic_decay),
        cache=_table("cache", size=cache, weight=cache_weight, flatness=cache_flatness),
    )
    if not data and predictor.data is not None:
        downloads.fetch(predictor.data.name, data_dir, quiet=as_json)
    examples, title = (
        _read(predictor, data) if data else reports.part_of_its_data(predictor, split, data_dir)
    )
    evaluation = predictor.evaluate(examples, title, by_step, **options)
    name = data[0].name if data else split
    if as_json:
        summary = {"task": predictor.task, "split": name, **evaluation.summary()}
        typer.echo(reports.to_json(summary))
    else:
        _print(evaluation, predictor, name)
    folder = out or _folder_of_run(model, f"{name}-ensemble" if others else name)
    if folder is not None:
        reports.write(evaluation, title, folder)
        if not as_json:
            typer.echo(f"report and pictures in {folder}")


def _read(predictor: Predictor, files: list[Path]) -> tuple[Sized, str]:
    """Read the examples of a file, or of two whose lines are pairs, and what to call them."""
    from unspool import reports
    from unspool.errors import UnspoolError
    from unspool.tasks.translator import TextTranslator

    if len(files) == 1:
        return reports.labelled_file(predictor, files[0])
    if len(files) == 2 and isinstance(predictor, TextTranslator):
        return predictor.read_aligned(*files), " and ".join(map(str, files))
    most = "one, or two text files" if isinstance(predictor, TextTranslator) else "one"
    raise UnspoolError(f"--data is given {len(files)} times, expected {most}; name one at a time")


def _table(option: str, **values: Any) -> dict[str, Any] | None:
    """The settings that an option and those named after it stand for; None where there are none."""
    from unspool.errors import UnspoolError

    given = {name: value for name, value in values.items() if value is not None}
    first = next(iter(values))
    if given and first not in given:
        others = ", ".join(f"--{option}-{name}" for name in given)
        raise UnspoolError(f"{others} without --{option}, expected both; add --{option}")
    return given or None


def _options(predictor: Predictor, **values: Any) -> dict[str, Any]:
    """What the model's task is to be told, checked."""
    given = {name: value for name, value in values.items() if value is not None}
    known = predictor.evaluation_options
    refuse(predictor, **{name: True for name in given if name not in known.model_fields})
    settings = checked(known, **given)
    return {name: getattr(settings, name) for name in given}


def _folder_of_run(model: Path, name: str) -> Path | None:
    """Where a run keeps what evaluate finds; a bare model folder is left as it is."""
    return model / f"evaluation-{name}" if (model / "recipe.toml").is_file() else None


def _print(evaluation: Evaluation, predictor: Predictor, split: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from unspool.tasks.metric import nats_per

    console = Console(highlight=False, markup=False, emoji=False)  # labels are the user's own
    for found in evaluation.tables():
        shown = Table(*found.columns, box=None, pad_edge=False)
        for column in shown.columns[1:]:
            column.justify = found.align
        for row in found.rows:
            shown.add_row(*row)
        console.print(shown)
    headline = predictor.headline
    typer.echo(
        f"{split}: {headline.name} {headline.text(evaluation.metrics[headline.name])} of "
        f"{evaluation.count:,}, loss {evaluation.loss:.4f} {nats_per(predictor.unit)}"
    )
