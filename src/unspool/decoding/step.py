"""What decoding knows of a network: it reads tokens, says what comes next, and its state has rows.

Shapes: ``N`` rows, one a sequence that is being read, ``V`` tokens of the vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

from torch import Tensor

State = TypeVar("State")

Step = Callable[[Tensor, State], tuple[Tensor, State]]
"""Reads a token of each row, ``(N,)``; returns the log-probabilities of the next in nats,
``(N, V)``, and the state to go on from. A search does not change either in place."""


class Run(Protocol):
    """Steps that followed one another, ``T`` of them, each by the likeliest tokens."""

    @property
    def tokens(self) -> Tensor:
        """What was chosen after each step, (T, N) int64."""
        ...

    @property
    def gains(self) -> Tensor:
        """Its log-probability, (T, N)."""
        ...

    @property
    def attention(self) -> Tensor | None:
        """Which attention was paid in each step, (T, N, S), where any is paid."""
        ...


class Greedy(Protocol):
    """A :data:`Step` that can also go many steps at once, more quickly than one by one."""

    attention: Callable[..., Tensor]
    """What reads from a state the attention that a run tells of its steps."""

    def go_on(
        self, tokens: Tensor, state: State, *, excluded: Sequence[int], end: int, most: int
    ) -> tuple[Run, State] | None:
        """Read a token of each row, then the likeliest that may follow, and so on.

        Parameters
        ----------
        tokens : (N,) int64 tensor
        state : State
        excluded : sequence of int
            Tokens that may not come.
        end : int
        most : int
            Steps at most, 1 or more.

        Returns
        -------
        run : Run
            Of one step at least. After its last one a row is at ``end`` or has no possible token,
            or ``most`` steps were taken. Of equally likely tokens the lowest was taken.
        state : State
            After the last step.

        Where this state has to be read step by step it is None.
        """
        ...


class Selectable(Protocol):
    """A state whose rows can be dropped, repeated and put in another order."""

    def select(self, rows: Tensor) -> Self:
        """Return the state of some rows.

        Parameters
        ----------
        rows : (B, K) int64 tensor
            For each sentence that goes on, which rows of this state become its ``K`` rows. As
            rows of the result they lie one sentence after the other, ``rows.flatten()``.

            This state lies so, too: its ``N`` rows are ``N / W`` sentences of ``W`` rows each.
            All rows of a sentence come from rows of the same sentence, sentences keep their
            order, and none comes in anew. So what belongs to a whole sentence, as the encoder's
            memory does, need be held only once a sentence: that of sentence ``b`` of the result is
            that of sentence ``rows[b, 0] // W`` here, and where there are as many sentences as
            before it can stay as it is.

        Examples
        --------
        >>> import torch
        >>> from typing import NamedTuple
        >>> class Attending(NamedTuple):
        ...     hidden: torch.Tensor  # (N, H)
        ...     memory: torch.Tensor  # (N / W, S, H)
        ...     def select(self, rows):
        ...         width = len(self.hidden) // len(self.memory)
        ...         memory = self.memory
        ...         if len(rows) < len(memory):
        ...             memory = memory[rows[:, 0] // width]
        ...         return Attending(self.hidden[rows.flatten()], memory)
        >>> state = Attending(torch.zeros(6, 4), torch.zeros(3, 7, 4))
        >>> smaller = state.select(torch.tensor([[1, 1], [5, 4]]))  # the second sentence is done
        >>> smaller.hidden.shape, smaller.memory.shape
        (torch.Size([4, 4]), torch.Size([2, 7, 4]))
        """
        ...
