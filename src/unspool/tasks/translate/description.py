"""What a model folder's config.json tells of a network of pairs, and what is built of it."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from unspool.data.pair_codecs import PairCodecs
from unspool.data.pair_settings import PairDataSettings
from unspool.data.text_codec import TextCodec
from unspool.data.vocabulary import Vocabulary
from unspool.decoding.settings import BeamSettings
from unspool.errors import DataError, ModelFolderError
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings
from unspool.tasks.predictor import VOCABULARY, Description
from unspool.tasks.translate.predictor import (
    SOURCE_VOCABULARY,
    TARGET_VOCABULARY,
    PairPredictor,
    network,
)


class TranslateDescription(Description):
    """The part of a config.json of such a network."""

    joint: bool
    lowercase: bool
    separate_punctuation: bool
    separate_target_punctuation: bool
    model: EncoderDecoderSettings
    decoding: BeamSettings
    data: PairDataSettings | None

    def predictor(self, vocabulary: Vocabulary | None) -> PairPredictor:
        """Build it with one vocabulary for both sides."""
        return self.restored({} if vocabulary is None else {VOCABULARY: vocabulary})

    def restored(self, vocabularies: Mapping[str, Vocabulary]) -> PairPredictor:
        """Build it with weights yet to be loaded."""
        expected = (VOCABULARY,) if self.joint else (SOURCE_VOCABULARY, TARGET_VOCABULARY)
        if set(vocabularies) != set(expected):
            found = " and ".join(sorted(vocabularies)) or "no vocabulary"
            raise ModelFolderError(
                f"holds {found}, expected {' and '.join(expected)} by its config.json; copy the "
                "whole folder"
            )
        try:
            codecs = self._codecs(*(vocabularies[name] for name in expected))
        except DataError as error:
            raise ModelFolderError(str(error)) from error
        with torch.device("meta"):
            model = network(codecs, self.model)
        return PairPredictor(model, codecs, self.decoding, self.data)

    def _codecs(self, source: Vocabulary, target: Vocabulary | None = None) -> PairCodecs:
        first = TextCodec(source, self.lowercase, self.separate_punctuation)
        if target is None:
            return PairCodecs(first, first)
        return PairCodecs(
            first, TextCodec(target, self.lowercase, self.separate_target_punctuation)
        )
