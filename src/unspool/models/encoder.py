"""The half of an encoder-decoder network that reads the source.

Shapes: ``B`` batch, ``S`` steps of the source, ``E`` size of its embedding, ``H`` hidden size,
``D`` directions.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from unspool.models.cells import make_layers
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings
from unspool.models.recurrent_layer import LayerState, run_layer
from unspool.nn.dropout import Dropout, LockedDropout
from unspool.nn.lengths import valid_steps
from unspool.nn.linear import Linear


def reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """Turn each sequence of a right-padded batch round within its own length.

    Parameters
    ----------
    x : (B, S) or (B, S, ·) tensor
    lengths : (B,) int64 tensor

    Returns
    -------
    tensor shaped like ``x``
        The padding is where it was.

    Examples
    --------
    >>> reverse(torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2]))
    tensor([[3, 2, 1],
            [5, 4, 0]])
    """
    steps = torch.arange(x.shape[1], device=x.device)
    source = torch.where(valid_steps(lengths, x.shape[1]), lengths[:, None] - 1 - steps, steps)
    return x.gather(1, source if x.dim() == 2 else source[:, :, None].expand_as(x))


class Encoder(nn.Module):
    """Stacked recurrent layers that read embedded tokens.

    Parameters
    ----------
    settings : EncoderDecoderSettings
    """

    def __init__(self, settings: EncoderDecoderSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.directions * settings.hidden_size
        sizes = [settings.source_size, *[width] * settings.num_encoder_layers]
        self.layers = nn.ModuleList(
            make_layers(
                settings.cell,
                size,
                settings.hidden_size,
                bidirectional=settings.bidirectional,
                forget_bias=settings.forget_bias,
            )
            for size, _ in pairwise(sizes)
        )
        dropout = settings.dropout
        inner = [dropout.layers] * (settings.num_encoder_layers - 1)
        kind = LockedDropout if dropout.locked else Dropout
        self.dropouts = nn.ModuleList(
            kind(share) for share in (dropout.inputs, *inner, dropout.outputs)
        )

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, tuple[LayerState, ...]]:
        """Read.

        Parameters
        ----------
        x : (B, S, E) tensor
        lengths : (B,) int64 tensor

        Returns
        -------
        outputs : (B, S, D·H) tensor
            Of the last layer, zero in the padding.
        final : tuple of tuples of (D, B, H) tensors
            The state of each layer after it has read, zeros of an empty source.
        """
        dropped = self.settings.dropout.weights if self.training else 0.0
        final = []
        x = self.dropouts[0](x)
        for layer, dropout in zip(self.layers, self.dropouts[1:], strict=True):
            x, state = run_layer(layer, x, None, lengths, dropped=dropped)  # type: ignore[arg-type]
            final.append(state)
            x = dropout(x)
        return x, tuple(final)


class Bridge(nn.Module):
    """Makes of the encoder's final states those that the decoder starts from.

    Where encoder and decoder have as many layers, and the encoder one direction, each layer starts
    from its counterpart's final state (Sutskever, Vinyals & Le 2014, arXiv 1409.3215). Otherwise
    each starts from a projection of the last layer's, both directions side by side: h from
    ``tanh(W h)``, after Bahdanau et al. 2015 (arXiv 1409.0473, appendix A.2.2), and an LSTM's c,
    which has no bounds, from ``W c``.

    Parameters
    ----------
    settings : EncoderDecoderSettings
    """

    def __init__(self, settings: EncoderDecoderSettings) -> None:
        super().__init__()
        self.num_layers = settings.num_decoder_layers
        width, size = settings.directions * settings.hidden_size, settings.hidden_size
        copies = width == size and settings.num_encoder_layers == settings.num_decoder_layers
        members = 0 if copies else 2 if settings.cell == "lstm" else 1
        self.projections = nn.ModuleList(
            Linear(width, self.num_layers * size) for _ in range(members)
        )

    def forward(self, final: tuple[LayerState, ...]) -> tuple[LayerState, ...]:
        """Return for each layer of the decoder ``(h,)`` or ``(h, c)``, each ``(B, H)``."""
        if not self.projections:
            return tuple(tuple(member.squeeze(0) for member in layer) for layer in final)
        full = torch.promote_types(final[-1][0].dtype, torch.float32)  # of states, under autocast
        starts = [
            projection(member.transpose(0, 1).flatten(1)).to(full)  # (B, layers · H)
            for projection, member in zip(self.projections, final[-1], strict=True)
        ]
        starts[0] = torch.tanh(starts[0])
        by_layer = (member.chunk(self.num_layers, 1) for member in starts)
        return tuple(zip(*by_layer, strict=True))
