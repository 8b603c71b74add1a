"""A drawing completer's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from unspool.data.binarisation import BinarisationSettings
from unspool.estimators.parameters import Parameters
from unspool.models.drawing import DrawingSettings


class DrawingCompleterParameters(Parameters):
    """The parameters of :class:`unspool.DrawingCompleter`, which documents them."""

    places: ClassVar[Mapping[str, str]] = {
        "cell": "model.cell",
        "hidden_size": "model.hidden_size",
        "num_layers": "model.num_row_layers",
        "num_sweeps": "model.num_sweeps",
        "window": "model.window",
        "pixels": "model.pixels",
        "num_mixtures": "model.num_mixtures",
        "conditional": "model.conditional",
        "dropout": "model.dropout",
        "binarisation": "binarisation.method",
        **Parameters.places,
    }

    model: DrawingSettings
    binarisation: BinarisationSettings
    white: Annotated[float, Field(gt=0)] | None
