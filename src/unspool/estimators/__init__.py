"""Recurrent networks with scikit-learn's conventions."""

from unspool.estimators.drawing_completer import DrawingCompleter
from unspool.estimators.language_model import LanguageModel
from unspool.estimators.loading import load
from unspool.estimators.seq2seq import Seq2Seq
from unspool.estimators.sequence_classifier import SequenceClassifier

__all__ = ["DrawingCompleter", "LanguageModel", "Seq2Seq", "SequenceClassifier", "load"]
