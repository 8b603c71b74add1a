"""The twin against numbers worked out by hand, and its derivatives against differences."""

from math import log, tanh

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from unspool.nn import reference
from unspool.nn.reference import gru_cell, gru_gates, lstm_cell, lstm_gates, rnn_cell
from unspool.nn.stack import CellName, Stack, State, Weights

# σ(0) = 1/2, σ(ln 3) = 3/4, σ(ln 4) = 4/5, tanh(ln 2) = 3/5: all gates below are fractions.


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def assert_numbers(received: tuple[Tensor, ...], *expected: float) -> None:
    torch.testing.assert_close(
        torch.cat(received, dim=1).squeeze(0), torch.tensor(expected, dtype=torch.float64)
    )


def test_rnn_cell_by_hand() -> None:
    weights = Weights(column(2.0), column(-3.0), column(0.5).squeeze(1), column(0.25).squeeze(1))
    # 2·1 − 3·0.5 + 0.5 + 0.25 = 1.25
    assert_numbers(rnn_cell(column(1.0), (column(0.5),), weights), tanh(1.25))
    assert_numbers(rnn_cell(column(1.0), (column(0.5),), weights, "relu"), 1.25)
    assert_numbers(rnn_cell(column(-1.0), (column(0.5),), weights, "relu"), 0.0)


def test_lstm_cell_by_hand() -> None:
    weights = Weights(column(log(3), 0.0, log(2), log(4)), column(0.0, 0.0, 0.0, 0.0))
    x, state = column(1.0), (column(7.0), column(2.0))
    assert_numbers(lstm_gates(x, state[0], weights), 3 / 4, 1 / 2, 3 / 5, 4 / 5)
    # c' = 1/2 · 2 + 3/4 · 3/5 = 1.45
    assert_numbers(lstm_cell(x, state, weights), 0.8 * tanh(1.45), 1.45)


def test_lstm_cell_adds_recurrent_product_and_both_biases() -> None:
    quarter = torch.tensor([log(3), 0.0, log(2), log(4)], dtype=torch.float64) / 4
    weights = Weights(quarter.unsqueeze(1), quarter.unsqueeze(1), quarter, quarter)
    assert_numbers(lstm_gates(column(1.0), column(1.0), weights), 3 / 4, 1 / 2, 3 / 5, 4 / 5)


def test_projected_lstm_cell_by_hand() -> None:
    weights = Weights(
        column(log(3), 0.0, log(2), log(4)), column(0.0, 0.0, 0.0, 0.0), weight_hr=column(5.0)
    )
    h, c = lstm_cell(column(1.0), (column(0.0), column(2.0)), weights)
    assert_numbers((h, c), 5 * 0.8 * tanh(1.45), 1.45)


def test_gru_cell_by_hand() -> None:
    weights = Weights(column(log(3), 0.0, 0.0), column(0.0, 0.0, log(2) / 1.5))
    x, h = column(1.0), column(2.0)
    # r = 3/4, and n = tanh(3/4 · 2 · ln 2 / 1.5) = 3/5
    assert_numbers(gru_gates(x, h, weights), 3 / 4, 1 / 2, 3 / 5)
    assert_numbers(gru_cell(x, (h,), weights), 0.5 * 0.6 + 0.5 * 2)


def test_gru_keeps_the_state_where_the_update_gate_is_open() -> None:
    weights = Weights(column(0.0, log(4), 0.0), column(0.0, 0.0, 0.0))
    assert_numbers(gru_cell(column(1.0), (column(2.0),), weights), 4 / 5 * 2)


def test_gru_resets_the_recurrent_product_with_its_bias() -> None:
    zeros = column(0.0, 0.0, 0.0)
    bias_hh = torch.tensor([0.0, 0.0, 2 * log(2)], dtype=torch.float64)
    weights = Weights(zeros, zeros, torch.zeros_like(bias_hh), bias_hh)
    # r = 1/2; a reset before the product would leave the bias whole.
    assert_numbers(gru_gates(column(1.0), column(1.0), weights), 1 / 2, 1 / 2, 3 / 5)


def random_stack(cell: CellName, proj_size: int) -> tuple[Stack, Tensor, State, list[Weights]]:
    """A bidirectional stack of two layers on three sequences: F = 2, H = 2."""
    torch.manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    gates = {"lstm": 4, "gru": 3}.get(cell, 1) * 2
    out = proj_size or 2
    weights = [
        Weights(
            draw(gates, 2 if layer == 0 else 2 * out),
            draw(gates, out),
            draw(gates),
            draw(gates),
            draw(proj_size, 2) if proj_size else None,
        )
        for layer in (0, 1)
        for _ in ("forward", "backward")
    ]
    state = (draw(4, 3, out), draw(4, 3, 2))[: 2 if cell == "lstm" else 1]
    return Stack(cell, num_layers=2, bidirectional=True), draw(3, 3, 2), state, weights


@pytest.mark.parametrize(
    ("cell", "proj_size"),
    [("rnn_tanh", 0), ("rnn_relu", 0), ("lstm", 0), ("lstm", 1), ("gru", 0)],
)
def test_first_and_second_derivatives(cell: CellName, proj_size: int) -> None:
    stack, x, state, weights = random_stack(cell, proj_size)
    lengths = torch.tensor([2, 0, 3])

    def function(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        remaining = iter(others)
        state_ = tuple(next(remaining) for _ in state)
        weights_ = [
            Weights(*(None if old is None else next(remaining) for old in layer))
            for layer in weights
        ]
        output, final = reference.run(stack, x, state_, lengths, weights_)
        return output, *final

    flat = [tensor for layer in weights for tensor in layer if tensor is not None]
    assert gradcheck(function, (x, *state, *flat))
    assert gradgradcheck(function, (x, *state, *flat), fast_mode=True)
