"""Small random changes of pictures that leave their meaning as it is.

Shapes: ``B`` batch, ``R`` rows (steps), ``C`` columns (features).
"""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from unspool.settings import Settings

_KNOT_SPACING = 7  # pixels


class AugmentationSettings(Settings):
    """How far a training picture may be changed; all zero leaves it alone.

    Parameters
    ----------
    shift : int
        Pixels, up to which a picture is moved in each direction.
    rotation : float
        Degrees, up to which it is turned either way.
    zoom : float
        Share, up to which its height and width grow or shrink, each on its own.
    shear : float
        Columns a row, up to which it is slanted.
    elastic : float
        Pixels, by which it is bent: the standard deviation of how far each knot of a net over the
        picture is displaced, the places between them following smoothly (after Simard, Steinkraus
        and Platt 2003, who smooth a displacement of every pixel).
    """

    shift: Annotated[int, Field(ge=0, le=64)] = 0
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    zoom: Annotated[float, Field(ge=0, lt=1)] = 0.0
    shear: Annotated[float, Field(ge=0, le=1)] = 0.0
    elastic: Annotated[float, Field(ge=0, le=64)] = 0.0

    @property
    def active(self) -> bool:
        """Whether anything is changed at all."""
        return bool(self.shift) or self.warps

    @property
    def warps(self) -> bool:
        """Whether pictures are changed otherwise than by whole pixels."""
        return bool(self.rotation or self.zoom or self.shear or self.elastic)


def augment(pictures: Tensor, settings: AugmentationSettings, generator: torch.Generator) -> Tensor:
    """Change each picture by its own random amounts; what comes into view from outside is 0.

    Parameters
    ----------
    pictures : (B, R, C) tensor, uint8 or floating
    settings : AugmentationSettings
    generator : torch.Generator
        The only source of randomness.

    Returns
    -------
    (B, R, C) tensor
        Of the same type when pictures are only shifted, which is exact; float32 otherwise.
    """
    if settings.warps:
        return _warp(pictures.to(torch.float32), settings, generator)
    return _shift(pictures, settings.shift, generator)


def _shift(pictures: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Move every picture by whole pixels: a window cut from the picture with a wide margin."""
    batch, rows, columns = pictures.shape
    margin = F.pad(pictures, (most, most, most, most))
    down, right = torch.randint(0, 2 * most + 1, (2, batch), generator=generator)
    windows = margin.unfold(1, rows, 1).unfold(2, columns, 1)  # (B, ·, ·, R, C)
    return windows[torch.arange(batch), down, right]


def _warp(pictures: Tensor, settings: AugmentationSettings, generator: torch.Generator) -> Tensor:
    """Turn, zoom, slant, move and bend every picture, bilinearly."""
    batch, rows, columns = pictures.shape
    # affine_grid measures in half pictures: a pixel is 2 / columns wide and 2 / rows high.
    most = torch.tensor(
        [
            math.radians(settings.rotation),
            math.log1p(settings.zoom),
            math.log1p(settings.zoom),
            settings.shear,
            settings.shift * 2 / columns,
            settings.shift * 2 / rows,
        ]
    )
    drawn = (torch.rand(6, batch, generator=generator) * 2 - 1) * most[:, None]
    angle, height, width, slant, right, down = drawn
    height, width = height.exp(), width.exp()
    aspect = rows / columns
    cosine, sine = angle.cos(), angle.sin()
    maps = torch.stack(
        [
            torch.stack([cosine / width, (slant - sine) / width * aspect, right], dim=1),
            torch.stack([sine / height / aspect, cosine / height, down], dim=1),
        ],
        dim=1,
    )  # (B, 2, 3)
    grid = F.affine_grid(maps, [batch, 1, rows, columns], align_corners=False)  # (B, R, C, 2)
    if settings.elastic:
        grid = grid + _bend(pictures.shape, settings.elastic, generator)
    return F.grid_sample(pictures[:, None], grid, align_corners=False)[:, 0]


def _bend(shape: torch.Size, deviation: float, generator: torch.Generator) -> Tensor:
    """A smooth random displacement of every place, in half pictures, ``(B, R, C, 2)``."""
    batch, rows, columns = shape
    knots = torch.randn(
        batch, 2, -(-rows // _KNOT_SPACING), -(-columns // _KNOT_SPACING), generator=generator
    )
    smooth = F.interpolate(knots, size=(rows, columns), mode="bicubic", align_corners=False)
    half_pictures = torch.tensor([2 / columns, 2 / rows]) * deviation
    return smooth.permute(0, 2, 3, 1) * half_pictures
