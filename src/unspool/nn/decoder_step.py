"""A step of an encoder-decoder's decoder where no gradient is asked for, as one call of C++.

Of a step of a few hypotheses, most of the time goes into reading the weights; a call for each
layer would cost as much again. Nothing is checked but the tokens;
:mod:`unspool.models.decoder_inference` does that.

Shapes: ``N`` hypotheses of ``B`` sentences, those of a sentence side by side; ``S`` steps of the
source, ``E`` size of the target's embedding, ``H`` hidden size, ``A`` size of a key, ``P`` of a
value and of a readout, ``V`` tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unspool.nn import levels
from unspool.nn.inference import address
from unspool.nn.stack import State, Weights


class Dense(NamedTuple):
    """A linear layer: ``weight``, (outputs, inputs), and ``bias``, (outputs)."""

    weight: Tensor
    bias: Tensor | None


class DecoderWeights(NamedTuple):
    """A decoder's weights, all contiguous and in float32.

    Parameters
    ----------
    embedding : (V, E) tensor
    layers : sequence of Weights, length L
    query : Dense, optional
        ``W_q``, (A, H), of additive attention.
    energy : (A,) tensor, optional
        ``v`` of additive attention.
    readout : Dense, optional
        (P, H); where there is none, the last layer's output is what the output layer reads.
    output : Dense
        (V, P).
    """

    embedding: Tensor
    layers: Sequence[Weights]
    query: Dense | None
    energy: Tensor | None
    readout: Dense | None
    output: Dense


class Source(NamedTuple):
    """What attention looks at: keys (B, S, A), values (B, S, P), padding (B, S), contiguous."""

    keys: Tensor
    values: Tensor
    padding: Tensor


class Step(NamedTuple):
    """What comes of a step.

    Parameters
    ----------
    log_probabilities : (N, V) tensor
        Of the next token, in nats.
    layers : tuple of tuples of (N, H) tensors
    seen : (N, P) tensor, optional
        With input feeding, the attentional vector.
    attention : (N, S) tensor, optional
        With attention, its weights.
    """

    log_probabilities: Tensor
    layers: tuple[State, ...]
    seen: Tensor | None
    attention: Tensor | None


class GreedyRun(NamedTuple):
    """What comes of ``T`` steps, each by the likeliest tokens.

    Parameters
    ----------
    tokens : (T, N) int64 tensor
        What was chosen after each.
    gains : (T, N) tensor
        Its log-probability, in nats.
    attention : (T, N, S) tensor, optional
        With attention, its weights.
    layers, seen
        Of the last step, as :class:`Step` has them.
    """

    tokens: Tensor
    gains: Tensor
    attention: Tensor | None
    layers: tuple[State, ...]
    seen: Tensor | None


class DecoderStep:
    """A decoder whose weights are packed, to be run step by step.

    Parameters
    ----------
    weights : DecoderWeights
    cell : {"rnn_tanh", "lstm", "gru"}
    attention : {"none", "additive", "multiplicative"}
    feeds : bool
        Whether the first layer reads what was seen at the step before, and the last one's output is
        the query; else the first one's is, and those above read what is seen.
    kernel : str
        One of :func:`unspool.nn.levels.names`.
    """

    def __init__(
        self, weights: DecoderWeights, *, cell: str, attention: str, feeds: bool, kernel: str
    ) -> None:
        from unspool import _native

        self._weights = weights  # of which biases, embedding and energy are read in place
        self._tokens, embedding_size = weights.embedding.shape
        self._attends, self._feeds = attention != "none", feeds
        output = weights.output.weight
        hidden_size = weights.layers[0].weight_hh.size(1)
        key_size = hidden_size if weights.query is None else weights.query.weight.size(0)
        readout_size = output.size(1)
        self._readout_size = readout_size
        dense = [
            address(each)
            for layer in (weights.query, weights.readout, weights.output)
            for each in (layer or (None, None))
        ]
        sizes = (embedding_size, hidden_size, key_size, readout_size, len(output))
        self._native = _native.Decoder(
            levels.batch_invariant(kernel),
            cell,
            attention,
            feeds,
            weights.readout is not None,
            (*sizes, len(weights.layers)),
            [address(each) for layer in weights.layers for each in layer[:4]],
            dense,
            address(weights.embedding),
            address(weights.energy),
            torch.get_num_threads(),
        )

    def __call__(
        self, tokens: Tensor, layers: Sequence[State], seen: Tensor | None, source: Source | None
    ) -> Step:
        """Read a token of each hypothesis.

        Parameters
        ----------
        tokens : (N,) int64 tensor
        layers : sequence of tuples of (N, H) tensors
            Each layer's state, contiguous; ``(h,)``, or ``(h, c)`` of an LSTM.
        seen : (N, P) tensor, optional
            With input feeding.
        source : Source, optional
            With attention.

        Returns
        -------
        Step

        Raises
        ------
        IndexError
            If a token is none of the ``V``.
        """
        like, count = layers[0][0], len(tokens)
        sentences, steps = self._size_of(source, count)
        after, seen_after = self._room_after(layers)
        attention = like.new_empty(count, steps) if self._attends else None
        log_probabilities = like.new_empty(count, len(self._weights.output.weight))
        self._native.step(
            (count, sentences, steps),
            *_known(tokens, layers, seen, source),
            *_states(after),
            address(seen_after),
            address(attention),
            log_probabilities.data_ptr(),
            torch.get_num_threads(),
        )
        return Step(log_probabilities, after, seen_after, attention)

    def go_on(
        self,
        tokens: Tensor,
        layers: Sequence[State],
        seen: Tensor | None,
        source: Source | None,
        *,
        excluded: Sequence[int],
        end: int,
        most: int,
    ) -> GreedyRun:
        """Read a token of each hypothesis, then the likeliest that may follow, and so on.

        Of equally likely ones the first is taken. It ends with a step after which a hypothesis is
        at its end, or none of the tokens that may come is possible.

        Parameters
        ----------
        tokens, layers, seen, source
            As when called.
        excluded : sequence of int
            Tokens that may not come.
        end : int
            The token that ends a hypothesis.
        most : int
            Steps that are taken at most, 1 or more.

        Returns
        -------
        GreedyRun

        Raises
        ------
        IndexError
            If a token is none of the ``V``.
        ValueError
            If ``most`` is below 1.
        """
        like, count = layers[0][0], len(tokens)
        sentences, steps = self._size_of(source, count)
        after, seen_after = self._room_after(layers)
        room = max(most, 0)
        chosen, gains = tokens.new_empty(room, count), like.new_empty(room, count)
        attention = like.new_empty(room, count, steps) if self._attends else None
        taken = self._native.go_on(
            (count, sentences, steps),
            most,
            end,
            excluded,
            *_known(tokens, layers, seen, source),
            chosen.data_ptr(),
            gains.data_ptr(),
            address(attention),
            *_states(after),
            address(seen_after),
            torch.get_num_threads(),
        )
        # Copies: the room for all steps is not kept for the sake of some.
        weights = None if attention is None else attention[:taken].clone()
        return GreedyRun(chosen[:taken].clone(), gains[:taken].clone(), weights, after, seen_after)

    def _size_of(self, source: Source | None, count: int) -> tuple[int, int]:
        """``B`` and ``S``."""
        if not self._attends:
            return count, 0
        assert source is not None
        sentences, steps = source.padding.shape
        return sentences, steps

    def _room_after(self, layers: Sequence[State]) -> tuple[tuple[State, ...], Tensor | None]:
        after = tuple(tuple(torch.empty_like(member) for member in state) for state in layers)
        like = layers[0][0]
        return after, like.new_empty(len(like), self._readout_size) if self._feeds else None


def _known(
    tokens: Tensor, layers: Sequence[State], seen: Tensor | None, source: Source | None
) -> tuple[int, list[int], list[int], int, tuple[int, ...]]:
    memory = tuple(map(address, source)) if source is not None else (0, 0, 0)
    return tokens.data_ptr(), *_states(layers), address(seen), memory


def _states(layers: Sequence[State]) -> tuple[list[int], list[int]]:
    """Addresses of each layer's h, and of an LSTM's c."""
    return (
        [state[0].data_ptr() for state in layers],
        [state[1].data_ptr() for state in layers if len(state) > 1],
    )
