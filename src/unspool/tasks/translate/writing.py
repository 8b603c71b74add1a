"""Writes the answers to sources, by one network or by several that speak with one voice.

Shapes: ``P`` sources, ``B`` of them at a time, ``S`` tokens of the longest; ``N`` hypotheses.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unspool.data.pair_corpus import TokenRows
from unspool.data.text_codec import BEGIN, END, PADDING
from unspool.decoding.beam import beam_search
from unspool.decoding.ensemble import Ensemble, EnsembleState
from unspool.decoding.greedy import greedy
from unspool.decoding.hypotheses import Hypothesis
from unspool.decoding.search import Attention
from unspool.decoding.settings import BeamSettings
from unspool.models.encoder_decoder import EncoderDecoder
from unspool.models.memory import attention_of

SENTENCES = 64
"""How many sources are answered at a time."""

_TOKENS = 2**14  # of them at a time, padding among them: one that is long takes no others with it

_NOTHING = Hypothesis((), 0.0, 0.0, finished=True)


def write(
    models: Sequence[EncoderDecoder],
    sources: TokenRows,
    settings: BeamSettings,
    batch_size: int = SENTENCES,
) -> list[list[Hypothesis]]:
    """Search for the answers, sources of like length together.

    Parameters
    ----------
    models : sequence of EncoderDecoder
        Of the same vocabularies; of several the probabilities are averaged.
    sources : TokenRows, ``P``
        See :meth:`TokenRows.of_sources`. One without tokens is answered by nothing.
    settings : BeamSettings
        With a beam of one the search is greedy.
    batch_size : int
        How many at a time, fewer of long ones; the answers do not depend on it.

    Returns
    -------
    list of P lists of Hypothesis
        In the order of the sources, the best of each first.
    """
    found = [[_NOTHING] for _ in range(len(sources))]
    order = np.argsort(sources.lengths, kind="stable")
    order = order[sources.lengths[order] > 1]  # END is always there
    for numbers in _batches(order, sources.lengths, batch_size):
        hypotheses = _search(models, *sources.padded(numbers), settings)
        for number, of_one in zip(numbers.tolist(), hypotheses, strict=True):
            found[number] = of_one
    return found


def _batches(order: np.ndarray, lengths: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Cut sources, the shortest first, into batches of so many, or of so many tokens."""
    start = 0
    while start < len(order):
        numbers = order[start : start + most]
        padded = lengths[numbers] * np.arange(1, len(numbers) + 1)
        numbers = numbers[: max(1, int(np.searchsorted(padded, _TOKENS, side="right")))]
        yield numbers
        start += len(numbers)


def _search(
    models: Sequence[EncoderDecoder], source: Tensor, lengths: Tensor, settings: BeamSettings
) -> list[list[Hypothesis]]:
    device = models[0].target_embedding.weight.device
    source = source.to(device)
    states = [model.initial_state(model.encode(source, lengths)) for model in models]
    steps = [model.steps() for model in models]
    step: Any = steps[0]
    state: Any = states[0]
    if len(models) > 1:
        step, state = Ensemble(steps), EnsembleState(states)
    begin = torch.full((len(source),), BEGIN, device=device)
    options: dict[str, Any] = {
        "source_lengths": lengths,
        "attention": _attention(models),
        "never": (PADDING, BEGIN),
    }
    if settings.beam == 1:
        return [[found] for found in greedy(step, state, begin, END, settings, **options)]
    return beam_search(step, state, begin, END, settings, **options)


def _attention(models: Sequence[EncoderDecoder]) -> Attention[Any] | None:
    """Reads from a state where its networks have just looked: on average, those that do look."""
    looking = [number for number, model in enumerate(models) if model.settings.attention != "none"]
    if not looking:
        return None
    if len(models) == 1:
        return attention_of
    return lambda states: torch.stack([attention_of(states[number]) for number in looking]).mean(0)
