"""The recurrent layers by the names that settings give them."""

from unspool.nn import GRU, LSTM, RNN

Recurrent = RNN | LSTM | GRU

CELLS: dict[str, type[RNN] | type[LSTM] | type[GRU]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
