"""Brings features to a common scale; fitted on the training part, kept in the model."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unspool.data.sequences import Sequences

Normalisation = Literal["standard", "global", "range", "none"]
"""How features are scaled.

``standard``: each feature to mean 0 and standard deviation 1; ``global``: all features together
to mean 0 and standard deviation 1, as suits pictures; ``range``: all features together to 0…1;
``none``: left as they are.
"""


def fit(training: Sequences, kind: Normalisation) -> tuple[NDArray[Any], NDArray[Any]]:
    """Find the centre and scale of every feature, so that ``(x - centre) / scale`` is normal.

    Returns
    -------
    centre, scale : (F,) float32 arrays
        A feature that never changes keeps the scale 1.
    """
    values, features = training.values, training.num_features
    if kind == "none" or len(values) == 0:
        return np.zeros(features, np.float32), np.ones(features, np.float32)
    if kind == "range":
        low, high = float(values.min()), float(values.max())
        return _full(features, low), _guard(_full(features, high - low))
    if kind == "global":
        centre, scale = values.mean(dtype=np.float64), values.std(dtype=np.float64)
        return _full(features, centre), _guard(_full(features, scale))
    centre, scale = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
    return centre.astype(np.float32), _guard(scale.astype(np.float32))


def _full(features: int, value: float) -> NDArray[Any]:
    return np.full(features, value, np.float32)


def _guard(scale: NDArray[Any]) -> NDArray[Any]:
    return np.where(scale > np.finfo(np.float32).tiny, scale, np.float32(1))
