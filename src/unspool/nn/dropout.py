"""Dropout for recurrent networks: locked over the steps, of whole words, of recurrent weights.

Shapes: ``B`` batch, ``T`` steps, ``F`` features, ``V`` tokens of the vocabulary. Whatever is kept
is scaled up, so that its expectation is what it was, and nothing is dropped outside training.
"""

import math

import torch
from torch import Tensor, nn

from unspool.nn import levels

_CHANCES = 2**16


def draw_kept(shape: tuple[int, ...], p: float, device: torch.device) -> Tensor:
    """Draw what dropout keeps, by torch's global generator.

    Parameters
    ----------
    shape : tuple of int
    p : float
        Share that is dropped, 0 to 1, rounded to a whole number of 65,536ths: 16 random bits decide
        over each. All of them are a function of one number that the generator is asked for, which
        takes a twentieth of the time of as many of its own.
    device : torch.device

    Returns
    -------
    bool tensor
        Of that shape.
    """
    dropped = round(p * _CHANCES)
    if dropped == _CHANCES:
        return torch.zeros(shape, dtype=torch.bool, device=device)
    count = math.prod(shape)
    key = torch.randint(-(2**63), 2**63 - 1, (), dtype=torch.int64, device=device)
    if device.type == "cpu" and levels.is_direct() and levels.names():
        from unspool import _native

        kept = torch.empty(shape, dtype=torch.bool, device=device)
        threads = torch.get_num_threads()
        _native.draw_kept(int(key) % 2**64, count, dropped, kept.data_ptr(), threads)
        return kept
    bits = _random_words(key, (count + 3) // 4).view(torch.int16)[:count]
    return ((bits ^ -(2**15)) >= dropped - 2**15).view(shape)  # as numbers without a sign


def _random_words(key: Tensor, count: int) -> Tensor:
    """Words of 64 bits by SplitMix64, as ``csrc/level/chances.h``, in numbers that have a sign."""
    steps = torch.arange(1, count + 1, device=key.device)
    z: Tensor = key + steps * (0x9E3779B97F4A7C15 - 2**64)
    z = (z ^ _shifted(z, 30)) * (0xBF58476D1CE4E5B9 - 2**64)
    z = (z ^ _shifted(z, 27)) * (0x94D049BB133111EB - 2**64)
    return z ^ _shifted(z, 31)


def _shifted(words: Tensor, places: int) -> Tensor:
    """To the right, zeros coming from the left."""
    return (words >> places).bitwise_and(2 ** (64 - places) - 1)


class Dropout(nn.Dropout):
    """torch's own, drawn by :func:`draw_kept` on the CPU, where torch draws number by number."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with single numbers dropped."""
        if not self.training or self.inplace or not 0 < self.p < 1 or not input.is_cpu:
            return super().forward(input)
        return input * _mask(input, self.p)


class LockedDropout(nn.Module):
    """Drop the same features at every step of a sequence.

    Also called variational dropout: Gal & Ghahramani 2016, arXiv 1512.05287, section 4.

    Parameters
    ----------
    p : float
        Share of the features that is dropped.

    Examples
    --------
    >>> dropped = LockedDropout(0.5)(torch.ones(1, 3, 8))
    >>> bool((dropped == dropped[:, :1]).all())
    True
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x``, ``(B, T, F)``, with one mask a sequence."""
        if not self.training or self.p == 0:
            return x
        return x * _mask(x[:, :1], self.p)  # (B, 1, F)

    def extra_repr(self) -> str:
        """Return the share."""
        return f"p={self.p}"


def embed_with_dropout(tokens: Tensor, embedding: nn.Embedding, p: float) -> Tensor:
    """Look tokens up in an embedding of which whole words are dropped, everywhere at once.

    Gal & Ghahramani 2016, arXiv 1512.05287, section 4.2: a word that is dropped is dropped
    wherever it occurs in the batch.

    Parameters
    ----------
    tokens : (B, T) int64 tensor
    embedding : Embedding
        Of weights ``(V, F)``.
    p : float
        Share of the words that is dropped.

    Returns
    -------
    (B, T, F) tensor
    """
    found: Tensor = embedding(tokens)
    if p == 0:
        return found
    return found * _mask(embedding.weight[:, :1], p)[tokens]  # (B, T, 1)


def drop_recurrent_weights(layer: nn.RNNBase, p: float) -> dict[str, Tensor]:
    """The matrices of a layer that lead from one step to the next, with single weights dropped.

    DropConnect on the recurrent weights: Merity, Keskar & Socher 2018, arXiv 1708.02182,
    section 2. One mask serves all steps, so the layer's kernel need know nothing of it.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
    p : float
        Share of the weights that is dropped.

    Returns
    -------
    dict of str to Tensor
        By their names; for :func:`torch.func.functional_call`.
    """
    return {
        name: weight * _mask(weight, p)
        for name, weight in layer.named_parameters()
        if name.startswith("weight_hh")
    }


def _mask(like: Tensor, p: float) -> Tensor:
    """What to multiply by: zeros, and for what is kept 1 / (1 - p)."""
    return draw_kept(tuple(like.shape), p, like.device).to(like.dtype).div_(1 - p)
