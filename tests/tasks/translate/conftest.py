"""What the tests of this task share: a few pairs, and small networks that learn from them."""

import numpy as np
import pytest

from unspool.data.pair_codecs import PairVocabularySettings
from unspool.data.pair_limits import LengthLimits
from unspool.data.pair_source import PairDivision, encode
from unspool.data.pairs import Pairs
from unspool.decoding.settings import BeamSettings
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings
from unspool.tasks.translate.predictor import PairPredictor
from unspool.tasks.translate.training import Translate
from unspool.training.loop import train
from unspool.training.settings import TrainingSettings
from unspool.training.state import TrainingState

WORDS = {"one": "un", "two": "deux", "three": "trois", "four": "quatre", "five": "cinq"}


def pairs_of(count: int, seed: int) -> Pairs:
    """Numbers in English and in French, one to five of them."""
    random = np.random.default_rng(seed)
    drawn = [random.choice(list(WORDS), random.integers(1, 6)) for _ in range(count)]
    return Pairs(
        tuple(" ".join(words) for words in drawn),
        tuple(" ".join(WORDS[word] for word in words) for words in drawn),
    )


def divided(training: Pairs, validation: Pairs | None = None, **vocabulary) -> PairDivision:
    parts = {"train": training, "validation": validation or Pairs(), "test": pairs_of(20, 7)}
    return encode(parts, PairVocabularySettings(**vocabulary), LengthLimits())


@pytest.fixture
def division() -> PairDivision:
    return divided(pairs_of(60, 1), pairs_of(15, 2))


def translate_of(
    parts: PairDivision, seed: int = 1, decoding: BeamSettings | None = None, **model
) -> Translate:
    sizes = {"cell": "gru", "hidden_size": 16, "attention": "additive", "init": 0.3}
    settings = EncoderDecoderSettings(**{**sizes, **model})
    predictor = PairPredictor.untrained(parts.codecs, settings, seed, decoding=decoding)
    return Translate(predictor, parts)


@pytest.fixture
def make_translate(division):
    """Make a small task; keywords go to the task, its predictor, or are settings of its model."""

    def make(*, parts: PairDivision = division, **others) -> Translate:
        return translate_of(parts, **others)

    return make


def taught(task: Translate, epochs: int) -> PairPredictor:
    """Train for a moment: long enough to know the words."""
    settings = TrainingSettings(
        epochs=epochs,
        batch_size=160,
        clip_norm=1.0,
        optimizer={"name": "adamw", "lr": 0.03},
        schedule={"name": "one-cycle", "warmup": 0.3},
    )
    train(TrainingState.start(task, settings), settings, 1)
    return task.predictor


@pytest.fixture(scope="module")
def trained() -> PairPredictor:
    """Knows the numbers, but for a mistake here and there; tests only ask it."""
    parts = divided(pairs_of(200, 1), pairs_of(15, 2))
    return taught(translate_of(parts, hidden_size=32, bidirectional=True), 14)
