"""Reading a sequence only as far as it takes to be sure of what it is.

Shapes: ``B`` batch, ``T`` steps, ``F`` features, ``C`` classes, ``H`` hidden size, ``L`` layers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unspool.errors import DataError
from unspool.models.classifier import Classifier


def read_until(model: Classifier, x: Tensor, lengths: Tensor, belief: float) -> list[Tensor]:
    """Read step by step; a sequence is left as soon as a class is probable enough.

    No step is looked at that comes after, and a sequence that was left takes no more time.

    Parameters
    ----------
    model : Classifier
        Of one direction, ready to answer.
    x : (B, T, F) tensor
        On the model's device.
    lengths : (B,) int64 tensor, on the CPU
    belief : float
        The probability at which reading ends. What never has it is read to its end.

    Returns
    -------
    list of B tensors (t_i, C)
        The probabilities after each step that was read, on the CPU, float64.

    Raises
    ------
    DataError
        If the model reads from both ends.
    """
    refuse_both_directions(model)
    reader = _Reader(model)
    reading = torch.arange(len(lengths))
    beliefs: list[list[Tensor]] = [[] for _ in lengths]
    for step in range(x.shape[1]):
        found = reader(x[reading.to(x.device), step]).double().softmax(-1).cpu()  # (those left, C)
        for place, one in zip(reading.tolist(), found, strict=True):
            beliefs[place].append(one)
        goes_on = (found.amax(1) < belief) & (lengths[reading] > step + 1)
        if not goes_on.all():
            reading = reading[goes_on]
            reader.keep(goes_on)
        if len(reading) == 0:
            break
    return [torch.stack(one) for one in beliefs]


def refuse_both_directions(model: Classifier) -> None:
    """Refuse a model that answers only when it has seen the end.

    Raises
    ------
    DataError
        If the model reads from both ends.
    """
    if model.settings.bidirectional:
        raise DataError(
            "the model reads from both ends, expected one that reads forwards: before the end has "
            "come it cannot stop reading; train one with model.bidirectional=false"
        )


class _Reader:
    """A network part of the way through some sequences."""

    def __init__(self, model: Classifier) -> None:
        self._model = model
        self._state: Any = None  # (L, B, H), of an LSTM two of them
        self._largest: Tensor | None = None  # (B, H), of a network that answers by it

    def __call__(self, x: Tensor) -> Tensor:
        """Read the next step ``(B, F)`` of each, and say what it looks like so far, ``(B, C)``."""
        model = self._model
        hidden, self._state = model.recurrent.step(model.inputs(x[:, None])[:, 0], self._state)
        if model.settings.pooling == "max":
            hidden = hidden if self._largest is None else hidden.maximum(self._largest)
            self._largest = hidden
        logits: Tensor = model.head(hidden)
        return logits

    def keep(self, chosen: Tensor) -> None:
        """Go on with some of the sequences only, ``(B,)`` bool."""
        lstm = isinstance(self._state, tuple)
        members = self._state if lstm else (self._state,)
        kept = tuple(member[:, chosen.to(member.device)].contiguous() for member in members)
        self._state = kept if lstm else kept[0]
        if self._largest is not None:
            self._largest = self._largest[chosen.to(self._largest.device)]
