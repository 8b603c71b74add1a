"""Whether a belief can be taken at its word: of all answers at 90 %, nine in ten should be right.

Shapes: ``N`` answers, ``T`` steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""As in Guo et al. 2017."""


@dataclass(frozen=True)
class Bin:
    """The answers that were given with about the same probability.

    Parameters
    ----------
    count : int
    confidence : float
        The mean probability with which they were given; 0 where there are none.
    accuracy : float
        The share of them that is right; 0 where there are none.
    """

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """How often answers are right, by how sure they were.

    Parameters
    ----------
    steps : int
        After how many steps the answers were given.
    error : float
        The expected calibration error.
    bins : tuple of Bin
        Of equal width, from 0 to 1.
    """

    steps: int
    error: float
    bins: tuple[Bin, ...]


def reliability(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], steps: int, bins: int = BINS
) -> Reliability:
    """Sort answers by their probability, and compare it with how often they are right.

    The expected calibration error is the mean over the answers of how far their bin's accuracy is
    from its mean probability (Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv
    1706.04599, eq. 3). Bin ``m`` of ``M`` holds the probabilities above ``(m - 1) / M`` and up to
    ``m / M``.

    Parameters
    ----------
    confidence : (N,) array
        The probability of each answer, that of the most probable class.
    right : (N,) array of bool
    steps : int
        After how many steps the answers were given, for the record.
    bins : int

    Examples
    --------
    Four answers at 90 %, one of them wrong:

    >>> found = reliability(np.full(4, 0.9), np.array([True, True, True, False]), steps=1)
    >>> round(found.error, 3)
    0.15
    """
    place = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(np.int64)
    counts = np.bincount(place, minlength=bins)
    sums = np.stack([np.bincount(place, values, bins) for values in (confidence, right)])  # (2, M)
    means = sums / np.maximum(counts, 1)
    error = float(np.abs(sums[0] - sums[1]).sum() / len(confidence))
    found = zip(counts.tolist(), *means.tolist(), strict=True)
    return Reliability(steps, error, tuple(Bin(*figures) for figures in found))
