"""What a drawing completer is trained on, from pictures and checked parameters."""

from __future__ import annotations

from unspool.data.division import divide
from unspool.data.labels import LabelType
from unspool.data.pictures import PictureDivision, Pictures
from unspool.estimators.drawing_completer_parameters import DrawingCompleterParameters
from unspool.tasks.draw.predictor import DrawingPredictor
from unspool.tasks.draw.training import Draw


def new_task(
    pictures: Pictures,
    white: float,
    label_type: LabelType,
    parameters: DrawingCompleterParameters,
    seed: int,
) -> Draw:
    """Hold back some pictures, and draw a new network's weights."""
    share = parameters.validation_fraction
    parts = divide(pictures.labels, len(pictures), validation=share, test=0.0)
    division = PictureDivision(
        pictures.take(parts.train),
        pictures.take(parts.validation),
        pictures.take(parts.test),
        white,
    )
    predictor = DrawingPredictor.untrained(
        division,
        parameters.model,
        seed,
        binarisation=parameters.binarisation,
        label_type=label_type,
        title="X",
    )
    return Draw(predictor, division, title="X")
