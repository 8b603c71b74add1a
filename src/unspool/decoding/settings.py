"""How an answer is searched for: what each search is told."""

import math
from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor

from unspool.errors import DataError
from unspool.settings import Settings

Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]
Exponent = Annotated[float, Field(ge=0, le=20)]  # the power of any length is a number


class BeamSettings(Settings):
    r"""What a beam search looks at, and what it prefers.

    The score of a hypothesis :math:`Y` of a source :math:`X` is that of Wu et al. 2016 (arXiv
    1609.08144, equation 14):

    .. math::
        s(Y, X) = \log P(Y | X) / lp(Y) + cp(X; Y)

        lp(Y) = (5 + |Y|)^\alpha / (5 + 1)^\alpha

        cp(X; Y) = \beta \sum_{i=1}^{|X|} \log \min(\sum_{j=1}^{|Y|} p_{ij}, 1)

    where :math:`|Y|` counts the tokens with the end among them, and :math:`p_{ij}` is the attention
    that token :math:`j` pays to position :math:`i` of the source. Hypotheses that are finished
    compete by their scores; those that are not have equally many tokens, and compete by their
    log-probabilities.

    Parameters
    ----------
    beam : int
        How many hypotheses of a sentence are pursued side by side, ``K``.
    n_best : int
        How many are returned, at most ``beam``.
    length_penalty : float
        :math:`\alpha`, 0 to 20: 0 compares log-probabilities, which favours short hypotheses.
    coverage_penalty : float
        :math:`\beta`: how much it costs to leave parts of the source without attention.
    no_repeat_ngram : int, optional
        No sequence of so many tokens occurs twice in a hypothesis (Paulus et al. 2018, arXiv
        1705.04304, section 2.5).
    min_length : int
        Fewest tokens, the end among them: 2 forbids the empty answer.
    max_length : int
        Most tokens, the end among them. A hypothesis that has not ended by then is cut off, and
        ranks behind all that have.
    max_length_factor : float, optional
        Where given, the most tokens are ``max_length_factor`` × the source's length, rounded down,
        + ``max_length_constant``, within ``min_length … max_length``.
    max_length_constant : int
    patience : float, optional
        Be content with the first ``patience × beam`` hypotheses that are finished (Kasai et al.
        2022, arXiv 2204.05424; 1 is what many programs do). When not given, a sentence is done only
        when no hypothesis can get among the best any more. A beam of one is always content with
        the first, so that it is greedy search.
    """

    beam: Count = 5
    n_best: Count = 1
    length_penalty: Exponent = 0.0
    coverage_penalty: Weight = 0.0
    no_repeat_ngram: Count | None = None
    min_length: Count = 1
    max_length: Count = 200
    max_length_factor: Annotated[float, Field(gt=0)] | None = None
    max_length_constant: Annotated[int, Field(ge=0)] = 0
    patience: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _fit_each_other(self) -> "BeamSettings":
        if self.n_best > self.beam:
            raise ValueError(
                f"n_best is {self.n_best} and beam is {self.beam}, expected n_best of at most "
                "beam; widen the beam"
            )
        if self.min_length > self.max_length:
            raise ValueError(
                f"min_length is {self.min_length} and max_length is {self.max_length}, expected "
                "min_length of at most max_length"
            )
        if self.max_length_constant and self.max_length_factor is None:
            raise ValueError(
                "max_length_constant is added to max_length_factor × the source's length; give "
                "max_length_factor, or use max_length"
            )
        return self

    @property
    def enough(self) -> float:
        """With so many finished hypotheses a sentence is done, whatever else could be found."""
        if self.beam == 1:
            return 1
        return math.inf if self.patience is None else math.ceil(self.patience * self.beam)

    def limits(self, batch: int, source_lengths: Tensor | None, device: torch.device) -> Tensor:
        """The most tokens of each sentence's hypotheses, ``(B,)`` int64.

        Raises
        ------
        DataError
            If they depend on the sources' lengths, and these are not given.
        """
        if self.max_length_factor is None:
            return torch.full((batch,), self.max_length, device=device)
        if source_lengths is None:
            raise DataError(
                f"max_length_factor is {self.max_length_factor}, and the sources' lengths are not "
                "known; give source_lengths, or use max_length alone"
            )
        most = (source_lengths.to(device).double() * self.max_length_factor).floor().long()
        return (most + self.max_length_constant).clamp(self.min_length, self.max_length)
