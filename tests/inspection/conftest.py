"""Small models of every task, untrained, for the tests of what is seen inside them."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from unspool.data.pair_codecs import PairVocabularySettings, fit_codecs
from unspool.data.pairs import Pairs
from unspool.data.pictures import PictureDivision, Pictures
from unspool.data.sequences import Sequences
from unspool.data.vocabulary import VocabularySettings
from unspool.data.vocabulary_fitting import fit
from unspool.decoding.settings import BeamSettings
from unspool.models.classifier import ClassifierSettings
from unspool.models.drawing import DrawingSettings
from unspool.models.encoder_decoder import EncoderDecoderSettings
from unspool.models.language_model import LanguageModelSettings
from unspool.tasks.classify.predictor import LabelPredictor
from unspool.tasks.draw.predictor import DrawingPredictor
from unspool.tasks.predict.predictor import TextPredictor
from unspool.tasks.translate.predictor import PairPredictor

TEXTS = ("the mice met in the old barn", "the cat slept. the mice spoke!")


@pytest.fixture
def classifier(sequences) -> Callable[..., LabelPredictor]:
    """Make a classifier of ragged sequences of three features."""

    def make(**settings) -> LabelPredictor:
        settings = ClassifierSettings(**{"hidden_size": 9, "num_layers": 2, **settings})
        return LabelPredictor.untrained(sequences(30, 1), settings, seed=1)

    return make


@pytest.fixture
def pictures() -> np.ndarray:
    """Twelve pictures of 8 x 6 pixels with a stroke in each."""
    random = np.random.default_rng(0)
    found = np.zeros((12, 8, 6), np.uint8)
    for number, picture in enumerate(found):
        picture[1:7, random.integers(0, 6)] = 255
        picture[random.integers(1, 7), : 2 + number % 4] = 200
    return found


@pytest.fixture
def picture_classifier(pictures) -> LabelPredictor:
    labels = np.array(["a", "b", "c"])[np.arange(12) % 3]
    settings = ClassifierSettings(hidden_size=8, num_layers=1)
    training = Sequences.from_array(pictures, labels)
    return LabelPredictor.untrained(training, settings, seed=1)


@pytest.fixture
def language_model() -> Callable[..., TextPredictor]:
    def make(unit="word", view="streams", context=3, **settings) -> TextPredictor:
        vocabulary = fit(TEXTS, VocabularySettings(unit=unit))
        settings = LanguageModelSettings(**{"hidden_size": 7, "num_layers": 2, **settings})
        return TextPredictor.untrained(vocabulary, settings, 1, view=view, context=context)

    return make


@pytest.fixture
def pair_model() -> Callable[..., PairPredictor]:
    def make(**settings) -> PairPredictor:
        pairs = Pairs(("abc", "bcd", "dda"), ("cba", "dcb", "add"))
        codecs = fit_codecs(pairs, PairVocabularySettings(unit="character", joint=True))
        settings = EncoderDecoderSettings(**{"hidden_size": 6, "attention": "additive", **settings})
        decoding = BeamSettings(beam=2, max_length=5)
        return PairPredictor.untrained(codecs, settings, 1, decoding=decoding)

    return make


@pytest.fixture
def drawing_model(pictures) -> DrawingPredictor:
    part = Pictures(pictures)
    division = PictureDivision(part, part, part, 255)
    settings = DrawingSettings(hidden_size=6, num_sweeps=1, num_row_layers=1, window=2)
    return DrawingPredictor.untrained(division, settings, 1)


@pytest.fixture
def check_picture() -> Callable[[bytes], Image.Image]:
    """A picture that opens, of a sensible size, not blank, and small enough to be sent."""

    def check(picture: bytes) -> Image.Image:
        assert len(picture) < 200_000
        image = Image.open(io.BytesIO(picture))
        image.load()
        assert 100 < min(image.size) <= max(image.size) <= 2200
        assert np.asarray(image.convert("L")).std() > 1
        return image

    return check
