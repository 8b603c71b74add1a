"""The recurrent layers by the names that settings give them."""

from typing import Any

from unspool.nn import GRU, LSTM, RNN

Recurrent = RNN | LSTM | GRU

CELLS: dict[str, type[RNN] | type[LSTM] | type[GRU]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def make_layers(
    cell: str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    forget_bias: float | None = None,
    **options: Any,
) -> Recurrent:
    """Make layers that take their batch first, and whose answers do not hang on what shares it.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
    input_size, hidden_size, num_layers : int
    forget_bias : float, optional
        Of an LSTM; nothing to the others.
    **options
        Of the layers' own.
    """
    if cell == "lstm":
        options["forget_bias"] = forget_bias
    layers: Recurrent = CELLS[cell](
        input_size, hidden_size, num_layers, batch_first=True, **options
    )
    layers.batch_invariant = True
    return layers
