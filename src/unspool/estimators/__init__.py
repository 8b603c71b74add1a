"""Recurrent networks with scikit-learn's conventions."""

from unspool.estimators.sequence_classifier import SequenceClassifier, load

__all__ = ["SequenceClassifier", "load"]
