"""Traces a network: everything that it computes on the way to an answer."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any

from torch import nn

from unspool.errors import DataError
from unspool.inspection.observation import observing
from unspool.inspection.recording import Recorder
from unspool.inspection.subjects.classifying import Classification
from unspool.inspection.subjects.computing import Computation
from unspool.inspection.subjects.drawing import Drawing
from unspool.inspection.subjects.predicting import Prediction
from unspool.inspection.subjects.subject import Subject
from unspool.inspection.subjects.translating import Answering
from unspool.inspection.trace import Trace
from unspool.nn import levels
from unspool.nn.evaluation import evaluating
from unspool.tasks import model_folder
from unspool.tasks.classify.predictor import LabelPredictor
from unspool.tasks.draw.predictor import DrawingPredictor
from unspool.tasks.predict.predictor import TextPredictor
from unspool.tasks.predictor import Predictor
from unspool.tasks.translate.predictor import PairPredictor

MAX_BYTES = 2**30


def trace(
    model: Any,
    input: Any,
    *,
    layers: Sequence[int] | None = None,
    steps: range | slice | tuple[int, int | None] | None = None,
    max_bytes: int = MAX_BYTES,
) -> Trace:
    """Run a network as it is always run, and keep everything that it computes at every step.

    Where a native kernel computes the layers, gates and states are those of the kernel itself, bit
    for bit; elsewhere they are recomputed by the equations of :mod:`unspool.nn.reference`. The
    trace says which, and how far its h is from the layers' own outputs.

    Parameters
    ----------
    model : str, Path, Predictor, estimator or nn.Module
        A run's or a model folder; what :func:`unspool.load` returns, fitted; or any network with
        layers of :mod:`unspool.nn`. Networks are run in evaluation, without dropout.
    input : object
        What the model's estimator takes: a file's name, a text, an array (B, T, F), a list of
        arrays or of texts. For a bare network, the tensor that it is called with.
    layers : sequence of int, optional
        Which layers are kept, from 0; all when not given.
    steps : range, slice or (start, stop), optional
        Which steps of every sequence are kept; all when not given.
    max_bytes : int, optional
        The memory that it may take, by an estimate that is made before anything is computed.

    Returns
    -------
    Trace
        ``input``; for each layer and direction ``projection``, ``gate.…``, ``cell`` (LSTM) and
        ``hidden``; what the network answered after each step (``belief``) and at the end.

    Raises
    ------
    DataError
        If the input is none for this model, there are no such layers or steps, or the trace would
        take more than ``max_bytes``.
    ModelFolderError
        If a folder holds no model.

    Examples
    --------
    >>> import torch
    >>> from unspool import trace
    >>> from unspool.nn import GRU
    >>> found = trace(GRU(3, 4, batch_first=True), torch.zeros(2, 5, 3))
    >>> [name for name in found if name.startswith("layer")]  # doctest: +NORMALIZE_WHITESPACE
    ['layer.0.forward.projection', 'layer.0.forward.gate.r', 'layer.0.forward.gate.z',
     'layer.0.forward.gate.n', 'layer.0.forward.recurrent_candidate', 'layer.0.forward.hidden']
    >>> found["layer.0.forward.gate.z"].shape
    (2, 5, 4)
    """
    if isinstance(model, str | Path):
        model = model_folder.load(model)
    return trace_subject(subject(model, input), layers=layers, steps=steps, max_bytes=max_bytes)


def trace_subject(
    subject: Subject,
    *,
    layers: Sequence[int] | None = None,
    steps: range | slice | tuple[int, int | None] | None = None,
    max_bytes: int = MAX_BYTES,
) -> Trace:
    """Do the same for an input that is read already."""
    start, stop = _steps(steps)
    kept = None if layers is None else tuple(sorted(set(layers)))
    recorder = Recorder(subject.model, kept, start, stop, subject.batch)
    needed = _estimate(subject, recorder, start, stop)
    if needed > max_bytes:
        raise DataError(
            f"the trace would take {_size(needed)}, expected at most {_size(max_bytes)}; keep "
            "fewer steps or layers, give fewer sequences, or allow more memory"
        )
    window = slice(start, stop)
    with evaluating(subject.model):
        with observing(subject.model, recorder.see):
            result = subject.forward()
        arrays = subject.arrays(result, window)
    first = {name: held for name, held in arrays.items() if not _is_answer(name)}
    last = {name: held for name, held in arrays.items() if _is_answer(name)}
    about = {
        "task": getattr(getattr(subject, "predictor", None), "task", None),
        "kernel": levels.kernel(),
        "steps": [start, stop],
        "layers": recorder.about,
        **subject.about(window),
    }
    return Trace({**first, **recorder.arrays(), **last}, about)


@singledispatch
def subject(model: Any, input: Any) -> Subject:
    """Make of a model and an input what can be traced.

    Raises
    ------
    DataError
        If it is no model, or an estimator that was not fitted; or as :func:`trace`.
    """
    predictor = getattr(model, "predictor_", None)
    if isinstance(predictor, Predictor):
        return subject(predictor, input)
    hint = "; call its fit first" if hasattr(model, "fit") else ""
    raise DataError(
        f"the model is of type {type(model).__name__}, expected a model folder, a fitted "
        f"estimator or a network{hint}"
    )


subject.register(LabelPredictor, Classification)
subject.register(TextPredictor, Prediction)
subject.register(PairPredictor, Answering)
subject.register(DrawingPredictor, Drawing)
subject.register(nn.Module, Computation)


def _estimate(subject: Subject, recorder: Recorder, start: int, stop: int | None) -> int:
    batch, steps = subject.extent("")
    chosen = len(range(*slice(start, stop).indices(steps)))
    if chosen == 0:
        raise DataError(
            f"steps has {start} to {'the end' if stop is None else stop}, expected some of the "
            f"sequences' {steps} steps, counted from 0"
        )
    return recorder.estimate(subject.extent) + 4 * batch * chosen * subject.answer_numbers()


def _steps(steps: range | slice | tuple[int, int | None] | None) -> tuple[int, int | None]:
    if steps is None:
        return 0, None
    if isinstance(steps, (range, slice)) and steps.step in (None, 1):
        steps = (steps.start, steps.stop)
    if not isinstance(steps, tuple) or len(steps) != 2:
        raise DataError(
            f"steps has {steps!r}, expected (start, stop), a range or a slice of step 1"
        )
    try:
        start, stop = (None if each is None else operator.index(each) for each in steps)
    except TypeError:
        raise DataError(f"steps has {steps!r}, expected two whole numbers") from None
    start = start or 0
    if start < 0 or (stop is not None and stop <= start):
        raise DataError(
            f"steps has {start} to {stop}, expected a first step from 0 on and a later one to end "
            "before"
        )
    return start, stop


def _is_answer(name: str) -> bool:
    return name.split(".")[0] in _ANSWERS


_ANSWERS = (
    "attention",
    "logits_by_step",
    "belief",
    "candidates",
    "log_probabilities",
    "logits",
    "output",
)


def _size(count: int) -> str:
    """Bytes in words, as ``1.5 GiB``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:,.1f} {unit}" if unit != "bytes" else f"{count} bytes"
        count = count / 1024  # type: ignore[assignment]
    raise AssertionError
