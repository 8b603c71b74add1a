"""A language model's parameters, checked by the settings classes of what they configure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from unspool.data.source import Share
from unspool.data.vocabulary import VocabularySettings
from unspool.decoding.sampling import SamplingSettings
from unspool.estimators.settings import TRAINING_PLACES, check_flat, with_warmup
from unspool.models.language_model import LanguageModelSettings
from unspool.settings import Settings
from unspool.tasks.predict.predictor import View
from unspool.training.settings import TrainingSettings

_PLACES = {
    "cell": "model.cell",
    "hidden_size": "model.hidden_size",
    "num_layers": "model.num_layers",
    "embedding_size": "model.embedding_size",
    "tie_weights": "model.tie_weights",
    "dropout": "model.dropout",
    "unit": "vocabulary.unit",
    "vocabulary_size": "vocabulary.size",
    **TRAINING_PLACES,
}


class LanguageModelParameters(Settings):
    """The parameters of :class:`unspool.LanguageModel`, which documents them."""

    model: LanguageModelSettings
    vocabulary: VocabularySettings
    training: TrainingSettings
    view: View
    steps: Annotated[int, Field(ge=1)]
    context: Annotated[int, Field(ge=1)]
    validation_fraction: Share
    device: Literal["auto", "cpu", "cuda"]
    verbose: bool

    @model_validator(mode="after")
    def _validation_is_there_to_be_watched(self) -> LanguageModelParameters:
        name = self.training.watching_validation
        if name and self.validation_fraction == 0:
            raise ValueError(
                f"{name} watches the validation part, expected validation_fraction above 0, "
                "such as 0.1"
            )
        return self


def check_parameters(parameters: Mapping[str, Any], title: str) -> LanguageModelParameters:
    """Check a language model's parameters.

    Raises
    ------
    RecipeError
        With everything that is wrong, each by the parameter's own name.
    """
    share = parameters["dropout"]
    everywhere = {"inputs": share, "layers": share, "outputs": share, "locked": True}
    nested = {**with_warmup(parameters), "dropout": everywhere}
    return check_flat(LanguageModelParameters, nested, _PLACES, title)


def check_sampling(title: str, **parameters: Any) -> SamplingSettings:
    """Check the rules by which tokens are drawn.

    Raises
    ------
    RecipeError
        With everything that is wrong.
    """
    return check_flat(SamplingSettings, parameters, {}, title)
