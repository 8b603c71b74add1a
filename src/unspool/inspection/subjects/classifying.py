"""Traces a classifier of sequences.

Shapes: ``B`` sequences, ``T`` steps, ``F`` features, ``E`` what the layers read, ``C`` classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unspool.data import inputs
from unspool.data.batches import Batches
from unspool.data.labelled_text import LabelledText
from unspool.data.sequences import Sequences, naming
from unspool.errors import DataError
from unspool.inspection.observation import watched
from unspool.inspection.subjects.subject import PICTURES, Subject, array, without_padding
from unspool.inspection.trace import TracedArray
from unspool.models.classifier import Classifier
from unspool.tasks.classify.predictor import LabelPredictor


class Classification(Subject):
    """A classifier that reads sequences.

    Parameters
    ----------
    predictor : LabelPredictor
    input : object
        What :func:`sequences_of` takes.
    """

    model: Classifier

    def __init__(self, predictor: LabelPredictor, input: Any) -> None:
        self.predictor = predictor
        self.model = predictor.model
        self.sequences = sequences_of(predictor, input)
        (self._batch,) = Batches(self.sequences, len(self.sequences)).in_order()
        self._read: list[tuple[Tensor, Tensor]] = []

    def extent(self, group: str) -> tuple[int, int]:
        """All layers read the same sequences."""
        del group
        return len(self._batch), self._batch.x.size(1)

    def answer_numbers(self) -> int:
        """Inputs as they are given and as they are read; logits and beliefs, which are doubles."""
        settings = self.model.settings
        read = settings.input_projection or 0
        return 2 * self.model.num_features + read + 4 * len(self.predictor.classes)

    def forward(self) -> Tensor:
        """Say what the sequences are."""
        x = self._batch.x.to(self.predictor.device)
        with watched(self.model.projection, lambda *both: self._read.append(both)):
            logits: Tensor = self.model(x, self._batch.lengths)
        return logits

    def arrays(self, result: Tensor, steps: slice) -> dict[str, TracedArray]:
        """Inputs, what the layers were given of them, and the beliefs."""
        lengths = self._batch.lengths.numpy()
        first = steps.start or 0

        def part(tensor: Tensor, axes: str, meaning: str, unit: str = "") -> TracedArray:
            kept = without_padding(array(tensor[:, steps]), lengths, first)
            return TracedArray(kept, axes, meaning, unit)

        before, after = self._read[0]
        found = {"input": part(self._batch.x, "(B, T, F)", "input at each step, as it was given")}
        if self.model.embedding is not None:
            found["embedding"] = part(before, "(B, T, E)", "the numbers that stand for each token")
        elif not _is_identity(self.model):
            found["normalised"] = part(before, "(B, T, F)", "input, normalised as in training")
        if isinstance(self.model.projection, nn.Linear):
            meaning = "input, projected for the first layer: W x + b"
            found["projection"] = part(after, "(B, T, E)", meaning)
        by_step = self.model.by_step(self._batch.x.to(self.predictor.device), self._batch.lengths)
        return {
            "lengths": TracedArray(lengths, "(B,)", "steps of each sequence", "steps"),
            **found,
            "logits_by_step": part(by_step, "(B, T, C)", "logits after each step"),
            "belief": part(
                by_step.double().softmax(-1), "(B, T, C)", "belief after each step", "probability"
            ),
            "logits": TracedArray(array(result), "(B, C)", "logits after the last step"),
        }

    def about(self, steps: slice) -> dict[str, Any]:
        """Labels, and for text tokens."""
        found: dict[str, Any] = {"classes": list(self.predictor.classes)}
        vocabulary = self.predictor.vocabulary
        if vocabulary is not None:
            found["tokens"] = [
                [vocabulary.tokens[token] for token in sequence[:length][steps]]
                for sequence, length in zip(
                    self._batch.x[:, :, 0].long().tolist(), self._batch.lengths, strict=True
                )
            ]
        return found


def sequences_of(predictor: LabelPredictor, input: Any) -> Sequences:
    """Read what a user gives a classifier.

    Parameters
    ----------
    predictor : LabelPredictor
    input : str, Path, Sequences, array, list of arrays, or list of str
        A file's name; for text also a text. Arrays are (B, T, F), (T, F) for one sequence, or
        (B, T) of one feature.

    Raises
    ------
    DataError
        If there is nothing to read in it, or nothing that the model can.
    """
    title = str(input) if isinstance(input, str | Path) else "the input"
    if isinstance(input, Sequences):
        sequences = input
    elif predictor.vocabulary is not None:
        sequences = _texts(predictor, input, title)
    elif isinstance(input, str | Path):
        sequences = _file(predictor, Path(input))
    else:
        with naming(title):
            sequences = _numbers(input, predictor.model.num_features)
    sequences.check(title)
    if len(sequences) == 0:
        raise DataError(f"{title} holds no sequences, expected at least one")
    predictor.check_features(sequences, title)
    return sequences


def _file(predictor: LabelPredictor, path: Path) -> Sequences:
    prepared = predictor.prepared(str(path))  # a picture, as the model has learned to see them
    if prepared is not None:
        return Sequences.from_array(prepared.picture[None])
    sequences, _ = inputs.read(path, predictor.data.columns if predictor.data else None)
    if path.suffix.lower() in PICTURES:
        _check_drawn(sequences, str(path))
    return sequences


def _texts(predictor: LabelPredictor, input: Any, title: str) -> Sequences:
    assert predictor.vocabulary is not None
    if isinstance(input, str | Path):
        columns = predictor.data.text_columns if predictor.data else None
        texts = inputs.read_texts(str(input), columns)
    elif all(isinstance(text, str) for text in input):
        texts = LabelledText(tuple(input))
    else:
        raise DataError(f"{title} is no text, expected a text, a file's name, or a list of texts")
    with naming(title):
        return texts.tokenised(predictor.vocabulary)


def _numbers(input: Any, features: int) -> Sequences:
    is_list = isinstance(input, list | tuple) and any(np.ndim(each) > 0 for each in input)
    if isinstance(input, Tensor):
        input = array(input)
    if is_list and len({np.shape(each) for each in input}) > 1:
        return Sequences.from_list(input)
    values = np.asarray(input)
    if values.ndim == 2 and values.shape[1] == features != 1:
        values = values[None]  # one sequence
    return Sequences.from_array(values)


def _check_drawn(sequences: Sequences, title: str) -> None:
    """Refuse a picture that shows nothing."""
    if np.ptp(sequences.values) == 0:
        grey = int(sequences.values.flat[0])
        colour = {0: "black", 255: "white"}.get(grey, f"grey, {grey}")
        raise DataError(
            f"{title} is all {colour}, expected a picture of something; draw it in another shade "
            "than its ground"
        )


def _is_identity(model: Any) -> bool:
    return bool((model.centre == 0).all() and (model.scale == torch.ones(1)).all())
