"""Grey pictures made black and white.

A pixel's brightness is taken for the probability that it is white (Salakhutdinov & Murray 2008, "On
the quantitative analysis of deep belief networks"), or compared with a half.

Shapes: ``N`` pictures, ``R`` rows, ``C`` columns.
"""

from hashlib import sha256
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from unspool.settings import Settings

_AT_A_TIME = 1024  # pictures


class BinarisationSettings(Settings):
    """How grey becomes black and white.

    Parameters
    ----------
    method : {"sampled", "threshold"}
        ``sampled``: each pixel is drawn with its brightness as the probability of white. For
        learning, anew in every epoch; to be judged, once, from ``seed``. ``threshold``: white from
        a half of full brightness on.
    seed : int
        What the drawing of pictures to be judged is decided by.
    """

    method: Literal["sampled", "threshold"] = "sampled"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1


def binarise(pictures: NDArray[np.uint8], settings: BinarisationSettings) -> NDArray[np.uint8]:
    """Make pictures black and white, the same pictures always in the same way.

    What becomes of a picture depends on its number, and on no picture after it.

    Parameters
    ----------
    pictures : (N, R, C) array
        Grey, 0 to 255.
    settings : BinarisationSettings

    Returns
    -------
    (N, R, C) array
        0 for black, 1 for white.

    Examples
    --------
    >>> grey = np.array([[[0, 100, 255]]], np.uint8)
    >>> binarise(grey, BinarisationSettings(method="threshold"))
    array([[[0, 0, 1]]], dtype=uint8)
    """
    if settings.method == "threshold":
        return _above_half(pictures)
    random = np.random.default_rng(settings.seed)
    binary = np.empty_like(pictures)
    for start in range(0, len(pictures), _AT_A_TIME):
        part = pictures[start : start + _AT_A_TIME]
        binary[start : start + _AT_A_TIME] = random.random(part.shape, np.float32) * 255 < part
    return binary


def binarise_each(pictures: NDArray[np.uint8], settings: BinarisationSettings) -> NDArray[np.uint8]:
    """Do the same so that a picture becomes the same wherever it stands among others.

    Examples
    --------
    >>> grey = np.arange(36, dtype=np.uint8).reshape(2, 3, 6) * 7
    >>> backwards = binarise_each(grey[::-1], BinarisationSettings())[::-1]
    >>> bool((backwards == binarise_each(grey, BinarisationSettings())).all())
    True
    """
    if settings.method == "threshold":
        return _above_half(pictures)
    binary = np.empty_like(pictures)
    for number, picture in enumerate(pictures):
        words = np.frombuffer(sha256(picture.tobytes()).digest(), np.uint32)
        random = np.random.default_rng([settings.seed, *words.tolist()])
        binary[number] = random.random(picture.shape, np.float32) * 255 < picture
    return binary


def _above_half(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (pictures > 127).astype(np.uint8)


def binarise_anew(
    pictures: Tensor, settings: BinarisationSettings, generator: torch.Generator
) -> Tensor:
    """Make pictures black and white for one epoch of learning.

    Parameters
    ----------
    pictures : (N, R, C) uint8 tensor
    settings : BinarisationSettings
    generator : torch.Generator
        The only source of randomness; the settings' seed is not for learning.

    Returns
    -------
    (N, R, C) uint8 tensor
    """
    if settings.method == "threshold":
        return (pictures > 127).to(torch.uint8)
    return (torch.rand(pictures.shape, generator=generator) * 255 < pictures).to(torch.uint8)
