"""Parts of recurrent networks, usable alone inside any PyTorch program."""

from unspool.nn.levels import kernel
from unspool.nn.recurrent import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "kernel"]
