"""Several networks that speak with one voice: the average of their probabilities.

Shapes: ``N`` rows, ``V`` tokens of the vocabulary.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor

from unspool.decoding.step import Selectable, Step
from unspool.errors import DataError


class EnsembleState(tuple[Selectable, ...]):
    """The states of all members, in their order.

    Examples
    --------
    ``EnsembleState([one.start(sources), other.start(sources)])``
    """

    def select(self, rows: Tensor) -> Self:
        """Return the states of some rows, see :meth:`Selectable.select`."""
        return type(self)(state.select(rows) for state in self)


class Ensemble:
    """A step that asks several networks of one vocabulary and averages what they say.

    Parameters
    ----------
    steps : sequence of callables
        See :data:`~unspool.decoding.step.Step`; each is given its own state, but all the same
        tokens.
    mean : {"arithmetic", "geometric"}
        Of the probabilities. The geometric one is scaled to a sum of 1, so that its logarithm is
        the mean of the log-probabilities plus a constant.

    Raises
    ------
    DataError
        If there are no steps; when called, if their vocabularies differ in size.

    Examples
    --------
    >>> class Nothing:
    ...     def select(self, rows):
    ...         return self
    >>> def always(*probabilities):
    ...     return lambda tokens, state: (torch.tensor([probabilities]).log(), state)
    >>> both = Ensemble([always(0.5, 0.5), always(0.9, 0.1)])
    >>> both(torch.tensor([0]), EnsembleState([Nothing(), Nothing()]))[0].exp()
    tensor([[0.7000, 0.3000]])
    """

    def __init__(
        self,
        steps: Sequence[Step[Any]],
        mean: Literal["arithmetic", "geometric"] = "arithmetic",
    ) -> None:
        if not steps:
            raise DataError("an ensemble has no networks, expected one or more")
        self.steps = tuple(steps)
        self.mean = mean

    def __call__(self, tokens: Tensor, state: EnsembleState) -> tuple[Tensor, EnsembleState]:
        """Let every network read the tokens, ``(N,)``."""
        answers = [step(tokens, own) for step, own in zip(self.steps, state, strict=True)]
        said = [log_probabilities for log_probabilities, _ in answers]
        self._check(said)
        return self._average(said), EnsembleState(state for _, state in answers)

    def _average(self, said: list[Tensor]) -> Tensor:
        if len(said) == 1:
            return said[0]
        if self.mean == "geometric":
            return (sum(said[1:], said[0]) / len(said)).log_softmax(1)
        return torch.stack(said).logsumexp(0) - math.log(len(said))

    def _check(self, said: list[Tensor]) -> None:
        sizes = [log_probabilities.shape[1] for log_probabilities in said]
        for number, size in enumerate(sizes[1:], start=2):
            if size != sizes[0]:
                raise DataError(
                    f"network 1 of the ensemble has a vocabulary of {sizes[0]:,} tokens and "
                    f"network {number} one of {size:,}, expected the same vocabulary; use networks "
                    "that were trained with it"
                )
