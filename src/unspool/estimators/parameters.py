"""An estimator's parameters, checked by the settings classes of the parts that they configure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from pydantic import ValidationError, field_validator, model_validator
from sklearn.base import BaseEstimator

from unspool.data.source import Share
from unspool.devices import device_called
from unspool.errors import RecipeError
from unspool.settings import Settings, problems
from unspool.training.settings import TrainingSettings

_ONE_CYCLE_WARMUP = 0.3

Checked = TypeVar("Checked", bound=Settings)


class Parameters(Settings):
    """The parameters that all estimators have, nested as a recipe nests them.

    Attributes
    ----------
    places : mapping of str to str
        Where a recipe has what is one flat parameter of an estimator; all others keep their names.
    """

    places: ClassVar[Mapping[str, str]] = {
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

    model: Settings
    training: TrainingSettings
    validation_fraction: Share
    device: Literal["auto", "cpu", "cuda"]
    verbose: bool

    @field_validator("device")
    @classmethod
    def _is_here(cls, name: str) -> str:
        device_called(name)
        return name

    @model_validator(mode="after")
    def _validation_is_there_to_be_watched(self) -> Parameters:
        name = self.training.watching_validation
        if name and self.validation_fraction == 0:
            raise ValueError(
                f"{name} watches the validation part, expected validation_fraction above 0, "
                "such as 0.1"
            )
        return self

    @classmethod
    def of_model(cls, settings: Settings) -> dict[str, Any]:
        """The parameters that stand for an architecture, as far as places name them."""
        return {
            name: getattr(settings, place.removeprefix("model."))
            for name, place in cls.places.items()
            if place.startswith("model.")
        }


CheckedParameters = TypeVar("CheckedParameters", bound=Parameters)


def check(kind: type[CheckedParameters], estimator: BaseEstimator) -> CheckedParameters:
    """Check an estimator's parameters.

    Raises
    ------
    RecipeError
        With everything that is wrong, each by the parameter's own name.
    UnspoolError
        If the device is not here.
    """
    parameters = estimator.get_params(deep=False)
    del parameters["random_state"]  # which scikit-learn checks
    return check_flat(kind, _with_warmup(parameters), type(estimator).__name__, kind.places)


def check_flat(
    settings: type[Checked],
    parameters: Mapping[str, Any],
    title: str,
    places: Mapping[str, str] | None = None,
) -> Checked:
    """Check flat parameters by settings that are nested as a recipe's.

    Parameters
    ----------
    settings : type of Settings
    parameters : mapping of str to object
    title : str
        What an error begins with.
    places : mapping of str to str, optional
        Where the settings have what is one flat parameter; all others keep their names.

    Raises
    ------
    RecipeError
        With everything that is wrong, each by the parameter's own name.
    """
    places = places or {}
    names = {place: name for name, place in places.items()} | {"training.schedule": "schedule"}
    try:
        return settings.model_validate(_in_tables(parameters, places))
    except ValidationError as error:
        raise RecipeError(f"{title}: {'; '.join(problems(error, names=names))}") from error


def _with_warmup(parameters: Mapping[str, Any]) -> dict[str, Any]:
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
