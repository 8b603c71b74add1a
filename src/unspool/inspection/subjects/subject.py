"""What is traced: a network, an input that is read already, and how it is run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unspool.errors import DataError
from unspool.inspection.trace import TracedArray

CANDIDATES = 20
"""How many of a large vocabulary's tokens are kept at each step, the most probable ones."""

WHOLE_VOCABULARY = 256
"""The largest vocabulary of which every token's log-probability is kept."""


PICTURES = (".png", ".jpg", ".jpeg")
"""What the names of pictures end with."""


class Subject(ABC):
    """A network and its input.

    Attributes
    ----------
    model : nn.Module
    """

    model: nn.Module

    @abstractmethod
    def extent(self, group: str) -> tuple[int, int]:
        """How many sequences and steps a group of layers reads, ``B`` and ``T``."""

    def batch(self, group: str) -> str:
        """What stands in the place of ``B`` in the arrays of a group of layers."""
        del group
        return "B"

    def answer_numbers(self) -> int:
        """Numbers that are kept of inputs and answers at each step of each sequence, at most."""
        return 0

    @abstractmethod
    def forward(self) -> Any:
        """Run the network as it is always run."""

    @abstractmethod
    def arrays(self, result: Any, steps: slice) -> dict[str, TracedArray]:
        """What came of it at some of the steps, but for what is inside the layers."""

    def about(self, steps: slice) -> dict[str, Any]:
        """What else is known, fit for JSON."""
        del steps
        return {}


def array(tensor: Tensor) -> NDArray[Any]:
    """A tensor's values, wherever it is."""
    return tensor.detach().cpu().numpy()


def listed_texts(input: Any) -> tuple[str, ...]:
    """The texts of a list.

    Raises
    ------
    DataError
        If it is none, or holds anything else.
    """
    if isinstance(input, list | tuple) and input and all(isinstance(each, str) for each in input):
        return tuple(input)
    raise DataError(
        f"the input is of type {type(input).__name__}, expected a text, a file's name, or a list "
        "of texts"
    )


def without_padding(values: NDArray[Any], lengths: NDArray[np.int64], first: int) -> NDArray[Any]:
    """Zero where a step is padding: steps from ``first`` on, (B, T, …)."""
    past = first + np.arange(values.shape[1]) >= lengths[:, None]  # (B, T)
    found = np.array(values)
    found[past] = 0
    return found


def beliefs(log_probabilities: Tensor, axes: str = "(B, T, V)") -> dict[str, TracedArray]:
    """The most probable tokens after each step; of a small vocabulary, everything.

    Parameters
    ----------
    log_probabilities : (B, T, V) tensor
        Nats.
    """
    count = min(CANDIDATES, log_probabilities.size(-1))
    best = torch.sort(log_probabilities.double(), stable=True, dim=-1, descending=True)
    found = {
        "candidates": TracedArray(
            array(best.indices[..., :count]),
            "(B, T, K)",
            "tokens that may come next after each step, the most probable first",
            "token",
        ),
        "belief": TracedArray(
            array(best.values[..., :count].exp()),
            "(B, T, K)",
            "how probable the candidates are",
            "probability",
        ),
    }
    if log_probabilities.size(-1) <= WHOLE_VOCABULARY:
        found["log_probabilities"] = TracedArray(
            array(log_probabilities),
            axes,
            "of every token as the next one, after each step",
            "nats",
        )
    return found
