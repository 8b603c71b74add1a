"""What a language model is trained on, from texts and checked parameters."""

from __future__ import annotations

from typing import Any

from unspool.data.corpus import Corpus
from unspool.data.text_source import TextDivision
from unspool.data.vocabulary_fitting import fit
from unspool.errors import DataError
from unspool.estimators.inputs import check_text
from unspool.estimators.language_parameters import LanguageModelParameters
from unspool.tasks.predict.predictor import TextPredictor
from unspool.tasks.predict.training import Predict


def new_task(texts: list[str], parameters: LanguageModelParameters, seed: int) -> Predict:
    """Hold back the last texts, fit the vocabulary, and draw a new network's weights."""
    training, validation = _divided(texts, parameters.validation_fraction)
    vocabulary = fit(training, parameters.vocabulary)
    predictor = TextPredictor.untrained(
        vocabulary,
        parameters.architecture,
        seed,
        view=parameters.view,
        context=parameters.context,
    )
    division = TextDivision(
        Corpus.from_texts(training, vocabulary),
        Corpus.from_texts(validation, vocabulary),
        Corpus.from_texts([], vocabulary),
        vocabulary,
    )
    return Predict(predictor, division, steps=parameters.steps, title="X")


def read_texts(X: Any) -> list[str]:
    """Check what was given as texts.

    Raises
    ------
    DataError
        If they are none, or there is nothing in them.
    """
    if isinstance(X, str):
        raise DataError("X is one string, expected a list of texts; give [text]")
    texts = list(X)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"text {number} of X is a {type(text).__name__}, expected a string")
        check_text(text, f"text {number} of X")
    if not any(text.strip() for text in texts):
        raise DataError("X holds no text, expected at least a word")
    return texts


def _divided(texts: list[str], validation_fraction: float) -> tuple[list[str], list[str]]:
    """The texts to learn from, and the last ones, which are held back."""
    held_back = round(len(texts) * validation_fraction)
    if validation_fraction > 0:
        held_back = max(held_back, 1)
    if held_back >= len(texts):
        raise DataError(
            f"X has {len(texts)} texts, too few to hold back {validation_fraction:g} of them; "
            "give more texts, or set validation_fraction to 0"
        )
    first = len(texts) - held_back
    return texts[:first], texts[first:]
