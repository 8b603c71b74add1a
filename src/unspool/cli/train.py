"""``unspool train``: from a recipe to a trained model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unspool.cli.options import DataDirOption, Device, DeviceOption, QuietOption

if TYPE_CHECKING:
    from torch import device

    from unspool.recipes.recipe import NamedRecipe, Recipe
    from unspool.runs import Outcome
    from unspool.training.report import Observer


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A shipped recipe (see: unspool recipes) or a TOML file.", metavar="RECIPE"
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Override one value, as in model.hidden_size=256. Repeatable.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder. [default: runs/RECIPE-N]")
    ] = None,
    data_dir: DataDirOption = None,
    device: DeviceOption = Device.AUTO,
    quiet: QuietOption = False,
    find_lr: Annotated[
        bool,
        typer.Option("--find-lr", help="Do not train: draw the loss against the learning rate."),
    ] = False,
) -> None:
    """Train the network that a recipe describes."""
    from unspool import runs
    from unspool.cli import downloads
    from unspool.devices import device_called
    from unspool.recipes.recipe import load

    named = load(recipe, overrides or [])
    where = device_called(device)
    downloads.fetch(named.recipe.data_set, data_dir, quiet)
    downloads.prepare(named.recipe, data_dir, quiet)
    if find_lr:
        _find_lr(named, out, data_dir, where)
        return
    folder = out or runs.free_folder(named.name)
    with shown(named.recipe, folder, quiet) as observers:
        outcome = runs.train(named, folder, data_dir=data_dir, device=where, observers=observers)
    if not quiet:
        summarise(outcome)


@contextmanager
def shown(recipe: Recipe, folder: Path, quiet: bool) -> Iterator[list[Observer]]:
    """Show a run's progress unless it is to be quiet, and explain an interruption."""
    from unspool.cli.progress import TrainingProgress

    try:
        if quiet:
            yield []
        else:
            with TrainingProgress(recipe.training) as bar:
                yield [bar]
    except KeyboardInterrupt:
        started = (folder / "recipe.toml").is_file()
        hint = f"; go on with: unspool resume {folder}" if started else ""
        typer.echo(f"unspool: interrupted{hint}", err=True)
        raise typer.Exit(130) from None


def summarise(outcome: Outcome) -> None:
    """Say how a run ended and what it left where."""
    progress, folder = outcome.progress, outcome.folder
    epochs = "epoch" if progress.epoch == 1 else "epochs"
    line = f"{progress.epoch} {epochs} in {progress.seconds:.1f} s"
    if outcome.validation is not None:
        headline = outcome.headline
        figure = headline.text(outcome.validation[headline.name])
        line += f", validation {headline.name} {figure} (weights of epoch {outcome.kept_epoch})"
    typer.echo(line)
    typer.echo(f"model   {folder.model}")
    typer.echo(f"curves  {folder.curves}")
    rest = "train" if outcome.validation is None else "validation"  # where there is no test part
    part = "" if outcome.has_test else f" --split {rest}"
    typer.echo(f"next    unspool evaluate {folder.path}{part}")


def _find_lr(recipe: NamedRecipe, out: Path | None, data_dir: Path | None, where: device) -> None:
    from unspool import runs
    from unspool.inspection import plots
    from unspool.storage import write_file

    search = runs.search_lr(recipe.recipe, data_dir=data_dir, device=where)
    beside = out or Path(recipe.name)  # a run's folder must stay free for the training to come
    picture = beside.with_name(f"{beside.name}-learning-rate.png")
    write_file(picture, plots.lr_search(search.rates, search.losses, search.suggestion))
    typer.echo(f"suggested  training.optimizer.lr={search.suggestion:.2g}")
    typer.echo(f"curve      {picture}")
