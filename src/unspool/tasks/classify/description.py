"""What a model folder tells of a classifier."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator

from unspool.data.centring import PictureFormat
from unspool.data.labels import LabelType, from_text
from unspool.data.source import SequenceDataSettings
from unspool.data.vocabulary import Vocabulary
from unspool.models.classifier import Classifier, ClassifierSettings
from unspool.tasks.classify.predictor import LabelPredictor, Objective
from unspool.tasks.predictor import Description, refuse_vocabulary, require_vocabulary


class ClassifyDescription(Description):
    """The part of a classifier's config.json."""

    num_features: Annotated[int, Field(ge=1, le=1_000_000)]
    reads: Literal["numbers", "text"] = "numbers"
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=1_000_000, strict=False)]
    label_type: LabelType = "str"
    objective: Objective
    picture: PictureFormat | None = None
    model: ClassifierSettings
    data: SequenceDataSettings | None

    @model_validator(mode="after")
    def _labels_fit_their_type(self) -> ClassifyDescription:
        from_text(self.classes, self.label_type)
        return self

    @model_validator(mode="after")
    def _pictures_are_as_wide_as_a_step(self) -> ClassifyDescription:
        if self.picture is not None and self.picture.columns != self.num_features:
            raise ValueError(
                f"picture.columns is {self.picture.columns}, expected {self.num_features} as "
                "num_features"
            )
        return self

    def predictor(self, vocabulary: Vocabulary | None) -> LabelPredictor:
        """Build it with weights yet to be loaded."""
        num_tokens = None
        if self.reads == "text":
            vocabulary = require_vocabulary(vocabulary)
            num_tokens = len(vocabulary)
        else:
            refuse_vocabulary(vocabulary)
        with torch.device("meta"):
            model = Classifier(self.num_features, len(self.classes), self.model, num_tokens)
        return LabelPredictor(
            model,
            self.classes,
            self.objective,
            self.data,
            self.label_type,
            vocabulary,
            self.picture,
        )
