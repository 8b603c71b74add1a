"""Pictures to learn to draw: where a recipe's come from, and how they are divided.

Shapes: ``N`` pictures, ``R`` rows, ``C`` columns.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from unspool.data import catalogue, series
from unspool.data.arrays import read_npy
from unspool.data.binarisation import BinarisationSettings
from unspool.data.division import divide
from unspool.data.images import read_picture
from unspool.data.sequences import Sequences, naming
from unspool.errors import DataError
from unspool.settings import Settings

Share = Annotated[float, Field(ge=0, lt=1)]

_PATHS = ("labels_path", "test_path", "test_labels_path")


class PictureDataSettings(Settings):
    """Which pictures to learn from: a catalogue name, or files of one's own.

    Parameters
    ----------
    name : str, optional
        A set of pictures of the catalogue (``unspool data list``).
    path, labels_path : str, optional
        A file of one's own in place of ``name``: IDX, .npy or .npz; ``labels_path`` only where
        labels lie in a second file (IDX).
    test_path, test_labels_path : str, optional
        The test part, where it is a file of its own.
    white : float, optional
        The value of full brightness; the greatest that there is when not given.
    binarisation : BinarisationSettings, optional
        For black and white pixels, how grey becomes either.
    validation, test : float
        Shares divided off for model selection and for the final test; ``test`` only where there is
        no test part already. The division is stratified by label, where there are labels, and
        always the same, whatever the run's seed.
    limit : int, optional
        Learn from this many training pictures only, for a quick trial.
    """

    name: str | None = None
    path: str | None = None
    labels_path: str | None = None
    test_path: str | None = None
    test_labels_path: str | None = None
    white: Annotated[float, Field(gt=0)] | None = None
    binarisation: BinarisationSettings | None = None
    validation: Share = 0.1
    test: Share = 0.2
    limit: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "PictureDataSettings":
        if (self.name is None) == (self.path is None):
            raise ValueError("needs either name (a catalogue set) or path (a file), and not both")
        given = [key for key in _PATHS if getattr(self, key) is not None]
        if self.name is not None and given:
            raise ValueError(f"{given[0]} goes with path (a file), not with name (a catalogue set)")
        if self.test_labels_path is not None and self.test_path is None:
            raise ValueError("test_labels_path needs test_path, the pictures that it labels")
        return self

    @property
    def title(self) -> str:
        """What messages and model cards call the data."""
        return self.name or os.path.basename(self.path or "")

    @property
    def has_test(self) -> bool:
        """Whether a part is divided off for the final test, or comes apart."""
        return self.test > 0 or self.test_path is not None or catalogue.is_divided(self.name)


@dataclass(frozen=True)
class Pictures:
    """Pictures of one size.

    Parameters
    ----------
    grey : (N, R, C) array of uint8
        0 is black, 255 full brightness.
    labels : (N,) array of str, optional
    """

    grey: NDArray[np.uint8]
    labels: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.grey)

    @property
    def size(self) -> tuple[int, int]:
        """``R`` and ``C``."""
        return self.grey.shape[1], self.grey.shape[2]

    def take(self, indices: ArrayLike) -> "Pictures":
        """Choose pictures by position, in the order given."""
        chosen = np.asarray(indices, np.int64)
        return Pictures(self.grey[chosen], None if self.labels is None else self.labels[chosen])


@dataclass(frozen=True)
class PictureDivision:
    """The three parts. Training and selection look at the first two only.

    Parameters
    ----------
    training, validation, test : Pictures
    white : float
        The value in the data that became 255.
    """

    training: Pictures
    validation: Pictures
    test: Pictures
    white: float

    def part(self, split: str) -> Pictures:
        """Give the part called ``train``, ``validation`` or ``test``."""
        parts = {"train": self.training, "validation": self.validation, "test": self.test}
        if split not in parts:
            raise DataError(f"no split {split!r}, expected one of {', '.join(parts)}")
        return parts[split]


def load(
    settings: PictureDataSettings, data_dir: Path | None = None, white: float | None = None
) -> PictureDivision:
    """Read the data and divide it.

    Parameters
    ----------
    settings : PictureDataSettings
    data_dir : Path, optional
        Where catalogue sets are looked for first; ``$UNSPOOL_DATA`` when not given.
    white : float, optional
        The value of full brightness of a trained model.

    Raises
    ------
    DataError
        If the data is missing, corrupt or unusable; the message names the file.
    """
    title = settings.title
    whole, test = _read(settings, data_dir)
    white = white or settings.white or brightest(whole.values, title)
    pictures = of_sequences(whole, title, white)
    held_out = None if test is None else of_sequences(test, f"{title} (test part)", white)
    if held_out is not None and held_out.size != pictures.size:
        raise DataError(
            f"{title} has test pictures of {held_out.size[0]} x {held_out.size[1]} pixels, "
            f"expected {pictures.size[0]} x {pictures.size[1]} as in its training part"
        )
    share = settings.test if held_out is None else 0.0
    parts = divide(pictures.labels, len(pictures), validation=settings.validation, test=share)
    return PictureDivision(
        pictures.take(_limited(parts.train, settings.limit)),
        pictures.take(parts.validation),
        pictures.take(parts.test) if held_out is None else held_out,
        white,
    )


def read(path: Path, white: float) -> Pictures:
    """Read the pictures of a file, and their labels where it has some.

    Raises
    ------
    DataError
        If it is missing, damaged, or holds no pictures of one size.
    """
    return of_sequences(series.read(path), str(path), white)


def read_one(path: Path, white: float) -> NDArray[np.uint8]:
    """Read a file's one picture as it is, ``(R, C)``: PNG, JPEG, or an ``.npy`` array ``(R, C)``.

    Raises
    ------
    DataError
        If it is missing, damaged, or no such picture.
    """
    if path.suffix.lower() != ".npy":
        return read_picture(path)
    array = read_npy(path)
    if array.num_features != 1:
        raise DataError(f"{path} holds {len(array)} pictures, expected one, (rows, columns)")
    with naming(str(path)):
        return grey_of(array.values.reshape(len(array), -1), white)


def of_sequences(sequences: Sequences, title: str, white: float) -> Pictures:
    """Take sequences of rows for pictures.

    Raises
    ------
    DataError
        If they are of unequal lengths, or hold values that are no brightness.
    """
    if not sequences.same_length:
        raise DataError(
            f"{title} has sequences of {sequences.lengths.min()} to {sequences.lengths.max()} "
            "steps, expected pictures of one size"
        )
    rows = int(sequences.lengths[0]) if len(sequences) else 0
    values = sequences.values.reshape(len(sequences), rows, sequences.num_features)
    with naming(title):
        return Pictures(grey_of(values, white), sequences.labels)


def grey_of(values: NDArray[Any], white: float) -> NDArray[np.uint8]:
    """Bring brightness from 0 to ``white`` to bytes, 0 to 255; beyond white is white.

    Raises
    ------
    DataError
        If a value is negative.

    Examples
    --------
    >>> grey_of(np.array([0.0, 8.0, 16.0]), white=16)
    array([  0, 128, 255], dtype=uint8)
    """
    if values.size and values.min() < 0:
        raise DataError(
            f"a pixel has the value {values.min():g}, expected brightness: 0 for black and more "
            "for anything else"
        )
    if values.dtype == np.uint8 and white == 255:
        return values
    grey: NDArray[np.uint8] = np.rint(np.minimum(values / white, 1) * 255).astype(np.uint8)
    return grey


def brightest(values: NDArray[Any], title: str) -> float:
    """The greatest of all values.

    Raises
    ------
    DataError
        If there is nothing but black.
    """
    greatest = float(values.max()) if values.size else 0.0
    if greatest <= 0:
        raise DataError(f"{title} is black all over, expected pictures")
    return greatest


def _read(
    settings: PictureDataSettings, data_dir: Path | None
) -> tuple[Sequences, Sequences | None]:
    """The data before any division, and the test part where it comes apart."""
    if settings.name is not None:
        return catalogue.load(settings.name, data_dir)
    assert settings.path is not None
    whole = series.read(settings.path, labels_path=settings.labels_path)
    if settings.test_path is None:
        return whole, None
    return whole, series.read(settings.test_path, labels_path=settings.test_labels_path)


def _limited(training: NDArray[np.int64], limit: int | None) -> NDArray[np.int64]:
    """So many of the training part's positions, always the same."""
    if limit is None or limit >= len(training):
        return training
    return np.sort(np.random.default_rng(0).permutation(training)[:limit])
