"""What a run tells about itself while it goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unspool.errors import SaveError, UnspoolError
from unspool.storage import write_file
from unspool.tasks.task import Totals

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from unspool.training.state import TrainingState


@dataclass(frozen=True)
class Record:
    """One line of metrics.jsonl.

    Parameters
    ----------
    step, epoch : int
        Batches seen, and epochs begun.
    seconds : float
        Time since the run began, over all sittings.
    split : {"train", "validation"}
    loss : float, optional
        Nats a position; None where no batch had a finite loss.
    metrics : dict
        What else the task measures, such as accuracy; with ``train`` also the learning rate ``lr``
        and the number of batches ``skipped`` so far.
    """

    step: int
    epoch: int
    seconds: float
    split: str
    loss: float | None
    metrics: dict[str, float | None]

    @classmethod
    def of(cls, state: TrainingState, split: str, figures: Mapping[str, float]) -> Record:
        """Take down a run's figures as of now."""
        progress = state.progress
        known = {key: value if math.isfinite(value) else None for key, value in figures.items()}
        loss = known.pop("loss")
        if split == "train":
            known |= {"lr": state.lr, "skipped": progress.skipped}
        seconds = round(progress.seconds, 3)
        return cls(progress.step, progress.epoch + 1, seconds, split, loss, known)


_KEYS = {field.name for field in fields(Record)}


class Observer:
    """Is told of a run's progress; does nothing with it. Subclasses do."""

    def stepped(self, state: TrainingState, totals: Totals) -> None:
        """After every batch."""

    def recorded(self, record: Record) -> None:
        """After every ``report_every`` batches, and after every epoch."""

    def epoch_ended(self, state: TrainingState, improved: bool) -> None:
        """After an epoch and its validation; ``improved`` when it is the best so far."""


class MetricsFile(Observer):
    """Appends records to metrics.jsonl, each written out at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recorded(self, record: Record) -> None:
        """Append one line."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(record)) + "\n")
        except OSError as error:
            raise SaveError(f"could not write {self._path}: {error.strerror}") from error

    def forget_after(self, step: int) -> None:
        """Drop what was recorded after a step, from which the run goes on anew."""
        kept = [record for record in read_metrics(self._path) if record["step"] <= step]
        write_file(self._path, "".join(json.dumps(record) + "\n" for record in kept))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl, without lines that are none, such as one cut off."""
    if not path.exists():
        return []
    records: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and record.keys() >= _KEYS:
            records.append(record)
    return records


class TensorBoard(Observer):
    """Writes the records as event files that TensorBoard shows.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    UnspoolError
        If the package tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UnspoolError(
                "training.tensorboard needs the package tensorboard: "
                "pip install 'unspool[tensorboard]'"
            ) from None
        self._open = partial(SummaryWriter, str(folder))
        self._writer: SummaryWriter | None = None  # opened at the first record

    def forget_after(self, step: int) -> None:
        """Tell TensorBoard to drop what was recorded after a step."""
        self._open = partial(self._open, purge_step=step + 1)

    def recorded(self, record: Record) -> None:
        """Write one point to each curve."""
        self._writer = self._writer or self._open()
        figures = {"loss": record.loss, **record.metrics}
        for name, value in figures.items():
            if value is not None:
                self._writer.add_scalar(f"{name}/{record.split}", value, record.step)
        self._writer.flush()
