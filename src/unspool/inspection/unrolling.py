"""What a recurrent layer computed inside: its gates and states at every step.

The native kernels tell it themselves: run once more on the same numbers, they save the gates that
they compute for the backward pass. Where another route computes, the equations of
:mod:`unspool.nn.reference` are run instead.

Shapes: ``B`` batch, ``T`` steps, ``F`` features, ``H`` hidden size, ``P`` size of the output of a
direction, ``G`` gates × H, ``L`` layers, ``D`` directions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unspool.nn import kernels, levels, native_recurrent, reference
from unspool.nn.lengths import valid_steps
from unspool.nn.stack import Stack, State, Weights, zero_state

RECURRENT_CANDIDATE = "hn"
"""The part of a GRU's candidate that comes of the state: W_hn h + b_hn."""


@dataclass(frozen=True)
class LayerCall:
    """A call of a recurrent layer, batch first, and what came of it.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
    input : (B, T, F) tensor
    state : tuple of (L·D, B, ·) tensors, optional
        The initial one; zeros where it is None.
    lengths : (B,) int64 tensor, optional
        All ``T`` where it is None.
    output : (B, T, D·P) tensor
    """

    layer: nn.RNNBase
    input: Tensor
    state: State | None
    lengths: Tensor | None
    output: Tensor


class Unrolled(NamedTuple):
    """What one layer computed in one direction; zero where a step is padding.

    Parameters
    ----------
    layer, direction : int
        The direction is 1 for the one that starts at the end.
    projection : (B, T, G) tensor
        W_ih x + b_ih.
    gates : dict of (B, T, H) tensors
        By the names of the equations, in the order of the weights; for a GRU ``hn`` as well, for a
        simple network nothing.
    cell : (B, T, H) tensor, optional
        An LSTM's c after the step.
    hidden : (B, T, P) tensor
        h after the step.
    """

    layer: int
    direction: int
    projection: Tensor
    gates: dict[str, Tensor]
    cell: Tensor | None
    hidden: Tensor


def serving_kernel(call: LayerCall) -> str | None:
    """Name the native kernel that computes such a call; None where there is none."""
    name = levels.kernel()
    if name in levels.PLAIN:
        return None
    serving = kernels.serving(name, call.input, call.state, _weights(call.layer))
    if serving is not None and getattr(call.layer, "batch_invariant", False):
        serving = levels.batch_invariant(serving)
    batch, steps, _ = call.input.shape
    return serving and levels.for_batch(serving, batch, steps, call.layer.hidden_size)


@torch.no_grad()
def unroll(
    call: LayerCall, layers: Collection[int], start: int = 0, stop: int | None = None
) -> Iterator[Unrolled]:
    """Compute a call once more, layer by layer, and tell what the layers do inside.

    Parameters
    ----------
    call : LayerCall
        In evaluation: there is no dropout between the layers.
    layers : collection of int
        Which of the stack's layers are told of, from 0.
    start, stop : int
        The first step that is told of, and the one after the last; the end where it is None.

    Yields
    ------
    Unrolled
        For each of the layers, forward before backward.
    """
    if not layers:
        return
    kernel = serving_kernel(call)
    stack = Stack(call.layer.mode.lower(), 1, call.layer.bidirectional)  # type: ignore[arg-type]
    directions = 2 if stack.bidirectional else 1
    weights, x = _weights(call.layer), call.input
    if kernel is not None:
        x = x.float()
    stop = x.size(1) if stop is None else min(stop, x.size(1))
    for layer in range(max(layers) + 1):
        rows = slice(layer * directions, (layer + 1) * directions)
        state = None if call.state is None else tuple(member[rows] for member in call.state)
        pass_ = _Pass(stack, weights[rows], call.lengths, kernel)
        if layer in layers:
            output, saved = pass_.with_gates(x, state, start, stop)
            yield from _told(layer, pass_, x, output, saved, start, stop)
        else:
            output, _, _ = pass_.run(x, state)
        x = output


def _told(
    layer: int,
    pass_: _Pass,
    x: Tensor,
    output: Tensor,
    saved: list[dict[str, Tensor]],
    start: int,
    stop: int,
) -> Iterator[Unrolled]:
    x, output = x[:, start:stop], output[:, start:stop]
    padding = pass_.padding(x, start)
    hidden = output.chunk(len(pass_.weights), dim=2)
    for direction, weights in enumerate(pass_.weights):
        projection = F.linear(x.to(weights.weight_ih.dtype), weights.weight_ih, weights.bias_ih)
        gates = {name: gate.masked_fill(padding, 0) for name, gate in saved[direction].items()}
        cell = gates.pop("c", None)
        yield Unrolled(
            layer, direction, projection.masked_fill(padding, 0), gates, cell, hidden[direction]
        )


