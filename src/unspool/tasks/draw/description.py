"""What a model folder tells of a network that draws."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, model_validator

from unspool.data.binarisation import BinarisationSettings
from unspool.data.centring import PictureFormat
from unspool.data.labels import LabelType, from_text
from unspool.data.pictures import PictureDataSettings
from unspool.data.vocabulary import Vocabulary
from unspool.models.drawing import DrawingModel, DrawingSettings
from unspool.tasks.draw.predictor import DrawingPredictor
from unspool.tasks.predictor import Description, refuse_vocabulary


class DrawDescription(Description):
    """The part of a drawing network's config.json."""

    num_rows: Annotated[int, Field(ge=1, le=65536)]
    num_columns: Annotated[int, Field(ge=1, le=65536)]
    white: Annotated[float, Field(gt=0)]
    classes: (
        Annotated[tuple[str, ...], Field(min_length=1, max_length=1_000_000, strict=False)] | None
    ) = None
    label_type: LabelType = "str"
    binarisation: BinarisationSettings = BinarisationSettings()
    picture: PictureFormat | None = None
    model: DrawingSettings
    data: PictureDataSettings | None

    @model_validator(mode="after")
    def _labels_where_they_are_told(self) -> DrawDescription:
        if self.model.conditional != (self.classes is not None):
            raise ValueError("classes belong to a conditional model, and to no other")
        from_text(self.classes or (), self.label_type)
        return self

    @model_validator(mode="after")
    def _pictures_are_of_the_model_s_size(self) -> DrawDescription:
        own = (self.num_rows, self.num_columns)
        if self.picture is not None and (self.picture.rows, self.picture.columns) != own:
            raise ValueError(
                f"picture is {self.picture.rows} x {self.picture.columns}, expected {own[0]} x "
                f"{own[1]} as num_rows and num_columns"
            )
        return self

    def predictor(self, vocabulary: Vocabulary | None) -> DrawingPredictor:
        """Build it with weights yet to be loaded."""
        refuse_vocabulary(vocabulary)
        with torch.device("meta"):
            count = None if self.classes is None else len(self.classes)
            model = DrawingModel(self.num_rows, self.num_columns, self.model, count)
        return DrawingPredictor(
            model,
            self.white,
            self.classes,
            self.binarisation,
            self.data,
            self.label_type,
            self.picture,
        )
