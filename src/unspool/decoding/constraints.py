"""Which tokens may come next: neither some at all, nor the end too early, nor an n-gram again."""

import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from unspool.decoding.settings import BeamSettings


class Constraints:
    """The constraints of the hypotheses that a search pursues.

    Parameters
    ----------
    settings : BeamSettings
    end : int
        The token that ends a hypothesis.
    never : sequence of int
        Tokens that no hypothesis contains.
    rows : int
        ``N``, with which the search begins.
    device : torch.device
    """

    def __init__(
        self,
        settings: BeamSettings,
        end: int,
        never: Sequence[int],
        rows: int,
        device: torch.device,
    ) -> None:
        self._min_length = settings.min_length
        self._never = torch.tensor(sorted({*never}), dtype=torch.int64, device=device)
        self._too_early = torch.tensor(sorted({*never, end}), device=device)
        self._n = settings.no_repeat_ngram
        self._history = torch.empty(rows, 0, dtype=torch.int64, device=device)  # (N, length so far)

    def excluded(self, length: int) -> tuple[Sequence[int], int] | None:
        """Which tokens may not come, and for how many steps that is so; None where rows differ.

        Parameters
        ----------
        length : int
            Of the hypotheses with the token that is to come.
        """
        if self._n is not None:
            return None
        if length >= self._min_length:
            return self._never.tolist(), sys.maxsize
        return self._too_early.tolist(), self._min_length - length

    def allow(self, log_probabilities: Tensor, length: int) -> Tensor:
        """Return the log-probabilities, ``(N, V)``, with -inf for every token that may not come.

        Parameters
        ----------
        log_probabilities : (N, V) tensor
        length : int
            Of the hypotheses with the token that is to come.
        """
        excluded = self._never if length >= self._min_length else self._too_early
        if len(excluded):
            log_probabilities = log_probabilities.index_fill(1, excluded, -torch.inf)
        if self._n is not None and length > self._n:
            log_probabilities = self._without_repeats(log_probabilities, self._n)
        return log_probabilities

    def _without_repeats(self, log_probabilities: Tensor, n: int) -> Tensor:
        ngrams = self._history.unfold(1, n, 1)  # (N, how many, n)
        last = self._history[:, self._history.shape[1] - n + 1 :]  # (N, n - 1)
        begun = (ngrams[:, :, :-1] == last[:, None]).all(2)
        bounds = torch.where(begun, -torch.inf, torch.inf).to(log_probabilities.dtype)
        return log_probabilities.scatter_reduce(1, ngrams[:, :, -1], bounds, "amin")

    def extend(self, rows: Tensor, tokens: Tensor) -> None:
        """Go on with some rows, ``(B, K)``, each by a token."""
        if self._n is not None:
            history = self._history[rows.flatten()]
            self._history = torch.cat([history, tokens.flatten()[:, None]], 1)
