"""Goes on with drawings, and tells how likely one is.

Shapes: ``N`` pictures, ``S`` samples of each, ``R`` rows, ``C`` columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unspool.data import inputs, pictures
from unspool.data.binarisation import BinarisationSettings, binarise, binarise_each
from unspool.data.centring import PictureFormat
from unspool.data.labels import LabelType, distinct
from unspool.data.pictures import PictureDataSettings, PictureDivision, Pictures
from unspool.data.sequences import Sequences
from unspool.errors import DataError
from unspool.models.completion import complete
from unspool.models.drawing import DrawingModel, DrawingSettings
from unspool.seeding import seeded
from unspool.tasks.draw.evaluation import BITS, NATS, PictureEvaluation
from unspool.tasks.drawer import Drawing, Original, PictureDrawer
from unspool.tasks.metric import Metric
from unspool.tasks.predictor import Predictor, layers_in_words

_PIXELS_AT_A_TIME = 1 << 16

Values = NDArray[np.uint8]
"""Pictures in the model's own pixels: 0 and 1, or 0 to 255."""


class DrawingPredictor(Predictor, PictureDrawer):
    """A network of pictures and what it takes to show it some.

    Parameters
    ----------
    model : DrawingModel
    white : float
        What in the data it learned from was full brightness.
    classes : sequence of str, optional
        The labels that a conditional model knows.
    binarisation : BinarisationSettings, optional
        For black and white pixels.
    data : PictureDataSettings, optional
        Where the data came from, for the record and for ``evaluate``; None for arrays.
    label_type : {"str", "int", "float", "bool"}
        What the labels were before they became text.
    picture : PictureFormat, optional
        What the pictures looked like that it learned from, where that was light on dark; without
        it pictures of a user's are not brought to their size.
    """

    task: ClassVar[str] = "draw"
    metrics: tuple[Metric, ...] = (NATS, BITS)
    unit = "image"
    kind = "A network that draws"
    use = "unspool draw MODEL IMAGE --out PICTURE.png"
    limits = (
        "It knows pictures like those that it learned from, in their size and manner; of any other "
        "it says nothing of worth. What it draws is invented."
    )

    model: DrawingModel
    data: PictureDataSettings | None

    def __init__(
        self,
        model: DrawingModel,
        white: float,
        classes: Sequence[str] | None = None,
        binarisation: BinarisationSettings | None = None,
        data: PictureDataSettings | None = None,
        label_type: LabelType = "str",
        picture: PictureFormat | None = None,
    ) -> None:
        self.model = model
        self.white = white
        self.classes = None if classes is None else tuple(classes)
        self.binarisation = binarisation or BinarisationSettings()
        self.data = data
        self.label_type = label_type
        self.picture = picture

    @classmethod
    def untrained(
        cls,
        division: PictureDivision,
        settings: DrawingSettings,
        seed: int,
        *,
        binarisation: BinarisationSettings | None = None,
        data: PictureDataSettings | None = None,
        label_type: LabelType = "str",
        title: str = "data",
    ) -> DrawingPredictor:
        """Draw a new model's weights from the seed.

        Parameters are those of the class, and the pictures that it is to learn from.

        Raises
        ------
        DataError
            If there are no labels, and the model is to be told them.
        """
        training = division.training
        classes = None
        if settings.conditional:
            if training.labels is None:
                raise DataError(
                    f"{title} has no labels, expected one for each picture with "
                    "model.conditional; leave it out to draw without labels"
                )
            classes = distinct(training.labels)
        with seeded(seed):
            num_classes = None if classes is None else len(classes)
            model = DrawingModel(*training.size, settings, num_classes)
        picture = PictureFormat.of(Sequences.from_array(training.grey))
        return cls(model, division.white, classes, binarisation, data, label_type, picture)

    @property
    def size(self) -> tuple[int, int]:
        """``R`` and ``C`` of every picture."""
        return self.model.num_rows, self.model.num_columns

    # --- pictures and pixels ---------------------------------------------------------------

    def values(self, grey: NDArray[np.uint8]) -> Values:
        """What the model is to be shown of grey pictures, ``(N, R, C)``: of one always the same."""
        if self.model.settings.pixels == "grey":
            return grey
        return binarise_each(grey, self.binarisation)

    def values_of_part(self, grey: NDArray[np.uint8]) -> Values:
        """The same for a part of the data, whose pictures are drawn one after another."""
        if self.model.settings.pixels == "grey":
            return grey
        return binarise(grey, self.binarisation)

    def grey(self, values: Values) -> NDArray[np.uint8]:
        """The model's own pixels as bytes that everyone can show, 0 to 255."""
        return values * np.uint8(255 // (self.model.pixels.num_values - 1))

    def check(self, examples: Pictures, title: str) -> None:
        """Refuse pictures of another size than the model's.

        Raises
        ------
        DataError
        """
        if examples.size != self.size:
            raise DataError(
                f"{title} has pictures of {examples.size[0]} x {examples.size[1]} pixels, "
                f"expected {self.size[0]} x {self.size[1]} as in training"
            )

    def targets(self, labels: NDArray[np.str_] | None, title: str) -> Tensor | None:
        """Each label as its number, ``(N,)``; None for a model that is told none.

        Raises
        ------
        DataError
            If a conditional model lacks labels, or one was never seen in training.
        """
        if self.classes is None:
            return None
        if labels is None:
            raise DataError(f"{title} has no labels, expected one for each picture")
        known = {label: number for number, label in enumerate(self.classes)}
        unknown = sorted(set(labels.tolist()) - known.keys())
        if unknown:
            raise DataError(
                f"{title} has the label {unknown[0]!r}, never seen in training; expected one of "
                f"{', '.join(self.classes)}"
            )
        return torch.tensor([known[label] for label in labels.tolist()], dtype=torch.int64)

    # --- likelihood ------------------------------------------------------------------------

    def log_likelihoods(self, values: Values, targets: Tensor | None = None) -> NDArray[np.float64]:
        """The log-probability of each row of each picture given all above it, ``(N, R)``, in nats.

        Parameters
        ----------
        values : (N, R, C) array
        targets : (N,) int64 tensor, optional
            For a conditional model.
        """
        found = [np.zeros((0, self.model.num_rows))]
        with self.answering():
            for part in self._parts(len(values)):
                shown = torch.from_numpy(values[part]).to(self.device)
                parameters = self.model(shown, self._some(targets, part))
                rows = self.model.pixels.log_likelihood(parameters, shown).sum(2)
                found.append(rows.double().cpu().numpy())
        return np.concatenate(found)

    def _parts(self, count: int) -> Iterator[slice]:
        """As many pictures at a time as are quick to compute."""
        step = max(_PIXELS_AT_A_TIME // (self.size[0] * self.size[1]), 1)
        for start in range(0, count, step):
            yield slice(start, start + step)

    def _some(self, targets: Tensor | None, part: slice) -> Tensor | None:
        return None if targets is None else targets[part].to(self.device)

    # --- drawing ---------------------------------------------------------------------------

    def complete(
        self,
        values: Values,
        rows: int,
        samples: int = 1,
        *,
        temperature: float = 1.0,
        targets: Tensor | None = None,
        seed: int = 0,
    ) -> Values:
        """Go on with each picture from its first rows, several times.

        What is drawn depends on the seed, on the picture's number and on the sample's number, not
        on what is drawn beside it.

        Parameters
        ----------
        values : (N, R, C) array
            What is below the first rows is not looked at.
        rows : int
            How many rows are given, 0 to ``R``; they stay as they are.
        samples : int
            ``S``.
        temperature : float
            Below 1 the likely gets likelier; 0 takes each pixel's most probable value.
        targets : (N,) int64 tensor, optional
            For a conditional model.
        seed : int

        Returns
        -------
        (N, S, R, C) array
        """
        given = np.repeat(values[:, :rows], samples, axis=0)
        if targets is not None:
            targets = targets.repeat_interleave(samples)
        drawn = [np.zeros((0, *self.size), np.uint8)]
        with self.answering():
            for part in self._parts(len(given)):
                places = range(*part.indices(len(given)))
                uniforms = [self._uniforms(seed, *divmod(place, samples)) for place in places]
                completed = complete(
                    self.model,
                    torch.from_numpy(given[part]).to(self.device),
                    torch.from_numpy(np.stack(uniforms)).to(self.device),
                    temperature=temperature,
                    labels=self._some(targets, part),
                )
                drawn.append(completed.cpu().numpy())
        return np.concatenate(drawn).reshape(len(values), samples, *self.size)

    def sample(
        self, count: int, *, temperature: float = 1.0, targets: Tensor | None = None, seed: int = 0
    ) -> Values:
        """Draw pictures from nothing, ``(N, R, C)``; parameters as for :meth:`complete`."""
        nothing = np.zeros((count, *self.size), np.uint8)
        return self.complete(nothing, 0, temperature=temperature, targets=targets, seed=seed)[:, 0]

    def _uniforms(self, seed: int, picture: int, sample: int) -> NDArray[np.float32]:
        """A random number for each pixel of one drawing, ``(R, C)``."""
        return np.random.default_rng([seed, picture, sample]).random(self.size, np.float32)

    # --- a user's pictures -----------------------------------------------------------------

    def read_original(self, path: Path) -> Original:
        """Read the picture of a file, brought to the size and the manner that the model knows."""
        found = None if self.picture is None else inputs.read_prepared(path, self.picture)
        if found is not None:
            return Original(np.rint(found.picture).astype(np.uint8), str(path), preparation=found)
        picture = pictures.read_one(path, self.white)
        if picture.shape != self.size:
            raise DataError(
                f"{path} has {picture.shape[0]} x {picture.shape[1]} pixels, expected "
                f"{self.size[0]} x {self.size[1]} as in training"
            )
        return Original(picture, str(path))

    def original_of_part(self, split: str, number: int, data_dir: Path | None) -> Original:
        """Take a picture of the data that the model was made for."""
        if self.data is None:
            raise DataError("the model was trained on data in memory; name a picture's file")
        part = self.read_part(split, data_dir)
        title = f"{self.data.title} ({split} part)"
        if number >= len(part):
            raise DataError(
                f"{title} has no picture {number}, expected a number from 0 to {len(part) - 1}"
            )
        label = None if part.labels is None else str(part.labels[number])
        return Original(part.grey[number], f"{title}, picture {number}", label)

    def draw(
        self,
        original: Original | None,
        rows: int | None = None,
        samples: int = 1,
        *,
        temperature: float = 1.0,
        label: str | None = None,
        seed: int = 0,
    ) -> Drawing:
        """Go on with a picture several times, or draw from nothing."""
        rows = self._rows_given(original, rows)
        targets = self._target(label, original)
        values = np.zeros((1, *self.size), np.uint8)
        if original is not None:
            values = self.values(original.grey[None])
        drawn = self.complete(
            values, rows, samples, temperature=temperature, targets=targets, seed=seed
        )[0]
        repeated = None if targets is None else targets.expand(samples)
        nats = -self.log_likelihoods(drawn, repeated).sum(1)
        drawing = Drawing(self.grey(drawn), nats.tolist(), rows)
        if original is None:
            return drawing
        by_row = (-self.log_likelihoods(values, targets)[0]).tolist()
        return replace(drawing, picture=self.grey(values)[0], nats_by_row=by_row)

    def _rows_given(self, original: Original | None, rows: int | None) -> int:
        """How many of the first rows are kept."""
        if rows is None:
            return 0 if original is None else self.size[0] // 2
        if not 0 <= rows <= self.size[0]:
            raise DataError(
                f"{rows} rows are to be kept, expected 0 to {self.size[0]}, all that a picture has"
            )
        if rows > 0 and original is None:
            raise DataError(
                f"{rows} rows are to be kept of no picture, expected one; name it, or keep 0 rows "
                "to draw from nothing"
            )
        return rows

    def _target(self, label: str | None, original: Original | None) -> Tensor | None:
        """What is to be drawn, as its number, ``(1,)``."""
        if self.classes is None:
            if label is not None:
                raise DataError(
                    f"the label {label!r} for a model that was trained without labels, expected "
                    "none; leave it out"
                )
            return None
        if label is None and original is not None:
            label = original.label
        if label is None:
            raise DataError(
                f"no label for a model that draws what it is told, expected one of "
                f"{', '.join(self.classes)}"
            )
        return self.targets(np.array([label]), "what is to be drawn")

    # --- judging ---------------------------------------------------------------------------

    def read_part(self, split: str, data_dir: Path | None) -> Pictures:
        """Read the pictures of one part."""
        assert self.data is not None
        return pictures.load(self.data, data_dir, self.white).part(split)

    def read_file(self, path: Path) -> Pictures:
        """Read the pictures of a file."""
        return pictures.read(path, self.white)

    def evaluate(self, examples: Pictures, title: str, by_step: bool = False) -> PictureEvaluation:
        """Find out how likely the model finds some pictures.

        Black and white pixels are drawn from the grey ones by the seed that the settings name.

        Parameters
        ----------
        examples : Pictures
        title : str
            What an error calls them.
        by_step : bool
            Also how much of it each row adds.
        """
        self.check(examples, title)
        targets = self.targets(examples.labels, title)
        losses = -self.log_likelihoods(self.values_of_part(examples.grey), targets)  # (N, R)
        by_row = losses.mean(0).tolist() if by_step else None
        rows, columns = self.size
        return PictureEvaluation(
            rows * columns,
            len(examples),
            float(losses.sum() / len(examples)),
            _by_label(losses.sum(1), examples.labels),
            by_row,
        )

    # --- answers ---------------------------------------------------------------------------

    def answers(self, source: str | TextIO, top: int, by_step: bool) -> Iterator[dict[str, Any]]:
        """Refuse: a drawing is what it answers with."""
        raise DataError(f"the model draws pictures and names none; use: {self.use}")

    # --- the model folder ------------------------------------------------------------------

    def description(self) -> dict[str, Any]:
        """Size, architecture, labels and origin of the data."""
        return {
            "num_rows": self.model.num_rows,
            "num_columns": self.model.num_columns,
            "white": self.white,
            "classes": self.classes and list(self.classes),
            "label_type": self.label_type,
            "binarisation": self.binarisation.model_dump(),
            "picture": self.picture and self.picture.model_dump(),
            "model": self.model.settings.model_dump(exclude_none=True),
            "data": self.data and self.data.model_dump(exclude_none=True),
        }

    def summary(self) -> str:
        """Say what the network draws, and how."""
        rows, columns = self.size
        kinds = {"binary": "black and white", "grey": "grey"}
        wish = "" if self.classes is None else f", of any of {len(self.classes)} kinds,"
        return (
            f"A network of {layers_in_words(self.model, self.model.settings)} that draws {rows} x "
            f"{columns} pictures in {kinds[self.model.settings.pixels]}{wish} pixel by pixel from "
            "the top, or goes on with one."
        )


def _by_label(losses: NDArray[np.float64], labels: NDArray[np.str_] | None) -> dict[str, float]:
    """The mean loss of each label's pictures."""
    if labels is None:
        return {}
    return {label: float(losses[labels == label].mean()) for label in distinct(labels)}
