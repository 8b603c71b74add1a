"""Shows how far a training or a translation has come: a bar, where there is a terminal."""

from __future__ import annotations

import math
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from unspool.tasks.task import Task, Totals
from unspool.training.report import Observer, Record
from unspool.training.settings import TrainingSettings
from unspool.training.state import TrainingState

_REFRESH = 10  # steps


class TrainingProgress(Observer):
    """A line an epoch on standard error, above a bar where that is a terminal.

    Parameters
    ----------
    settings : TrainingSettings
        For the number of epochs and the batch size.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[figures]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(
            "",
            start=True,
            total=None,
            epoch=1,
            epochs=settings.epochs,
            rate="",
            figures="",
        )
        self._judged = 0  # units, since the first step of this sitting
        self._epoch: Totals | None = None
        self._validation: Record | None = None
        self._since: float | None = None

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def stepped(self, state: TrainingState, totals: Totals) -> None:
        """Move the bar; at the first step, say what is to be known of the data."""
        if self._since is None:
            for note in state.task.notes:
                self._console.print(note, soft_wrap=True)
        if math.isfinite(float(totals.loss)):
            self._epoch = totals if self._epoch is None else self._epoch + totals
        progress = state.progress
        if self._since is None:
            self._since = progress.seconds
        else:
            self._judged += totals.count
        if progress.step % _REFRESH or self._bar.disable or self._epoch is None:
            return
        rate = self._judged / max(progress.seconds - self._since, 1e-9)
        an_epoch = state.task.batches_an_epoch(self._settings.batch_size)
        self._bar.update(
            self._task,
            completed=progress.step,
            total=an_epoch * self._settings.epochs,
            epoch=progress.epoch + 1,
            rate=f"{rate:,.0f} {state.task.unit}s/s",
            figures=_figures(state.task, self._epoch),
        )

    def recorded(self, record: Record) -> None:
        """Keep the validation figures for the epoch's line."""
        if record.split == "validation":
            self._validation = record

    def epoch_ended(self, state: TrainingState, improved: bool) -> None:
        """Print the epoch's line."""
        progress, headline = state.progress, state.task.headline
        width = len(str(self._settings.epochs))
        line = f"epoch {progress.epoch:{width}}/{self._settings.epochs}"
        if self._epoch is not None:
            line += f"  {_figures(state.task, self._epoch)}"
        if self._validation is not None and self._validation.loss is not None:
            figure = self._validation.metrics[headline.name]
            line += f"  validation loss {self._validation.loss:.4f}"
            line += f"  {headline.name} {headline.text(figure)}"
            line += " *" if improved else "  "
        line += f"  {progress.seconds:.1f} s"
        if progress.skipped:
            line += f"  ({progress.skipped} batches skipped: gradient not finite)"
        self._console.print(line, soft_wrap=True)
        self._epoch = self._validation = None


class TranslationProgress:
    """A bar on standard error with the rate and the remaining time, where that is a terminal.

    Parameters
    ----------
    total : int, optional
        Texts that there are; None where that is not known.
    done : int
        Texts that were answered before.
    hidden : bool
        Show none in any case.
    """

    def __init__(self, total: int | None, done: int = 0, *, hidden: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            disable=hidden or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, completed=done, rate="")
        self._count, self._since = 0, time.monotonic()

    def __enter__(self) -> TranslationProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def step(self) -> None:
        """Move on by one text."""
        self._count += 1
        rate = self._count / max(time.monotonic() - self._since, 1e-9)
        self._bar.update(self._task, advance=1, rate=f"{rate:,.0f} texts/s")

    def note(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line, soft_wrap=True)


def _figures(task: Task, totals: Totals) -> str:
    """Loss and headline metric of what was seen of an epoch."""
    headline = task.headline
    figure = headline.text(task.measure(totals)[headline.name])
    return f"loss {float(totals.mean_loss):.4f}  {headline.name} {figure}"
