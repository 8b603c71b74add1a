"""The fixed division of one set of sequences into training, validation and test parts.

The same data are always divided in the same way, whatever a run's seed: otherwise the results of
two runs could not be compared, and tuning would slowly learn the test part.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unspool.errors import DataError

_SEED = 20_140_910


class Parts(NamedTuple):
    """Sorted positions of the three parts; together they are ``0 .. count - 1``."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def divide(labels: ArrayLike | None, count: int, *, validation: float, test: float) -> Parts:
    """Divide ``count`` sequences, keeping each label's share the same in every part.

    Parameters
    ----------
    labels : (count,) array, or None
        One label a sequence; without labels the parts are drawn from all sequences alike.
    count : int
        Number of sequences.
    validation, test : float
        Fractions of all sequences in ``[0, 1)``; what they leave is for training. A part of a
        fraction above zero gets at least one sequence.

    Raises
    ------
    DataError
        If a fraction is outside ``[0, 1)``, or nothing would be left for training or for a part
        that was asked for.

    Notes
    -----
    Each part has the size asked for, and each label gives it its exact share, rounded down or up
    (the largest remainder method). One sequence of each label always stays for training. The
    test part does not depend on ``validation``.

    Examples
    --------
    >>> parts = divide(list("aaabbbccc"), 9, validation=0, test=1 / 3)
    >>> [len(part) for part in parts]
    [6, 0, 3]
    """
    check_fractions(validation, test)
    strata = np.zeros(count, np.int64) if labels is None else _strata(labels, count)
    sizes = np.bincount(strata) if count else np.zeros(0, np.int64)
    for_test = _apportion(test, sizes, room=sizes - 1)
    for_validation = _apportion(validation, sizes, room=sizes - 1 - for_test)
    order = np.argsort(np.random.Generator(np.random.PCG64(_SEED)).random(count), kind="stable")
    rank = _rank_within(strata, order)
    in_test = rank < for_test[strata]
    in_validation = ~in_test & (rank < (for_test + for_validation)[strata])
    parts = Parts(
        train=np.flatnonzero(~in_test & ~in_validation),
        validation=np.flatnonzero(in_validation),
        test=np.flatnonzero(in_test),
    )
    for name, fraction in (("validation", validation), ("test", test)):
        if fraction > 0 and len(getattr(parts, name)) == 0:
            raise DataError(
                f"{count} sequences are too few: the {name} part of fraction {fraction:g} gets "
                f"none, because one of each label stays for training; add data or set {name} to 0"
            )
    return parts


def check_fractions(validation: float, test: float) -> None:
    """Refuse shares that are none, or that leave nothing for training.

    Raises
    ------
    DataError
        If a fraction is outside ``[0, 1)``, or their sum is not below 1.
    """
    for name, fraction in (("validation", validation), ("test", test)):
        if not 0 <= fraction < 1:
            raise DataError(f"the {name} fraction is {fraction:g}, expected 0 <= {name} < 1")
    if validation + test >= 1:
        raise DataError(
            f"the fractions validation={validation:g} and test={test:g} leave nothing for "
            "training, expected a sum below 1"
        )


def _strata(labels: ArrayLike, count: int) -> NDArray[np.int64]:
    """Replace each label by its position among the sorted labels."""
    array = np.asarray(labels)
    if array.shape != (count,):
        raise DataError(f"labels have shape {array.shape}, expected ({count},), one a sequence")
    _, positions = np.unique(array, return_inverse=True)
    return np.asarray(positions, np.int64)


def _apportion(
    fraction: float, sizes: NDArray[np.int64], room: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Members that each stratum gives to a part, never more than its room."""
    total = int(fraction * sizes.sum() + 0.5)
    if fraction > 0:
        total = max(total, 1)
    quotas = fraction * sizes
    shares: NDArray[np.int64] = np.minimum(np.floor(quotas).astype(np.int64), room)
    while shares.sum() < total and (shares < room).any():
        open_strata = np.flatnonzero(shares < room)
        neediest = np.argsort((shares - quotas)[open_strata], kind="stable")
        shares[open_strata[neediest[: total - shares.sum()]]] += 1
    return shares


def _rank_within(strata: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each sequence among those of its own stratum when visited in ``order``."""
    grouped = order[np.argsort(strata[order], kind="stable")]
    sizes = np.bincount(strata)
    starts = np.cumsum(sizes) - sizes
    rank = np.empty_like(strata)
    rank[grouped] = np.arange(len(strata)) - np.repeat(starts, sizes)
    return rank
