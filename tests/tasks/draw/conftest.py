"""What the tests of this task share: small pictures of two kinds, and small networks of them."""

from collections.abc import Callable

import numpy as np
import pytest

from unspool.data.binarisation import BinarisationSettings
from unspool.data.pictures import PictureDivision, Pictures
from unspool.models.drawing import DrawingSettings
from unspool.tasks.draw.predictor import DrawingPredictor
from unspool.tasks.draw.training import Draw

ROWS, COLUMNS = 4, 5


def pictures_of(count: int, seed: int, labelled: bool = True) -> Pictures:
    """A light bar in one row or in one column, and some noise."""
    random = np.random.default_rng(seed)
    grey = random.integers(0, 40, (count, ROWS, COLUMNS), dtype=np.uint8)
    labels = np.array(["across", "down"])[np.arange(count) % 2]
    for picture, label in zip(grey, labels, strict=True):
        if label == "across":
            picture[random.integers(ROWS)] += np.uint8(200)
        else:
            picture[:, random.integers(COLUMNS)] += np.uint8(200)
    return Pictures(grey, labels if labelled else None)


@pytest.fixture
def pictures() -> Callable[..., Pictures]:
    return pictures_of


@pytest.fixture
def make_draw() -> Callable[..., Draw]:
    """Make a small task; keywords are settings of its model."""

    def make(
        *,
        labelled: bool = True,
        seed: int = 1,
        binarisation: BinarisationSettings | None = None,
        **model,
    ) -> Draw:
        parts = [pictures_of(count, place, labelled) for place, count in enumerate((60, 20, 20))]
        division = PictureDivision(*parts, white=255)
        settings = DrawingSettings(**{"hidden_size": 8, "num_sweeps": 1, **model})
        predictor = DrawingPredictor.untrained(division, settings, seed, binarisation=binarisation)
        return Draw(predictor, division)

    return make
