"""Trains a network that draws: its pictures, its batches and its loss.

Shapes: ``N`` pictures, ``B`` batch, ``R`` rows, ``C`` columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import model_validator
from torch import Tensor

from unspool.data import pictures
from unspool.data.batches import batch_generator
from unspool.data.binarisation import binarise_anew
from unspool.data.pictures import PictureDataSettings, PictureDivision
from unspool.models.drawing import DrawingSettings
from unspool.tasks.draw.evaluation import measure
from unspool.tasks.draw.predictor import DrawingPredictor
from unspool.tasks.task import Task, TaskSettings, Totals


class DrawSettings(TaskSettings):
    """A recipe's part for this task.

    Parameters
    ----------
    data : PictureDataSettings
    model : DrawingSettings
    """

    data: PictureDataSettings
    model: DrawingSettings = DrawingSettings()

    @model_validator(mode="after")
    def _binarisation_is_for_binary_pixels(self) -> DrawSettings:
        if self.data.binarisation is not None and self.model.pixels != "binary":
            raise ValueError(
                f"data.binarisation is for model.pixels 'binary', got {self.model.pixels!r}; leave "
                "it out"
            )
        return self

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

    def build(self, seed: int, data_dir: Path | None = None) -> Draw:
        """Load the pictures, and draw a new model's weights from the seed.

        Raises
        ------
        DataError
            If the data cannot be used, or not with these settings.
        """
        division = pictures.load(self.data, data_dir)
        predictor = DrawingPredictor.untrained(
            division,
            self.model,
            seed,
            binarisation=self.data.binarisation,
            data=self.data,
            title=self.data.title,
        )
        return Draw(predictor, division, title=self.data.title)


@dataclass(frozen=True)
class PictureBatch:
    """Some pictures.

    Parameters
    ----------
    values : (B, R, C) uint8 tensor
        In the model's own pixels.
    indices : (B,) int64 tensor
        Which pictures of the training part these are.
    """

    values: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return len(self.indices)


class Draw(Task):
    """A network that draws and the pictures that it learns from.

    Parameters
    ----------
    predictor : DrawingPredictor
    division : PictureDivision
        The test part is not looked at.
    title : str
        What an error calls the data.

    Raises
    ------
    DataError
        If labels are missing, or the validation part has unknown ones.
    """

    predictor: DrawingPredictor

    def __init__(
        self, predictor: DrawingPredictor, division: PictureDivision, *, title: str = "data"
    ) -> None:
        self.predictor = predictor
        self._training, self._validation = division.training, division.validation
        self._pictures = torch.from_numpy(division.training.grey)  # (N, R, C)
        self._targets = predictor.targets(division.training.labels, f"{title} (training part)")
        self._validation_title = f"{title} (validation part)"
        if len(self._validation):
            predictor.targets(self._validation.labels, self._validation_title)

    @property
    def parts(self) -> dict[str, list[NDArray[Any]]]:
        """Pictures and labels of the training and the validation part."""
        return {
            name: [each.grey, *([] if each.labels is None else [each.labels])]
            for name, each in (("training", self._training), ("validation", self._validation))
        }

    def batches_an_epoch(self, batch_size: int) -> int:
        """Training batches that one epoch has."""
        return -(-len(self._pictures) // batch_size)

    def training_batches(self, batch_size: int, seed: int, epoch: int) -> Iterator[PictureBatch]:
        """One epoch of shuffled batches, black and white pixels drawn anew."""
        order = np.random.default_rng([seed, epoch]).permutation(len(self._pictures))
        for position, indices in enumerate(torch.split(torch.from_numpy(order), batch_size)):
            values = self._pictures[indices]
            if self.predictor.model.settings.pixels == "binary":
                generator = batch_generator(seed, epoch, position)
                values = binarise_anew(values, self.predictor.binarisation, generator)
            yield PictureBatch(values, indices)

    def loss(self, batch: PictureBatch) -> Totals:
        """The pictures' negative log-likelihood."""
        labels = None if self._targets is None else self._targets[batch.indices].to(self.device)
        values = batch.values.to(self.device)
        loss = -self.predictor.model.log_likelihood(values, labels).sum()
        return Totals(loss, torch.tensor(float(len(batch))).to(loss), len(batch))

    def examples(self, batch: PictureBatch) -> str:
        """The first of the batch's pictures."""
        return f"these pictures: {batch.indices[:8].tolist()}"

    def measure(self, totals: Totals) -> dict[str, float]:
        """Nats an image, and bits a pixel."""
        rows, columns = self.predictor.size
        return measure(float(totals.mean_loss), rows * columns)

    def validate(self) -> dict[str, float] | None:
        """Loss and metrics on the validation part."""
        if len(self._validation) == 0:
            return None
        evaluation = self.predictor.evaluate(self._validation, self._validation_title)
        return {"loss": evaluation.loss, **evaluation.metrics}
