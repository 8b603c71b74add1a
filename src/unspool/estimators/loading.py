"""From a folder to a fitted estimator."""

from __future__ import annotations

from pathlib import Path

from unspool.devices import device_called
from unspool.errors import ModelFolderError
from unspool.estimators.drawing_completer import DrawingCompleter
from unspool.estimators.language_model import LanguageModel
from unspool.estimators.seq2seq import Seq2Seq
from unspool.estimators.sequence_classifier import SequenceClassifier
from unspool.tasks import model_folder
from unspool.tasks.classify.predictor import LabelPredictor
from unspool.tasks.draw.predictor import DrawingPredictor
from unspool.tasks.predict.predictor import TextPredictor
from unspool.tasks.translate.predictor import PairPredictor


def load(
    folder: str | Path, device: str = "auto"
) -> SequenceClassifier | LanguageModel | Seq2Seq | DrawingCompleter:
    """Make a fitted estimator from a run's or a model folder.

    A classifier's labels are of the type that ``y`` had, as far as a folder keeps it: numbers are
    ``int64`` or ``float64``. A run of ``unspool train`` has labels of text. The parameters are
    those of the network; those of its training have their defaults.

    Parameters
    ----------
    folder : str or Path
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    SequenceClassifier, LanguageModel, Seq2Seq or DrawingCompleter
        By the model's task.

    Raises
    ------
    ModelFolderError
        If the folder is incomplete or damaged, or holds a model of a task without an estimator.
    """
    predictor = model_folder.load(folder, device_called(device))
    card = model_folder.read_card(folder)
    if isinstance(predictor, LabelPredictor):
        return SequenceClassifier._of(predictor, card, device)
    if isinstance(predictor, TextPredictor):
        return LanguageModel._of(predictor, card, device)
    if isinstance(predictor, PairPredictor):
        return Seq2Seq._of(predictor, card, device)
    if isinstance(predictor, DrawingPredictor):
        return DrawingCompleter._of(predictor, card, device)
    raise ModelFolderError(
        f"{folder} holds a model of task {predictor.task!r}, expected {LabelPredictor.task!r}, "
        f"{TextPredictor.task!r}, {PairPredictor.task!r} or {DrawingPredictor.task!r}"
    )
