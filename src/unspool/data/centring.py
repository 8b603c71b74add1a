"""Any picture of something written, brought to what a network learned from, as MNIST was made.

The ink's bounding box is scaled, keeping its aspect ratio, until its longer side fills a box, with
antialiasing; it is then put into the field so that its centre of mass is in the middle, light on
dark (LeCun, Cortes and Burges 1998, "The MNIST database of handwritten digits"; the box has 20
pixels there, the field 28). Before it, what is paper and what is ink has to be found out: MNIST
began with clean scans, people begin with photographs.

Shapes: ``R`` rows, ``C`` columns of a picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from unspool.data.sequences import Sequences
from unspool.errors import DataError
from unspool.settings import Settings

Grey = NDArray[np.float64]

_LARGEST = 512  # pixels of a side that are worked with; more tell nothing about a box of 20
_SMALL = 64  # pixels of a side, below which paper is taken to be of one brightness
_LEAST_CONTRAST = 8 / 255  # of ink against paper
_OUTLIER = 5.0  # standard deviations of the paper's noise that ink differs by, at least
_CERTAIN = 7.0  # so many, somewhere: of 100,000 pixels of paper one may differ by five by chance
_SHORTEST = 3  # pixels of a stroke; more in a large picture
_SPECK = 0.02  # what covers less than this share of the largest stroke is dust
_SAMPLE = 2000  # pictures of a training part that tell how all are


class PictureFormat(Settings):
    """What the pictures look like that a network learned from.

    Parameters
    ----------
    rows, columns : int
    box : int
        Pixels of the longer side of the ink's bounding box.
    brightest : int
        The value of full ink; paper is 0.
    """

    rows: Annotated[int, Field(ge=4, le=100_000)]
    columns: Annotated[int, Field(ge=4, le=100_000)]
    box: Annotated[int, Field(ge=1, le=100_000)]
    brightest: Annotated[int, Field(ge=1, le=255)]

    @classmethod
    def of(cls, training: Sequences) -> PictureFormat | None:
        """Find it out from a training part; None where that is no pictures, light on dark.

        Pictures are bytes, and all of one size. How much of the field the box takes is measured:
        20 of 28 pixels for MNIST, all 8 for scikit-learn's digits.
        """
        rows = int(training.lengths[0]) if len(training) else 0
        columns = training.num_features
        if training.values.dtype != np.uint8 or not training.same_length or min(rows, columns) < 4:
            return None
        chosen = np.unique(np.linspace(0, len(training) - 1, _SAMPLE, dtype=np.int64))
        pictures = training.take(chosen).values.reshape(-1, rows, columns)
        brightest = int(pictures.max())
        if brightest == 0 or np.median(_border(pictures)) > brightest / 2:
            return None
        ink = pictures > brightest / 8
        sides = [_extent(ink.max(axis)) for axis in (2, 1)]
        box = int(np.median(np.maximum(*sides)))
        return cls(rows=rows, columns=columns, box=max(box, 1), brightest=brightest)

    def fits(self, picture: NDArray[Any]) -> bool:
        """Whether a picture ``(R, C)`` is already such a one: of this size, light on dark."""
        strongest = picture.max(initial=0)
        return (
            picture.shape == (self.rows, self.columns)
            and picture.min() >= 0
            and self.brightest / 4 < strongest <= self.brightest
            and bool(np.median(_border(picture[None])) <= strongest / 2)
        )


@dataclass(frozen=True)
class Preparation:
    """A picture on its way to the network.

    Parameters
    ----------
    picture : (R, C) array
        As the network learned to read it.
    steps : tuple of (str, (r, c) array of uint8)
        What each step is called, and what the picture looked like after it, in grey values up to
        255; the first is the picture as it was given.
    summary : str
        What was done in a few words; empty where the picture was taken as it is.
    """

    picture: NDArray[Any]
    steps: tuple[tuple[str, NDArray[np.uint8]], ...]
    summary: str = ""


def prepare(picture: NDArray[Any], wanted: PictureFormat) -> Preparation:
    """Find the ink, and bring it to the size and the place that the network knows.

    A picture that already is of the right size, light on dark, is taken as it is.

    Parameters
    ----------
    picture : (r, c) array
        Grey values: bytes; or numbers up to 1, up to 255, or up to 65,535.
    wanted : PictureFormat

    Raises
    ------
    DataError
        If there is nothing to see: no pixels, one colour, or nothing that stands out from noise.

    Examples
    --------
    A dark bar on white paper, off the middle:

    >>> paper = np.full((90, 60), 255, np.uint8)
    >>> paper[10:50, 5:15] = 30
    >>> found = prepare(paper, PictureFormat(rows=28, columns=28, box=20, brightest=255))
    >>> found.summary
    '90 x 60 pixels, dark on light, brought to 28 x 28, light on dark'
    >>> rows, columns = found.picture.nonzero()
    >>> int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())
    (4, 23, 12, 16)
    """
    grey = _grey(picture)
    if wanted.fits(picture):
        return Preparation(picture, (("taken as it is", _bytes(picture / wanted.brightest)),))
    contrast, noise, dark_on_light = _without_paper(grey)
    ink, mask = _ink(contrast, noise)
    scaled = _scaled(_cropped(ink, mask), wanted)
    centred = _centred(scaled, wanted)
    given, wide, field = (" x ".join(map(str, each.shape)) for each in (picture, scaled, centred))
    steps = (
        (f"as given, {given}", grey),
        ("light on dark", contrast / contrast.max()),
        ("ink alone", ink),
        (f"scaled to {wide}", scaled),
        (f"centred in {field}", centred),
    )
    ink_on_paper = "dark on light" if dark_on_light else "light on dark"
    return Preparation(
        _bytes(centred, wanted.brightest),
        tuple((name, _bytes(step)) for name, step in steps),
        f"{given} pixels, {ink_on_paper}, brought to {field}, light on dark",
    )


# --- the steps -----------------------------------------------------------------------------


def _grey(picture: NDArray[Any]) -> Grey:
    """Brightness from 0 to 1, no larger than what is worked with."""
    if picture.size == 0:
        raise DataError(f"a picture of shape {picture.shape}, expected at least one pixel")
    grey = picture.astype(np.float64)
    if not np.isfinite(grey).all():
        raise DataError("a picture with values that are not finite, expected brightness")
    lowest, highest = grey.min(), grey.max()
    if picture.dtype == np.uint8 or (lowest >= 0 and 1 < highest <= 255):
        grey = grey / 255
    elif lowest >= 0 and 1 < highest <= 65_535:
        grey = grey / 65_535
    elif lowest < 0 or highest > 1:
        grey = (grey - lowest) / max(highest - lowest, np.finfo(np.float64).tiny)
    longest = max(grey.shape)
    if longest > _LARGEST:
        rows, columns = (max(round(side * _LARGEST / longest), 1) for side in grey.shape)
        grey = _resized(grey, rows, columns)
    return grey


def _without_paper(grey: Grey) -> tuple[Grey, float, bool]:
    """How far each pixel is from the paper, the paper's noise, and whether the ink was dark."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(grey, max(grey.shape) / 400) if max(grey.shape) > _SMALL else grey
    paper, bare = _paper(smooth)
    above = smooth - paper
    noise = _deviation(above[bare])
    least = max(_OUTLIER * noise, _LEAST_CONTRAST)
    lighter, darker = (float(np.maximum(side - least, 0).sum()) for side in (above, -above))
    contrast = -above if darker > lighter else above
    if lighter == darker == 0 or contrast.max() < _CERTAIN * noise:
        raise _unseen()
    return np.maximum(contrast, 0), noise, darker > lighter


