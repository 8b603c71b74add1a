"""A network with all that it takes to answer by it: what a model folder holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Protocol, TextIO

import torch
from torch import nn

from unspool.data.vocabulary import Vocabulary
from unspool.decoding.sampling import SamplingSettings
from unspool.errors import ModelFolderError
from unspool.nn.evaluation import evaluating
from unspool.settings import Settings
from unspool.tasks.evaluation import Evaluation
from unspool.tasks.metric import Metric

VOCABULARY = "vocabulary.json"
"""What a model folder calls the vocabulary of a model that has one."""


class DataOrigin(Protocol):
    """What every task's ``[data]`` table tells of itself."""

    @property
    def name(self) -> str | None:
        """The set's name in the catalogue; None for files of the user's own."""

    @property
    def title(self) -> str:
        """What messages and model cards call the data."""


class Predictor(ABC):
    """Answers by a network, judges its answers, and describes itself.

    It holds no training data; :class:`unspool.tasks.task.Task` trains it.

    Attributes
    ----------
    task : str
        The name that recipes and config.json give the task.
    metrics : tuple of Metric
        By what it is judged beside the loss; the first one is the headline.
    unit : str
        What the loss is a mean over and speed is counted in, such as ``sequence`` or ``word``.
    kind, limits : str
        What a model card calls such a model, as in ``A sequence classifier``, and what it says
        such a model cannot do.
    use : str
        The command that a user asks it by, as a model card shows it.
    model : nn.Module
    data : DataOrigin, optional
        Where the training data came from; None for data in memory.
    vocabulary : Vocabulary, optional
        What the model's tokens are, where it reads text.
    evaluation_options : type of Settings
        What :meth:`evaluate` can be told by keywords beside ``by_step``.
    """

    task: ClassVar[str]
    evaluation_options: ClassVar[type[Settings]] = Settings
    metrics: tuple[Metric, ...]
    unit: str
    kind: str
    limits: str
    use: str = "unspool predict MODEL INPUT"

    model: nn.Module
    data: DataOrigin | None
    vocabulary: Vocabulary | None = None

    @property
    def headline(self) -> Metric:
        """The metric that stands for the rest, in one line and in pictures."""
        return self.metrics[0]

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        return next(self.model.parameters()).device

    @property
    def vocabularies(self) -> Mapping[str, Vocabulary]:
        """What the model folder holds, by the files' names: one at most, if not overridden."""
        return {} if self.vocabulary is None else {VOCABULARY: self.vocabulary}

    def answering(self) -> AbstractContextManager[None]:
        """Leave out gradients and dropout; the model's mode is afterwards what it was."""
        return evaluating(self.model)

    # --- judging ---------------------------------------------------------------------------

    @abstractmethod
    def read_part(self, split: str, data_dir: Path | None) -> Sized:
        """Read a part of the data that the model was made for: train, validation or test.

        Only asked where :attr:`data` is known.
        """

    @abstractmethod
    def read_file(self, path: Path) -> Sized:
        """Read a file to be judged on, in the way that the model's own data was read."""

    @abstractmethod
    def evaluate(self, examples: Any, title: str, by_step: bool = False) -> Evaluation:
        """Compare the model's answers with the true ones.

        Parameters
        ----------
        examples : Sized
            As :meth:`read_part` and :meth:`read_file` give them.
        title : str
            What an error calls them.
        by_step : bool
            Also after 1, 2, … steps.

        Raises
        ------
        DataError
            If they cannot be judged, or not by step.
        """

    # --- answers ---------------------------------------------------------------------------

    @abstractmethod
    def answers(self, source: str | TextIO, top: int, by_step: bool) -> Iterator[dict[str, Any]]:
        """Answer about each example of one input.

        Parameters
        ----------
        source : str or text stream
            What the user named, or standard input.
        top : int
            How many of the most probable answers.
        by_step : bool
            Also after every step.

        Yields
        ------
        dict
            ``input`` and ``id`` of the example, ``label`` and ``probability`` of the best answer,
            and both of each of the ``top``; ``by_step`` holds the like for every ``step``.
        """

    # --- the model folder ------------------------------------------------------------------

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """What, beside the weights, is needed to answer: the task's part of config.json."""

    @abstractmethod
    def summary(self) -> str:
        """Say in a sentence what the network is and does, for the model card."""


class TextWriter(ABC):
    """What a predictor also is that can go on with a text."""

    @abstractmethod
    def write(
        self,
        prompt: str,
        sampling: SamplingSettings,
        *,
        length: int,
        seed: int,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """Go on with a text; what is wrong with it is told at once, before the first piece.

        Parameters
        ----------
        prompt : str
            What the text begins with; may be empty.
        sampling : SamplingSettings
        length : int
            Tokens at most.
        seed : int
            Decides what is drawn.
        stop : sequence of str
            Words after any of which the text ends.

        Returns
        -------
        iterator of str
            What follows the prompt, piece by piece.

        Raises
        ------
        DataError
            If the prompt cannot be read, or the text would never end by a stop word.
        """

    @abstractmethod
    def unknown(self, text: str) -> list[str]:
        """The words or characters of a text that the vocabulary lacks, each once."""


class Description(Settings, ABC):
    """A task's part of a model folder's config.json, checked before anything is built."""

    @abstractmethod
    def predictor(self, vocabulary: Vocabulary | None) -> Predictor:
        """Build it with weights yet to be loaded, on the meta device: nothing is allocated.

        Parameters
        ----------
        vocabulary : Vocabulary, optional
            That of the folder, where it has one.

        Raises
        ------
        ModelFolderError
            If a vocabulary is there and not expected, or the other way round.
        """

    def restored(self, vocabularies: Mapping[str, Vocabulary]) -> Predictor:
        """Build it likewise with all vocabularies of the folder, by their files' names.

        Raises
        ------
        ModelFolderError
            If they are not those that the task has: one at most, if not overridden.
        """
        surplus = sorted(vocabularies.keys() - {VOCABULARY})
        if surplus:
            raise ModelFolderError(
                f"holds {' and '.join(surplus)}, expected {VOCABULARY} at most; copy the folder "
                "anew"
            )
        return self.predictor(vocabularies.get(VOCABULARY))


class Architecture(Protocol):
    """What the settings of every recurrent network tell."""

    @property
    def cell(self) -> str:
        """``lstm``, ``gru`` or ``rnn``."""

    @property
    def hidden_size(self) -> int:
        """Units of a layer."""

    @property
    def num_layers(self) -> int:
        """Layers, one above the other."""


def layers_in_words(model: nn.Module, settings: Architecture) -> str:
    """Say how large a network is, as in ``2 LSTM layers of 128 units (216,202 parameters)``."""
    layers = "layer" if settings.num_layers == 1 else "layers"
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"{settings.num_layers} {settings.cell.upper()} {layers} of {settings.hidden_size} units "
        f"({parameters:,} parameters)"
    )


def require_vocabulary(vocabulary: Vocabulary | None) -> Vocabulary:
    """The vocabulary of a folder that must have one.

    Raises
    ------
    ModelFolderError
        If there is none.
    """
    if vocabulary is None:
        raise ModelFolderError(
            "lacks vocabulary.json, expected beside config.json; copy the whole folder"
        )
    return vocabulary


def refuse_vocabulary(vocabulary: Vocabulary | None) -> None:
    """Refuse a vocabulary that a folder should not have.

    Raises
    ------
    ModelFolderError
        If there is one.
    """
    if vocabulary is not None:
        raise ModelFolderError(
            "holds vocabulary.json, expected none: by its config.json the model reads no text"
        )
