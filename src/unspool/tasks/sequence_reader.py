"""What a predictor also is that says what a sequence is, step by step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, TextIO

from pydantic import Field

from unspool.data.centring import Preparation
from unspool.settings import Settings


class ReadingSettings(Settings):
    """How far to read.

    Parameters
    ----------
    until : float, optional
        Answer as soon as the most probable class has this probability; none reads to the end.
    """

    until: Annotated[float, Field(gt=0, le=1)] | None = None


class SequenceReader(ABC):
    """Reads sequences and says what they are, before their end if it is sure by then."""

    @abstractmethod
    def answers_until(
        self, source: str | TextIO, top: int, by_step: bool, until: float
    ) -> Iterator[dict[str, Any]]:
        """Answer about each sequence of one input as soon as the belief is strong enough.

        Parameters
        ----------
        source : str or text stream
            What the user named, or standard input.
        top : int
            How many of the most probable answers.
        by_step : bool
            Also after every step that was read.
        until : float
            The probability that the most probable class must have.

        Yields
        ------
        dict
            As :meth:`unspool.tasks.predictor.Predictor.answers` has it, with ``steps_read`` and
            ``steps``, all that there are.

        Raises
        ------
        DataError
            If the model reads from both ends, or the input cannot be read.
        """

    @abstractmethod
    def prepared(self, name: str) -> Preparation | None:
        """The one picture of a file as it is read, with all that was done to it.

        Returns
        -------
        Preparation or None
            None where the model reads no pictures, or the file is none.

        Raises
        ------
        DataError
            If the file is missing or damaged, or nothing is to be seen in the picture.
        """
