"""Unspool trains, explains and serves recurrent networks.

The names below are loaded when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "DataError": "unspool.errors",
    "DrawingCompleter": "unspool.estimators",
    "LanguageModel": "unspool.estimators",
    "ModelFolderError": "unspool.errors",
    "RecipeError": "unspool.errors",
    "SaveError": "unspool.errors",
    "Seq2Seq": "unspool.estimators",
    "SequenceClassifier": "unspool.estimators",
    "Trace": "unspool.inspection.trace",
    "TrainingError": "unspool.errors",
    "UnspoolError": "unspool.errors",
    "load": "unspool.estimators",
    "trace": "unspool.inspection.tracing",
}

__all__ = [
    "DataError",
    "DrawingCompleter",
    "LanguageModel",
    "ModelFolderError",
    "RecipeError",
    "SaveError",
    "Seq2Seq",
    "SequenceClassifier",
    "Trace",
    "TrainingError",
    "UnspoolError",
    "load",
    "trace",
]

if TYPE_CHECKING:
    from unspool.errors import (
        DataError,
        ModelFolderError,
        RecipeError,
        SaveError,
        TrainingError,
        UnspoolError,
    )
    from unspool.estimators import (
        DrawingCompleter,
        LanguageModel,
        Seq2Seq,
        SequenceClassifier,
        load,
    )
    from unspool.inspection.trace import Trace
    from unspool.inspection.tracing import trace


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unspool' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
