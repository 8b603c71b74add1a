"""Drawing tokens one after another, each read by the network before the next is drawn.

Shapes: ``B`` sequences, ``N`` tokens of a history, ``V`` tokens of the vocabulary.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from unspool.decoding.step import State, Step
from unspool.settings import Settings


class SamplingSettings(Settings):
    """How a token is drawn. The rules apply in this order.

    Parameters
    ----------
    repetition_penalty : float
        Multiplies the log-probability of every token that has occurred (after Keskar et al. 2019,
        arXiv 1909.05858); 1 changes nothing.
    temperature : float
        Divides the log-probabilities: below 1 likely tokens get likelier. 0 takes the most
        probable token always.
    top_k : int, optional
        Draw from this many most probable tokens only.
    top_p : float, optional
        Draw from the fewest most probable tokens that have this probability together (nucleus
        sampling; Holtzman et al. 2020, arXiv 1904.09751).
    typical : float, optional
        Draw from the fewest tokens of this probability together whose information content is
        nearest to the entropy (Meister et al. 2023, arXiv 2202.00666).
    """

    repetition_penalty: Annotated[float, Field(ge=1)] = 1.0
    temperature: Annotated[float, Field(ge=0)] = 1.0
    top_k: Annotated[int, Field(ge=1)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    typical: Annotated[float, Field(gt=0, le=1)] | None = None


def random_streams(seed: int, count: int) -> list[np.random.Generator]:
    """Randomness of its own for each sequence, which depends on the seed and its number alone."""
    return [np.random.default_rng([seed, number]) for number in range(count)]


def sample(
    step: Step[State],
    log_probabilities: Tensor,
    state: State,
    settings: SamplingSettings,
    randoms: Sequence[np.random.Generator],
    *,
    history: Tensor | None = None,
    never: Sequence[int] = (),
) -> Iterator[Tensor]:
    """Draw tokens without end.

    Parameters
    ----------
    step : callable
        See :data:`~unspool.decoding.step.Step`.
    log_probabilities : (B, V) tensor
        Of the first token.
    state
        What ``step`` is given with it.
    settings : SamplingSettings
    randoms : sequence of B random generators
        Each sequence's own: what is drawn for one does not depend on which others there are.
    history : (B, N) int64 tensor, optional
        What was read before, for the repetition penalty.
    never : sequence of int
        Tokens that are not to be drawn.

    Yields
    ------
    (B,) int64 tensor
        On the CPU.

    Examples
    --------
    >>> def up(tokens, state):  # the next higher token, always
    ...     return torch.eye(4).roll(1, 1)[tokens].log(), state
    >>> drawn = sample(up, torch.eye(4)[:1].log(), None, SamplingSettings(), random_streams(0, 1))
    >>> [int(next(drawn)) for _ in range(5)]
    [0, 1, 2, 3, 0]
    """
    seen = torch.zeros(log_probabilities.shape, dtype=torch.bool)  # (B, V)
    if history is not None:
        seen.scatter_(1, history.cpu(), value=True)
    excluded = torch.tensor(list(never), dtype=torch.int64)
    while True:
        known = log_probabilities.detach().cpu().index_fill(1, excluded, -torch.inf)
        tokens = draw(known, seen, settings, randoms)
        yield tokens
        seen.scatter_(1, tokens[:, None], value=True)
        log_probabilities, state = step(tokens.to(log_probabilities.device), state)


def draw(
    log_probabilities: Tensor,
    seen: Tensor,
    settings: SamplingSettings,
    randoms: Sequence[np.random.Generator],
) -> Tensor:
    """Draw one token of each sequence, ``(B,)``, on the CPU.

    Parameters
    ----------
    log_probabilities : (B, V) tensor
    seen : (B, V) bool tensor
        Which tokens have occurred, for the repetition penalty.
    settings : SamplingSettings
    randoms : sequence of B random generators
    """
    known = log_probabilities.detach().cpu().double()
    return _draw(_shaped(known, seen, settings), randoms)


def _shaped(known: Tensor, seen: Tensor, settings: SamplingSettings) -> Tensor:
    """The probabilities to draw by, ``(B, V)``."""
    if settings.repetition_penalty != 1:
        known = torch.where(seen, known * settings.repetition_penalty, known)
    if settings.temperature == 0:
        return torch.nn.functional.one_hot(known.argmax(1), known.shape[1]).double()
    belief = (known / settings.temperature).softmax(1)
    if settings.top_k is not None:
        rank = (-belief).argsort(dim=1, stable=True).argsort(1)
        belief = _only(belief, rank < settings.top_k)
    if settings.top_p is not None:
        belief = _only(belief, _first_of(belief, -belief, settings.top_p))
    if settings.typical is not None:
        information = -belief.log()  # nats; infinite where nothing is to be drawn
        entropy = torch.special.entr(belief).sum(1, keepdim=True)
        belief = _only(belief, _first_of(belief, (information - entropy).abs(), settings.typical))
    return belief


def _first_of(belief: Tensor, order: Tensor, share: float) -> Tensor:
    """The fewest tokens, lowest ``order`` first, whose probabilities add up to ``share``."""
    ranked = order.argsort(dim=1, stable=True)
    before = belief.gather(1, ranked).cumsum(1) - belief.gather(1, ranked)
    return torch.zeros_like(belief, dtype=torch.bool).scatter(1, ranked, before < share)


def _only(belief: Tensor, kept: Tensor) -> Tensor:
    belief = belief * kept
    return belief / belief.sum(1, keepdim=True)


def _draw(belief: Tensor, randoms: Sequence[np.random.Generator]) -> Tensor:
    """Draw a token of each row: where one number of its own falls among the cumulated sums."""
    numbers = torch.tensor([[random.random()] for random in randoms], dtype=torch.float64)  # (B, 1)
    sums = belief.cumsum(1)
    last = (belief > 0).long().cumsum(1).argmax(1)  # what a sum just below one must not go beyond
    found = torch.searchsorted(sums, numbers * sums[:, -1:], right=True).squeeze(1)
    return found.minimum(last)
