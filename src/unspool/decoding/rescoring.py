"""How probable given answers are, and lists of answers put into a new order by it.

Shapes: ``B`` sentences, ``K`` answers of each, ``N`` rows, ``T`` steps, ``V`` tokens of the
vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from unspool.decoding.hypotheses import Hypothesis
from unspool.decoding.penalties import length_penalty as penalty_of
from unspool.decoding.search import S
from unspool.decoding.step import Step
from unspool.errors import DataError

Answers = Sequence[Sequence[int]]
"""Those of one sentence, each a sequence of tokens."""


@torch.no_grad()
def rescore(
    step: Step[S], state: S, start: Tensor, answers: Sequence[Answers]
) -> list[list[float]]:
    """Tell how probable given answers are.

    The network reads all answers of all sentences side by side, a token a step, and nothing more of
    a sentence whose answers have all been read.

    Parameters
    ----------
    step : callable
        See :data:`~unspool.decoding.step.Step`.
    state : Selectable
        With which ``step`` reads the first tokens; one row a sentence.
    start : (B,) int64 tensor
        What ``step`` reads first.
    answers : sequence of B sequences of sequences of int
        Any number for each sentence, each with the end if that is to count.

    Returns
    -------
    list of B lists of float
        The log-probability of each answer, in nats, added up in float64.

    Raises
    ------
    DataError
        If there are not as many lists as sentences.

    Examples
    --------
    >>> class Nothing:
    ...     def select(self, rows):
    ...         return self
    >>> def step(tokens, state):  # the same at any time
    ...     return torch.tensor([0.5, 0.25, 0.25]).log().expand(len(tokens), -1), state
    >>> (found,) = rescore(step, Nothing(), torch.tensor([0]), [[[0, 2], [1, 1, 2]]])
    >>> torch.tensor(found).exp()
    tensor([0.1250, 0.0156])
    """
    if len(answers) != len(start):
        raise DataError(
            f"answers of {len(answers):,} sentences are given and first tokens of {len(start):,}, "
            "expected equally many"
        )
    lengths, table = _table(answers)  # (B, K), (B, K, T)
    longest = lengths.amax(1)
    sums = torch.zeros(lengths.shape, dtype=torch.float64, device=start.device)
    lengths, table = lengths.to(start.device), table.to(start.device)
    here, width = torch.arange(len(answers)), 1  # the sentences that are read, their rows
    for t in range(table.shape[2]):
        wanted = 1 if t == 0 else table.shape[1]  # at first all answers of a sentence are one
        staying = (longest[here] > t).nonzero()  # (B', 1), on the CPU throughout
        if len(staying) < len(here) or width < wanted:
            rows = staying * width + torch.arange(wanted) % width
            state = state.select(rows.to(start.device))
            here, width = here[staying[:, 0]], wanted
        tokens = start[here] if t == 0 else table[here, :, t - 1].flatten()
        log_probabilities, state = step(tokens, state)
        chosen = table[here, :, t]  # (B', K)
        said = log_probabilities.gather(1, chosen.view(len(tokens), -1)).view(chosen.shape)
        sums[here] += said.double().where(t < lengths[here], 0)
    return [row[: len(own)] for row, own in zip(sums.tolist(), answers, strict=True)]


def rerank(
    step: Step[S],
    state: S,
    start: Tensor,
    end: int,
    hypotheses: Sequence[Sequence[Hypothesis]],
    *,
    weight: float = 1.0,
    length_penalty: float = 0.0,
) -> list[list[Hypothesis]]:
    r"""Put lists of hypotheses into the order that another network prefers, or both together.

    Parameters
    ----------
    step, state, start
        As for :func:`rescore`.
    end : int
        The token that ends a hypothesis.
    hypotheses : sequence of B sequences of Hypothesis
    weight : float
        The new score is ``(1 - weight)`` × the old one + ``weight`` × the log-probability by
        ``step``.
    length_penalty : float
        :math:`\alpha`, by which this log-probability is divided before, see
        :class:`~unspool.decoding.settings.BeamSettings`.

    Returns
    -------
    list of B lists of Hypothesis
        With new scores, the best first, but those that are not finished last; of equally good ones,
        the one that was in front stays there. Everything else is as it was.
    """
    answers = [[_whole(one, end) for one in own] for own in hypotheses]
    found = rescore(step, state, start, answers)

    def rescored(one: Hypothesis, whole: Sequence[int], log_probability: float) -> Hypothesis:
        new = log_probability / penalty_of(len(whole), length_penalty)
        return replace(one, score=(1 - weight) * one.score + weight * new)

    return [
        sorted(map(rescored, *lists), key=lambda one: (one.finished, one.score), reverse=True)
        for lists in zip(hypotheses, answers, found, strict=True)
    ]


def _whole(hypothesis: Hypothesis, end: int) -> tuple[int, ...]:
    return (*hypothesis.tokens, end) if hypothesis.finished else hypothesis.tokens


def _table(answers: Sequence[Answers]) -> tuple[Tensor, Tensor]:
    """The answers' lengths, ``(B, K)``, and their tokens, ``(B, K, T)``, padded by zeros."""
    width = max([1, *map(len, answers)])
    lengths = torch.zeros(len(answers), width, dtype=torch.int64)
    steps = max((len(answer) for own in answers for answer in own), default=0)
    table = torch.zeros(len(answers), width, steps, dtype=torch.int64)
    for sentence, own in enumerate(answers):
        for place, answer in enumerate(own):
            lengths[sentence, place] = len(answer)
            table[sentence, place, : len(answer)] = torch.tensor(answer, dtype=torch.int64)
    return lengths, table
