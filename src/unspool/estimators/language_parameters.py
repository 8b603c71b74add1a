"""A language model's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from unspool.data.vocabulary import VocabularySettings
from unspool.estimators.parameters import Parameters
from unspool.models.language_model import LanguageDropoutSettings, LanguageModelSettings
from unspool.tasks.predict.predictor import View


class LanguageModelParameters(Parameters):
    """The parameters of :class:`unspool.LanguageModel`, which documents them."""

    places: ClassVar[Mapping[str, str]] = {
        "cell": "model.cell",
        "hidden_size": "model.hidden_size",
        "num_layers": "model.num_layers",
        "embedding_size": "model.embedding_size",
        "tie_weights": "model.tie_weights",
        "unit": "vocabulary.unit",
        "vocabulary_size": "vocabulary.size",
        **Parameters.places,
    }

    model: LanguageModelSettings
    vocabulary: VocabularySettings
    dropout: Annotated[float, Field(ge=0, lt=1)]
    view: View
    steps: Annotated[int, Field(ge=1)]
    context: Annotated[int, Field(ge=1)]

    @property
    def architecture(self) -> LanguageModelSettings:
        """The model's settings, with the one share of dropout wherever it is wanted."""
        share = self.dropout
        everywhere = LanguageDropoutSettings(inputs=share, layers=share, outputs=share, locked=True)
        return self.model.model_copy(update={"dropout": everywhere})
