"""What is this sequence? One label for each, by a recurrent network.

Shapes: ``N`` sequences, ``B`` batch, ``T`` steps, ``F`` features, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from unspool.data import normalisation, source
from unspool.data.augmentation import AugmentationSettings, augment
from unspool.data.batches import Batch, Batches, batch_generator
from unspool.data.labels import LabelType, from_text
from unspool.data.sequences import Sequences
from unspool.data.source import Division, SequenceDataSettings
from unspool.errors import DataError, RecipeError
from unspool.models.classifier import Classifier, ClassifierSettings
from unspool.settings import Settings
from unspool.tasks.evaluation import Evaluation
from unspool.tasks.task import Task, Totals

Objective = Literal["end", "every-step"]
ClassWeights = Literal["balanced"] | dict[str, Annotated[float, Field(gt=0)]]

_INFERENCE_BATCH = 256


class ClassifySettings(Settings):
    """A recipe's part for this task.

    Parameters
    ----------
    objective : {"end", "every-step"}
        Learn to answer after the last step, or after every step.
    class_weights : "balanced" or {label: weight}, optional
        How much each class counts in the training loss; ``balanced`` weighs a class by the
        inverse of its frequency.
    data : SequenceDataSettings
    model : ClassifierSettings
    """

    objective: Objective = "end"
    class_weights: ClassWeights | None = None
    data: SequenceDataSettings
    model: ClassifierSettings = ClassifierSettings()


class Classify(Task):
    """A classifier, its labels, and (for training) the data to learn from.

    Parameters
    ----------
    model : Classifier
    classes : sequence of str
        The label of each output, ``C``.
    objective : {"end", "every-step"}
    data : SequenceDataSettings, optional
        Where the data came from, for the record and for ``evaluate``; None for arrays.
    label_type : {"str", "int", "float", "bool"}
        What the labels were before they became text, for a program that wants them back.
    """

    name: ClassVar[str] = "classify"

    model: Classifier

    def __init__(
        self,
        model: Classifier,
        classes: Sequence[str],
        objective: Objective = "end",
        data: SequenceDataSettings | None = None,
        label_type: LabelType = "str",
    ) -> None:
        self.model = model
        self.classes = tuple(classes)
        self.objective = objective
        self.data = data
        self.label_type = label_type
        self.augmentation = AugmentationSettings()

    # --- from data to a task ---------------------------------------------------------------

    @classmethod
    def from_settings(
        cls, settings: ClassifySettings, seed: int, data_dir: Path | None = None
    ) -> Classify:
        """Load the data, fit the normalisation, and draw a new model's weights from the seed.

        Raises
        ------
        DataError, RecipeError
            If the data cannot be used, or not with these settings.
        """
        division = source.load(settings.data, data_dir)
        if settings.data.augmentation.active and not division.training.same_length:
            raise DataError(
                f"{settings.data.title} has sequences of unequal lengths, expected pictures of one "
                "size for data.augmentation; leave it out"
            )
        task = cls.from_division(
            division,
            settings.model,
            seed,
            normalise=settings.data.normalisation,
            objective=settings.objective,
            class_weights=settings.class_weights,
            title=settings.data.title,
        )
        task.data = settings.data.naming_features(division.training.feature_names)
        task.augmentation = settings.data.augmentation
        return task

    @classmethod
    def from_division(
        cls,
        division: Division,
        settings: ClassifierSettings,
        seed: int,
        *,
        normalise: normalisation.Normalisation = "standard",
        objective: Objective = "end",
        class_weights: ClassWeights | None = None,
        title: str = "data",
    ) -> Classify:
        """Make a task of sequences that are already divided; the test part is not looked at."""
        training = division.training
        assert training.labels is not None
        classes = _in_order(training.labels)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = Classifier(training.num_features, len(classes), settings)
        centre, scale = normalisation.fit(training, normalise)
        model.set_normalisation(torch.from_numpy(centre), torch.from_numpy(scale))
        task = cls(model, classes, objective)
        task._training = training
        task._targets = torch.from_numpy(task.targets(training, f"{title} (training part)"))
        task._validation = division.validation
        if len(division.validation):
            task.targets(division.validation, f"{title} (validation part)")  # before any training
        task._title = title
        task._class_weights = _weights(class_weights, classes, task._targets)
        return task

    _training: Sequences
    _validation: Sequences
    _targets: Tensor  # (N,)
    _class_weights: Tensor | None = None
    _title: str = "data"

    # --- training --------------------------------------------------------------------------

    def batches_an_epoch(self, batch_size: int) -> int:
        """Training batches that one epoch has."""
        return -(-len(self._training) // batch_size)

    def training_batches(self, batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
        """One epoch of shuffled, augmented batches."""
        shuffled = Batches(self._training, batch_size).shuffled(seed, epoch)
        for position, batch in enumerate(shuffled):
            if self.augmentation.active:
                generator = batch_generator(seed, epoch, position)
                x = augment(batch.x, self.augmentation, generator)
                batch = Batch(x, batch.lengths, batch.indices)
            yield batch

    def loss(self, batch: Batch) -> Totals:
        """Cross-entropy of the true labels, at the end or summed over every valid step."""
        targets = self._targets[batch.indices].to(self.device)
        x = batch.x.to(self.device)
        if self.objective == "end":
            logits = self.model(x, batch.lengths)  # (B, C)
            return _judge(logits, targets, logits.detach(), targets, self._class_weights)
        by_step = self.model.by_step(x, batch.lengths)  # (B, T, C)
        valid = torch.arange(x.shape[1]) < batch.lengths[:, None]  # (B, T)
        valid = valid.to(self.device)
        every = targets[:, None].expand(valid.shape)[valid]
        return _judge(by_step[valid], every, by_step[:, -1].detach(), targets, self._class_weights)

    def validate(self) -> dict[str, float] | None:
        """Loss and accuracy on the validation part."""
        if len(self._validation) == 0:
            return None
        evaluation = self.evaluate(self._validation, f"{self._title} (validation part)")
        return {"loss": evaluation.loss, "accuracy": evaluation.accuracy}

    # --- answers ---------------------------------------------------------------------------

    def targets(self, sequences: Sequences, title: str) -> NDArray[np.int64]:
        """Each sequence's label as its position among the classes, ``(N,)``.

        Raises
        ------
        DataError
            If there are no labels, or one was never seen in training.
        """
        if sequences.labels is None:
            raise DataError(f"{title} has no labels, expected one for each sequence")
        known = {label: position for position, label in enumerate(self.classes)}
        unknown = sorted(set(sequences.labels.tolist()) - known.keys())
        if unknown:
            raise DataError(
                f"{title} has labels never seen in training: {_some(unknown)}; "
                f"expected some of {_some(self.classes)}"
            )
        return np.array([known[label] for label in sequences.labels.tolist()], np.int64)

    def probabilities(self, sequences: Sequences) -> NDArray[np.float64]:
        """The belief after each sequence's last step, ``(N, C)``."""
        logits = [self._infer(self.model, batch) for batch in self._batches(sequences)]
        return _softmax(torch.cat(logits))

    def probabilities_by_step(self, sequences: Sequences) -> list[NDArray[np.float64]]:
        """The belief after each step of each sequence, ``N`` arrays ``(T_i, C)``."""
        beliefs = []
        for batch in self._batches(sequences):
            by_step = _softmax(self._infer(self.model.by_step, batch))  # (B, T, C)
            beliefs += [
                belief[:steps] for belief, steps in zip(by_step, batch.lengths, strict=True)
            ]
        return beliefs

    def evaluate(self, sequences: Sequences, title: str, by_step: bool = False) -> Evaluation:
        """Compare the model's answers with the true labels.

        Parameters
        ----------
        sequences : Sequences
        title : str
            What an error calls them.
        by_step : bool
            Also after 1, 2, … steps; a shorter sequence counts with its last belief.
        """
        self.check_features(sequences, title)
        targets = self.targets(sequences, title)
        probabilities = self.probabilities(sequences)
        steps = self._accuracy_by_step(sequences, targets) if by_step else None
        return Evaluation.of(self.classes, probabilities, targets, steps)

    def _accuracy_by_step(self, sequences: Sequences, targets: NDArray[np.int64]) -> list[float]:
        longest = int(sequences.lengths.max())
        hits = torch.zeros(longest, dtype=torch.int64)
        for batch in self._batches(sequences):
            answers = self._infer(self.model.by_step, batch).argmax(-1)  # (B, T)
            right = answers == torch.from_numpy(targets)[batch.indices][:, None]
            hits[: right.shape[1]] += right.sum(0)
            hits[right.shape[1] :] += right[:, -1].sum()
        return (hits.double() / len(sequences)).tolist()

    def check_features(self, sequences: Sequences, title: str) -> None:
        """Refuse sequences of another width than the model's.

        Raises
        ------
        DataError
        """
        if sequences.num_features != len(self.model.centre):
            raise DataError(
                f"{title} has {sequences.num_features} features a step, "
                f"expected {len(self.model.centre)} as in training"
            )

    def _batches(self, sequences: Sequences) -> Iterator[Batch]:
        return Batches(sequences, _INFERENCE_BATCH).in_order()

    def _infer(self, network: Any, batch: Batch) -> Tensor:
        """Logits without gradients or dropout, on the CPU."""
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode():
                logits: Tensor = network(batch.x.to(self.device), batch.lengths)
                return logits.cpu()
        finally:
            self.model.train(was_training)

    # --- the model folder ------------------------------------------------------------------

    def description(self) -> dict[str, Any]:
        """Architecture, labels, objective and origin of the data."""
        return {
            "num_features": len(self.model.centre),
            "classes": list(self.classes),
            "label_type": self.label_type,
            "objective": self.objective,
            "model": self.model.settings.model_dump(exclude_none=True),
            "data": self.data and self.data.model_dump(exclude_none=True),
        }


