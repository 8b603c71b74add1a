"""Labelled sequences in memory: what every reader returns and every batch is cut from.

Shapes: ``N`` sequences, ``S`` steps in all, ``T`` steps of one sequence, ``F`` features.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unspool.data.labels import to_text
from unspool.errors import DataError


@dataclass(frozen=True)
class Sequences:
    """Sequences of any lengths, stored one after another without padding.

    Parameters
    ----------
    values : (S, F) array of uint8 or float32
        The steps of all sequences, in order.
    lengths : (N,) array of int64
        Steps of each sequence; they add up to ``S``.
    labels : (N,) array of str, or None
        Each sequence's label, where there is one.
    feature_names : tuple of str
        What the features are called, where the file names them; else empty.
    """

    values: NDArray[Any]
    lengths: NDArray[np.int64]
    labels: NDArray[np.str_] | None = None
    feature_names: tuple[str, ...] = ()

    @classmethod
    def from_array(
        cls, x: ArrayLike, labels: ArrayLike | None = None, lengths: ArrayLike | None = None
    ) -> "Sequences":
        """Take a right-padded array ``(N, T, F)``, or ``(N, T)`` as one feature a step.

        Raises
        ------
        DataError
            If the array has another number of dimensions or holds no numbers, or the lengths or
            labels do not fit it.

        Examples
        --------
        >>> Sequences.from_array([[[1, 2], [3, 4]], [[5, 6], [0, 0]]], lengths=[2, 1]).values
        array([[1., 2.],
               [3., 4.],
               [5., 6.]], dtype=float32)
        """
        array = _numbers(x)
        if array.ndim == 2:
            array = array[:, :, None]
        if array.ndim != 3:
            raise DataError(
                f"sequences have shape {array.shape}, expected (sequences, steps, features) "
                "or (sequences, steps)"
            )
        count, steps, features = array.shape
        if lengths is None:
            return cls(
                array.reshape(count * steps, features),
                np.full(count, steps, np.int64),
                _texts(labels),
            )
        given = np.asarray(lengths)
        if given.shape != (count,) or not np.issubdtype(given.dtype, np.integer):
            raise DataError(
                f"lengths have shape {given.shape} and type {given.dtype}, "
                f"expected {count} whole numbers, one a sequence"
            )
        if count and (given.min() < 0 or given.max() > steps):
            raise DataError(
                f"lengths run from {given.min()} to {given.max()}, expected 0 to {steps}, "
                "the steps of the array"
            )
        valid = np.arange(steps) < given[:, None]  # (N, T)
        return cls(array[valid], given.astype(np.int64), _texts(labels))

    @classmethod
    def from_list(
        cls, sequences: Iterable[ArrayLike], labels: ArrayLike | None = None
    ) -> "Sequences":
        """Take arrays ``(T_i, F)``, or ``(T_i,)`` as one feature a step, of any lengths.

        Raises
        ------
        DataError
            If a sequence holds no numbers, or another number of features than the first one; it
            is named.

        Examples
        --------
        >>> Sequences.from_list([[1, 2, 3], [4]], labels=["up", "flat"]).lengths
        array([3, 1])
        """
        arrays = [_numbers(sequence) for sequence in sequences]
        arrays = [array[:, None] if array.ndim == 1 else array for array in arrays]
        for position, array in enumerate(arrays):
            if array.ndim != 2:
                raise DataError(
                    f"sequence {position} has shape {array.shape}, expected (steps, features)"
                )
            if array.shape[1] != arrays[0].shape[1]:
                raise DataError(
                    f"sequence {position} has {array.shape[1]} features a step, "
                    f"expected {arrays[0].shape[1]} as in sequence 0"
                )
        values = np.concatenate(arrays) if arrays else np.zeros((0, 0), np.float32)
        lengths = np.array([len(array) for array in arrays], np.int64)
        return cls(values, lengths, _texts(labels))

    def __post_init__(self) -> None:
        assert self.values.ndim == 2
        assert int(self.lengths.sum()) == len(self.values)
        if self.labels is not None and len(self.labels) != len(self.lengths):
            raise DataError(
                f"{len(self.labels)} labels for {len(self.lengths)} sequences, expected one each"
            )

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def num_features(self) -> int:
        """Numbers at a step, ``F``."""
        return int(self.values.shape[1])

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each sequence starts in ``values``, and where the last one ends, ``(N + 1,)``."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @property
    def same_length(self) -> bool:
        """Whether all sequences have equally many steps."""
        return bool((self.lengths == self.lengths[:1]).all())

    def take(self, indices: ArrayLike) -> "Sequences":
        """Choose sequences by position, in the order given."""
        chosen = np.asarray(indices, np.int64)
        lengths = self.lengths[chosen]
        labels = None if self.labels is None else self.labels[chosen]
        if len(self) and self.same_length:  # whole blocks: no index a step
            steps = int(self.lengths[0])
            blocks = self.values.reshape(len(self), steps, self.num_features)
            values = blocks[chosen].reshape(len(chosen) * steps, self.num_features)
            return Sequences(values, lengths, labels, self.feature_names)
        starts = self.offsets[chosen]
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        values = self.values[np.repeat(starts, lengths) + within]
        return Sequences(values, lengths, labels, self.feature_names)

    def check(self, source: str) -> "Sequences":
        """Refuse what no network can learn from, naming the source and the place.

        Raises
        ------
        DataError
            If there is no sequence, a sequence without steps, no feature, or a value that is not
            finite.
        """
        if len(self) == 0:
            raise DataError(f"{source} holds no sequences, expected at least one")
        if self.num_features == 0:
            raise DataError(f"{source} has no features, expected at least one number a step")
        if not self.lengths.all():
            raise DataError(
                f"{source}: sequence {int(self.lengths.argmin())} has no steps, expected at least "
                "one; leave it out"
            )
        finite = np.isfinite(self.values) if self.values.dtype.kind == "f" else True
        if not np.all(finite):
            step, feature = np.argwhere(~finite)[0]
            sequence = int(np.searchsorted(self.offsets, step, side="right")) - 1
            raise DataError(
                f"{source}: sequence {sequence}, step {step - self.offsets[sequence]}, feature "
                f"{feature} is {self.values[step, feature]}, expected finite numbers; remove or "
                "fill missing values first"
            )
        return self


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Put the name of a file before the message of a :class:`DataError` that knows none."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{source}: {error}") from None


def _numbers(x: ArrayLike) -> NDArray[Any]:
    """Bytes stay bytes (pictures are large); every other number becomes float32."""
    try:
        array = np.asarray(x)
    except ValueError:
        raise DataError("values are nested unevenly, expected an array of numbers") from None
    if array.dtype == np.uint8:
        return np.require(array, requirements=["C", "W"])  # torch refuses read-only memory
    if array.dtype.kind not in "biufO":
        raise DataError(f"values of type {array.dtype}, expected numbers")
    try:
        with np.errstate(over="ignore"):
            numbers = array.astype(np.float32)
    except (TypeError, ValueError):
        raise DataError(f"values of type {array.dtype}, expected numbers") from None
    lost = np.isinf(numbers)
    if lost.any() and not np.isinf(array[lost].astype(np.float64)).all():
        raise DataError(
            f"a value of {array[lost].astype(np.float64).flat[0]:g} is beyond 32-bit floating "
            f"point, expected at most {np.finfo(np.float32).max:.3g}; scale the data down"
        )
    return numbers


def _texts(labels: ArrayLike | None) -> NDArray[np.str_] | None:
    """Labels as text, after a check that there is one for each sequence."""
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.ndim != 1:
        raise DataError(f"labels have shape {array.shape}, expected one label a sequence")
    if array.dtype.kind not in "biufUSO":
        raise DataError(f"labels have type {array.dtype}, expected text or numbers")
    missing = [place for place, label in enumerate(array) if label is None or label != label]
    if missing:
        raise DataError(f"label {missing[0]} is missing, expected one label a sequence")
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    return to_text(array)
