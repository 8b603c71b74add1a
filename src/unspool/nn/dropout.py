"""Dropout for recurrent networks: locked over the steps, of whole words, of recurrent weights.

Shapes: ``B`` batch, ``T`` steps, ``F`` features, ``V`` tokens of the vocabulary. Whatever is kept
is scaled up, so that its expectation is what it was, and nothing is dropped outside training.
"""

import math

import torch
from torch import Tensor, nn

_CHANCES = 2**16


def draw_kept(shape: tuple[int, ...], p: float, device: torch.device) -> Tensor:
    """Draw what dropout keeps, by torch's global generator.

    Parameters
    ----------
    shape : tuple of int
    p : float
        Share that is dropped, 0 to 1, rounded to a whole number of 65,536ths: 16 random bits decide
        over each, which takes a fifth of the time of torch's own Bernoulli numbers.
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
    words = torch.randint(
        -(2**63), 2**63 - 1, ((count + 3) // 4,), dtype=torch.int64, device=device
    )
    drawn = words.view(torch.int16)[:count]  # -2**15 to 2**15 - 1
    return (drawn >= dropped - 2**15).view(shape)


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
