"""What every search has in common: the sentences it is busy with, and how one step follows another.

Shapes: ``B`` sentences, ``K`` places of each, ``N`` their rows, ``V`` tokens of the vocabulary,
``S`` positions of the source.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from unspool.decoding.constraints import Constraints
from unspool.decoding.hypotheses import Endings, Hypothesis
from unspool.decoding.penalties import Penalties
from unspool.decoding.prefixes import PrefixTree
from unspool.decoding.settings import BeamSettings
from unspool.decoding.step import Selectable, Step
from unspool.errors import DataError

S = TypeVar("S", bound=Selectable)

Attention = Callable[[S], Tensor]
"""Says of a state that a step returned which attention was paid in that step, ``(N, S)``: each row
sums to 1, and positions beyond the end of a source have none."""


@dataclass(eq=False)
class Search(ABC, Generic[S]):
    """Hypotheses that grow by a token a step, until all sentences are done.

    A sentence that is done leaves: nothing more is computed for it.

    Parameters
    ----------
    start : (B,) int64 tensor
        What the network reads first.
    end : int
        The token that ends a hypothesis.
    settings : BeamSettings
    source_lengths : (B,) int64 tensor, optional
    attention : callable, optional
        See :data:`Attention`.
    never : sequence of int
        Tokens that no hypothesis contains.

    Raises
    ------
    DataError
        If these do not fit each other.
    """

    start: Tensor
    end: int
    settings: BeamSettings
    source_lengths: Tensor | None
    attention: Attention[S] | None
    never: Sequence[int]

    def __post_init__(self) -> None:
        _check(self.start, self.settings, self.source_lengths, self.attention is not None)
        batch, device = len(self.start), self.start.device
        if self.source_lengths is not None:
            self.source_lengths = self.source_lengths.to(device)
        self.length = 0  # of the hypotheses, with the token that is being chosen
        self.tokens = self.start  # (N,): what is read next
        self.totals = torch.zeros(batch, 1, dtype=torch.float64, device=device)  # (B, K): nats
        self.sentences = torch.arange(batch, device=device)  # (B,): the numbers of those not done
        self.limits = self.settings.limits(batch, self.source_lengths, device)  # (B,)
        self.nearest_limit = _least(self.limits)
        self.tree = PrefixTree(self.start)
        self.constraints = Constraints(self.settings, self.end, self.never, batch, device)
        self.penalties = Penalties(self.settings, self.source_lengths)
        self.endings = Endings.none(batch, self.settings.n_best, device)  # of all sentences
        self.finished = torch.zeros(batch, dtype=torch.int64, device=device)  # how many there were

    @torch.no_grad()
    def run(self, step: Step[S], state: S) -> list[list[Hypothesis]]:
        """Search to the end; a list for each sentence, the best first."""
        while len(self.sentences):
            state = self.proceed(step, state)
        return self.endings.hypotheses(self.tree, self.source_lengths)

    def proceed(self, step: Step[S], state: S) -> S:
        """Take a step, or several."""
        log_probabilities, state = step(self.tokens, state)
        self.count(None if self.attention is None else self.attention(state))
        rows = self.advance(self.constraints.allow(log_probabilities, self.length))
        return state if rows is None or not len(rows) else state.select(rows)

    def count(self, weights: Tensor | None) -> None:
        """Take note of a step more, and of the attention that was paid in it, ``(N, S)``."""
        self.length += 1
        if weights is not None:
            self.tree.attend(weights)
            self.penalties.attend(weights)

    @abstractmethod
    def advance(self, log_probabilities: Tensor) -> Tensor | None:
        """Choose the next tokens from ``(N, V)``.

        Returns
        -------
        (B, K) int64 tensor, optional
            The rows that go on, see :meth:`Selectable.select`; None where all do, as they are.
        """

    def collect(self, totals: Tensor, rows: Tensor, tokens: Tensor, finished: Tensor) -> None:
        """Keep hypotheses that go on no more, if they are among the best of their sentences.

        All arguments are ``(B, K)``: log-probabilities, -inf where there is no hypothesis, the rows
        they come from, their last tokens, and whether these are the end.
        """
        scores = self.penalties.score(totals, self.length, rows)
        endings = Endings(scores, totals, self.tree.first + rows, tokens, finished)
        self.endings.put(self.sentences, self.endings.of(self.sentences).merged(endings))
        self.finished[self.sentences] += finished.sum(1)

    def dismiss(self, done: Tensor) -> Tensor:
        """Let the sentences that are done leave, ``(B,)``; returns where the others were."""
        going = (~done).nonzero()[:, 0]
        self.sentences, self.limits = self.sentences[going], self.limits[going]
        self.nearest_limit = _least(self.limits)
        return going

    def keep(self, totals: Tensor, rows: Tensor, tokens: Tensor) -> None:
        """Go on by rows, each with a token more; ``(B, K)``, as are their log-probabilities."""
        self.totals = totals
        self.tree.grow(rows, tokens)
        self.constraints.extend(rows, tokens)
        self.penalties.select(rows)
        self.tokens = tokens.flatten()


def _least(values: Tensor) -> int:
    return int(values.min()) if len(values) else 0


def _check(
    start: Tensor, settings: BeamSettings, source_lengths: Tensor | None, attentive: bool
) -> None:
    if start.dim() != 1 or start.dtype != torch.int64:
        raise DataError(
            f"start has shape {tuple(start.shape)} and dtype {start.dtype}, expected (B,) and "
            "int64; give the token that each sentence's answer begins with"
        )
    if source_lengths is not None and source_lengths.shape != start.shape:
        raise DataError(
            f"source_lengths has shape {tuple(source_lengths.shape)}, expected "
            f"{tuple(start.shape)}; give one length for each sentence"
        )
    if settings.coverage_penalty and (source_lengths is None or not attentive):
        raise DataError(
            f"coverage_penalty is {settings.coverage_penalty}, and the network's attention or the "
            "sources' lengths are not known; give both, or leave out coverage_penalty"
        )
