"""What is subtracted from a log-probability: for shortness, and for what found no attention.

Wu et al. 2016, arXiv 1609.08144, equation 14. Shapes: ``B`` sentences, ``K`` beams, ``N`` rows,
``S`` positions of the source.
"""

from typing import TypeVar

import torch
from torch import Tensor

from unspool.decoding.settings import BeamSettings

Length = TypeVar("Length", float, Tensor)

_TINY = torch.finfo(torch.float64).tiny  # attention that underflows is dear, but not impossible


def length_penalty(length: Length, alpha: float) -> Length:
    r"""Return :math:`lp = (5 + length)^\alpha / 6^\alpha`, which divides a log-probability.

    Examples
    --------
    >>> length_penalty(7, 1.0)
    2.0
    """
    penalty: Length = ((5 + length) / 6) ** alpha
    return penalty


def coverage_penalty(coverage: Tensor, source_lengths: Tensor, beta: float) -> Tensor:
    r"""Return :math:`cp = \beta \sum_i \log \min(coverage_i, 1)`, which is added; at most 0.

    Parameters
    ----------
    coverage : (N, S) float64 tensor
        The sum of all attention that each position got.
    source_lengths : (N,) int64 tensor
        The positions beyond count for nothing.
    beta : float

    Returns
    -------
    (N,) float64 tensor

    Examples
    --------
    >>> float(coverage_penalty(torch.tensor([[0.5, 1.5, 0.0]]), torch.tensor([2]), 1.0).exp())
    0.5
    """
    positions = torch.arange(coverage.shape[1], device=coverage.device)
    missing = coverage.clamp(_TINY, 1).log()
    return beta * missing.where(positions < source_lengths[:, None], 0).sum(1)


class Penalties:
    """The penalties of the hypotheses that a search pursues.

    Parameters
    ----------
    settings : BeamSettings
    source_lengths : (B,) int64 tensor, optional
        Needed for the coverage penalty.
    """

    def __init__(self, settings: BeamSettings, source_lengths: Tensor | None) -> None:
        self._alpha = settings.length_penalty
        self._beta = settings.coverage_penalty
        self._lengths = source_lengths if self._beta else None  # of each row's source
        self._coverage: Tensor | float = 0.0  # (N, S) when there is any

    def attend(self, weights: Tensor) -> None:
        """Count the attention of one more token of each row, ``(N, S)``."""
        if self._beta:
            self._coverage = self._coverage + weights.double()

    def select(self, rows: Tensor) -> None:
        """Go on with some rows, ``(B, K)``."""
        if self._lengths is not None and isinstance(self._coverage, Tensor):
            self._coverage = self._coverage[rows.flatten()]
            self._lengths = self._lengths[rows.flatten()]

    def score(self, log_probabilities: Tensor, length: int, rows: Tensor) -> Tensor:
        """Return the scores of hypotheses of that length, in the shape of ``rows``, theirs."""
        scores = log_probabilities / length_penalty(length, self._alpha)
        if self._lengths is not None and isinstance(self._coverage, Tensor):
            scores = scores + coverage_penalty(self._coverage, self._lengths, self._beta)[rows]
        return scores
