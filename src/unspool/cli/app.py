"""The commands and what they have in common. Nothing here imports torch."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from unspool import __version__
from unspool.cli.data import data
from unspool.cli.evaluate import evaluate
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

    sets = ", ".join(native.instruction_sets()) or "none"
    typer.echo(f"unspool {__version__}, torch {metadata.version('torch')}")
    typer.echo(native.absence() or f"native module: present; vector instructions: {sets}")
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


app.command()(train)
app.command()(resume)
app.command()(evaluate)
app.command()(predict)
app.command()(recipes)
app.add_typer(data, name="data")