class _Pass(NamedTuple):
    """One layer, in one or both directions, ready to be run."""

    stack: Stack
    weights: Sequence[Weights]
    lengths: Tensor | None
    kernel: str | None

    def padding(self, x: Tensor, start: int) -> Tensor:
        """Which steps from ``start`` on are none, (B, T, 1)."""
        if self.lengths is None:
            return torch.zeros(1, 1, 1, dtype=torch.bool, device=x.device)
        lengths = (self.lengths.to(x.device) - start).clamp(min=0)
        return ~valid_steps(lengths, x.size(1))[:, :, None]

    def with_gates(
        self, x: Tensor, state: State | None, start: int, stop: int
    ) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """Outputs up to ``stop`` at least, and for each direction the gates from ``start`` on."""
        if self.stack.bidirectional:  # one direction needs all that comes later
            output, _, saved = self.run(x, state, saves=True)
            return output, [
                {name: gate[:, start:stop] for name, gate in each.items()} for each in saved
            ]
        outputs = []
        if start > 0:
            before, state, _ = self.run(x[:, :start], state)
            outputs.append(before)
        output, _, saved = self._after(start).run(x[:, start:stop], state, saves=True)
        return torch.cat([*outputs, output], dim=1), saved

    def _after(self, start: int) -> _Pass:
        if self.lengths is None or start == 0:
            return self
        return self._replace(lengths=(self.lengths - start).clamp(min=0))

    def run(
        self, x: Tensor, state: State | None, saves: bool = False
    ) -> tuple[Tensor, State, list[dict[str, Tensor]]]:
        """Outputs (B, T, D·P), final state, and for each direction what its gates were."""
        lengths = None if self.lengths is None else self.lengths.clamp(max=x.size(1))
        if self.kernel is not None:
            return self._run_native(x, state, lengths, saves, self.kernel)
        return self._run_reference(x, state, lengths, saves)

    def _run_native(
        self, x: Tensor, state: State | None, lengths: Tensor | None, saves: bool, kernel: str
    ) -> tuple[Tensor, State, list[dict[str, Tensor]]]:
        h0, c0 = (*(member.float() for member in state or ()), None, None)[:2]
        cell, bias = self.stack.cell, self.weights[0].bias_ih is not None
        flat = [tensor for each in self.weights for tensor in each if tensor is not None]
        settings = (cell, 1, self.stack.bidirectional, bias, 1.0, saves, kernel)
        output, h_n, c_n, workspace = native_recurrent.forward(
            x, h0, c0, lengths, flat, None, *settings
        )
        final = (h_n, c_n) if cell == "lstm" else (h_n,)
        if not saves:
            return output, final, []
        sizes = native_recurrent.sizes_of(x, flat, 1, self.stack.bidirectional)
        return output, final, native_recurrent.unpack(workspace, kernel, cell, sizes)

    def _run_reference(
        self, x: Tensor, state: State | None, lengths: Tensor | None, saves: bool
    ) -> tuple[Tensor, State, list[dict[str, Tensor]]]:
        output, final = reference.run(self.stack, x, state, lengths, self.weights)
        if not saves:
            return output, final, []
        state = zero_state(self.stack, x, self.weights) if state is None else state
        if lengths is None:
            lengths = torch.full(x.shape[:1], x.size(1), device=x.device)
        saved = [
            _gates_by_step(
                self.stack,
                x,
                tuple(member[direction] for member in state),
                valid_steps(lengths.to(x.device), x.size(1)),
                weights,
                reverse=direction == 1,
            )
            for direction, weights in enumerate(self.weights)
        ]
        return output, final, saved


def _gates_by_step(
    stack: Stack, x: Tensor, state: State, valid: Tensor, weights: Weights, *, reverse: bool
) -> dict[str, Tensor]:
    """What a kernel would save, by the plain equations: (B, T, H) each."""
    x = x.masked_fill(~valid[:, :, None], 0)
    steps: list[dict[str, Tensor]] = []
    for t in reversed(range(x.size(1))) if reverse else range(x.size(1)):
        found: dict[str, Tensor] = {}
        if stack.cell == "lstm":
            found = dict(zip("ifgo", reference.lstm_gates(x[:, t], state[0], weights), strict=True))
        elif stack.cell == "gru":
            found = dict(zip("rzn", reference.gru_gates(x[:, t], state[0], weights), strict=True))
            of_state = F.linear(state[0], weights.weight_hh, weights.bias_hh)
            found[RECURRENT_CANDIDATE] = of_state.chunk(3, dim=1)[2]
        after = reference.CELLS[stack.cell](x[:, t], state, weights)
        alive = valid[:, t, None]
        state = tuple(torch.where(alive, *pair) for pair in zip(after, state, strict=True))
        if stack.cell == "lstm":
            found["c"] = state[1]
        steps.append(found)
    if reverse:
        steps.reverse()
    return {name: torch.stack([step[name] for step in steps], dim=1) for name in steps[0]}


def _weights(layer: nn.RNNBase) -> list[Weights]:
    return [_named(layer, each) for each in layer.all_weights]


def _named(layer: nn.RNNBase, tensors: Sequence[Tensor]) -> Weights:
    """Give the weights of a layer in one direction their names; biases and projection may lack."""
    weight_ih, weight_hh, *others = tensors
    bias_ih, bias_hh = others[:2] if layer.bias else (None, None)
    return Weights(weight_ih, weight_hh, bias_ih, bias_hh, others[-1] if layer.proj_size else None)
