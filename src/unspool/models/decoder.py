"""The half of an encoder-decoder network that reads, or writes, the target.

Shapes: ``B`` sentences, ``K`` hypotheses of each, ``N = B·K``; ``T`` steps of the target, ``S`` of
the source, ``E`` size of the target's embedding, ``H`` hidden size, ``M`` size of a step of the
source, ``P`` size of what the output layer reads; ``R`` valid steps of all targets.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unspool.models.cells import make_layers
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings
from unspool.models.memory import DecoderState, Memory
from unspool.models.recurrent_layer import LayerState, run_layer
from unspool.nn.attention import AdditiveAttention, Attention, MultiplicativeAttention
from unspool.nn.dropout import Dropout, LockedDropout, drop_recurrent_weights
from unspool.nn.linear import Linear
from unspool.nn.packing import Packing
from unspool.nn.stepwise import SteppedLayer, SteppedLinear

_ATTENTIONS = {"additive": AdditiveAttention, "multiplicative": MultiplicativeAttention}


class TargetReading(NamedTuple):
    """What a decoder makes of targets, or of the beginnings of some.

    Parameters
    ----------
    hidden : (N, T, P) tensor
        After each token, for the output layer.
    attention : (N, T, S) tensor, optional
        With attention, how much of each step of the source was seen at each.
    state : DecoderState
        To go on from, after each target's own end; with input feeding and several hypotheses of a
        sentence, after the last step of all. Where a target has no step, its attention is of no
        use.
    """

    hidden: Tensor
    attention: Tensor | None
    state: DecoderState


class Decoder(nn.Module):
    """Stacked recurrent layers, attention, and a readout.

    With attention, the readout of a query's context c and the last layer's output h is the
    attentional vector ``tanh(W [c; h] + b)`` (Luong, Pham & Manning 2015, arXiv 1508.04025,
    equation 5). ``W`` is held as two matrices, one of which, as ``value``, is multiplied with the
    source before anything is seen of it: once a sentence, and not once a step.

    Without input feeding the first layer's outputs are the queries, and the contexts are inputs of
    all layers above, beside the output of the layer below, as in Wu et al. 2016 (arXiv 1609.08144,
    section 3). So no query depends on a context, and all are there at once.

    Parameters
    ----------
    memory_size : int
        ``M``.
    settings : EncoderDecoderSettings
    """

    def __init__(self, memory_size: int, settings: EncoderDecoderSettings) -> None:
        super().__init__()
        self.settings = settings
        size, readout_size = settings.hidden_size, settings.readout_size
        attends, feeds = settings.attention != "none", settings.input_feeding
        first = settings.target_size + (readout_size if feeds else 0)
        above = size + (readout_size if attends and not feeds else 0)
        self.layers = nn.ModuleList(
            make_layers(settings.cell, inputs, size, forget_bias=settings.forget_bias)
            for inputs in (first, *[above] * (settings.num_decoder_layers - 1))
        )
        dropout = settings.dropout
        kind = LockedDropout if dropout.locked else Dropout
        self.before, self.between, self.after = (
            kind(share) for share in (dropout.inputs, dropout.layers, dropout.outputs)
        )
        self.attention: Attention | None = None
        if attends:
            self.attention = _ATTENTIONS[settings.attention](size, memory_size)
            self.value = Linear(memory_size, readout_size, bias=False)
            self.readout: nn.Module = Linear(size, readout_size)
        else:
            projected = readout_size != size
            self.readout = Linear(size, readout_size, bias=False) if projected else nn.Identity()

    def remember(
        self, outputs: Tensor, padding: Tensor, start: tuple[LayerState, ...], sentence: Tensor
    ) -> Memory:
        """Prepare the source, ``(B, S, M)``, for being looked at; see :class:`Memory`."""
        if self.attention is None:
            return Memory(sentence, start, padding, None, None)
        return Memory(sentence, start, padding, self.attention.keys(outputs), self.value(outputs))

    def begin(self, memory: Memory) -> DecoderState:
        """The state before a target's first token, one hypothesis a sentence."""
        seen = None
        if self.settings.input_feeding:
            seen = memory.sentence.new_zeros(len(memory.padding), self.settings.readout_size)
        return DecoderState(memory, memory.start, seen)

    def forward(
        self, x: Tensor, state: DecoderState, lengths: Tensor | None = None
    ) -> TargetReading:
        """Read on.

        Parameters
        ----------
        x : (N, T, E) tensor
            Embedded tokens.
        state : DecoderState
        lengths : (N,) int64 tensor, optional
            All ``T`` when not given. It saves work; it changes nothing before a target's end.

        Returns
        -------
        TargetReading
        """
        x = self.before(x)
        if lengths is not None:
            lengths = lengths.to(x.device)
        if self.settings.input_feeding:
            reading = self._by_step(x, state, lengths)
        else:
            reading = self._at_once(x, state, lengths)
        return reading._replace(hidden=self.after(reading.hidden))

    # --- all steps at once -------------------------------------------------------------------

    def _at_once(self, x: Tensor, state: DecoderState, lengths: Tensor | None) -> TargetReading:
        dropped = self.settings.dropout.weights if self.training else 0.0
        contexts = weights = None
        layers = []
        for number, (layer, before) in enumerate(zip(self.layers, state.layers, strict=True)):
            if number > 0:
                x = self.between(x)
                x = x if contexts is None else torch.cat([x, contexts], 2)
            held = tuple(member.unsqueeze(0) for member in before)
            x, final = run_layer(layer, x, held, lengths, dropped=dropped)  # type: ignore[arg-type]
            layers.append(tuple(member.squeeze(0) for member in final))
            if number == 0 and self.attention is not None:
                weights = self._weigh(self.attention.queries(x), state.memory)
                contexts = _look(weights, state.memory)
        hidden = self.readout(x)
        if contexts is not None:
            hidden = torch.tanh(hidden + contexts)
        last = None if weights is None else _at_the_end(weights, lengths)
        return TargetReading(hidden, weights, DecoderState(state.memory, tuple(layers), None, last))

    def _weigh(self, queries: Tensor, memory: Memory) -> Tensor:
        """Weigh the source for queries ``(N, T, A)``: those of a sentence as if they were steps."""
        assert self.attention is not None
        assert memory.keys is not None
        grouped = queries.reshape(len(memory.padding), -1, queries.size(2))  # (B, K·T, A)
        weights = self.attention.weigh(grouped, memory.keys, memory.padding)
        return weights.view(*queries.shape[:2], -1)

    # --- step by step ------------------------------------------------------------------------

    def _by_step(self, x: Tensor, state: DecoderState, lengths: Tensor | None) -> TargetReading:
        if len(x) > len(state.memory.padding):
            lengths = None  # hypotheses of a sentence stay together
        packing = Packing(len(x), x.size(1), lengths)
        advance = self._stepping(x, packing)
        path = [_begun(state, packing)]
        for step, count in enumerate(packing.counts):
            path.append(advance(step, path[-1].first(count)))
        hidden, attention = (
            packing.unpack(torch.cat([start[:0], *steps]))
            for start, *steps in zip(*map(_answers, path), strict=True)
        )
        return TargetReading(hidden, attention, _ended(path, packing, state.memory))

    def _stepping(self, x: Tensor, packing: Packing) -> Callable[[int, DecoderState], DecoderState]:
        """A step of all parts, which have done their products with the tokens."""
        packed, counts = packing.pack(x), packing.counts
        stepped = self._stepped_layers(packed, counts)
        readout = _stepped(self.readout, packed, counts)
        query = None
        if isinstance(self.attention, AdditiveAttention):
            query = _stepped(self.attention.query, packed, counts)
        masks = [packing.pack(mask).split_with_sizes(counts) for mask in self._masks(x)]

        def advance(step: int, state: DecoderState) -> DecoderState:
            layers, (h, _) = [], _answers(state)
            for number, (layer, before) in enumerate(zip(stepped, state.layers, strict=True)):
                if number > 0 and masks:
                    h = h * masks[number - 1][step]
                layers.append(layer(h, before))
                h = layers[number][0]
            weights = self._weigh((query(h) if query else h)[:, None], state.memory)
            seen = torch.tanh(readout(h) + _look(weights, state.memory).squeeze(1))
            return DecoderState(state.memory, tuple(layers), seen, weights.squeeze(1))

        return advance

    def _stepped_layers(self, x: Tensor, counts: list[int]) -> list[SteppedLayer]:
        """The layers, the first of which has done its products with the tokens ``(R, E)``."""
        made = []
        share = self.settings.dropout.weights if self.training else 0.0
        for number, layer in enumerate(self.layers):
            weights: dict[str, Tensor] = dict(layer.named_parameters())
            if share:
                weights |= drop_recurrent_weights(layer, share)  # type: ignore[arg-type]
            input, bias = weights["weight_ih_l0"], weights["bias_ih_l0"]
            if number == 0:
                known, input = torch.tensor_split(input, (x.size(1),), 1)
                sums = F.linear(x, known, bias)
            else:
                sums = bias.expand(len(x), -1)
            recurrent = weights["bias_hh_l0"].expand(len(x), -1)
            made.append(
                SteppedLayer(
                    self.settings.cell,
                    SteppedLinear(input, sums, counts),
                    SteppedLinear(weights["weight_hh_l0"], recurrent, counts),
                )
            )
        return made

    def _masks(self, x: Tensor) -> list[Tensor]:
        """What each layer's outputs are multiplied by on the way to the next, ``(N, T, H)``."""
        if not self.training or self.between.p == 0:
            return []
        ones = x.new_ones(*x.shape[:2], self.settings.hidden_size)
        return [self.between(ones) for _ in self.layers[1:]]


