"""Trains a classifier: its data, its batches and its loss.

Shapes: ``N`` sequences, ``B`` batch, ``T`` steps, ``F`` features, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from unspool.data import source
from unspool.data.augmentation import AugmentationSettings, augment
from unspool.data.batches import Batch, Batches, batch_generator
from unspool.data.source import Division, SequenceDataSettings
from unspool.errors import DataError, RecipeError
from unspool.models.classifier import ClassifierSettings
from unspool.tasks.classify.predictor import LabelPredictor, Objective, some
from unspool.tasks.task import Task, TaskSettings, Totals

ClassWeights = Literal["balanced"] | dict[str, Annotated[float, Field(gt=0)]]

_AS_IT_IS = AugmentationSettings()


class ClassifySettings(TaskSettings):
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

    @property
    def data_set(self) -> str | None:
        """The catalogue's set, if it is one."""
        return self.data.name

    @property
    def has_validation(self) -> bool:
        """Whether a share is divided off for it."""
        return self.data.validation > 0

    @property
    def has_test(self) -> bool:
        """Whether there is such a part."""
        return self.data.has_test

    def build(self, seed: int, data_dir: Path | None = None) -> Classify:
        """Load the data, fit the normalisation, and draw a new model's weights from the seed.

        Raises
        ------
        DataError, RecipeError
            If the data cannot be used, or not with these settings.
        """
        division = source.load(self.data, data_dir)
        if self.data.augmentation.active and not division.training.same_length:
            raise DataError(
                f"{self.data.title} has sequences of unequal lengths, expected pictures of one "
                "size for data.augmentation; leave it out"
            )
        predictor = LabelPredictor.untrained(
            division.training,
            self.model,
            seed,
            normalise=self.data.normalisation,
            objective=self.objective,
            data=self.data.naming_features(division.training.feature_names),
            vocabulary=division.vocabulary,
        )
        return Classify(
            predictor,
            division,
            class_weights=self.class_weights,
            augmentation=self.data.augmentation,
            title=self.data.title,
        )


class Classify(Task):
    """A classifier and the labelled sequences that it learns from.

    Parameters
    ----------
    predictor : LabelPredictor
    division : Division
        The test part is not looked at.
    class_weights : "balanced" or {label: weight}, optional
    augmentation : AugmentationSettings
    title : str
        What an error calls the data.

    Raises
    ------
    DataError, RecipeError
        If labels are missing, or the validation part or the weights name unknown ones.
    """

    predictor: LabelPredictor

    def __init__(
        self,
        predictor: LabelPredictor,
        division: Division,
        *,
        class_weights: ClassWeights | None = None,
        augmentation: AugmentationSettings = _AS_IT_IS,
        title: str = "data",
    ) -> None:
        self.predictor = predictor
        self.augmentation = augmentation
        self._training, self._validation = division.training, division.validation
        self._validation_title = f"{title} (validation part)"
        targets = predictor.targets(self._training, f"{title} (training part)")
        self._targets = torch.from_numpy(targets)  # (N,)
        if len(self._validation):
            predictor.targets(self._validation, self._validation_title)  # before any training
        self._class_weights = _weights(class_weights, predictor.classes, self._targets)

    @property
    def parts(self) -> dict[str, list[NDArray[Any]]]:
        """Values, lengths and labels of the training and the validation part."""
        return {
            name: [each.values, each.lengths, *([] if each.labels is None else [each.labels])]
            for name, each in (("training", self._training), ("validation", self._validation))
        }

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
        model = self.predictor.model
        targets = self._targets[batch.indices].to(self.device)
        x = batch.x.to(self.device)
        if self.predictor.objective == "end":
            logits = model(x, batch.lengths)  # (B, C)
            return _judge(logits, targets, logits.detach(), targets, self._class_weights)
        by_step = model.by_step(x, batch.lengths)  # (B, T, C)
        valid = torch.arange(x.shape[1]) < batch.lengths[:, None]  # (B, T)
        valid = valid.to(self.device)
        every = targets[:, None].expand(valid.shape)[valid]
        return _judge(by_step[valid], every, by_step[:, -1].detach(), targets, self._class_weights)

    def examples(self, batch: Batch) -> str:
        """The first of the batch's sequences."""
        return f"these sequences: {batch.indices[:8].tolist()}"

    def measure(self, totals: Totals) -> dict[str, float]:
        """Share of right answers after the last step."""
        return {"accuracy": float(totals.sums["hits"]) / totals.count}

    def validate(self) -> dict[str, float] | None:
        """Loss and accuracy on the validation part."""
        if len(self._validation) == 0:
            return None
        evaluation = self.predictor.evaluate(self._validation, self._validation_title)
        return {"loss": evaluation.loss, **evaluation.metrics}


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
    return Totals(loss, positions.to(loss), len(labels), {"hits": hits})


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
            f"class_weights names {some(unknown)}, expected labels of the training part: "
            f"{some(classes)}"
        )
    return torch.tensor([weights.get(label, 1.0) for label in classes])
