"""Traces a network of pictures.

Shapes: ``B`` pictures, ``R`` rows, ``C`` columns, ``P`` numbers that tell a pixel's distribution.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unspool.data.pictures import Pictures, grey_of
from unspool.data.pictures import read as read_pictures
from unspool.data.sequences import naming
from unspool.errors import DataError
from unspool.inspection.subjects.subject import PICTURES, Subject, array
from unspool.inspection.trace import TracedArray
from unspool.models.drawing import DrawingModel
from unspool.tasks.draw.predictor import DrawingPredictor


class Drawing(Subject):
    """A network of pictures that reads some, to tell each pixel from those before it.

    Its sweeps down read columns, those across and the layers along read rows: what is inside them
    has columns or rows of pictures in the place of sequences, all pictures' first one, then all
    pictures' second one for rows; picture after picture for columns.

    Parameters
    ----------
    predictor : DrawingPredictor
    input : str, Path, Pictures or (B, R, C) array
        A file's name, or pictures in the brightness of the training data; one alone as (R, C).
    """

    model: DrawingModel

    def __init__(self, predictor: DrawingPredictor, input: Any) -> None:
        self.predictor = predictor
        self.model = predictor.model
        title = str(input) if isinstance(input, str | Path) else "the input"
        pictures = _pictures(predictor, input, title)
        predictor.check(pictures, title)
        if len(pictures) == 0:
            raise DataError(f"{title} holds no pictures, expected at least one")
        self.values = predictor.values(pictures.grey)
        self._targets = predictor.targets(pictures.labels, title)

    def extent(self, group: str) -> tuple[int, int]:
        """Columns are read by the sweeps down, rows by the other layers."""
        count, rows, columns = self.values.shape
        return (count * columns, rows) if group == "down" else (count * rows, columns)

    def batch(self, group: str) -> str:
        """Columns or rows of pictures stand in the place of sequences."""
        return "B·C" if group == "down" else "R·B"

    def answer_numbers(self) -> int:
        """Of a column or row: pixels, their distributions and likelihoods."""
        return self.model.pixels.num_parameters + 3

    def forward(self) -> Tensor:
        """Foretell every pixel from those before it."""
        device = self.predictor.device
        targets = None if self._targets is None else self._targets.to(device)
        parameters: Tensor = self.model(torch.from_numpy(self.values).to(device), targets)
        return parameters

    def arrays(self, result: Tensor, steps: slice) -> dict[str, TracedArray]:
        """Pixels, their distributions and how likely each pixel was, row by row."""
        values = torch.from_numpy(self.values).to(result.device)
        likelihoods = self.model.pixels.log_likelihood(result, values)
        return {
            "lengths": TracedArray(
                np.full(len(values), values.size(1)), "(B,)", "rows of each picture", "rows"
            ),
            "input": TracedArray(
                self.values[:, steps], "(B, R, C)", "pixels, as the network sees them"
            ),
            "logits": TracedArray(
                array(result[:, steps]),
                "(B, R, C, P)",
                "what tells each pixel's distribution, given all before it",
            ),
            "log_likelihood": TracedArray(
                array(likelihoods[:, steps]),
                "(B, R, C)",
                "log-probability of each pixel, given all before it",
                "nats",
            ),
        }


def _pictures(predictor: DrawingPredictor, input: Any, title: str) -> Pictures:
    if isinstance(input, Pictures):
        return input
    if isinstance(input, str | Path):
        path = Path(input)
        if path.suffix.lower() in PICTURES:
            return Pictures(predictor.read_original(path).grey[None])
        return read_pictures(path, predictor.white)
    values = np.asarray(input)
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3:
        raise DataError(f"{title} has shape {values.shape}, expected (pictures, rows, columns)")
    with naming(title):
        return Pictures(grey_of(values, predictor.white))
