"""Shows a training's progress: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from unspool.tasks.task import Totals
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
            TextColumn("{task.fields[rate]:,.0f} sequences/s"),
            TimeRemainingColumn(compact=True),
            TextColumn("loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.2%}"),
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
            rate=0.0,
            loss=float("nan"),
            accuracy=0.0,
        )
        self._epoch: Totals | None = None
        self._validation: Record | None = None
        self._first: tuple[int, float] | None = None

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def stepped(self, state: TrainingState, totals: Totals) -> None:
        """Move the bar."""
        if math.isfinite(float(totals.loss)):
            self._epoch = totals if self._epoch is None else self._epoch + totals
        progress = state.progress
        if self._first is None:
            self._first = progress.step, progress.seconds
        if progress.step % _REFRESH or self._bar.disable or self._epoch is None:
            return
        steps, seconds = progress.step - self._first[0], progress.seconds - self._first[1]
        an_epoch = state.task.batches_an_epoch(self._settings.batch_size)
        self._bar.update(
            self._task,
            completed=progress.step,
            total=an_epoch * self._settings.epochs,
            epoch=progress.epoch + 1,
            rate=steps * self._settings.batch_size / max(seconds, 1e-9),
            loss=float(self._epoch.mean_loss),
            accuracy=self._epoch.accuracy,
        )

    def recorded(self, record: Record) -> None:
        """Keep the validation figures for the epoch's line."""
        if record.split == "validation":
            self._validation = record

    def epoch_ended(self, state: TrainingState, improved: bool) -> None:
        """Print the epoch's line."""
        progress = state.progress
        width = len(str(self._settings.epochs))
        line = f"epoch {progress.epoch:{width}}/{self._settings.epochs}"
        if self._epoch is not None:
            loss = float(self._epoch.mean_loss)
            line += f"  loss {loss:.4f}  accuracy {self._epoch.accuracy:.2%}"
        if self._validation is not None and self._validation.loss is not None:
            accuracy = self._validation.metrics["accuracy"]
            line += f"  validation loss {self._validation.loss:.4f}  accuracy {accuracy:.2%}"
            line += " *" if improved else "  "
        line += f"  {progress.seconds:.1f} s"
        if progress.skipped:
            line += f"  ({progress.skipped} batches skipped: gradient not finite)"
        self._console.print(line, soft_wrap=True)
        self._epoch = self._validation = None
