"""Beam search: the most promising hypotheses of each sentence, pursued side by side.

Shapes: ``B`` sentences that are not done, ``K`` beams, ``W`` of them that there are yet, ``N``
their rows, ``C`` candidates, ``V`` tokens of the vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unspool.decoding.hypotheses import NO_TOKEN, Hypothesis
from unspool.decoding.penalties import length_penalty
from unspool.decoding.ranking import best, best_sums
from unspool.decoding.search import Attention, S, Search
from unspool.decoding.settings import BeamSettings
from unspool.decoding.step import Step


def beam_search(
    step: Step[S],
    state: S,
    start: Tensor,
    end: int,
    settings: BeamSettings,
    *,
    source_lengths: Tensor | None = None,
    attention: Attention[S] | None = None,
    never: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """Find the best hypotheses of each sentence of a batch.

    In a step each of a sentence's hypotheses, at first the empty one, goes on by every token of the
    vocabulary. Those among the ``beam`` most probable that end here are finished. The ``beam`` most
    probable that do not end are pursued, so that a finished one makes room for another. The
    sentence is done

    - when no hypothesis can get among the ``n_best`` finished any more: when the log-probability of
      the best that is pursued, divided by the length penalty of the greatest length, is not above
      the score of the worst of the ``n_best``. No score could rise beyond that, since no further
      token has a probability above 1 and no coverage penalty is above 0 (after Huang et al. 2017,
      arXiv 1809.00069);
    - when there are as many finished as ``patience`` asks for;
    - at its greatest length, where what is still pursued is cut off.

    Then it leaves, and the network reads nothing more of it. Of equally good hypotheses the one
    that finished first is preferred, then the one whose prefix ranked higher, then the one with the
    lower token. So what is found for a sentence depends on its own log-probabilities alone, which
    are added up in float64, and on nothing that shares the batch.

    Parameters
    ----------
    step : callable
        See :data:`~unspool.decoding.step.Step`.
    state : Selectable
        With which ``step`` reads the first tokens; one row a sentence.
    start : (B,) int64 tensor
        What ``step`` reads first.
    end : int
        The token that ends a hypothesis.
    settings : BeamSettings
    source_lengths : (B,) int64 tensor, optional
        For a greatest length that depends on them, and for the coverage penalty.
    attention : callable, optional
        See :data:`~unspool.decoding.search.Attention`. For the coverage penalty; and each
        hypothesis is given what its tokens paid attention to.
    never : sequence of int
        Tokens that no hypothesis contains.

    Returns
    -------
    list of B lists of Hypothesis
        The best first, by score; those cut off come last. At least one, and fewer than ``n_best``
        where there are no more.

    Raises
    ------
    DataError
        If what is given does not fit together, or the network's log-probabilities are NaN.

    Examples
    --------
    A network whose next token depends on the last one alone: 0 begins, 3 ends, and what is more
    probable at first leads to the less probable answer.

    >>> class Nothing:
    ...     def select(self, rows):
    ...         return self
    >>> table = torch.tensor(
    ...     [[0, 0.6, 0.4, 0], [0, 0.3, 0.3, 0.4], [0, 0, 0.1, 0.9], [0, 0, 0, 1]]
    ... ).log()
    >>> def step(tokens, state):
    ...     return table[tokens], state
    >>> for beam in (1, 2):
    ...     settings = BeamSettings(beam=beam)
    ...     ((found,),) = beam_search(step, Nothing(), torch.tensor([0]), 3, settings)
    ...     print(found.tokens, torch.tensor(found.log_probability).exp())
    (1,) tensor(0.2400)
    (2,) tensor(0.3600)
    """
    search = _BeamSearch(start, end, settings, source_lengths, attention, never)
    return search.run(step, state)


class _Candidates(NamedTuple):
    """Hypotheses of a token more; of each sentence the most probable first."""

    total: Tensor  # (B, C) float64: the log-probability
    row: Tensor  # (B, C): what each goes on from
    token: Tensor  # (B, C)

    def first(self, count: int) -> "_Candidates":
        return _Candidates(*(values[:, :count] for values in self))

    def without(self, excluded: Tensor) -> "_Candidates":
        """All in their order, but those that are excluded, ``(B, C)``, impossible and last."""
        totals, order = best(self.total.masked_fill(excluded, -torch.inf), self.total.shape[1])
        return _Candidates(totals, self.row.gather(1, order), self.token.gather(1, order))

    def of(self, sentences: Tensor) -> "_Candidates":
        return _Candidates(*(values[sentences] for values in self))


class _BeamSearch(Search[S]):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.hopeless = torch.full_like(self.totals[:, 0], -torch.inf)  # (B,), see _judge

    def advance(self, log_probabilities: Tensor) -> Tensor:
        candidates = self._candidates(log_probabilities)
        if not self._all_go_on(candidates):
            ending = candidates.token == self.end
            at_limit = self.limits <= self.length
            self._end(candidates.first(self.settings.beam), at_limit)
            self._judge()
            candidates = self._going_on(candidates.without(ending), at_limit)
        following = candidates.first(self._width(log_probabilities.shape[1]))
        self.keep(*following)
        return following.row

    def _all_go_on(self, candidates: _Candidates) -> bool:
        """Tell whether nothing ends, is cut off or need be pursued no more: in most steps."""
        # Lists of these few numbers are read more quickly than tensors are compared.
        if self.nearest_limit <= self.length or self.end in candidates.token.flatten().tolist():
            return False
        tops, hopeless = candidates.total[:, 0].tolist(), self.hopeless.tolist()
        return all(top > bound for top, bound in zip(tops, hopeless, strict=True))

    def _candidates(self, log_probabilities: Tensor) -> _Candidates:
        """The best of all, twice as many as there are beams: at most one a row can end."""
        beam = self.settings.beam
        return _Candidates(*best_sums(log_probabilities, self.totals, beam + 1, 2 * beam))

    def _width(self, vocabulary: int) -> int:
        """How many beams of a sentence there can be after a step."""
        return min(self.settings.beam, self.totals.shape[1] * max(vocabulary - 1, 1))

    def _end(self, candidates: _Candidates, at_limit: Tensor) -> None:
        """Keep what is finished, and what is cut off at the greatest length."""
        ending = candidates.token == self.end
        leaving = (ending | at_limit[:, None]) & (candidates.total > -torch.inf)
        totals = candidates.total.where(leaving, -torch.inf)
        self.collect(totals, candidates.row, candidates.token, leaving & ending)

    def _judge(self) -> None:
        """Find up to which log-probability nothing that is pursued can change the n best."""
        most = length_penalty(self.limits.double(), self.settings.length_penalty)
        worst = self.endings.score[self.sentences, -1]
        enough = self.finished[self.sentences] >= self.settings.enough
        self.hopeless = (worst * most).masked_fill(enough, torch.inf)

    def _going_on(self, following: _Candidates, at_limit: Tensor) -> _Candidates:
        """Let the sentences that are done leave, and go on with the others."""
        done = at_limit | (following.total[:, 0] <= self.hopeless)
        self._rescue(done)
        going = self.dismiss(done)
        self.hopeless = self.hopeless[going]
        return following.of(going)

    def _rescue(self, done: Tensor) -> None:
        """Where no token was possible and nothing has ended, keep what there was before."""
        lost = done & (self.endings.score[self.sentences, 0] == -torch.inf)
        if lost.any():
            rows = torch.arange(self.totals.numel(), device=lost.device).view_as(self.totals)
            totals = self.totals.where(lost[:, None], -torch.inf)
            self.collect(totals, rows, torch.full_like(rows, NO_TOKEN), rows < 0)
