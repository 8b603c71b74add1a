"""How well a network foretells the targets of some pairs, and how good its own answers are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from unspool.tasks.evaluation import Evaluation, Table
from unspool.tasks.metric import Metric
from unspool.tasks.translate.scores import BLEU, BLEU_LOWERCASED, CHRF, Score, exact_match

PERPLEXITY = Metric("perplexity", higher_is_better=False, format=".3f")

UNITS = {"word": "word", "character": "character", "byte": "byte", "bpe": "token"}
"""What one token of a vocabulary is called."""

_CALLED = {
    BLEU: "BLEU",
    CHRF: "chrF",
    BLEU_LOWERCASED: "BLEU, lower-cased, Moses' tokens",
}


def measure(loss: float) -> dict[str, float]:
    """The headline metric by its name, from nats a token; infinite beyond what a number holds."""
    try:
        return {PERPLEXITY.name: math.exp(loss)}
    except OverflowError:
        return {PERPLEXITY.name: math.inf}


@dataclass(frozen=True)
class Answers:
    """What a network answered to some sources, and what it should have.

    Parameters
    ----------
    sources, hypotheses, references : tuple of str, ``P``
    scores : mapping of str to Score
        See :func:`unspool.tasks.translate.scores.scores`.
    decoding : dict
        How the answers were searched for.
    """

    sources: tuple[str, ...]
    hypotheses: tuple[str, ...]
    references: tuple[str, ...]
    scores: dict[str, Score]
    decoding: dict[str, Any]

    @property
    def exact_match(self) -> float:
        """Share of the answers that are the reference, letter for letter."""
        return exact_match(self.hypotheses, self.references)


@dataclass(frozen=True)
class PairEvaluation(Evaluation):
    """Figures of some pairs.

    Parameters
    ----------
    unit : str
        What a token of a target is called.
    count : int
        Tokens judged, the end of each target among them.
    loss : float
        Mean negative log-likelihood of the true targets, nats a token.
    accuracy : float
        Share of the tokens that were the most probable one after those before them.
    answers : Answers, optional
        The network's own; None where only the true targets were looked at.
    models : int
        How many networks spoke with one voice, the mean of their probabilities.
    """

    unit: str
    count: int
    loss: float
    accuracy: float
    answers: Answers | None = field(default=None, repr=False)
    models: int = 1

    @property
    def metrics(self) -> dict[str, float]:
        """Perplexity, and the share of tokens that were guessed."""
        return {**measure(self.loss), "accuracy": self.accuracy}

    def summary(self) -> dict[str, Any]:
        """Also the scores of the answers, with their signatures."""
        found = super().summary()
        if self.models > 1:
            found["models"] = self.models
        if self.answers is not None:
            found["sequences"] = len(self.answers.hypotheses)
            found["exact_match"] = self.answers.exact_match
            found |= {name: score.value for name, score in self.answers.scores.items()}
            found["signatures"] = {
                name: score.signature for name, score in self.answers.scores.items()
            }
            found["decoding"] = self.answers.decoding
        return found

    def tables(self) -> list[Table]:
        """What is told beside the headline, the most telling figure first."""
        rows = [(f"{self.unit}s guessed right", f"{self.accuracy:.2%}")]
        if self.answers is not None:
            right = ("answers exactly right", f"{self.answers.exact_match:.2%}")
            scores = self.answers.scores.items()
            scored = [(_CALLED[name], f"{score.value:.2f}") for name, score in scores]
            rows = (
                [*scored, right, *rows] if BLEU in self.answers.scores else [right, *scored, *rows]
            )
        return [Table(("figure", "value"), rows)]

    def texts(self) -> dict[str, str]:
        """The sources, the answers and the references, a line each, as sacrebleu reads them."""
        if self.answers is None:
            return {}
        columns = {
            "sources.txt": self.answers.sources,
            "hypotheses.txt": self.answers.hypotheses,
            "references.txt": self.answers.references,
        }
        return {
            name: "".join(f"{' '.join(text.splitlines())}\n" for text in texts)
            for name, texts in columns.items()
        }
