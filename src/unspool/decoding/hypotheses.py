"""Hypotheses: what a search answers, and the best of a sentence as far as they are known.

Shapes: ``B`` sentences, ``K`` hypotheses of each, ``S`` positions of the source.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Self

import torch
from torch import Tensor

from unspool.decoding.prefixes import PrefixTree
from unspool.errors import DataError

NO_TOKEN = -1


@dataclass(frozen=True)
class Hypothesis:
    """One answer to a sentence.

    Parameters
    ----------
    tokens : tuple of int
        Without the first token, which was given, and without the end.
    score : float
        What it was ranked by: the log-probability with its penalties.
    log_probability : float
        Of all its tokens, and of the end where it is finished; nats.
    finished : bool
        Whether it has ended. Otherwise it was cut off at the greatest length, or no token was
        possible after it.
    attention : (len(tokens), S) float32 tensor, optional
        To which positions of the source each token paid attention, where the network says so;
        on the CPU.
    """

    tokens: tuple[int, ...]
    score: float
    log_probability: float
    finished: bool
    attention: Tensor | None = field(default=None, repr=False, compare=False)


class Endings(NamedTuple):
    """Hypotheses that go on no more, the best of each sentence first.

    Parameters
    ----------
    score, log_probability : (B, K) float64 tensor
        A score of -inf says that there is none.
    node : (B, K) int64 tensor
        The prefix before the last token.
    token : (B, K) int64 tensor
        The last token; ``NO_TOKEN`` where the prefix is all.
    finished : (B, K) bool tensor
        Whether the last token is the end.
    """

    score: Tensor
    log_probability: Tensor
    node: Tensor
    token: Tensor
    finished: Tensor

    @classmethod
    def none(cls, batch: int, count: int, device: torch.device) -> Self:
        """Places for ``count`` hypotheses of each sentence."""
        score = torch.full((batch, count), -torch.inf, dtype=torch.float64, device=device)
        node = torch.zeros(batch, count, dtype=torch.int64, device=device)
        return cls(score, score.clone(), node, node.clone(), node > 0)

    def of(self, sentences: Tensor) -> Self:
        """Those of some sentences, ``(B,)``."""
        return type(self)(*(values[sentences] for values in self))

    def put(self, sentences: Tensor, others: "Endings") -> None:
        """Put others in the place of those of some sentences, ``(B,)``."""
        for values, new in zip(self, others, strict=True):
            values[sentences] = new

    def merged(self, others: "Endings") -> Self:
        """As many as these, of these and others; of equally good ones, these stay in front.

        What is finished ranks before what is not, and then the score counts.
        """
        both = [torch.cat(pair, 1) for pair in zip(self, others, strict=True)]
        score, finished = both[0], both[-1]
        order = score.argsort(dim=1, descending=True, stable=True)
        unfinished = (~finished).gather(1, order).byte()
        order = order.gather(1, unfinished.argsort(dim=1, stable=True))[:, : self.score.shape[1]]
        return type(self)(*(values.gather(1, order) for values in both))

    def hypotheses(self, tree: PrefixTree, source_lengths: Tensor | None) -> list[list[Hypothesis]]:
        """Read them from the tree in which their nodes are; a list for each sentence.

        Raises
        ------
        DataError
            If a score is not a number.
        """
        if self.score.isnan().any():
            raise DataError(
                "the network's log-probabilities are not numbers (NaN), expected 0 or less; its "
                "weights or its input may be damaged"
            )
        there = self.score > -torch.inf  # (B, K)
        paths = tree.paths(self.node[there])
        tokens, attention = tree.tokens(paths), tree.attention(paths)
        score, log_probability, _, last, finished = (values[there].tolist() for values in self)
        widths = [None] * len(there) if source_lengths is None else source_lengths.tolist()
        found: list[list[Hypothesis]] = [[] for _ in there]
        for i, sentence in enumerate(there.nonzero()[:, 0].tolist()):
            if not finished[i] and last[i] != NO_TOKEN:
                tokens[i].append(last[i])
            weights = attention[i]
            if weights is not None:
                weights = weights[: len(tokens[i]), : widths[sentence]]
            found[sentence].append(
                Hypothesis(tuple(tokens[i]), score[i], log_probability[i], finished[i], weights)
            )
        return found
