"""What a predictor also is that goes on with a picture.

Shapes: ``S`` samples, ``R`` rows, ``C`` columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unspool.data.centring import Preparation

Grey = NDArray[np.uint8]
"""Pictures from 0 for black to 255."""


@dataclass(frozen=True)
class Original:
    """A picture to go on with.

    Parameters
    ----------
    grey : (R, C) array of uint8
    title : str
        What messages call it.
    label : str, optional
        Of what kind it is, where its data tells.
    preparation : Preparation, optional
        What was done to it, where it was a file of any size.
    """

    grey: Grey
    title: str
    label: str | None = None
    preparation: Preparation | None = None


@dataclass(frozen=True)
class Drawing:
    """What was drawn.

    Parameters
    ----------
    samples : (S, R, C) array of uint8
    sample_nats : list of float, ``S``
        The negative log-likelihood of each.
    rows : int
        How many of the first rows were given.
    picture : (R, C) array of uint8, optional
        The picture whose rows they are, in such pixels as the model draws; None if it drew from
        nothing.
    nats_by_row : list of float, optional
        The negative log-likelihood of each of its rows given all above it.
    """

    samples: Grey
    sample_nats: list[float]
    rows: int
    picture: Grey | None = None
    nats_by_row: list[float] | None = None

    @property
    def nats(self) -> float | None:
        """The picture's negative log-likelihood."""
        return None if self.nats_by_row is None else sum(self.nats_by_row)


class PictureDrawer(ABC):
    """Draws pictures of one size from the top, or goes on with those that are begun."""

    @abstractmethod
    def read_original(self, path: Path) -> Original:
        """Read the picture of a PNG, JPEG or ``.npy`` file as the network has learned to see.

        Raises
        ------
        DataError
            If the file is missing, damaged or no picture, or nothing is to be seen in it.
        """

    @abstractmethod
    def original_of_part(self, split: str, number: int, data_dir: Path | None) -> Original:
        """Take a picture of the data that the model was made for.

        Parameters
        ----------
        split : str
            ``train``, ``validation`` or ``test``.
        number : int
            Which one, from 0.
        data_dir : Path, optional

        Raises
        ------
        DataError
            If the model came from data in memory, the data is missing, or has not so many.
        """

    @abstractmethod
    def draw(
        self,
        original: Original | None,
        rows: int | None = None,
        samples: int = 1,
        *,
        temperature: float = 1.0,
        label: str | None = None,
        seed: int = 0,
    ) -> Drawing:
        """Go on with a picture several times, or draw from nothing.

        Parameters
        ----------
        original : Original, optional
        rows : int, optional
            How many of its first rows are kept; half of them when not given.
        samples : int
            ``S``.
        temperature : float
            Below 1 the likely gets likelier; 0 takes each pixel's most probable value.
        label : str, optional
            What a conditional model is to draw; what the original is, when not given.
        seed : int
            Decides what is drawn.

        Raises
        ------
        DataError
            If there are not so many rows, or the label is unknown, missing, or of no use.
        """
