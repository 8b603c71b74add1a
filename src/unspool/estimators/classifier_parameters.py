"""A classifier's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import field_validator

from unspool.data.normalisation import Normalisation
from unspool.data.vocabulary import VocabularySettings
from unspool.estimators.parameters import Parameters
from unspool.models.classifier import ClassifierSettings
from unspool.tasks.classify.predictor import Objective

ClassWeight = Literal["balanced"] | Mapping[Any, float]


class SequenceClassifierParameters(Parameters):
    """The parameters of :class:`unspool.SequenceClassifier`, which documents them."""

    places: ClassVar[Mapping[str, str]] = {
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
        **Parameters.places,
    }

    model: ClassifierSettings
    vocabulary: VocabularySettings
    objective: Objective
    class_weight: ClassWeight | None
    normalisation: Normalisation

    @field_validator("class_weight", mode="plain")
    @classmethod
    def _balanced_or_weights(cls, value: Any) -> Any:
        if value is None or value == "balanced" or _are_weights(value):
            return value
        raise ValueError(f"expected 'balanced' or {{label: weight above 0}}, got {value!r}")


def _are_weights(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(weight, Real) and 0 < float(weight) < np.inf for weight in value.values()
    )
