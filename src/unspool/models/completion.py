"""Going on with a picture: pixel after pixel, each drawn from what the network foretells of it.

Shapes: ``N`` pictures, ``K`` rows that are given, ``R`` rows, ``C`` columns, ``H`` hidden size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from unspool.models.drawing import DrawingModel
from unspool.models.recurrent_layer import LayerState


def complete(
    model: DrawingModel,
    given: Tensor,
    uniforms: Tensor,
    *,
    temperature: float = 1.0,
    labels: Tensor | None = None,
) -> Tensor:
    """Draw what is missing of some pictures; the rows that are given stay as they are.

    Parameters
    ----------
    model : DrawingModel
    given : (N, K, C) tensor
        The first rows of each; ``K`` may be 0, or all.
    uniforms : (N, R, C) tensor
        A random number for every pixel, evenly distributed in [0, 1): all chance there is.
    temperature : float
        By which log-probabilities are divided; 0 takes each pixel's most probable value.
    labels : (N,) int64 tensor, optional
        For a conditional model.

    Returns
    -------
    (N, R, C) uint8 tensor
    """
    count, num_given, _ = given.shape
    drawn = given.new_zeros(count, model.num_rows, model.num_columns, dtype=torch.uint8)
    drawn[:, :num_given] = given
    if num_given == model.num_rows:
        return drawn
    rows = drawn.transpose(0, 1)  # (R, N, C)
    above = F.pad(rows[:num_given], (0, 0, 0, 0, 1, 0))
    contexts, states = model.read_rows(above, labels=labels)
    for number in range(num_given, model.num_rows):
        if number > num_given:
            contexts, states = model.read_rows(rows[number - 1 : number], states, number, labels)
        rows[number] = _draw_row(model, contexts[-1], uniforms[:, number], temperature)
    return drawn


def _draw_row(
    model: DrawingModel, contexts: Tensor, uniforms: Tensor, temperature: float
) -> Tensor:
    """Draw one row of each picture, ``(N, C)``, given what is above each place, ``(N, C, H)``."""
    window = model.settings.window
    row = torch.zeros(
        len(contexts), window + model.num_columns, dtype=torch.uint8, device=contexts.device
    )
    states: tuple[LayerState, ...] | None = None
    for column in range(model.num_columns):
        place = contexts[:, column : column + 1]
        left = row[:, None, column : column + window]
        parameters, states = model.read_pixels(place, left, states)
        row[:, window + column] = model.pixels.draw(
            parameters[:, 0], uniforms[:, column], temperature
        )
    return row[:, window:]
