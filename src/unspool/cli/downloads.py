"""Downloads data sets before a command reads them, with a bar where someone is watching."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from unspool.data import catalogue

if TYPE_CHECKING:
    from unspool.recipes.recipe import Recipe


def fetch(name: str | None, data_dir: Path | None, quiet: bool = False) -> dict[str, Path]:
    """Find a set's files, or download them; there are none where it has no name or is built in.

    Parameters
    ----------
    name : str, optional
        None for a file of the user's own, which is never fetched.
    data_dir : Path, optional
        Where to look first.
    quiet : bool
        Show no bar.
    """
    if name is None:
        return {}
    if quiet:
        return catalogue.fetch(name, data_dir)
    with DownloadProgress() as bar:
        return catalogue.fetch(name, data_dir, bar.moved)


def prepare(recipe: Recipe, data_dir: Path | None, quiet: bool = False) -> None:
    """Let a recipe's task read a large text beforehand, with a bar.

    Parameters are those of :func:`fetch`.
    """
    if not quiet:
        with DownloadProgress() as bar:
            recipe.prepare(data_dir, bar.moved)


class DownloadProgress:
    """A bar a file on standard error, where that is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> DownloadProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def moved(self, file: str, done: int, total: int | None) -> None:
        """Move a file's bar, in bytes."""
        if file not in self._tasks:
            self._tasks[file] = self._bar.add_task(file, total=total)
        self._bar.update(self._tasks[file], completed=done, total=total)
