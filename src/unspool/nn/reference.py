"""The plain-torch twin of every recurrent kernel: cells as pure functions, layers as scans.

It is written to be read and to be right, not to be fast: traces and native kernels are held
against it. Made of differentiable torch operations only, it has derivatives of every order and
runs in every dtype and on every device.

Notation: x is the input and h the output of the cell at one step, W the weights, b the biases, σ
the logistic function, ∘ the elementwise product; a prime marks the value after the step. As in
:mod:`torch.nn`, each gate has two biases, one with each product.

References
----------
.. [1] J. L. Elman. Finding structure in time. Cognitive Science 14, 1990.
.. [2] S. Hochreiter, J. Schmidhuber. Long short-term memory. Neural Computation 9, 1997.
.. [3] F. A. Gers, J. Schmidhuber, F. Cummins. Learning to forget: continual prediction with LSTM.
   Neural Computation 12, 2000.
.. [4] H. Sak, A. Senior, F. Beaufays. Long short-term memory recurrent neural network
   architectures for large scale acoustic modeling. Interspeech 2014.
.. [5] K. Cho et al. Learning phrase representations using RNN encoder-decoder for statistical
   machine translation. EMNLP 2014.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from unspool.nn.lengths import valid_steps
from unspool.nn.stack import CellName, Stack, State, Weights, zero_state

Cell = Callable[[Tensor, State, Weights], State]
"""One step: ``cell(x, state, weights)`` returns the next state, whose first member is h."""


def rnn_cell(
    x: Tensor, state: State, weights: Weights, nonlinearity: Literal["tanh", "relu"] = "tanh"
) -> State:
    """One step of a simple recurrent network (Elman [1]_).

    h' = φ(W_ih x + b_ih + W_hh h + b_hh), with φ tanh or the rectifier.

    Parameters
    ----------
    x : Tensor, shape (B, F)
        The input at this step.
    state : tuple of one Tensor, shape (B, H)
        h.
    weights : Weights
        The weights; G is H.
    nonlinearity : {"tanh", "relu"}
        φ.

    Returns
    -------
    tuple of one Tensor, shape (B, H)
        h'.

    Examples
    --------
    >>> import torch
    >>> ones = Weights(torch.ones(1, 1), torch.ones(1, 1))
    >>> rnn_cell(torch.tensor([[2.0]]), (torch.tensor([[3.0]]),), ones, "relu")
    (tensor([[5.]]),)
    """
    (h,) = state
    total = _input_product(x, weights) + _recurrent_product(h, weights)  # (B, H)
    return (torch.tanh(total) if nonlinearity == "tanh" else torch.relu(total),)


def lstm_gates(x: Tensor, h: Tensor, weights: Weights) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute the gates of an LSTM, in the order in which the weights hold them.

    | i = σ(W_ii x + b_ii + W_hi h + b_hi), the input gate [2]_
    | f = σ(W_if x + b_if + W_hf h + b_hf), the forget gate [3]_
    | g = tanh(W_ig x + b_ig + W_hg h + b_hg), the candidate [2]_
    | o = σ(W_io x + b_io + W_ho h + b_ho), the output gate [2]_

    Parameters
    ----------
    x : Tensor, shape (B, F)
        The input at this step.
    h : Tensor, shape (B, P)
        The output of the step before.
    weights : Weights
        The weights; G is 4 H.

    Returns
    -------
    tuple of four Tensors, shape (B, H)
        i, f, g and o.
    """
    total = _input_product(x, weights) + _recurrent_product(h, weights)  # (B, 4H)
    i, f, g, o = total.chunk(4, dim=1)
    return torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)


def lstm_cell(x: Tensor, state: State, weights: Weights) -> State:
    """One step of an LSTM with a forget gate ([2]_, [3]_), and a projection if it has one ([4]_).

    | c' = f ∘ c + i ∘ g
    | h' = o ∘ tanh(c'), or W_hr (o ∘ tanh(c')) with a projection

    Parameters
    ----------
    x : Tensor, shape (B, F)
        The input at this step.
    state : tuple of two Tensors, shapes (B, P) and (B, H)
        h and c.
    weights : Weights
        The weights; G is 4 H.

    Returns
    -------
    tuple of two Tensors, shapes (B, P) and (B, H)
        h' and c'.

    See Also
    --------
    lstm_gates : the equations of i, f, g and o.
    """
    h, c = state
    i, f, g, o = lstm_gates(x, h, weights)
    c = f * c + i * g  # (B, H)
    h = o * torch.tanh(c)  # (B, H)
    if weights.weight_hr is not None:
        h = F.linear(h, weights.weight_hr)  # (B, P)
    return h, c


