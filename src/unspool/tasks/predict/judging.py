"""Reads a text to find out how likely a model finds it.

Shapes: ``B`` streams or windows, ``T`` steps, ``C`` tokens of context.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from unspool.data.corpus import Corpus
from unspool.data.streams import Segment, Streams
from unspool.data.windows import Windows
from unspool.models.language_model import LanguageModel
from unspool.settings import Settings
from unspool.tasks.tally import Answers, Tally

STREAMS = 32
"""Streams side by side, and how many tokens each reads before those that are its own: enough that
figures do not depend on where the text was cut."""
WARM_UP = 256

_STEPS = 128
_WINDOWS = 1024


class DynamicSettings(Settings):
    """How a model goes on learning from the text that it is judged on.

    Krause, Kahembwe, Murray & Renals 2018, arXiv 1709.07432, equation 6 with plain gradient
    descent: θ ← θ - rate ∇L + decay (θ₀ - θ).

    Parameters
    ----------
    rate : float
        Of the step along the mean gradient of each segment, once it has been judged.
    decay : float
        How far the weights are drawn back to the trained ones at each step.
    steps : int
        Tokens of a segment.
    """

    rate: Annotated[float, Field(gt=0)]
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    steps: Annotated[int, Field(ge=1)] = 5


def judge_streams(
    model: LanguageModel, corpus: Corpus, answers: Answers, streams: int = STREAMS
) -> Tally:
    """Judge every token of a corpus after all that stand before it in its document.

    A text too short for that many streams with their warm-up is read in fewer, so that the figures
    do not depend on ``streams``.
    """
    tally, state = Tally(), None
    streams = max(min(streams, len(corpus) // WARM_UP), 1)
    device = model.embedding.weight.device
    for segment in Streams(corpus, streams, _STEPS, WARM_UP).in_order():
        reading = model(segment.tokens.to(device), state, segment.resets)
        state = reading.state
        _count(tally, answers, model, reading.hidden, segment)
    return tally


def judge_dynamically(
    model: LanguageModel, corpus: Corpus, answers: Answers, settings: DynamicSettings
) -> Tally:
    """The same in one stream, with a step of learning after each segment.

    The model's weights are afterwards what they were.
    """
    tally, state = Tally(), None
    device = model.embedding.weight.device
    with _learning(model) as (weights, trained):
        for segment in Streams(corpus, 1, settings.steps).in_order():
            reading = model(segment.tokens.to(device), state, segment.resets)
            state = tuple(tuple(member.detach() for member in layer) for layer in reading.state)
            with torch.no_grad():
                _count(tally, answers, model, reading.hidden, segment)
            targets = segment.targets.to(device).flatten()
            loss = model.nats(reading.hidden.flatten(0, 1), targets) / len(targets)
            # a segment may use none of an adaptive softmax's rare words, nor their weights
            gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
            with torch.no_grad():
                for weight, gradient, first in zip(weights, gradients, trained, strict=True):
                    weight += settings.decay * (first - weight) - settings.rate * gradient
    return tally


@contextmanager
def _learning(model: LanguageModel) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """Allow gradients, without dropout; give the weights, and put back the trained ones at last."""
    weights: list[Tensor] = list(model.parameters())
    trained = [weight.detach().clone() for weight in weights]
    was_training = model.training
    model.eval()
    model.layers.train()  # they drop nothing themselves, and cuDNN needs it for a gradient
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield weights, trained
    finally:
        model.train(was_training)
        with torch.no_grad():
            for weight, first in zip(weights, trained, strict=True):
                weight.copy_(first)


def _count(
    tally: Tally, answers: Answers, model: LanguageModel, hidden: Tensor, segment: Segment
) -> None:
    mask = segment.mask.to(hidden.device)
    targets = segment.targets.to(hidden.device)[mask]
    tally.add(answers, hidden[mask], targets, model.num_tokens)


@dataclass(frozen=True)
class WindowTally:
    """What windows were guessed.

    Parameters
    ----------
    tally : Tally
    guessed : (N,) bool array, optional
        Which, in the order of the text; only where each window asks for one token.
    """

    tally: Tally
    guessed: NDArray[np.bool_] | None


def judge_windows(
    model: LanguageModel, corpus: Corpus, answers: Answers, context: int, stride: int
) -> WindowTally:
    """Judge every token of a corpus that has ``context`` tokens before it in its document.

    Each is judged once, after ``context`` to ``context + stride - 1`` tokens: windows begin
    ``stride`` tokens apart. A stride of 1 is the exact figure, a longer one is quicker.
    """
    tally, guessed = Tally(), []
    device = model.embedding.weight.device
    batch_size = max(_WINDOWS // stride, 1)
    for batch in Windows(corpus, context, batch_size).in_strides(stride):
        hidden = model(batch.tokens.to(device)).hidden[:, context - 1 :]  # (B, stride, P)
        mask = batch.mask.to(device)
        found = tally.add(answers, hidden[mask], batch.targets.to(device)[mask], model.num_tokens)
        guessed.append(found.cpu().numpy())
    return WindowTally(tally, np.concatenate(guessed) if stride == 1 else None)


def unambiguous(corpus: Corpus, context: int) -> NDArray[np.bool_]:
    """Which windows show tokens that no other window of the corpus shows, ``(N,)``."""
    shown = [batch.tokens.numpy() for batch in Windows(corpus, context, 1 << 16).in_order()]
    _, which, counts = np.unique(
        np.concatenate(shown), axis=0, return_inverse=True, return_counts=True
    )
    once: NDArray[np.bool_] = counts[which.reshape(-1)] == 1
    return once
