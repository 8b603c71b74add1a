"""What a pixel can be: the distributions that a network of pictures tells of its next pixel.

Shapes: ``…`` any places, ``P`` numbers that tell a distribution, ``V`` values of a pixel, ``M``
logistics of a mixture.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

PixelKind = Literal["binary", "grey"]

_NARROWEST = -7.0  # the logarithm of a logistic's scale, as in Salimans et al.
_LEAST_CHANCE = 2.0**-24  # of a place in a logistic: float32 knows none between it and 0


class Pixels(ABC):
    """A kind of pixels, whose values are ``0 … V - 1``.

    Attributes
    ----------
    num_values : int
        ``V``.
    num_parameters : int
        ``P``.
    """

    num_values: ClassVar[int]
    num_parameters: int

    def scaled(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        """What a network reads of pixels: from 0 to 1."""
        return values.to(dtype) / (self.num_values - 1)

    @abstractmethod
    def log_likelihood(self, parameters: Tensor, values: Tensor) -> Tensor:
        """The log-probability in nats, ``(…)``, of values ``(…)`` given parameters ``(…, P)``."""

    @abstractmethod
    def draw(self, parameters: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
        """Draw a value at every place, given one random number for it.

        Parameters
        ----------
        parameters : (…, P) tensor
        uniforms : (…) tensor
            Evenly distributed in [0, 1).
        temperature : float
            By which log-probabilities are divided; 0 takes the most probable value.

        Returns
        -------
        (…) uint8 tensor
        """


class BinaryPixels(Pixels):
    """Ink or none: one logit.

    Examples
    --------
    >>> pixels, logits = BinaryPixels(), torch.tensor([[0.0], [2.0]])
    >>> pixels.log_likelihood(logits, torch.tensor([1, 1])).exp()
    tensor([0.5000, 0.8808])
    >>> pixels.draw(logits, torch.tensor([0.6, 0.6]), temperature=1.0)
    tensor([0, 1], dtype=torch.uint8)
    """

    num_values = 2
    num_parameters = 1

    def log_likelihood(self, parameters: Tensor, values: Tensor) -> Tensor:
        """The logarithm of the Bernoulli distribution."""
        logits = parameters.squeeze(-1)
        return F.logsigmoid((2 * values.to(logits.dtype) - 1) * logits)

    def draw(self, parameters: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
        """Ink where the random number is below its probability."""
        logits = parameters.squeeze(-1)
        if temperature == 0:
            return (logits > 0).to(torch.uint8)
        return (uniforms < _sigmoid(logits / temperature)).to(torch.uint8)


class GreyPixels(Pixels):
    """Eight bits of grey: a mixture of logistics, rounded.

    Salimans et al. 2017, arXiv 1701.05517, equation 2, for one colour. Brightness is measured from
    -1 to 1. Its parameters are the mixture's logits, the means, and the logarithms of the scales.

    Parameters
    ----------
    num_mixtures : int
        ``M``.

    Examples
    --------
    >>> pixels = GreyPixels(2)
    >>> probabilities = pixels.probabilities(torch.randn(6))
    >>> probabilities.shape, round(float(probabilities.sum()), 4)
    (torch.Size([256]), 1.0)
    """

    num_values = 256

    def __init__(self, num_mixtures: int) -> None:
        self.num_parameters = 3 * num_mixtures

    def log_likelihood(self, parameters: Tensor, values: Tensor) -> Tensor:
        """The logarithm of the mass between half a value below and half a value above."""
        logits, means, log_scales = parameters.chunk(3, -1)  # (…, M)
        inverse = torch.exp(-log_scales.clamp(min=_NARROWEST))
        last = self.num_values - 1
        whole = values.unsqueeze(-1)
        centred = whole.to(means.dtype) * (2 / last) - 1 - means
        upper, lower = (centred + 1 / last) * inverse, (centred - 1 / last) * inverse
        # σ(u) - σ(l) = σ(u) σ(-l) (1 - exp(l - u)), of which no factor loses its digits
        inside = torch.log(-torch.expm1(-2 / last * inverse))
        mass = (
            F.logsigmoid(upper).masked_fill(whole == last, 0)
            + F.logsigmoid(-lower).masked_fill(whole == 0, 0)
            + torch.where((whole == 0) | (whole == last), 0, inside)
        )
        return torch.logsumexp(torch.log_softmax(logits, -1) + mass, -1)

    def probabilities(self, parameters: Tensor) -> Tensor:
        """Those of all values, ``(…, V)``."""
        logits, means, log_scales = parameters.chunk(3, -1)  # (…, M)
        inverse = torch.exp(-log_scales.clamp(min=_NARROWEST))
        last = self.num_values - 1
        steps = torch.arange(1, self.num_values, device=means.device, dtype=means.dtype)
        edges = steps[:, None] * (2 / last) - (1 + 1 / last)  # between a value and the next
        scaled = (edges - means.unsqueeze(-2)) * inverse.unsqueeze(-2)  # (…, V - 1, M)
        below, above = _sigmoid(scaled), _sigmoid(-scaled)
        inside = -torch.expm1(-2 / last * inverse).unsqueeze(-2)
        between = below[..., 1:, :] * above[..., :-1, :] * inside
        mass = torch.cat([below[..., :1, :], between, above[..., -1:, :]], -2)
        return (mass @ torch.softmax(logits, -1).unsqueeze(-1)).squeeze(-1)

    def draw(self, parameters: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
        """Choose a logistic, and draw from it; at other temperatures than 1 by all values."""
        if temperature == 1:
            return self._draw_from_mixture(parameters, uniforms)
        probabilities = self.probabilities(parameters)
        highest, best = probabilities.max(-1, keepdim=True)
        if temperature == 0:
            return best.squeeze(-1).to(torch.uint8)
        mass = torch.exp(torch.log(probabilities / highest) / temperature).cumsum(-1)
        below = (mass <= uniforms.unsqueeze(-1) * mass[..., -1:]).sum(-1)
        return below.clamp(max=self.num_values - 1).to(torch.uint8)

    def _draw_from_mixture(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Use one random number twice: for the logistic, and what is left of it for the place."""
        logits, means, log_scales = parameters.chunk(3, -1)  # (…, M)
        until = torch.softmax(logits, -1).cumsum(-1)
        until[..., -1] = 1
        chosen = (until[..., :-1] <= uniforms.unsqueeze(-1)).sum(-1, keepdim=True)

        def of_chosen(each: Tensor) -> Tensor:
            return each.gather(-1, chosen).squeeze(-1)

        since = of_chosen(F.pad(until[..., :-1], (1, 0)))
        left = (uniforms - since) / (of_chosen(until) - since)
        left = left.clamp(_LEAST_CHANCE, 1 - _LEAST_CHANCE)
        distance = torch.log(left / (1 - left))  # of the standard logistic
        place = of_chosen(means) + distance * of_chosen(log_scales.clamp(min=_NARROWEST)).exp()
        last = self.num_values - 1
        return ((place + 1) * (last / 2)).round().clamp(0, last).to(torch.uint8)


def _sigmoid(x: Tensor) -> Tensor:
    """The same bits at every place: torch's takes another routine for an array's last numbers."""
    return 1 / (1 + torch.exp(-x))
