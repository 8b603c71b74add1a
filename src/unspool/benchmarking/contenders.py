"""Layers ready to be timed: ours, torch.nn's, Keras's on TensorFlow, and JAX's ``lax.scan``."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unspool.benchmarking.layers import GATES, Case
from unspool.nn import GRU, LSTM
from unspool.nn.keeping import keeping_packed


@dataclass(frozen=True)
class Contender:
    """A layer with its input, batch first.

    Attributes
    ----------
    forward : callable
        Returns the output, in inference.
    training : callable
        Runs forward and backward; the gradients of all weights are there when it returns.
    inference : callable
        Returns a context in which ``forward`` is called over and over, as of a model in use.
    """

    forward: Callable[[], Any]
    training: Callable[[], object]
    inference: Callable[[], AbstractContextManager[None]] = nullcontext


def build(name: str, case: Case) -> Contender:
    """Build a contender by its name: ``unspool``, ``torch``, ``Keras`` or ``JAX``."""
    return _BUILDERS[name](case)


# ------------------------------------------------------------------------------------------- torch


def _unspool(case: Case) -> Contender:
    layer, input = _torch_layer({"lstm": LSTM, "gru": GRU}[case.cell], case)
    lengths = torch.tensor(case.lengths()) if case.ragged else None

    def run() -> Tensor:
        output: Tensor = layer(input, lengths=lengths)[0]
        return output

    contender = _torch_contender(layer, run, bf16=case.precision == "bf16")
    return replace(contender, inference=lambda: keeping_packed(layer))


def _torch(case: Case) -> Contender:
    layer, input = _torch_layer({"lstm": nn.LSTM, "gru": nn.GRU}[case.cell], case)
    lengths = torch.tensor(case.lengths())

    def run_full() -> Tensor:
        output: Tensor = layer(input)[0]
        return output

    def run_ragged() -> Tensor:
        packed = pack_padded_sequence(input, lengths, batch_first=True, enforce_sorted=False)
        output, _ = pad_packed_sequence(
            layer(packed)[0], batch_first=True, total_length=case.shape.steps
        )
        return output

    return _torch_contender(layer, run_ragged if case.ragged else run_full, bf16=False)


def _torch_layer(layer: Callable[..., nn.Module], case: Case) -> tuple[nn.Module, Tensor]:
    """Return a layer and its input, the same for ours and torch's."""
    batch, steps, features, hidden, layers = case.shape
    torch.manual_seed(0)
    return (
        layer(features, hidden, layers, batch_first=True, bidirectional=case.bidirectional),
        torch.randn(batch, steps, features),
    )


def _torch_contender(layer: nn.Module, run: Callable[[], Tensor], bf16: bool) -> Contender:
    parameters = list(layer.parameters())
    precision = torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext()

    def forward() -> Tensor:
        with torch.no_grad(), precision:
            return run()

    gradient = torch.randn_like(forward())

    def training() -> None:
        for parameter in parameters:
            parameter.grad = None
        with precision:
            output = run()
        torch.autograd.backward(output, gradient)

    return Contender(forward, training)


# ------------------------------------------------------------------------------------------- Keras


def _keras(case: Case) -> Contender:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(torch.get_num_threads())
    batch, steps, features, hidden, layers = case.shape
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[case.cell]
    model = keras.Sequential([layer(hidden, return_sequences=True) for _ in range(layers)])
    input = tf.random.normal((batch, steps, features))
    gradient = tf.random.normal((batch, steps, hidden))
    forward = tf.function(lambda: model(input, training=False))

    def step() -> Any:
        with tf.GradientTape() as tape:
            output = model(input, training=True)
        return tape.gradient(output, model.trainable_variables, output_gradients=gradient)

    forward()  # creates the weights
    return Contender(forward, tf.function(step))


# --------------------------------------------------------------------------------------------- JAX


def _jax(case: Case) -> Contender:
    import jax
    from jax import lax
    from jax import numpy as jnp

    batch, steps, features, hidden, layers = case.shape
    gates = GATES[case.cell] * hidden
    keys = iter(jax.random.split(jax.random.key(0), 2 * layers + 2))

    def lstm(carry: Any, sums: tuple[Any, Any]) -> tuple[Any, Any]:
        h, c = carry
        i, f, g, o = jnp.split(sums[0] + sums[1], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    def gru(carry: Any, sums: tuple[Any, Any]) -> tuple[Any, Any]:
        (h,) = carry
        (r_x, z_x, n_x), (r_h, z_h, n_h) = (jnp.split(part, 3, axis=-1) for part in sums)
        z = jax.nn.sigmoid(z_x + z_h)
        n = jnp.tanh(n_x + jax.nn.sigmoid(r_x + r_h) * n_h)
        h = n + z * (h - n)
        return (h,), h

    cell, states = {"lstm": (lstm, 2), "gru": (gru, 1)}[case.cell]
    weights = [
        {
            "w_ih": jax.random.normal(next(keys), (inputs, gates)) * hidden**-0.5,
            "w_hh": jax.random.normal(next(keys), (hidden, gates)) * hidden**-0.5,
            "b_ih": jnp.zeros(gates),
            "b_hh": jnp.zeros(gates),
        }
        for inputs in [features] + [hidden] * (layers - 1)
    ]
    input = jax.random.normal(next(keys), (steps, batch, features))
    gradient = jax.random.normal(next(keys), (steps, batch, hidden))

    def run(weights: Any, input: Any) -> Any:
        for w in weights:

            def step(carry: Any, x: Any, w: Any = w) -> tuple[Any, Any]:
                return cell(carry, (x, carry[0] @ w["w_hh"] + w["b_hh"]))

            zeros = (jnp.zeros((batch, hidden)),) * states
            _, input = lax.scan(step, zeros, input @ w["w_ih"] + w["b_ih"])
        return input

    def gradients(weights: Any, input: Any, gradient: Any) -> Any:
        return jax.vjp(lambda weights: run(weights, input), weights)[1](gradient)

    forward, training = jax.jit(run), jax.jit(gradients)
    return Contender(
        lambda: jax.block_until_ready(forward(weights, input)),
        lambda: jax.block_until_ready(training(weights, input, gradient)),
    )


_BUILDERS: dict[str, Callable[[Case], Contender]] = {
    "unspool": _unspool,
    "torch": _torch,
    "Keras": _keras,
    "JAX": _jax,
}
