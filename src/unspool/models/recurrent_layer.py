"""A single recurrent layer of a stack, run with its weights dropped.

Shapes: ``B`` batch, ``T`` steps, ``F`` features, ``H`` hidden size, ``D`` directions.
"""

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from unspool.models.cells import Recurrent
from unspool.nn.dropout import drop_recurrent_weights

LayerState = tuple[Tensor, ...]
"""``(h,)``, or ``(h, c)`` of an LSTM."""


def run_layer(
    layer: Recurrent,
    x: Tensor,
    state: LayerState | None = None,
    lengths: Tensor | None = None,
    *,
    dropped: float = 0.0,
) -> tuple[Tensor, LayerState]:
    """Run a layer over a batch.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
    x : (B, T, F) tensor
    state : tuple of (D, B, H) tensors, optional
        Zeros when not given.
    lengths : (B,) int64 tensor, optional
        All ``T`` when not given.
    dropped : float
        Share of the weights from step to step that is dropped.

    Returns
    -------
    outputs : (B, T, D·H) tensor
    state : tuple of (D, B, H) tensors
    """
    hidden: Any = state if state is None or len(state) > 1 else state[0]
    if dropped:
        # With lengths a layer takes its weights one by one, as functional_call replaces them.
        if lengths is None:
            lengths = torch.full(x.shape[:1], x.shape[1], device=x.device)
        weights = drop_recurrent_weights(layer, dropped)
        outputs, final = functional_call(layer, weights, (x, hidden), {"lengths": lengths})
    elif lengths is None and x.shape[1] == 1 and not layer.bidirectional:
        output, final = layer.step(x.squeeze(1), hidden)  # quicker where no gradient is asked for
        outputs = output.unsqueeze(1)
    else:
        outputs, final = layer(x, hidden, lengths=lengths)
    return outputs, final if isinstance(final, tuple) else (final,)
