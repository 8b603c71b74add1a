"""The commands and what they have in common. Nothing here imports torch."""

from __future__ import annotations

import os
from importlib import metadata
from typing import Annotated

import typer

from unspool import __version__
from unspool.cli.bench import bench
from unspool.cli.data import data
from unspool.cli.draw import draw
from unspool.cli.evaluate import evaluate
from unspool.cli.generate import generate
from unspool.cli.inspect import inspect
from unspool.cli.predict import predict
from unspool.cli.recipes import recipes
from unspool.cli.resume import resume
from unspool.cli.train import train

app = typer.Typer(
    name="unspool",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if not asked:
        return
    from unspool import native

    typer.echo(f"unspool {__version__}, torch {metadata.version('torch')}")
    kernels, sets = native.kernels(), native.instruction_sets()
    forced = os.environ.get("UNSPOOL_KERNEL")
    fastest = kernels[-1] if kernels else "torch"
    typer.echo(f"kernel {f'{forced} (UNSPOOL_KERNEL)' if forced else fastest}")
    typer.echo(
        native.absence()
        or f"native kernels: {', '.join(kernels)}; vector instructions: {', '.join(sets) or 'none'}"
    )
    raise typer.Exit


@app.callback()
def unspool(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show versions and kernels."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback when something fails.")
    ] = False,
) -> None:
    """Train, explain and serve recurrent networks."""
    from unspool.allocator import keep_freed_memory

    keep_freed_memory()


app.command()(train)
app.command()(resume)
app.command()(evaluate)
app.command()(predict)
app.command()(generate)
app.command()(draw)
app.command()(inspect)
app.command()(recipes)
app.add_typer(data, name="data")
app.add_typer(bench, name="bench")
