"""An order of many things that is worked out where it is asked for, and never stored."""

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 6
_FACTOR = np.uint64(0x9E37_79B9_7F4A_7C15)


class Permutation:
    """The numbers ``0 … count - 1`` in an order that only the seed and the epoch decide.

    A Feistel network maps the numbers below the next power of four one to one; what it takes
    beyond ``count`` it maps again until it is below (Black and Rogaway 2002, "Ciphers with
    arbitrary finite domains"). An order of a thousand million needs no memory.

    Parameters
    ----------
    count, seed, epoch : int
    """

    def __init__(self, count: int, seed: int, epoch: int) -> None:
        self._count = np.uint64(count)
        self._bits = np.uint64(max(1, ((count - 1).bit_length() + 1) // 2))  # of each half
        self._mask = (np.uint64(1) << self._bits) - np.uint64(1)
        words = np.random.SeedSequence([seed, epoch]).generate_state(_ROUNDS, np.uint64)
        self._keys = words.tolist()

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which numbers stand at some positions of the order."""
        numbers = self._shuffle(positions.astype(np.uint64))
        while (outside := numbers >= self._count).any():
            numbers[outside] = self._shuffle(numbers[outside])
        return numbers.astype(np.int64)

    def _shuffle(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = numbers >> self._bits, numbers & self._mask
        for key in self._keys:
            mixed = (right ^ np.uint64(key)) * _FACTOR
            mixed = (mixed ^ (mixed >> np.uint64(29))) * _FACTOR
            left, right = right, left ^ (mixed >> np.uint64(32) & self._mask)
        return (left << self._bits) | right
