"""Nearest neighbours in state space: what else left a network in the state that this one did.

Shapes: ``N`` sequences or places in a text, ``B`` inputs, ``H`` size of a state.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unspool.data.batches import Batches
from unspool.data.sequences import Sequences
from unspool.errors import DataError
from unspool.inspection.observation import watched
from unspool.inspection.subjects.classifying import Classification
from unspool.inspection.subjects.predicting import Prediction
from unspool.inspection.subjects.subject import Subject, array
from unspool.tasks.classify.predictor import LabelPredictor

MOST_TOKENS = 200_000
"""Of a training text, how many tokens are searched: the first ones."""

_PIECE, _WARM_UP = 256, 16  # tokens that are read in one go; those of them that are no neighbours
_AT_A_TIME = 64
_BEFORE, _AFTER = 12, 5  # tokens of a neighbour that are told


@dataclass(frozen=True)
class Neighbour:
    """Something of the training data that ends in a like state.

    Parameters
    ----------
    place : int
        Its number: of the sequence, or of the last token that was read.
    likeness : float
        The cosine of the two states, less the mean of all; 1 where they point the same way.
    label : str
        Of a sequence; of a text, what comes next in it.
    text : str
        Of a text, the tokens up to the place.
    """

    place: int
    likeness: float
    label: str
    text: str = ""

    def finding(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Neighbours:
    """The nearest ones of each input, the likest first.

    Parameters
    ----------
    found : list of lists of Neighbour
        Of each of ``B`` inputs.
    sequences : Sequences, optional
        What the places of sequences are in.
    """

    found: list[list[Neighbour]]
    sequences: Sequences | None = None


@singledispatch
def neighbours(subject: Subject, count: int, data_dir: Path | None = None) -> Neighbours:
    """Find in the data that a model was trained on what ends in the likest states.

    Parameters
    ----------
    subject : Subject
    count : int
        How many of each input.
    data_dir : Path, optional
        Where the data is looked for first.

    Raises
    ------
    DataError
        If the model's data is not known or not there, or the model is of another task.
    """
    del count, data_dir
    task = getattr(getattr(subject, "predictor", None), "task", None)
    raise DataError(
        f"neighbours are for models of tasks 'classify' and 'predict', this one is of task "
        f"{task!r}; leave them out"
    )


@neighbours.register
def _(subject: Classification, count: int, data_dir: Path | None = None) -> Neighbours:
    predictor = subject.predictor
    _check_data(predictor)
    sequences = predictor.read_part("train", data_dir)
    places, likenesses = _nearest(
        final_states(predictor, subject.sequences), final_states(predictor, sequences), count
    )
    labels = sequences.labels
    assert labels is not None
    return Neighbours(
        [
            [
                Neighbour(int(place), float(likeness), str(labels[place]))
                for place, likeness in zip(*of_one, strict=True)
            ]
            for of_one in zip(places, likenesses, strict=True)
        ],
        sequences,
    )


def final_states(predictor: LabelPredictor, sequences: Sequences) -> NDArray[np.float32]:
    """What the head of a classifier reads of each sequence, ``(N, H)``."""
    found: list[Tensor] = []
    with predictor.answering(), watched(predictor.model.head, lambda x, _: found.append(x.cpu())):
        for batch in Batches(sequences, _AT_A_TIME).in_order():
            predictor.model(batch.x.to(predictor.device), batch.lengths)
    return torch.cat(found).float().numpy()


@neighbours.register
def _(subject: Prediction, count: int, data_dir: Path | None = None) -> Neighbours:
    predictor, model = subject.predictor, subject.model
    _check_data(predictor)
    corpus = predictor.read_part("train", data_dir).first(MOST_TOKENS)
    tokens = np.asarray(corpus.tokens, np.int64)
    windows = predictor.view == "windows"
    size = predictor.context if windows else min(_PIECE, len(tokens))
    starts = np.arange(0, len(tokens) - size + 1, 1 if windows else size)
    if len(starts) == 0:
        raise DataError(
            f"{predictor.data and predictor.data.title} is too short to have neighbours"
        )
    known = size - 1 if windows else min(_WARM_UP, size - 1)
    states, places = [], []
    with predictor.answering():
        for first in range(0, len(starts), _AT_A_TIME):
            rows = starts[first : first + _AT_A_TIME, None] + np.arange(size)
            hidden = model(torch.from_numpy(tokens[rows]).to(predictor.device)).hidden
            states.append(array(hidden[:, known:]).reshape(-1, hidden.shape[2]))
            places.append(rows[:, known:].ravel())
        last = torch.from_numpy(subject.lengths - 1)
        own = model(torch.from_numpy(subject.tokens).to(predictor.device)).hidden
        own = array(own[torch.arange(len(last)), last])
    everywhere = np.concatenate(places)
    found = _nearest(own, np.concatenate(states), 4 * count)  # some of them say the same
    return Neighbours(
        [
            _distinct(subject, tokens, everywhere[chosen], likenesses, count)
            for chosen, likenesses in zip(*found, strict=True)
        ]
    )


def _distinct(
    subject: Prediction,
    tokens: NDArray[np.int64],
    places: NDArray[np.int64],
    likenesses: NDArray[np.float32],
    count: int,
) -> list[Neighbour]:
    """Places with what stands before and after them, each wording once."""
    vocabulary = subject.predictor.vocabulary
    apart = " " if vocabulary.unit == "word" else ""

    def words(first: int, last: int) -> str:
        return apart.join(subject.label(token) for token in tokens[max(first, 0) : last])

    found: dict[str, Neighbour] = {}
    scale = 1 if vocabulary.unit == "word" else 4
    for place, likeness in zip(places.tolist(), likenesses.tolist(), strict=True):
        before = words(place + 1 - scale * _BEFORE, place + 1)
        after = words(place + 1, place + 1 + scale * _AFTER)
        found.setdefault(before, Neighbour(place, likeness, after, before))
    return list(found.values())[:count]


def _nearest(
    own: NDArray[Any], others: NDArray[Any], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The places of the likest states and how like they are, ``(B, count)`` each."""
    mean = others.mean(0)
    likeness = _unit(own - mean) @ _unit(others - mean).T  # (B, N)
    places = np.argsort(-likeness, axis=1, kind="stable")[:, :count]
    return places, np.take_along_axis(likeness, places, 1)


def _unit(states: NDArray[Any]) -> NDArray[np.float32]:
    norms = np.linalg.norm(states, axis=1, keepdims=True)
    found: NDArray[np.float32] = (states / np.maximum(norms, 1e-12)).astype(np.float32)
    return found


def _check_data(predictor: Any) -> None:
    if predictor.data is None:
        raise DataError(
            "the model does not know its training data, which neighbours are looked for in: it was "
            "trained on arrays; leave neighbours out"
        )