def gru_gates(x: Tensor, h: Tensor, weights: Weights) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gates of a GRU, in the order in which the weights hold them.

    | r = σ(W_ir x + b_ir + W_hr h + b_hr), the reset gate [5]_
    | z = σ(W_iz x + b_iz + W_hz h + b_hz), the update gate [5]_
    | n = tanh(W_in x + b_in + r ∘ (W_hn h + b_hn)), the candidate

    Cho et al. reset the state before the recurrent product, W_hn (r ∘ h); torch, cuDNN and this
    package reset the product. The two are different functions: weights do not carry over.

    Parameters
    ----------
    x : Tensor, shape (B, F)
        The input at this step.
    h : Tensor, shape (B, H)
        The output of the step before.
    weights : Weights
        The weights; G is 3 H.

    Returns
    -------
    tuple of three Tensors, shape (B, H)
        r, z and n.
    """
    input_r, input_z, input_n = _input_product(x, weights).chunk(3, dim=1)
    recurrent_r, recurrent_z, recurrent_n = _recurrent_product(h, weights).chunk(3, dim=1)
    r = torch.sigmoid(input_r + recurrent_r)
    z = torch.sigmoid(input_z + recurrent_z)
    return r, z, torch.tanh(input_n + r * recurrent_n)


def gru_cell(x: Tensor, state: State, weights: Weights) -> State:
    """One step of a gated recurrent unit ([5]_).

    h' = (1 − z) ∘ n + z ∘ h

    Parameters
    ----------
    x : Tensor, shape (B, F)
        The input at this step.
    state : tuple of one Tensor, shape (B, H)
        h.
    weights : Weights
        The weights; G is 3 H.

    Returns
    -------
    tuple of one Tensor, shape (B, H)
        h'.

    See Also
    --------
    gru_gates : the equations of r, z and n.
    """
    (h,) = state
    _, z, n = gru_gates(x, h, weights)
    return ((1 - z) * n + z * h,)


CELLS: dict[CellName, Cell] = {
    "rnn_tanh": partial(rnn_cell, nonlinearity="tanh"),
    "rnn_relu": partial(rnn_cell, nonlinearity="relu"),
    "lstm": lstm_cell,
    "gru": gru_cell,
}


def scan(
    cell: Cell,
    input: Tensor,
    state: State,
    valid: Tensor,
    weights: Weights,
    *,
    reverse: bool = False,
) -> tuple[Tensor, State]:
    """Run one layer in one direction over all steps.

    A state freezes where a step is padding. Read forwards it is therefore final after the last
    valid step; read backwards it stays initial until the sequence's own end.

    Parameters
    ----------
    cell : Cell
        One of :data:`CELLS`.
    input : Tensor, shape (B, T, F)
        The batch; finite where it is padding.
    state : State, shapes (B, P) and, for an LSTM, (B, H)
        The initial state.
    valid : Tensor of bool, shape (B, T)
        Which steps are not padding.
    weights : Weights
        The weights of the layer in this direction.
    reverse : bool
        Read from the last step to the first.

    Returns
    -------
    output : Tensor, shape (B, T, P)
        h after each step, in the order of the input; zero where a step is padding.
    state : State
        The final state.
    """
    steps = range(input.size(1))
    outputs = []
    for t in reversed(steps) if reverse else steps:
        alive = valid[:, t, None]  # (B, 1)
        advanced = cell(input[:, t], state, weights)
        state = tuple(
            torch.where(alive, new, old) for new, old in zip(advanced, state, strict=True)
        )
        outputs.append(state[0].masked_fill(~alive, 0))
    if reverse:
        outputs.reverse()
    return torch.stack(outputs, dim=1), state


def run(
    stack: Stack,
    input: Tensor,
    state: State | None,
    lengths: Tensor | None,
    weights: Sequence[Weights],
    masks: Sequence[Tensor] | None = None,
) -> tuple[Tensor, State]:
    """Run a whole stack on a batch in canonical form.

    Parameters
    ----------
    stack : Stack
        The shape of the stack.
    input : Tensor, shape (B, T, F)
        The batch, T ≥ 1; what stands in the padding has no influence, not even NaN.
    state : State, shapes (L·D, B, P) and, for an LSTM, (L·D, B, H); or None
        The initial states; forward before backward in each layer. None for zeros.
    lengths : Tensor of int64, shape (B,), or None
        Number of valid steps of each sequence, 0..T; None where all are T.
    weights : sequence of Weights, length L·D
        In the order of the states.
    masks : sequence of Tensor, shape (B, T, D·P) each, optional
        What the outputs of each layer but the last are multiplied by on their way to the next one,
        where this has been drawn already; drawn by ``stack.dropout`` otherwise.

    Returns
    -------
    output : Tensor, shape (B, T, D·P)
        The outputs of the last layer, directions side by side; zero where a step is padding.
    state : State
        The states after each sequence's last valid step, shaped like the initial ones.
    """
    cell = CELLS[stack.cell]
    directions = 2 if stack.bidirectional else 1
    batch, steps, _ = input.shape
    if state is None:
        state = zero_state(stack, input, weights)
    if lengths is None:
        lengths = torch.full((batch,), steps, device=input.device)
    valid = valid_steps(lengths, steps)  # (B, T)
    # Padding must be removed before the first product: the gradient of a masked NaN is NaN.
    output = input.masked_fill(~valid.unsqueeze(2), 0)
    finals: list[State] = []
    for layer in range(stack.num_layers):
        if layer > 0:
            output = masks[layer - 1] * output if masks else F.dropout(output, stack.dropout)
        read = []
        for direction in range(directions):
            k = layer * directions + direction
            h, final = scan(
                cell,
                output,
                tuple(member[k] for member in state),
                valid,
                weights[k],
                reverse=direction == 1,
            )
            read.append(h)  # (B, T, P)
            finals.append(final)
        output = torch.cat(read, dim=2)  # (B, T, D·P)
    return output, tuple(torch.stack(member) for member in zip(*finals, strict=True))


def _input_product(x: Tensor, weights: Weights) -> Tensor:
    return F.linear(x, weights.weight_ih, weights.bias_ih)  # (B, G)


def _recurrent_product(h: Tensor, weights: Weights) -> Tensor:
    return F.linear(h, weights.weight_hh, weights.bias_hh)  # (B, G)
