"""When an encoder-decoder's step can be one call of C++, and what it takes: no more than numbers.

Whatever is out of the ordinary (gradients, dropout, autocast, another device or number type, a
module that is watched by hooks) is left to the modules themselves, whose quick twin this is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules import module

from unspool.models.cells import CELLS
from unspool.models.decoder import Decoder
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings
from unspool.models.memory import DecoderState
from unspool.nn import kernels, levels
from unspool.nn.attention import AdditiveAttention, MultiplicativeAttention
from unspool.nn.decoder_step import DecoderStep, DecoderWeights, Dense, GreedyRun, Source
from unspool.nn.dropout import Dropout, LockedDropout
from unspool.nn.inference import is_plain
from unspool.nn.keeping import Kept
from unspool.nn.linear import Linear
from unspool.nn.stack import State, Weights

_KNOWN = {
    Decoder,
    nn.ModuleList,
    Dropout,
    LockedDropout,
    nn.Identity,
    Linear,
    nn.Linear,
    nn.Embedding,
    *CELLS.values(),
    AdditiveAttention,
    MultiplicativeAttention,
}
"""Modules whose work is known; any other may do what it likes."""


def only_numbers(modules: Iterable[nn.Module]) -> bool:
    """Tell whether to pass modules by leaves out nothing but gradients, which nobody asks for."""
    if torch.is_grad_enabled() or not kernels.only_numbers():
        return False
    if module._global_forward_hooks or module._global_forward_pre_hooks:
        return False
    return not any(
        each.training or each._forward_hooks or each._forward_pre_hooks or "forward" in vars(each)
        for each in modules
    )


def make_ready(
    model: nn.Module,
    decoder: Decoder,
    embedding: nn.Embedding,
    output_weight: Tensor,
    output: nn.Linear,
) -> Kept[Reader | None]:
    """Pack the weights of a model's decoder; None is kept where the kernels do not serve it."""
    kernel = levels.kernel()
    parts = [*decoder.modules(), embedding, output]
    if kernel not in levels.names() or not all(type(part) in _KNOWN for part in parts):
        return Kept(None, kernel, [], [model, *parts])
    weights = _weights(decoder, embedding.weight, Dense(output_weight, output.bias))
    used = [
        weights.embedding,
        *(each for layer in weights.layers for each in layer),
        *(each for dense in (weights.query, weights.readout) if dense for each in dense),
        weights.energy,
        *weights.output,
    ]
    tensors = [tensor for tensor in used if tensor is not None]
    own = {id(each) for part in parts for each in part._parameters.values()}
    if not all(
        is_plain(tensor, *tensor.shape) and not tensor.is_inference() and id(tensor) in own
        for tensor in tensors
    ):
        return Kept(None, kernel, [], [model, *parts])
    settings = decoder.settings
    ready = DecoderStep(
        weights,
        cell=decoder.layers[0].mode.lower(),  # type: ignore[operator, union-attr]
        attention=settings.attention,
        feeds=settings.input_feeding,
        kernel=kernel,
    )
    return Kept(Reader(ready, settings), kernel, used, [model, *parts])


def _weights(decoder: Decoder, embedding: Tensor, output: Dense) -> DecoderWeights:
    query = energy = None
    if isinstance(decoder.attention, AdditiveAttention):
        query, energy = _dense(decoder.attention.query), decoder.attention.energy
    readout = None if isinstance(decoder.readout, nn.Identity) else _dense(decoder.readout)
    layers = [Weights(*layer.all_weights[0][:4]) for layer in decoder.layers]  # type: ignore[index]
    return DecoderWeights(embedding, layers, query, energy, readout, output)


def _dense(linear: nn.Module) -> Dense:
    return Dense(linear.weight, linear.bias)  # type: ignore[arg-type]


class Reader:
    """Reads with a ready step what is fit for it.

    Parameters
    ----------
    ready : DecoderStep
    settings : EncoderDecoderSettings
        Of the decoder.
    """

    def __init__(self, ready: DecoderStep, settings: EncoderDecoderSettings) -> None:
        self._ready, self._settings = ready, settings

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState] | None:
        """Read a token of each hypothesis, ``(N,)``; None where the modules themselves must.

        Returns
        -------
        log_probabilities : (N, V) tensor
        state : DecoderState
        """
        given = self._given(tokens, state)
        if given is None:
            return None
        step = self._ready(*given)
        after = DecoderState(state.memory, step.layers, step.seen, step.attention)
        return step.log_probabilities, after

    def go_on(
        self, tokens: Tensor, state: DecoderState, *, excluded: Sequence[int], end: int, most: int
    ) -> tuple[GreedyRun, DecoderState] | None:
        """Go on by the likeliest tokens, see :meth:`DecoderStep.go_on`; None as for a step.

        Returns
        -------
        run : GreedyRun
        state : DecoderState
            After its last step.
        """
        given = self._given(tokens, state)
        if given is None:
            return None
        run = self._ready.go_on(*given, excluded=excluded, end=end, most=most)
        attention = None if run.attention is None else run.attention[-1]
        return run, DecoderState(state.memory, run.layers, run.seen, attention)

    def _given(
        self, tokens: Tensor, state: DecoderState
    ) -> tuple[Tensor, tuple[State, ...], Tensor | None, Source | None] | None:
        """What a step reads, if C++ can."""
        count, settings = len(tokens), self._settings
        if not _are_plain_numbers(tokens, torch.int64) or tokens.dim() != 1 or count == 0:
            return None
        members = 2 if settings.cell == "lstm" else 1
        if [len(layer) for layer in state.layers] != [members] * settings.num_decoder_layers:
            return None
        # The first states are parts of one array.
        layers = tuple(tuple(member.contiguous() for member in layer) for layer in state.layers)
        if not all(
            is_plain(member, count, settings.hidden_size) for layer in layers for member in layer
        ):
            return None
        source = None
        if settings.attention != "none":
            source = _source(settings, state, count)
            if source is None:
                return None
        if settings.input_feeding and not is_plain(state.seen, count, settings.readout_size):
            return None
        return tokens, layers, state.seen if settings.input_feeding else None, source


def _source(settings: EncoderDecoderSettings, state: DecoderState, count: int) -> Source | None:
    keys, values, padding = state.memory.keys, state.memory.values, state.memory.padding
    if not _are_plain_numbers(padding, torch.bool) or count % len(padding):
        return None
    if not is_plain(keys, *padding.shape, settings.hidden_size):
        return None
    if not is_plain(values, *padding.shape, settings.readout_size):
        return None
    return Source(keys, values, padding)  # type: ignore[arg-type]


def _are_plain_numbers(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Tell whether C++ can read a tensor of this type by its address."""
    plain = type(tensor) is Tensor and tensor.dtype is dtype
    return plain and tensor.is_cpu and tensor.is_contiguous()
