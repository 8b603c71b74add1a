"""``unspool data``: the catalogue of data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unspool.cli.options import DataDirOption

data = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="List, fetch and verify data sets."
)

NameArgument = Annotated[str, typer.Argument(help="A data set (see: unspool data list).")]


@data.command(name="list")
def list_(
    name: Annotated[
        str | None, typer.Argument(help="Tell all about this one.", metavar="[NAME]")
    ] = None,
    data_dir: DataDirOption = None,
) -> None:
    """List the data sets: licence, size, and where they are."""
    if name is not None:
        _describe(name, data_dir)
        return
    from rich.console import Console
    from rich.table import Table

    from unspool.data import catalogue

    table = Table("name", "what", "licence", "size", box=None, pad_edge=False)
    table.add_column("where", overflow="fold")
    for name in catalogue.names():
        entry = catalogue.entry(name)
        size = "" if entry.built_in else f"{entry.size / 1e6:.1f} MB"
        table.add_row(name, entry.title, entry.licence, size, _where(name, data_dir))
    Console(highlight=False, markup=False, emoji=False).print(table)  # folders are the user's


def _describe(name: str, data_dir: Path | None) -> None:
    from unspool.data import catalogue

    entry = catalogue.entry(name)
    typer.echo(f"{entry.name}: {entry.title}")
    typer.echo(f"what      {entry.description}")
    typer.echo(f"classes   {', '.join(entry.class_names)}")
    typer.echo(f"origin    {entry.origin}")
    typer.echo(f"licence   {entry.licence}")
    typer.echo(f"where     {_where(name, data_dir)}")
    for file in entry.files:
        typer.echo(f"file      {file.name}, {file.size:,} bytes, SHA-256 {file.sha256}")


@data.command()
def fetch(name: NameArgument, data_dir: DataDirOption = None) -> None:
    """Download a data set into the cache, unless it is here already."""
    from unspool.cli import downloads

    paths = downloads.fetch(name, data_dir)
    if not paths:
        typer.echo(f"{name} is built in: nothing to fetch")
    for path in paths.values():
        typer.echo(path)


@data.command()
def verify(name: NameArgument, data_dir: DataDirOption = None) -> None:
    """Compare a data set's files with the catalogue: size and SHA-256.

    Both are those of the uncompressed content.
    """
    from unspool.data import catalogue
    from unspool.errors import DataError

    reports = catalogue.verify(name, data_dir)
    if not reports:
        typer.echo(f"{name} is built in: nothing to verify")
    for report in reports:
        typer.echo(f"{report.path}: right" if report.ok else f"{report.name}: {report.problem}")
    wrong = sum(not report.ok for report in reports)
    if wrong:
        raise DataError(f"{name}: {wrong} of {len(reports)} files missing or wrong")


def _where(name: str, data_dir: Path | None) -> str:
    from unspool.data import catalogue

    paths = catalogue.locate(name, data_dir).values()
    if not paths:
        return "built in"
    folders = {str(path.parent) for path in paths if path is not None}
    return ", ".join(sorted(folders)) if None not in paths else "to be fetched"
