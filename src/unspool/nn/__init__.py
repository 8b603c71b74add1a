"""Parts of recurrent networks, usable alone inside any PyTorch program."""

from unspool.nn.recurrent import GRU, LSTM, RNN, kernel

__all__ = ["GRU", "LSTM", "RNN", "kernel"]
