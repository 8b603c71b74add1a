"""The device to compute on, by the name that a user gives it."""

import torch

from unspool.errors import UnspoolError


def device_called(name: str) -> torch.device:
    """``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.

    Raises
    ------
    UnspoolError
        If there is no such device here.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UnspoolError(f"device {name!r}, expected auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UnspoolError(
            "device 'cuda': torch finds no GPU here; use cpu, or install torch for CUDA"
        )
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)
