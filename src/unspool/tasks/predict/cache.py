"""The neural cache: words that stood after similar states are likely to come again.

Grave, Joulin & Usunier 2017, arXiv 1612.04426.

Shapes: ``N`` positions, ``M`` remembered ones, ``P`` size of the hidden values, ``V`` tokens.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from unspool.models.language_model import LanguageModel
from unspool.settings import Settings


class CacheSettings(Settings):
    """What a cache remembers and how much it is trusted.

    Parameters
    ----------
    size : int
        Positions that are remembered, the latest ones.
    weight : float
        The share of the cache in the mixture of both beliefs.
    flatness : float
        How much more a state counts the more it is like the present one; 0 counts all alike.
    """

    size: Annotated[int, Field(ge=1)] = 500
    weight: Annotated[float, Field(gt=0, lt=1)] = 0.1
    flatness: Annotated[float, Field(ge=0)] = 0.3


class NeuralCache:
    """A model's belief mixed with that of a memory of what stood after similar states.

    Parameters
    ----------
    model : LanguageModel
    settings : CacheSettings
    """

    def __init__(self, model: LanguageModel, settings: CacheSettings) -> None:
        self._model, self._settings = model, settings
        self._hidden: Tensor | None = None  # (M, P)
        self._tokens: Tensor | None = None  # (M,), what came after each

    def __call__(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """The log-probabilities of the mixture, ``(N, V)``, at the next positions of a text.

        Parameters
        ----------
        hidden : (N, P) tensor
        targets : (N,) int64 tensor
            What comes next there. A position's own is not made use of before the one after it.
        """
        known = 0 if self._hidden is None else len(self._hidden)
        keys = hidden if self._hidden is None else torch.cat([self._hidden, hidden])
        values = targets if self._tokens is None else torch.cat([self._tokens, targets])
        age = (torch.arange(len(hidden)) + known)[:, None] - torch.arange(len(keys))  # (N, M + N)
        remembered = ((age > 0) & (age <= self._settings.size)).to(hidden.device)
        scores = self._settings.flatness * (hidden @ keys.t())
        attention = scores.masked_fill(~remembered, -torch.inf).softmax(1)
        own = self._model.log_probabilities(hidden)
        belief = torch.zeros_like(own).scatter_add_(
            1, values.expand(len(hidden), -1), attention.to(own.dtype)
        )
        weight = self._settings.weight
        mixed = torch.logaddexp(own + math.log1p(-weight), (weight * belief).log())
        size = self._settings.size
        self._hidden, self._tokens = keys[-size:], values[-size:]
        empty = ~remembered.any(1, keepdim=True)  # the text's first position remembers nothing
        return torch.where(empty, own, mixed)
