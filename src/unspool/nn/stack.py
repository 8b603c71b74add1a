"""What every execution route receives: the shape of a recurrent stack and its weights.

A *route* runs a whole stack (all layers, both directions) on a batch in **canonical form**: batch
first, right-padded, with lengths. :mod:`unspool.nn.recurrent` brings the caller's input into this
form and the result back; :mod:`unspool.nn.kernels`, :mod:`unspool.nn.fused` and
:mod:`unspool.nn.reference` are routes.

The shape legend of this package: ``B`` batch, ``T`` steps, ``F`` features, ``H`` hidden size,
``P`` size of the output of one direction (the projection's size if there is one, else ``H``),
``G`` gates × H, ``L`` layers, ``D`` directions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from torch import Tensor

CellName = Literal["rnn_tanh", "rnn_relu", "lstm", "gru"]

GATES: dict[CellName, int] = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}
"""Gates that the weights of a cell hold."""

State = tuple[Tensor, ...]
"""``(h,)`` for RNN and GRU, ``(h, c)`` for LSTM."""


class Weights(NamedTuple):
    """The weights of one layer in one direction, in the order of :mod:`torch.nn`.

    ``G`` is ``H`` for an RNN, ``3 H`` for a GRU (gates r, z, n) and ``4 H`` for an LSTM (gates
    i, f, g, o).
    """

    weight_ih: Tensor  # (G, F) in the first layer, (G, D·P) above it
    weight_hh: Tensor  # (G, P)
    bias_ih: Tensor | None = None  # (G,)
    bias_hh: Tensor | None = None  # (G,)
    weight_hr: Tensor | None = None  # (P, H), the projection of an LSTM


@dataclass(frozen=True)
class Stack:
    """The shape of a recurrent stack.

    Attributes
    ----------
    cell : {"rnn_tanh", "rnn_relu", "lstm", "gru"}
        The cell that is repeated over steps.
    num_layers : int
        Number of layers L.
    bidirectional : bool
        Whether each layer also reads the sequence from its end.
    dropout : float
        Probability with which an output of a layer is zeroed on its way to the next layer in this
        call: 0 outside training.
    """

    cell: CellName
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0


class Route(Protocol):
    """A way to run a stack; all routes give the same result."""

    def __call__(
        self,
        stack: Stack,
        input: Tensor,
        state: State | None,
        lengths: Tensor | None,
        weights: Sequence[Weights],
    ) -> tuple[Tensor, State]:
        """Run the stack; see :func:`unspool.nn.reference.run` for arguments and result."""
        ...


def zero_state(stack: Stack, input: Tensor, weights: Sequence[Weights]) -> State:
    """Return the initial state of a stack that none was given for."""
    hidden = weights[0].weight_hh.size(0) // GATES[stack.cell]
    projection = weights[0].weight_hr
    sizes = [hidden if projection is None else projection.size(0), hidden]
    members = 2 if stack.cell == "lstm" else 1
    return tuple(input.new_zeros(len(weights), input.size(0), size) for size in sizes[:members])
