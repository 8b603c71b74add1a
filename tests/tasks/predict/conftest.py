"""What the tests of language models share: a small text and small models of it."""

import numpy as np
import pytest
import torch

from unspool.data.corpus import Corpus
from unspool.data.text_source import TextDivision
from unspool.data.vocabulary import VocabularySettings
from unspool.data.vocabulary_fitting import fit
from unspool.models.language_model import LanguageModelSettings
from unspool.tasks.predict.predictor import TextPredictor
from unspool.tasks.predict.training import Predict
from unspool.training.loop import train
from unspool.training.settings import TrainingSettings
from unspool.training.state import TrainingState

WORDS = ["the", "cat", "sees", "a", "mouse", "and", "sleeps"]


def text_of(count: int, seed: int) -> str:
    """Sentences in which some words are likelier than others."""
    random = np.random.default_rng(seed)
    words = random.choice(WORDS, count, p=[0.3, 0.2, 0.15, 0.15, 0.1, 0.06, 0.04])
    return " ".join(word + "\n" * (place % 7 == 6) for place, word in enumerate(words))


def division_of(training, validation=(), test=(), unit="word", **settings) -> TextDivision:
    vocabulary = fit(training, VocabularySettings(unit=unit, **settings))
    parts = (Corpus.from_texts(part, vocabulary) for part in (training, validation, test))
    return TextDivision(*parts, vocabulary)


@pytest.fixture
def text_division() -> TextDivision:
    documents = [text_of(count, seed) for seed, count in enumerate((150, 1, 20, 60))]
    return division_of(documents, [text_of(80, 9), text_of(30, 8)])


@pytest.fixture
def make_predict(text_division):
    """Make a small task; keywords go to the task, its predictor, or are settings of its model."""

    def make(
        *,
        parts: TextDivision = text_division,
        seed: int = 1,
        view="streams",
        context=3,
        steps=5,
        activation_penalty=0.0,
        slowness_penalty=0.0,
        **model,
    ) -> Predict:
        settings = LanguageModelSettings(**{"hidden_size": 6, **model})
        predictor = TextPredictor.untrained(
            parts.vocabulary, settings, seed, view=view, context=context
        )
        return Predict(
            predictor,
            parts,
            steps=steps,
            activation_penalty=activation_penalty,
            slowness_penalty=slowness_penalty,
        )

    return make


@pytest.fixture
def learn():
    """Train a task; keywords are training settings."""

    def learn(task: Predict, seed: int = 1, **settings) -> None:
        checked = TrainingSettings.model_validate(settings)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            train(TrainingState.start(task, checked), checked, seed)

    return learn