def _paper(grey: Grey) -> tuple[Grey, NDArray[np.bool_]]:
    """The paper's brightness at every place, as lamps make it, and where nothing is on it.

    A parabola in both directions, fitted to the picture's border, and then to all that is near it.
    """
    rows, columns = (np.linspace(-1, 1, side) for side in grey.shape)
    y, x = np.broadcast_arrays(rows[:, None], columns)
    terms = [np.ones_like(x)]
    if min(grey.shape) >= _SMALL:
        terms += [x, y, x * x, x * y, y * y]
    basis = np.stack(terms, -1)  # (R, C, terms)
    border = np.zeros(grey.shape, np.bool_)
    margin = max(min(grey.shape) // 20, 1)
    border[:margin], border[-margin:], border[:, :margin], border[:, -margin:] = (True,) * 4
    paper = np.full(grey.shape, np.median(grey[border]))
    bare = border
    for where in (border, border, border, True, True):
        spread = max(3 * _deviation((grey - paper)[bare]), 2 / 255)
        near = (np.abs(grey - paper) <= spread) & where
        if near.sum() < 2 * len(terms):
            break
        bare = near
        chosen = basis[bare]  # (pixels, terms)
        factors = np.linalg.lstsq(chosen.T @ chosen, chosen.T @ grey[bare], rcond=None)[0]
        paper = np.clip(basis @ factors, grey.min(), grey.max())
    return paper, bare


def _ink(contrast: Grey, noise: float) -> tuple[Grey, NDArray[np.bool_]]:
    """The strokes from 0 to 1, all else 0; and where they are stronger than half."""
    from scipy.ndimage import binary_dilation, label

    stands_out = contrast > max(_OUTLIER * noise, _LEAST_CONTRAST)
    threshold = _otsu(contrast[stands_out])  # parts ink from shadows and smudges, if there are any
    strong = np.median(contrast[stands_out & (contrast >= threshold)])
    mask = stands_out & (contrast >= min(threshold, strong / 2))
    parts, _ = label(mask, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    mask = (sizes >= _SPECK * sizes.max())[parts] & mask
    if max(_cropped(mask, mask).shape) < max(_SHORTEST, max(mask.shape) // 60):
        raise _unseen()
    floor = min(3 * noise, strong / 4)
    ink = np.clip((contrast - floor) / (strong - floor), 0, 1)
    near = binary_dilation(mask, iterations=1 + max(contrast.shape) // 100)
    return np.where(near, ink, 0), mask


def _cropped(ink: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """The strokes' bounding box."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _scaled(ink: Grey, wanted: PictureFormat) -> Grey:
    """The ink in its box, its strongest place at 1: a thin pen leaves less of itself."""
    room = (wanted.rows / ink.shape[0], wanted.columns / ink.shape[1])
    factor = min(wanted.box / max(ink.shape), *room)
    scaled = _resized(ink, *(max(round(side * factor), 1) for side in ink.shape))
    return scaled / float(scaled.max())


def _centred(ink: Grey, wanted: PictureFormat) -> Grey:
    """The ink in the field, its centre of mass in the middle as far as it has room."""
    field = np.zeros((wanted.rows, wanted.columns))
    corner = []
    for axis, side in enumerate(field.shape):
        mass = ink.sum(1 - axis)
        centre = (mass * np.arange(len(mass))).sum() / mass.sum()
        corner.append(int(np.clip(round(side // 2 - centre), 0, side - len(mass))))
    top, left = corner
    field[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return field


def _unseen() -> DataError:
    return DataError(
        "a picture without ink: all of it is of one brightness, but for noise; expected something "
        "dark on light or light on dark"
    )


# --- tools ---------------------------------------------------------------------------------


def _border(pictures: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels of pictures ``(N, R, C)``."""
    sides = (pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1])
    return np.concatenate([side.ravel() for side in sides])


def _extent(occupied: NDArray[np.bool_]) -> NDArray[np.int64]:
    """From the first to the last place that is occupied, ``(N,)`` of ``(N, places)``."""
    before, after = occupied.argmax(1), occupied[:, ::-1].argmax(1)
    return np.where(occupied.any(1), occupied.shape[1] - before - after, 0)


def _deviation(values: Grey) -> float:
    """The standard deviation of most values, whatever the rest of them are."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _otsu(values: Grey) -> float:
    """The threshold that parts values into the two most different groups (Otsu 1979)."""
    counts, edges = np.histogram(values, 128)
    middles = (edges[:-1] + edges[1:]) / 2
    below, sums = counts.cumsum()[:-1], (counts * middles).cumsum()
    above = counts.sum() - below
    apart = sums[:-1] / np.maximum(below, 1) - (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return float(edges[1 + (below * above * apart**2).argmax()])


def _resized(grey: Grey, rows: int, columns: int) -> Grey:
    """Scale with antialiasing: every pixel is a weighted mean of all that it covers."""
    from PIL import Image

    picture = Image.fromarray(grey.astype(np.float32))
    resized = picture.resize((columns, rows), Image.Resampling.BILINEAR)
    return np.array(resized, np.float64)


def _bytes(grey: Grey, brightest: int = 255) -> NDArray[np.uint8]:
    return np.round(np.clip(grey, 0, 1) * brightest).astype(np.uint8)
