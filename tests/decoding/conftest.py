"""A network of no parameters for all that decodes, and what it says, told in plain Python."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

CODES, POSITIONS = 61, 4


class ToyState(NamedTuple):
    """Rows that remember all they have read, and what is held once a sentence."""

    code: torch.Tensor  # (N,)
    memory: torch.Tensor  # (sentences, 1): their numbers
    attention: torch.Tensor | None = None  # (N, S)

    def select(self, rows):
        width = len(self.code) // len(self.memory)
        assert rows.dtype == torch.int64
        assert rows.dim() == 2
        own = torch.arange(len(self.memory)).repeat_interleave(width)[rows]
        assert (own == own[:, :1]).all()  # all rows of a sentence come from one sentence
        assert (own[:, 0].diff() > 0).all()  # sentences keep their order, none comes twice
        memory = self.memory
        if len(rows) < len(memory):
            memory = memory[rows[:, 0] // width]
        attention = None if self.attention is None else self.attention[rows.flatten()]
        return ToyState(self.code[rows.flatten()], memory, attention)


class Toy:
    """What comes next hangs on the sentence and on every token so far.

    Log-probabilities are multiples of 1/8: sums of them are exact, and many are equal. They do
    not add up to a probability of 1.
    """

    def __init__(self, vocabulary, seed=0, impossible=0.0, exact=True):
        random = np.random.default_rng(seed)
        shape = (CODES, vocabulary)
        values = -random.integers(1, 20, shape) / 8 if exact else -random.exponential(2, shape)
        values[random.random(shape) < impossible] = -np.inf
        self.table = torch.tensor(values)
        self.looks = torch.tensor(random.dirichlet([0.4] * POSITIONS, CODES))
        self.calls = []  # how many rows each step had

    def state(self, sentences):
        numbers = torch.tensor(sentences, dtype=torch.int64)
        return ToyState(numbers * 7 % CODES, numbers[:, None])

    def step(self, tokens, state):
        self.calls.append(len(tokens))
        assert len(tokens) == len(state.code)
        code = (state.code * 5 + tokens * 3 + 1) % CODES
        return self.table[code], ToyState(code, state.memory, self.looks[code])

    @staticmethod
    def attention(state):
        return state.attention

    def told(self, sentence, tokens):
        """Log-probabilities and attention after some tokens, the first among them; as lists."""
        code = sentence * 7 % CODES
        for token in tokens:
            code = (code * 5 + token * 3 + 1) % CODES
        return self.table[code].tolist(), self.looks[code].tolist()


@pytest.fixture(scope="session")
def toy():
    return Toy
