"""How well a model foretells a text."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from unspool.tasks.evaluation import Evaluation, Table
from unspool.tasks.metric import Metric

PERPLEXITY = "perplexity"

UNITS = {"word": "word", "character": "character", "byte": "byte", "bpe": "token"}
"""What one token of a vocabulary is called."""


def headline(unit: str) -> Metric:
    """Perplexity, or bits a character or byte as is the custom for these."""
    if unit in ("character", "byte"):
        return Metric(f"bits_per_{unit}", higher_is_better=False, format=".4f")
    return Metric(PERPLEXITY, higher_is_better=False, format=".2f")


def measure(loss: float, unit: str) -> dict[str, float]:
    """The headline metric by its name, from nats a token."""
    name = headline(unit).name
    return {name: _perplexity(loss) if name == PERPLEXITY else _bits(loss)}


@dataclass(frozen=True)
class Share:
    """How many of ``count`` were guessed: their true token was the most probable one."""

    count: int
    accuracy: float


@dataclass(frozen=True)
class TextEvaluation(Evaluation):
    """Figures of one text.

    Parameters
    ----------
    unit : str
        What a token is called.
    count : int
        Tokens judged.
    loss : float
        Mean negative log-likelihood, nats a token.
    accuracy : float
        Share of the tokens that were the most probable one.
    unambiguous : Share, optional
        Of windows: those that show tokens which no other window shows.
    """

    unit: str
    count: int
    loss: float
    accuracy: float
    unambiguous: Share | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """The headline."""
        return measure(self.loss, self.unit)

    def summary(self) -> dict[str, Any]:
        """Perplexity and bits a token, too."""
        figures = {
            **super().summary(),
            PERPLEXITY: _perplexity(self.loss),
            f"bits_per_{self.unit}": _bits(self.loss),
            "accuracy": self.accuracy,
        }
        if self.unambiguous is not None:
            figures["unambiguous"] = asdict(self.unambiguous)
        return figures

    def tables(self) -> list[Table]:
        """What is told beside the headline."""
        rows = [
            (f"perplexity of a {self.unit}", f"{_perplexity(self.loss):.2f}"),
            (f"bits a {self.unit}", f"{_bits(self.loss):.4f}"),
            ("guessed right", f"{self.accuracy:.2%}"),
        ]
        if self.unambiguous is not None:
            told = f"guessed right of the {self.unambiguous.count:,} windows that occur once"
            rows.append((told, f"{self.unambiguous.accuracy:.2%}"))
        return [Table(("figure", "value"), rows)]


def _perplexity(loss: float) -> float:
    """exp(nats a token); infinite beyond what a number can hold."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def _bits(loss: float) -> float:
    return loss / math.log(2)
