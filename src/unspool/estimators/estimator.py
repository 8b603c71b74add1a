"""What every estimator does alike: train a network by its parameters, keep it, and save it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from unspool.devices import device_called
from unspool.estimators.history import History, train
from unspool.estimators.parameters import Parameters
from unspool.tasks import model_card, model_folder
from unspool.tasks.predictor import Predictor
from unspool.tasks.task import Task


@dataclass(eq=False, repr=False)
class Estimator(BaseEstimator):  # type: ignore[misc]
    """A recurrent network with scikit-learn's conventions.

    The fields are what scikit-learn calls parameters: stored as they are given, checked by ``fit``.
    An estimator adds its own, gives others defaults that suit it, and documents all of them.
    """

    cell: str = "lstm"
    hidden_size: int = 128
    num_layers: int = 1
    _: KW_ONLY
    dropout: float = 0.0
    epochs: int = 20
    batch_size: int = 32
    optimizer: str = "adamw"
    learning_rate: float = 0.01
    weight_decay: float = 0.0
    schedule: str = "one-cycle"
    warmup: float | None = None
    clip_norm: float | None = 1.0
    validation_fraction: float = 0.0
    patience: int | None = None
    random_state: int | np.random.RandomState | None = None
    device: str = "auto"
    verbose: bool = False

    predictor_: Predictor = field(init=False)
    history_: list[dict[str, Any]] = field(init=False)
    n_iter_: int = field(init=False)
    validation_: dict[str, float] | None = field(init=False)

    def save(self, folder: str | Path) -> None:
        """Write a model folder, which :func:`unspool.load` and the command line read.

        It holds the network and what it takes to answer by it, nothing that was pickled, and none
        of the data.

        Parameters
        ----------
        folder : str or Path
            A new one, or one with an earlier model, which it replaces.

        Raises
        ------
        SaveError
            If it cannot be written.
        """
        check_is_fitted(self)
        model_folder.save(self.predictor_, Path(folder), self._card)

    def _learn(self, task: Task, parameters: Parameters, seed: int) -> None:
        """Train a new network, and answer by it from now on."""
        task.model.to(device_called(parameters.device))
        history = History(task.headline, parameters.verbose)
        self.n_iter_ = train(task, parameters.training, seed, history)
        self.history_ = history.records
        self.validation_ = task.validate()
        self._adopt(task.predictor, model_card.write(task.predictor, self.validation_ or {}))

    def _adopt(self, predictor: Predictor, card: str) -> None:
        """Answer by this network from now on."""
        predictor.model.eval()
        self.predictor_ = predictor
        self._card = card


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Draw the number that decides what is left to chance."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