class ClassifyDescription(Settings):
    """The task's part of a model folder's config.json, checked before anything is built."""

    num_features: Annotated[int, Field(ge=1, le=1_000_000)]
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=1_000_000, strict=False)]
    label_type: LabelType = "str"
    objective: Objective
    model: ClassifierSettings
    data: SequenceDataSettings | None

    @model_validator(mode="after")
    def _labels_fit_their_type(self) -> ClassifyDescription:
        from_text(self.classes, self.label_type)
        return self

    def task(self) -> Classify:
        """Build the task with weights yet to be loaded, on the meta device: nothing allocated."""
        with torch.device("meta"):
            model = Classifier(self.num_features, len(self.classes), self.model)
        return Classify(model, self.classes, self.objective, self.data, self.label_type)


def _judge(
    logits: Tensor, targets: Tensor, last: Tensor, labels: Tensor, weights: Tensor | None
) -> Totals:
    """Sum the loss over all positions, and count right answers after the last step."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # a bf16 sum is no sum
    if weights is not None:
        weights = weights.to(logits)
    loss = F.cross_entropy(logits, targets, weight=weights, reduction="sum")
    positions = torch.tensor(float(len(targets))) if weights is None else weights[targets].sum()
    hits = (last.argmax(-1) == labels).sum()
    return Totals(loss, positions.to(loss), hits, len(labels))


def _in_order(labels: NDArray[np.str_]) -> list[str]:
    """The distinct labels, by number where all of them are numbers."""
    distinct = sorted(set(labels.tolist()))
    try:
        return sorted(distinct, key=float)
    except ValueError:
        return distinct


def _weights(
    weights: ClassWeights | None, classes: Sequence[str], targets: Tensor
) -> Tensor | None:
    """The weight of each class, ``(C,)``."""
    if weights is None:
        return None
    if weights == "balanced":
        counts = torch.bincount(targets, minlength=len(classes))
        return len(targets) / (len(classes) * counts.float())
    assert isinstance(weights, dict)
    unknown = sorted(weights.keys() - set(classes))
    if unknown:
        raise RecipeError(
            f"class_weights names {_some(unknown)}, expected labels of the training part: "
            f"{_some(classes)}"
        )
    return torch.tensor([weights.get(label, 1.0) for label in classes])


def _softmax(logits: Tensor) -> NDArray[np.float64]:
    return logits.double().softmax(-1).numpy()


def _some(labels: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(map(repr, labels[:most]))
    return shown if len(labels) <= most else f"{shown}, … ({len(labels)} in all)"
