"""How likely a model found the true tokens, added up.

Shapes: ``N`` positions, ``P`` size of what the output layer reads, ``V`` tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Answers = Callable[[Tensor, Tensor], Tensor]
"""The log-probabilities ``(N, V)`` after hidden values ``(N, P)``, each given before the target
``(N,)`` that belongs to it is known, but for those of earlier positions."""

_ROWS_OF = 1 << 22  # log-probabilities that are held at a time


@dataclass
class Tally:
    """Sums over positions.

    Parameters
    ----------
    nats : float
        Negative log-likelihood of the true tokens.
    hits : int
        How often the most probable token was the true one.
    count : int
        Positions judged.
    """

    nats: float = 0.0
    hits: int = 0
    count: int = 0

    def add(self, answers: Answers, hidden: Tensor, targets: Tensor, num_tokens: int) -> Tensor:
        """Judge some positions, ``(N, P)`` and ``(N,)``; return which were guessed, ``(N,)``."""
        rows = max(_ROWS_OF // num_tokens, 1)
        guessed = []
        for start in range(0, len(targets), rows):
            part, true = hidden[start : start + rows], targets[start : start + rows]
            log_probabilities = answers(part, true)
            likelihood = log_probabilities.gather(1, true[:, None]).double()
            self.nats -= float(likelihood.sum())
            guessed.append(log_probabilities.argmax(1) == true)
        found = torch.cat(guessed) if guessed else torch.zeros(0, dtype=torch.bool)
        self.hits += int(found.sum())
        self.count += len(targets)
        return found
