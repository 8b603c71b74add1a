"""Recurrent networks with scikit-learn's conventions."""

from unspool.estimators.language_model import LanguageModel
from unspool.estimators.loading import load
from unspool.estimators.sequence_classifier import SequenceClassifier

__all__ = ["LanguageModel", "SequenceClassifier", "load"]
