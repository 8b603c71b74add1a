"""One hypothesis a sentence, token after token: always the most probable one, or one drawn.

Shapes: ``B`` sentences that are not done, each of one row, ``V`` tokens of the vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from unspool.decoding.hypotheses import NO_TOKEN, Hypothesis
from unspool.decoding.ranking import best
from unspool.decoding.sampling import SamplingSettings, draw
from unspool.decoding.search import Attention, S, Search
from unspool.decoding.settings import BeamSettings
from unspool.decoding.step import Greedy, Run, Step

_MOST_STEPS = 64
"""At once: room is made for all of them, and nobody can interrupt them."""

Choice = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Chooses a token of each sentence by log-probabilities, ``(B, V)``, and the sentences' numbers,
``(B,)``; returns the tokens' log-probabilities and the tokens, ``(B, 1)`` each."""


def greedy(
    step: Step[S],
    state: S,
    start: Tensor,
    end: int,
    settings: BeamSettings,
    *,
    source_lengths: Tensor | None = None,
    attention: Attention[S] | None = None,
    never: Sequence[int] = (),
) -> list[Hypothesis]:
    """Go on by the most probable token always: what a beam of one finds, found more quickly.

    Of equally probable tokens the lowest is taken. What is given, and what can be wrong with it, is
    as for :func:`~unspool.decoding.beam.beam_search`; ``beam``, ``n_best`` and ``patience`` of the
    settings count for nothing.

    Returns
    -------
    list of B Hypothesis
    """
    one = settings.model_copy(update={"n_best": 1})
    chains = _GreedyChains(start, end, one, source_lengths, attention, never, _most_probable)
    return [found for (found,) in chains.run(step, state)]


def _most_probable(log_probabilities: Tensor, sentences: Tensor) -> tuple[Tensor, Tensor]:
    return best(log_probabilities, 1)


def ancestral_sampling(
    step: Step[S],
    state: S,
    start: Tensor,
    end: int,
    settings: BeamSettings,
    sampling: SamplingSettings,
    randoms: Sequence[np.random.Generator],
    *,
    source_lengths: Tensor | None = None,
    attention: Attention[S] | None = None,
    never: Sequence[int] = (),
) -> list[Hypothesis]:
    """Draw a hypothesis of each sentence, token after token.

    Parameters
    ----------
    step, state, start, end, settings, source_lengths, attention, never
        As for :func:`greedy`.
    sampling : SamplingSettings
        How a token is drawn from what the constraints allow.
    randoms : sequence of B random generators
        Each sentence's own, see :func:`~unspool.decoding.sampling.random_streams`: what is drawn
        for one does not depend on which others there are.

    Returns
    -------
    list of B Hypothesis
        With the log-probabilities that the network gave, whatever ``sampling`` made of them.
    """
    seen: Tensor | None = None

    def drawn(log_probabilities: Tensor, sentences: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal seen
        numbers = sentences.tolist()
        if seen is None:
            seen = torch.zeros(len(start), log_probabilities.shape[1], dtype=torch.bool)
        streams = [randoms[number] for number in numbers]
        tokens = draw(log_probabilities, seen[numbers], sampling, streams)
        seen[numbers, tokens] = True
        tokens = tokens.to(log_probabilities.device)[:, None]
        return log_probabilities.gather(1, tokens), tokens

    one = settings.model_copy(update={"n_best": 1})
    chains = _Chains(start, end, one, source_lengths, attention, never, drawn)
    return [found for (found,) in chains.run(step, state)]


@dataclass(eq=False)
class _Chains(Search[S]):
    choose: Choice

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rows = self._all_rows()

    def _all_rows(self) -> Tensor:
        return torch.arange(len(self.sentences), device=self.sentences.device)[:, None]

    def advance(self, log_probabilities: Tensor) -> Tensor | None:
        return self.take(*self.choose(log_probabilities, self.sentences))

    def take(self, gains: Tensor, tokens: Tensor) -> Tensor | None:
        """Go on by the tokens that were chosen, with their log-probabilities, ``(B, 1)`` each."""
        totals, rows = self.totals + gains, self.rows
        if self._all_go_on(gains, tokens):
            self.keep(totals, rows, tokens)
            return None
        stuck = totals == -torch.inf  # no token was possible
        done = stuck | (tokens == self.end) | (self.limits <= self.length)[:, None]
        known = torch.where(stuck, self.totals, totals).where(done, -torch.inf)
        last = tokens.masked_fill(stuck, NO_TOKEN)
        self.collect(known, rows, last, last == self.end)
        going = self.dismiss(done[:, 0])
        self.keep(totals[going], rows[going], tokens[going])
        self.rows = self._all_rows()
        return rows[going]

    def _all_go_on(self, gains: Tensor, tokens: Tensor) -> bool:
        if self.nearest_limit <= self.length:
            return False
        # Lists of these few numbers are read more quickly than tensors are compared.
        return [self.end] not in tokens.tolist() and [-math.inf] not in gains.tolist()


class _GreedyChains(_Chains[S]):
    """Chains that may go many steps at once, where the network offers that."""

    def proceed(self, step: Step[S], state: S) -> S:
        found = self._run(step, state)
        if found is None:
            return super().proceed(step, state)
        run, state = found
        attention = [None] * len(run.tokens) if self.attention is None else run.attention
        assert attention is not None
        gains, tokens = run.gains[:, :, None], run.tokens[:, :, None]  # (T, B, 1)
        for i in range(len(tokens) - 1):  # after which all go on
            self.count(attention[i])
            self.keep(self.totals + gains[i], self.rows, tokens[i])
        self.count(attention[-1])
        rows = self.take(gains[-1], tokens[-1])
        return state if rows is None or not len(rows) else state.select(rows)

    def _run(self, step: Step[S], state: S) -> tuple[Run, S] | None:
        if not hasattr(step, "go_on"):
            return None
        quick = cast("Greedy", step)
        if self.attention not in (None, quick.attention):
            return None
        excluded = self.constraints.excluded(self.length + 1)
        if excluded is None:
            return None
        tokens, steps = excluded
        most = min(steps, self.nearest_limit - self.length, _MOST_STEPS)
        return quick.go_on(self.tokens, state, excluded=tokens, end=self.end, most=most)
