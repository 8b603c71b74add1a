"""``unspool resume``: go on with a run that was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unspool.cli.options import DataDirOption, Device, DeviceOption, QuietOption
from unspool.cli.train import shown, summarise


def resume(
    run: Annotated[Path, typer.Argument(help="The run's folder.", metavar="RUN")],
    data_dir: DataDirOption = None,
    device: DeviceOption = Device.AUTO,
    quiet: QuietOption = False,
) -> None:
    """Go on with a run as if it had never stopped."""
    from unspool import runs
    from unspool.cli import downloads
    from unspool.devices import device_called

    where = device_called(device)
    recipe = runs.recipe_of(run)
    downloads.fetch(recipe.data_set, data_dir, quiet)
    downloads.prepare(recipe, data_dir, quiet)
    with shown(recipe, run, quiet) as observers:
        outcome = runs.resume(run, data_dir=data_dir, device=where, observers=observers)
    if not quiet:
        summarise(outcome)
