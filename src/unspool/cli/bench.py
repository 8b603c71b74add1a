"""``unspool bench``: how fast this machine computes, ours beside others."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unspool.cli.options import JsonOption

if TYPE_CHECKING:
    from unspool.benchmarking.layers import Shape

bench = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Measure speed, ours beside others."
)


class Cell(StrEnum):
    """Cells that are measured."""

    LSTM = "lstm"
    GRU = "gru"


class Mode(StrEnum):
    """What is measured of a layer."""

    FORWARD = "forward"
    TRAINING = "training"
    MEMORY = "memory"


class Precision(StrEnum):
    """What ours computes in; others always compute in single precision."""

    FP32 = "fp32"
    BF16 = "bf16"


class Malloc(StrEnum):
    """Settings of the C library's memory allocator."""

    DEFAULT = "default"
    FAULT_FREE = "fault-free"


@bench.callback()
def _bench() -> None:
    """Make a group of it, for there will be more to measure than layers."""


@bench.command()
def layers(
    cell: Annotated[
        list[Cell] | None,
        typer.Option("--cell", help="Repeatable. [default: both]", metavar="lstm|gru"),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            "--shape",
            help="Batch, steps, features, hidden size, layers. Repeatable. [default: several]",
            metavar="B,T,F,H,L",
        ),
    ] = None,
    ragged: Annotated[
        bool,
        typer.Option(
            "--ragged",
            help="Only ragged batches, in one and both directions, beside packed sequences.",
        ),
    ] = False,
    mode: Annotated[
        list[Mode] | None,
        typer.Option(
            "--mode",
            help="Inference, training step, or growth of the peak of memory in training. "
            "Repeatable. [default: forward and training]",
            metavar="forward|training|memory",
        ),
    ] = None,
    precision: Annotated[
        list[Precision] | None,
        typer.Option(
            "--precision",
            help="Of ours; the others compute in fp32. Repeatable. [default: both]",
            metavar="fp32|bf16",
        ),
    ] = None,
    malloc: Annotated[
        list[Malloc] | None,
        typer.Option(
            "--malloc",
            help="Setting of glibc's allocator. Repeatable. [default: both]",
            metavar="default|fault-free",
        ),
    ] = None,
    repeat: Annotated[
        int | None,
        typer.Option(
            min=1, help="Samples of each, of which the median counts. [default: 25]", metavar="N"
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="That each computes with. [default: torch's]", metavar="N"),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Unless said otherwise: 5 samples, fp32, malloc fault-free."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Time our recurrent layers beside torch.nn's.

    And beside those of Keras and JAX, where they are installed.
    """
    from unspool.benchmarking import layers as benchmark

    full, packed = _shapes(shape, ragged)
    plan = benchmark.Plan(
        cells=cell or list(Cell),
        shapes=full,
        ragged_shapes=packed,
        precisions=precision or ([Precision.FP32] if quick else list(Precision)),
        modes=mode or [Mode.FORWARD, Mode.TRAINING],
        malloc=malloc or ([Malloc.FAULT_FREE] if quick else list(Malloc)),
        repeat=repeat or (5 if quick else 25),
        threads=threads,
    )
    result = benchmark.measure(plan, say=lambda line: typer.echo(line, err=True))
    if as_json:
        typer.echo(json.dumps(result))
    else:
        _print(result)


def _shapes(texts: list[str] | None, ragged: bool) -> tuple[list[Shape], list[Shape]]:
    """Return the shapes to measure with full and with ragged batches."""
    from unspool.benchmarking.layers import RAGGED_SHAPES, SHAPES, Shape

    if not texts:
        return [] if ragged else list(SHAPES), list(RAGGED_SHAPES)
    try:
        shapes = [Shape.parse(text) for text in texts]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shape") from None
    return ([], shapes) if ragged else (shapes, [])


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from unspool.benchmarking.table import caption, tables

    console = Console(highlight=False, markup=False, emoji=False)
    typer.echo(caption(result))
    for table in tables(result):
        shown = Table(*table.columns, box=None, pad_edge=False)
        for column in shown.columns[3:]:
            column.justify = "right"
        for row in table.rows:
            shown.add_row(*row)
        typer.echo(f"\n{table.title}")
        console.print(shown)
    for line in result["left_out"]:
        typer.echo(f"left out: {line}")
