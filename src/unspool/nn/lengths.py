"""Lengths: how many steps of each right-padded sequence are valid."""

from collections.abc import Sequence

import torch
from torch import Tensor


def check_lengths(
    lengths: Tensor | Sequence[int], batch: int, steps: int, device: torch.device
) -> Tensor:
    """Return the lengths as an int64 tensor, after checking that they fit the batch.

    Parameters
    ----------
    lengths : Tensor or sequence of int, shape (B,)
        Number of valid steps of each sequence, in any order; any integer type, on any device.
    batch, steps : int
        B and T of the padded batch.
    device : torch.device
        Where the result shall live.

    Returns
    -------
    Tensor, shape (B,)
        The lengths, int64, on ``device``.

    Raises
    ------
    ValueError
        If the lengths are not integers, not of shape (B,), or not all in 0..T.

    Examples
    --------
    >>> import torch
    >>> check_lengths([3, 0, 2], batch=3, steps=4, device=torch.device("cpu"))
    tensor([3, 0, 2])
    """
    checked = _as_tensor(lengths)
    if checked.shape != (batch,):
        raise ValueError(
            f"lengths has shape {tuple(checked.shape)}, expected ({batch},); "
            "pass one length for each sequence of the batch"
        )
    if checked.numel() == 0:  # an empty list becomes a float tensor
        return checked.to(device, torch.int64)
    if checked.is_floating_point() or checked.is_complex() or checked.dtype == torch.bool:
        raise ValueError(
            f"lengths has dtype {checked.dtype}, expected integers; "
            "pass the number of valid steps of each sequence, not a mask or a fraction"
        )
    checked = checked.to(torch.int64)  # some unsigned types cannot be compared
    if torch.compiler.is_compiling():  # values are not known yet; the native kernels check them
        return checked.to(device)
    shortest, longest = int(checked.min()), int(checked.max())
    if shortest < 0 or longest > steps:
        raise ValueError(
            f"lengths has values from {shortest} to {longest}, expected 0 to T = {steps}; "
            "count the steps of each sequence without its padding"
        )
    return checked.to(device)


def valid_steps(lengths: Tensor, steps: int) -> Tensor:
    """Return which steps of a right-padded batch are valid.

    Parameters
    ----------
    lengths : Tensor, shape (B,)
        Number of valid steps of each sequence.
    steps : int
        T of the padded batch.

    Returns
    -------
    Tensor of bool, shape (B, T)
        True where a step belongs to the sequence, False where it is padding.

    Examples
    --------
    >>> import torch
    >>> valid_steps(torch.tensor([2, 0]), steps=3)
    tensor([[ True,  True, False],
            [False, False, False]])
    """
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def _as_tensor(lengths: Tensor | Sequence[int]) -> Tensor:
    try:
        return torch.as_tensor(lengths)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"lengths has {lengths!r}, expected integers of shape (B,); "
            "pass a tensor or a flat list"
        ) from error
