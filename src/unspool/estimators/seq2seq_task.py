"""What an encoder-decoder network is trained on, from pairs and checked parameters."""

from __future__ import annotations

from unspool.data.pair_source import encode
from unspool.data.pairs import Pairs
from unspool.errors import DataError, RecipeError
from unspool.estimators.seq2seq_parameters import Seq2SeqParameters
from unspool.tasks.translate.predictor import PairPredictor
from unspool.tasks.translate.training import Translate


def new_task(pairs: Pairs, tokenised: bool, parameters: Seq2SeqParameters, seed: int) -> Translate:
    """Hold back some pairs, fit the vocabularies, and draw a new network's weights."""
    vocabulary = parameters.vocabulary
    if tokenised and vocabulary.unit != "word":
        raise RecipeError(
            f"Seq2Seq: unit = {vocabulary.unit!r}, expected 'word' for lists of tokens; give texts "
            "for a network to take apart"
        )
    if tokenised:
        vocabulary = vocabulary.model_copy(update={"separate_punctuation": False})
    if not any(source.strip() and target.strip() for source, target in pairs):
        raise DataError("every pair has an empty side, expected at least one with text on both")
    parts = pairs.divide(validation=parameters.validation_fraction, test=0.0)
    division = encode(parts, vocabulary, parameters.limits, title="the pairs")
    predictor = PairPredictor.untrained(
        division.codecs, parameters.architecture, seed, decoding=parameters.decoding
    )
    return Translate(predictor, division, title="the pairs")
