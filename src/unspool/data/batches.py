"""Cuts sequences into padded batches, in an order that only the seed and the epoch decide.

Shapes: ``B`` batch, ``T`` steps of the batch's longest sequence, ``F`` features.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unspool.data.sequences import Sequences


@dataclass(frozen=True)
class Batch:
    """Some sequences, right-padded to the longest of them.

    Parameters
    ----------
    x : (B, T, F) tensor, uint8 or float32
    lengths : (B,) int64 tensor, on the CPU
    indices : (B,) int64 tensor
        Which sequences of the data these are.
    """

    x: Tensor
    lengths: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return len(self.lengths)


class Batches:
    """Batches of one data set.

    Parameters
    ----------
    data : Sequences
    batch_size : int
        Sequences a batch; the last one of an epoch may be smaller.
    """

    def __init__(self, data: Sequences, batch_size: int) -> None:
        self._lengths = torch.from_numpy(data.lengths)
        self._offsets = torch.from_numpy(data.offsets)
        self._values = torch.from_numpy(data.values)  # (S, F)
        self._blocks = None
        if len(data) and data.same_length:
            self._blocks = self._values.view(len(data), int(data.lengths[0]), data.num_features)
        self._batch_size = batch_size

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-len(self._lengths) // self._batch_size)

    def in_order(self) -> Iterator[Batch]:
        """Every sequence once, as stored."""
        return self._cut(torch.arange(len(self._lengths)))

    def shuffled(self, seed: int, epoch: int) -> Iterator[Batch]:
        """Every sequence once, in the order that belongs to this seed and epoch."""
        order = np.random.default_rng([seed, epoch]).permutation(len(self._lengths))
        return self._cut(torch.from_numpy(order))

    def _cut(self, order: Tensor) -> Iterator[Batch]:
        for start in range(0, len(order), self._batch_size):
            yield self._batch(order[start : start + self._batch_size])

    def _batch(self, indices: Tensor) -> Batch:
        lengths = self._lengths[indices]
        if self._blocks is not None:
            return Batch(self._blocks[indices], lengths, indices)
        longest = int(lengths.max())
        steps = torch.arange(longest)
        valid = steps < lengths[:, None]  # (B, T)
        x = self._values.new_zeros(len(indices), longest, self._values.shape[1])
        x[valid] = self._values[(self._offsets[indices][:, None] + steps)[valid]]
        return Batch(x, lengths, indices)


def batch_generator(seed: int, epoch: int, batch: int) -> torch.Generator:
    """Randomness that belongs to one batch alone, so that a resumed epoch draws the same."""
    word = np.random.SeedSequence([seed, epoch, batch]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(word >> np.uint64(1)))