def _at_the_end(steps: Tensor, lengths: Tensor | None) -> Tensor:
    """The last valid one of the steps ``(N, T, ·)`` of each target."""
    if lengths is None:
        return steps[:, -1]
    return steps[torch.arange(len(steps), device=steps.device), lengths.clamp(min=1) - 1]


def _begun(state: DecoderState, packing: Packing) -> DecoderState:
    """The state before the first step, the longest target first, which has looked nowhere yet."""
    if state.attention is None:
        padding = state.memory.padding
        nowhere = padding.new_zeros(state.hypotheses, padding.size(1), dtype=torch.float32)
        state = state._replace(attention=nowhere)
    return state.changed(packing.in_order)


def _ended(path: Sequence[DecoderState], packing: Packing, memory: Memory) -> DecoderState:
    """Bring together what became of each target: the state after its own last step."""
    parts = [
        [part[count:] for part in (*_answers(past), *chain(*past.layers))]
        for past, count in zip(path, [*packing.counts, 0], strict=True)
        if count < past.hypotheses
    ]
    seen, attention, *members = (
        packing.as_given(torch.cat(part[::-1])) for part in zip(*parts, strict=True)
    )
    size = len(path[0].layers[0])
    layers = tuple(tuple(members[i : i + size]) for i in range(0, len(members), size))
    return DecoderState(memory, layers, seen, attention)


def _answers(state: DecoderState) -> tuple[Tensor, Tensor]:
    """What was seen last, ``(N, P)``, and where, ``(N, S)``."""
    assert state.seen is not None
    assert state.attention is not None
    return state.seen, state.attention


def _look(weights: Tensor, memory: Memory) -> Tensor:
    """See the source as it was weighed, ``(N, T, S)``: contexts, ``(N, T, P)``."""
    assert memory.values is not None
    grouped = weights.view(len(memory.padding), -1, weights.size(2))  # (B, K·T, S)
    contexts = grouped @ memory.values
    return contexts.view(*weights.shape[:2], -1)


def _stepped(linear: nn.Module, x: Tensor, counts: list[int]) -> SteppedLinear:
    sums = linear.bias.expand(len(x), -1)  # type: ignore[operator]
    return SteppedLinear(linear.weight, sums, counts)  # type: ignore[arg-type]
