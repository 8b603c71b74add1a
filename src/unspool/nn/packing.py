"""Packed sequences: the valid steps of a right-padded batch, one step of time after another.

A loop over the steps then works on those sequences alone that have one, which are the first of
those that had the step before.

Shapes: ``N`` sequences, ``T`` steps, ``R`` valid steps of all sequences.
"""

from torch import Tensor

from unspool.nn.lengths import valid_steps


class Packing:
    """Where each step of a batch is in its packed form.

    Parameters
    ----------
    batch, steps : int
        ``N`` and ``T``.
    lengths : (N,) int64 tensor, optional
        All ``T`` when not given.

    Attributes
    ----------
    counts : list of int
        How many sequences have a step, for each that any has; they sum to ``R``.
    order : (N,) int64 tensor, optional
        The sequences, the longest first; None where they are so already.

    Examples
    --------
    >>> import torch
    >>> packing = Packing(2, 3, torch.tensor([1, 3]))
    >>> packing.counts, packing.order
    ([2, 1, 1], tensor([1, 0]))
    >>> packed = packing.pack(torch.tensor([[[1], [0], [0]], [[2], [3], [4]]]))
    >>> packed.flatten(), packing.unpack(packed).flatten()
    (tensor([2, 1, 3, 4]), tensor([1, 0, 0, 2, 3, 4]))
    """

    def __init__(self, batch: int, steps: int, lengths: Tensor | None = None) -> None:
        self._shape = batch, steps
        self.counts = [batch] * steps
        self.order: Tensor | None = None
        self._back: Tensor | None = None  # from that order to the given one
        self._places: Tensor | None = None  # in (N · T), where they are not all of them
        if lengths is None or bool((lengths == steps).all()):
            return
        if bool((lengths.diff() > 0).any()):
            self.order = lengths.argsort(descending=True, stable=True)
            self._back = self.order.argsort()
            lengths = lengths[self.order]
        valid = valid_steps(lengths, steps).t()
        self.counts = [count for count in valid.sum(1).tolist() if count > 0]
        step, row = valid.nonzero().unbind(1)
        self._places = (row if self.order is None else self.order[row]) * steps + step

    def pack(self, x: Tensor) -> Tensor:
        """Return the valid steps of ``(N, T, ·)``: ``(R, ·)``."""
        if self._places is None:
            return x.transpose(0, 1).flatten(0, 1)
        return x.flatten(0, 1).index_select(0, self._places)

    def unpack(self, packed: Tensor) -> Tensor:
        """Return ``(R, ·)`` as ``(N, T, ·)``, with zeros in the padding."""
        batch, steps = self._shape
        if self._places is None:
            return packed.view(steps, batch, *packed.shape[1:]).transpose(0, 1)
        room = packed.new_zeros(batch * steps, *packed.shape[1:])
        return room.index_copy(0, self._places, packed).view(batch, steps, *packed.shape[1:])

    def in_order(self, x: Tensor) -> Tensor:
        """Return the sequences of ``(N, ·)``, the longest first."""
        return x if self.order is None else x.index_select(0, self.order)

    def as_given(self, x: Tensor) -> Tensor:
        """Return what is in that order as the sequences were given."""
        return x if self._back is None else x.index_select(0, self._back)
