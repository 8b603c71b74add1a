"""When an encoder-decoder's step can be one call of C++, and what it takes: no more than numbers.

Whatever is out of the ordinary (gradients, dropout, autocast, another device or number type, a
module that is watched by hooks) is left to the modules themselves, whose quick twin this is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unspool.models.decoder import Decoder
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings
from unspool.models.memory import DecoderState
from unspool.nn import kernels, levels
from unspool.nn.attention import AdditiveAttention
from unspool.nn.decoder_step import DecoderStep, DecoderWeights, Dense, Source
from unspool.nn.inference import is_plain
from unspool.nn.keeping import Kept
from unspool.nn.stack import Weights


def only_numbers(model: nn.Module) -> bool:
    """Tell whether a call of a model is for numbers and nothing else."""
    return not torch.is_grad_enabled() and not model.training and kernels.only_numbers()


def make_ready(
    decoder: Decoder, embedding: nn.Embedding, output_weight: Tensor, output: nn.Linear
) -> Kept[DecoderStep] | None:
    """Pack a decoder's weights; None where the native kernels do not serve it."""
    kernel = levels.kernel()
    parts = [*decoder.modules(), embedding, output]
    tensors = [each for part in parts for each in part._parameters.values() if each is not None]
    if kernel not in levels.names():
        return None
    if not all(is_plain(tensor, *tensor.shape) for tensor in tensors):
        return None
    weights = _weights(decoder, embedding.weight, Dense(output_weight, output.bias))
    used = [
        weights.embedding,
        *(each for layer in weights.layers for each in layer),
        *(each for dense in (weights.query, weights.readout) if dense for each in dense),
        weights.energy,
        *weights.output,
    ]
    settings = decoder.settings
    ready = DecoderStep(
        weights,
        cell=decoder.layers[0].mode.lower(),  # type: ignore[operator, union-attr]
        attention=settings.attention,
        feeds=settings.input_feeding,
        kernel=kernel,
    )
    return Kept(ready, kernel, used, parts)


def _weights(decoder: Decoder, embedding: Tensor, output: Dense) -> DecoderWeights:
    query = energy = None
    if isinstance(decoder.attention, AdditiveAttention):
        query, energy = _dense(decoder.attention.query), decoder.attention.energy
    readout = None if isinstance(decoder.readout, nn.Identity) else _dense(decoder.readout)
    layers = [Weights(*layer.all_weights[0][:4]) for layer in decoder.layers]  # type: ignore[index]
    return DecoderWeights(embedding, layers, query, energy, readout, output)


def _dense(linear: nn.Module) -> Dense:
    return Dense(linear.weight, linear.bias)  # type: ignore[arg-type]


def read_step(
    ready: DecoderStep, settings: EncoderDecoderSettings, tokens: Tensor, state: DecoderState
) -> tuple[Tensor, DecoderState] | None:
    """Read a token of each hypothesis, ``(N,)``; None where the modules themselves must.

    Returns
    -------
    log_probabilities : (N, V) tensor
    state : DecoderState
    """
    count, memory = len(tokens), state.memory
    if tokens.dtype is not torch.int64 or not tokens.is_contiguous() or tokens.dim() != 1:
        return None
    if count == 0 or not all(
        is_plain(member, count, settings.hidden_size) for layer in state.layers for member in layer
    ):
        return None
    source = None
    if settings.attention != "none":
        source = _source(state, count)
        if source is None:
            return None
    if settings.input_feeding and not is_plain(state.seen, count, settings.readout_size):
        return None
    step = ready(tokens, state.layers, state.seen if settings.input_feeding else None, source)
    after = DecoderState(memory, step.layers, step.seen, step.attention)
    return step.log_probabilities, after


def _source(state: DecoderState, count: int) -> Source | None:
    keys, values, padding = state.memory.keys, state.memory.values, state.memory.padding
    if keys is None or values is None or count % len(padding):
        return None
    if not is_plain(keys, *padding.shape, keys.size(-1)) or not is_plain(
        values, *padding.shape, values.size(-1)
    ):
        return None
    return Source(keys, values, padding) if padding.is_contiguous() else None
