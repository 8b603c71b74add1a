"""Runs: from a recipe to a trained model in a folder, and on again after a stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from unspool.errors import ModelFolderError, SaveError
from unspool.inspection import plots
from unspool.recipes import recipe as recipes
from unspool.recipes.recipe import NamedRecipe, Recipe
from unspool.seeding import seeded
from unspool.storage import write_file
from unspool.tasks import model_card, model_folder
from unspool.tasks.metric import Metric
from unspool.tasks.task import Task
from unspool.training.checkpoints import Checkpoints, checkpoints_in
from unspool.training.loop import train as train_loop
from unspool.training.lr_finder import Search, find_lr
from unspool.training.origin import Origin
from unspool.training.report import MetricsFile, Observer, TensorBoard, read_metrics
from unspool.training.state import Progress, TrainingState


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps what."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The complete recipe."""
        return self.path / "recipe.toml"

    @property
    def metrics(self) -> Path:
        """Loss and metrics, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def curves(self) -> Path:
        """The same as a picture."""
        return self.path / "curves.png"

    @property
    def checkpoints(self) -> Path:
        """States to go on from."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.path / "model"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Parameters
    ----------
    folder : RunFolder
    progress : Progress
    kept_epoch : int
        After which epoch the kept weights were these.
    validation : dict, optional
        Loss and metrics of the kept weights on the validation part, where there is one.
    headline : Metric
        The one among them that stands for the rest.
    has_test : bool
        Whether a part of the data is left to judge the model by.
    """

    folder: RunFolder
    progress: Progress
    kept_epoch: int
    validation: dict[str, float] | None
    headline: Metric
    has_test: bool


def free_folder(name: str, parent: Path = Path("runs")) -> Path:
    """The first of ``runs/NAME-1``, ``runs/NAME-2``, … that does not exist."""
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


def train(
    named: NamedRecipe,
    folder: Path,
    *,
    data_dir: Path | None = None,
    device: torch.device | None = None,
    observers: Sequence[Observer] = (),
) -> Outcome:
    """Train a recipe into a new folder.

    Parameters
    ----------
    named : NamedRecipe
    folder : Path
        Must not exist yet, or be empty.
    data_dir : Path, optional
        Where data sets are looked for first.
    device : torch.device, optional
        The CPU when not given.
    observers : sequence of Observer
        Told of the progress, beside those that write the run's files.

    Raises
    ------
    UnspoolError
        If the data, the folder or the training fails; the message says why.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        resumable = RunFolder(folder).recipe.is_file()
        hint = f", or go on with it: unspool resume {folder}" if resumable else ""
        raise SaveError(
            f"{folder} already exists and is not empty; choose another --out or remove it{hint}"
        )
    task = named.recipe.build(named.recipe.seed, data_dir)
    run = RunFolder(folder)
    return _run(task, named.recipe, run, device, observers, resumed=False)


def resume(
    folder: Path,
    *,
    data_dir: Path | None = None,
    device: torch.device | None = None,
    observers: Sequence[Observer] = (),
) -> Outcome:
    """Go on with a run from its newest checkpoint, as if it had never stopped.

    Parameters are those of :func:`train`. A run that was stopped in its first epoch starts anew. Of
    a run that has come to its end, the model and the curves are written again.

    Raises
    ------
    UnspoolError
        If it is no run's folder, a checkpoint is damaged, or recipe or data is not what the run
        began with.
    """
    run, recipe = RunFolder(folder), recipe_of(folder)
    if run.model.exists() and not checkpoints_in(run.checkpoints):
        raise ModelFolderError(
            f"{folder} holds a finished model and no checkpoint, expected one to go on from; "
            "train again into another folder to repeat the run"
        )
    task = recipe.build(recipe.seed, data_dir)
    return _run(task, recipe, run, device, observers, resumed=True)


def recipe_of(folder: Path) -> Recipe:
    """Read the recipe of a run.

    Raises
    ------
    ModelFolderError
        If it is no run's folder.
    """
    path = RunFolder(folder).recipe
    if not path.is_file():
        raise ModelFolderError(f"{folder} holds no recipe.toml, expected the folder of a run")
    return recipes.load(path).recipe


def _run(
    task: Task,
    recipe: Recipe,
    run: RunFolder,
    device: torch.device | None,
    observers: Sequence[Observer],
    *,
    resumed: bool,
) -> Outcome:
    task.model.to(device or "cpu")
    state = TrainingState.start(task, recipe.training)
    origin = Origin.of(recipe.model_dump(mode="json"), task)
    checkpoints = Checkpoints(run.checkpoints, origin)
    records: list[MetricsFile | TensorBoard] = [MetricsFile(run.metrics)]
    if recipe.training.tensorboard:
        records.append(TensorBoard(run.path / "tensorboard"))
    if not resumed:
        write_file(run.recipe, recipe.to_toml())
    with seeded(recipe.seed):
        if resumed:
            checkpoints.resume(state)
            for each in records:
                each.forget_after(state.progress.step)
        try:
            told = [*records, checkpoints, *observers]
            train_loop(state, recipe.training, recipe.seed, told)
        finally:
            recorded = read_metrics(run.metrics)
            if recorded:
                picture = plots.curves(recorded, run.path.name, task.headline, task.unit)
                write_file(run.curves, picture)
    validation = task.validate()
    card = model_card.write(task.predictor, validation or {}, recipe.to_toml())
    model_folder.save(task.predictor, run.model, card)
    progress = state.progress
    keeps_best = recipe.training.keep == "best" and progress.best_epoch > 0
    kept_epoch = progress.best_epoch if keeps_best else progress.epoch
    return Outcome(run, progress, kept_epoch, validation, task.headline, recipe.has_test)


def search_lr(
    recipe: Recipe, *, data_dir: Path | None = None, device: torch.device | None = None
) -> Search:
    """Try ever higher learning rates on a recipe; see :mod:`unspool.training.lr_finder`."""
    task = recipe.build(recipe.seed, data_dir)
    task.model.to(device or "cpu")
    with seeded(recipe.seed):
        return find_lr(task, recipe.training, recipe.seed)
