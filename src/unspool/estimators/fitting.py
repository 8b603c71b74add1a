"""One training of a classifier, from labelled sequences and checked parameters."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from unspool.data.division import divide
from unspool.data.sequences import Sequences
from unspool.data.source import Division
from unspool.errors import RecipeError
from unspool.estimators.inputs import Labels
from unspool.estimators.settings import ClassWeight, SequenceClassifierSettings
from unspool.tasks.classify import Classify, ClassWeights
from unspool.training import loop
from unspool.training.report import Observer, Record
from unspool.training.state import TrainingState


class History(Observer):
    """Keeps the records of a training, and prints them if asked to."""

    def __init__(self, verbose: bool) -> None:
        self.records: list[dict[str, Any]] = []
        self._verbose = verbose

    def recorded(self, record: Record) -> None:
        """Keep one record."""
        self.records.append(asdict(record))
        if self._verbose:
            loss = float("nan") if record.loss is None else record.loss
            accuracy = record.metrics["accuracy"]
            print(f"epoch {record.epoch}  {record.split}  loss {loss:.4f}  accuracy {accuracy:.2%}")


def new_task(
    sequences: Sequences, labels: Labels, settings: SequenceClassifierSettings, seed: int
) -> Classify:
    """Divide the sequences, and draw a new network's weights."""
    parts = divide(
        sequences.labels, len(sequences), validation=settings.validation_fraction, test=0.0
    )
    return Classify.from_division(
        Division(*(sequences.take(part) for part in (parts.train, parts.validation, parts.test))),
        settings.model,
        seed,
        normalise=settings.normalisation,
        objective=settings.objective,
        class_weights=_weights_by_name(settings.class_weight, labels),
        title="X",
    )


def train(
    task: Classify, settings: SequenceClassifierSettings, seed: int, observer: Observer
) -> int:
    """Train with one record an epoch; return the number of epochs."""
    an_epoch = task.batches_an_epoch(settings.training.batch_size)
    training = settings.training.model_copy(update={"report_every": an_epoch})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = TrainingState.start(task, training)
        loop.train(state, training, seed, [observer])
    return state.progress.epoch


def _weights_by_name(weights: ClassWeight | None, labels: Labels) -> ClassWeights | None:
    """Class weights by the text of each label."""
    if weights is None or isinstance(weights, str):
        return weights
    names = dict(zip(labels.classes.tolist(), labels.names.tolist(), strict=True))
    unknown = [label for label in weights if label not in names]
    if unknown:
        raise RecipeError(
            f"class_weight names {unknown[0]!r}, expected labels of y: "
            f"{', '.join(map(repr, names))}"
        )
    return {names[label]: weight for label, weight in weights.items()}
