"""An estimator's parameters, checked by the settings classes of the parts that they configure."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import ValidationError, field_validator, model_validator

from unspool.data.normalisation import Normalisation
from unspool.data.source import Share
from unspool.data.vocabulary import VocabularySettings
from unspool.errors import RecipeError
from unspool.models.classifier import ClassifierSettings
from unspool.settings import Settings, problems
from unspool.tasks.classify.predictor import Objective
from unspool.training.settings import TrainingSettings

TRAINING_PLACES = {
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "optimizer": "training.optimizer.name",
    "learning_rate": "training.optimizer.lr",
    "weight_decay": "training.optimizer.weight_decay",
    "schedule": "training.schedule.name",
    "warmup": "training.schedule.warmup",
    "clip_norm": "training.clip_norm",
    "patience": "training.patience",
}
"""Where a recipe has the parameters of a training, which all estimators share."""

_PLACES = {
    "cell": "model.cell",
    "hidden_size": "model.hidden_size",
    "num_layers": "model.num_layers",
    "bidirectional": "model.bidirectional",
    "embedding_size": "model.embedding_size",
    "input_projection": "model.input_projection",
    "unit": "vocabulary.unit",
    "vocabulary_size": "vocabulary.size",
    "dropout": "model.dropout",
    "forget_bias": "model.forget_bias",
    **TRAINING_PLACES,
}
"""Where a recipe has what is one flat parameter here; all others keep their names."""

_ONE_CYCLE_WARMUP = 0.3

ClassWeight = Literal["balanced"] | Mapping[Any, float]

Checked = TypeVar("Checked", bound=Settings)


class SequenceClassifierSettings(Settings):
    """The parameters of :class:`unspool.SequenceClassifier`, which documents them."""

    model: ClassifierSettings
    vocabulary: VocabularySettings
    training: TrainingSettings
    objective: Objective
    class_weight: ClassWeight | None
    validation_fraction: Share
    normalisation: Normalisation
    device: Literal["auto", "cpu", "cuda"]
    verbose: bool

    @field_validator("class_weight", mode="plain")
    @classmethod
    def _balanced_or_weights(cls, value: Any) -> Any:
        if value is None or value == "balanced" or _are_weights(value):
            return value
        raise ValueError(f"expected 'balanced' or {{label: weight above 0}}, got {value!r}")

    @model_validator(mode="after")
    def _validation_is_there_to_be_watched(self) -> SequenceClassifierSettings:
        name = self.training.watching_validation
        if name and self.validation_fraction == 0:
            raise ValueError(
                f"{name} watches the validation part, expected validation_fraction above 0, "
                "such as 0.1"
            )
        return self


def check(parameters: Mapping[str, Any], title: str) -> SequenceClassifierSettings:
    """Check a classifier's parameters.

    Raises
    ------
    RecipeError
        With everything that is wrong, each by the parameter's own name.
    """
    return check_flat(SequenceClassifierSettings, with_warmup(parameters), _PLACES, title)


def check_flat(
    settings: type[Checked], parameters: Mapping[str, Any], places: Mapping[str, str], title: str
) -> Checked:
    """Check flat parameters by settings that are nested as a recipe's.

    Parameters
    ----------
    settings : type of Settings
    parameters : mapping of str to object
    places : mapping of str to str
        Where the settings have what is one flat parameter; all others keep their names.
    title : str
        What an error begins with.

    Raises
    ------
    RecipeError
        With everything that is wrong, each by the parameter's own name.
    """
    names = {place: name for name, place in places.items()} | {"training.schedule": "schedule"}
    try:
        return settings.model_validate(_in_tables(parameters, places))
    except ValidationError as error:
        raise RecipeError(f"{title}: {'; '.join(problems(error, names=names))}") from error


def parameters_of(settings: ClassifierSettings) -> dict[str, Any]:
    """The parameters that stand for an architecture."""
    return {
        name: getattr(settings, place.removeprefix("model."))
        for name, place in _PLACES.items()
        if place.startswith("model.")
    }


def _are_weights(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(weight, Real) and 0 < float(weight) < np.inf for weight in value.values()
    )


def with_warmup(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Let the rate rise in a part of the run where the schedule asks for one."""
    if parameters["warmup"] is not None:
        return dict(parameters)
    rising = _ONE_CYCLE_WARMUP if parameters["schedule"] == "one-cycle" else 0.0
    return {**parameters, "warmup": rising}


def _in_tables(parameters: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    """Nest flat parameters as a recipe does."""
    nested: dict[str, Any] = {}
    for name, value in parameters.items():
        *tables, key = places.get(name, name).split(".")
        table = nested
        for part in tables:
            table = table.setdefault(part, {})
        table[key] = value.item() if isinstance(value, np.generic) else value
    return nested
