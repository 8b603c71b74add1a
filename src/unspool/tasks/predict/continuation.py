"""A text that is being read, and what may come next.

Shapes: ``B`` texts, ``N`` tokens read, ``C`` tokens of context, ``V`` tokens of the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from unspool.data.vocabulary import Vocabulary
from unspool.models.language_model import LanguageModel

_LONGEST = 4096  # tokens read in one go


@dataclass(frozen=True)
class Place:
    """Where the reading of some texts has come to; a value, never changed.

    Parameters
    ----------
    log_probabilities : (B, V) tensor
        Of the next token, nats.
    state : object
        What the network goes on from.
    tokens : (B, N) int64 tensor
        What was read so far.
    """

    log_probabilities: Tensor
    state: Any
    tokens: Tensor

    def repeated(self, count: int) -> Place:
        """The same place in ``count`` copies of a single text."""
        return Place(
            _repeat(self.log_probabilities, count),
            _repeat(self.state, count),
            _repeat(self.tokens, count),
        )


class Reader:
    """Reads on in texts, token by token or many at a time.

    Parameters
    ----------
    model : LanguageModel
    vocabulary : Vocabulary
    context : int, optional
        The tokens that a model of windows looks at: the last so many. None for a model that keeps
        its state.
    """

    def __init__(self, model: LanguageModel, vocabulary: Vocabulary, context: int | None) -> None:
        self._model, self._vocabulary, self._context = model, vocabulary, context

    def read(self, tokens: ArrayLike, place: Place | None = None) -> Place:
        """Read tokens ``(N,)`` of one text, from its beginning or from where it was left.

        A text begins with the vocabulary's ``start`` token, as the documents of a training do;
        for a model of windows only where there is nothing else to look at.
        """
        read = torch.as_tensor(tokens, dtype=torch.int64).reshape(1, -1).to(self._device)
        if place is None:
            start = torch.full((1, 1), self._vocabulary.start, device=self._device)
            if self._context is None or not read.shape[1]:
                read = torch.cat([start, read], 1)
        elif not read.shape[1]:
            return place
        earlier = read[:, :0] if place is None else place.tokens
        if self._context is not None:
            window = torch.cat([earlier, read], 1)[:, -self._context :]
            log_probabilities, state = self._step_window(window)
        else:
            before = None if place is None else place.state
            log_probabilities, state = self._step_state(read, before)
        return Place(log_probabilities, state, torch.cat([earlier, read], 1))

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read a token of each text, ``(B,)``: what sampling asks for."""
        if self._context is None:
            return self._model.step(tokens, state)
        window = torch.cat([state, tokens[:, None]], 1)[:, -self._context :]
        return self._step_window(window)

    def _step_window(self, window: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self._model(window).hidden[:, -1]
        return self._model.log_probabilities(hidden), window

    def _step_state(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        for start in range(0, tokens.shape[1], _LONGEST):
            reading = self._model(tokens[:, start : start + _LONGEST], state)
            state = reading.state
        return self._model.log_probabilities(reading.hidden[:, -1]), state

    @property
    def _device(self) -> torch.device:
        return self._model.embedding.weight.device


def _repeat(part: Any, count: int) -> Any:
    """Copies along the dimension of the batch: the first of two, the second of a layer's three."""
    if isinstance(part, tuple):
        return tuple(_repeat(member, count) for member in part)
    return part.repeat_interleave(count, part.dim() - 2)
