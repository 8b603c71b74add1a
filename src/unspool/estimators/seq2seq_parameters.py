"""The parameters of an estimator of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from unspool.data.pair_codecs import PairVocabularySettings
from unspool.data.pair_limits import LengthLimits
from unspool.decoding.settings import BeamSettings
from unspool.estimators.parameters import Parameters
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings, LayerCount
from unspool.models.language_model import LanguageDropoutSettings

PairMetric = Literal["exact_match", "bleu", "chrf"]

Count = Annotated[int, Field(ge=1)]


class Seq2SeqParameters(Parameters):
    """The parameters of :class:`unspool.Seq2Seq`, which documents them."""

    places: ClassVar[Mapping[str, str]] = {
        "cell": "model.cell",
        "hidden_size": "model.hidden_size",
        "num_layers": "model.num_encoder_layers",
        "embedding_size": "model.embedding_size",
        "attention": "model.attention",
        "input_feeding": "model.input_feeding",
        "bidirectional": "model.bidirectional",
        "reverse_source": "model.reverse_source",
        "tie_weights": "model.tie_weights",
        "label_smoothing": "model.label_smoothing",
        "unit": "vocabulary.unit",
        "vocabulary_size": "vocabulary.size",
        "joint_vocabulary": "vocabulary.joint",
        "lowercase": "vocabulary.lowercase",
        "beam": "decoding.beam",
        "length_penalty": "decoding.length_penalty",
        "max_length": "decoding.max_length",
        **Parameters.places,
    }

    model: EncoderDecoderSettings
    vocabulary: PairVocabularySettings
    decoding: BeamSettings
    num_decoder_layers: LayerCount | None
    dropout: Annotated[float, Field(ge=0, lt=1)]
    max_source_length: Count | None
    max_target_length: Count | None
    metric: PairMetric

    @property
    def architecture(self) -> EncoderDecoderSettings:
        """The model's settings, as many layers on both sides, and dropout wherever it is wanted."""
        share = self.dropout
        everywhere = LanguageDropoutSettings(inputs=share, layers=share, outputs=share, locked=True)
        decoder_layers = self.num_decoder_layers or self.model.num_encoder_layers
        return self.model.model_copy(
            update={"dropout": everywhere, "num_decoder_layers": decoder_layers}
        )

    @property
    def limits(self) -> LengthLimits:
        """How long a pair may be that is learned from."""
        return LengthLimits(self.max_source_length, self.max_target_length)

    @classmethod
    def of_model(cls, settings: EncoderDecoderSettings) -> dict[str, Any]:  # type: ignore[override]
        """The parameters that stand for an architecture."""
        layers = settings.num_decoder_layers
        same = layers == settings.num_encoder_layers
        return {
            **super().of_model(settings),
            "num_decoder_layers": None if same else layers,
            "dropout": settings.dropout.outputs,
        }
