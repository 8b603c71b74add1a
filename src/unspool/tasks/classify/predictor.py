"""Answers by a classifier: the label of each sequence.

Shapes: ``N`` sequences, ``B`` batch, ``T`` steps, ``F`` features, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unspool.data import inputs, labelled_text, normalisation, series, source
from unspool.data.batches import Batch, Batches
from unspool.data.centring import PictureFormat, Preparation
from unspool.data.labels import LabelType, distinct
from unspool.data.sequences import Sequences, naming
from unspool.data.source import SequenceDataSettings
from unspool.data.text import lines_in
from unspool.data.vocabulary import Vocabulary
from unspool.errors import DataError
from unspool.models.classifier import Classifier, ClassifierSettings
from unspool.seeding import seeded
from unspool.settings import Settings
from unspool.tasks import ranking, standard_input
from unspool.tasks.classify.evaluation import LabelEvaluation
from unspool.tasks.classify.reading import read_until, refuse_both_directions
from unspool.tasks.classify.stopping import AnswersByStep
from unspool.tasks.metric import Metric
from unspool.tasks.predictor import Predictor, layers_in_words
from unspool.tasks.sequence_reader import ReadingSettings, SequenceReader

Objective = Literal["end", "every-step"]

_BATCH = 256


class LabelPredictor(Predictor, SequenceReader):
    """A classifier and the labels that it tells apart.

    Parameters
    ----------
    model : Classifier
    classes : sequence of str
        The label of each output, ``C``.
    objective : {"end", "every-step"}
        Whether it learns to answer after the last step, or after every step.
    data : SequenceDataSettings, optional
        Where the data came from, for the record and for ``evaluate``; None for arrays.
    label_type : {"str", "int", "float", "bool"}
        What the labels were before they became text, for a program that wants them back.
    vocabulary : Vocabulary, optional
        What the tokens are, where the sequences are texts.
    picture : PictureFormat, optional
        What the pictures looked like that it learned from, where the sequences are pictures.
    """

    task: ClassVar[str] = "classify"
    evaluation_options: ClassVar[type[Settings]] = ReadingSettings
    metrics: tuple[Metric, ...] = (Metric("accuracy", higher_is_better=True, format=".2%"),)
    unit = "sequence"
    kind = "A sequence classifier"
    limits = (
        "The classes are those of the training data and no others; a sequence that is none of "
        "them gets one of their names all the same. A probability is the network's belief; how "
        "often it is right is what `unspool evaluate MODEL --by-step` tells."
    )

    model: Classifier
    data: SequenceDataSettings | None

    def __init__(
        self,
        model: Classifier,
        classes: Sequence[str],
        objective: Objective = "end",
        data: SequenceDataSettings | None = None,
        label_type: LabelType = "str",
        vocabulary: Vocabulary | None = None,
        picture: PictureFormat | None = None,
    ) -> None:
        self.model = model
        self.classes = tuple(classes)
        self.objective = objective
        self.data = data
        self.label_type = label_type
        self.vocabulary = vocabulary
        self.picture = picture

    @classmethod
    def untrained(
        cls,
        training: Sequences,
        settings: ClassifierSettings,
        seed: int,
        *,
        normalise: normalisation.Normalisation = "standard",
        objective: Objective = "end",
        data: SequenceDataSettings | None = None,
        label_type: LabelType = "str",
        vocabulary: Vocabulary | None = None,
    ) -> LabelPredictor:
        """Draw a new model's weights from the seed, and fit its normalisation.

        Parameters are those of the class, and the sequences that it is to learn from.

        Raises
        ------
        DataError
            If all sequences have the same label.
        """
        assert training.labels is not None
        classes = distinct(training.labels)
        if len(classes) < 2:
            raise DataError(
                f"all sequences to learn from are labelled {classes[0]!r}, expected at least two "
                "classes; there is nothing to tell apart"
            )
        with seeded(seed):
            num_tokens = None if vocabulary is None else len(vocabulary)
            model = Classifier(training.num_features, len(classes), settings, num_tokens)
        if vocabulary is None:
            centre, scale = normalisation.fit(training, normalise)
            model.set_normalisation(torch.from_numpy(centre), torch.from_numpy(scale))
        picture = PictureFormat.of(training) if vocabulary is None else None
        return cls(model, classes, objective, data, label_type, vocabulary, picture)

    # --- beliefs ---------------------------------------------------------------------------

    def probabilities(self, sequences: Sequences) -> NDArray[np.float64]:
        """The belief after each sequence's last step, ``(N, C)``."""
        logits = [self._infer(self.model, batch) for batch in _batches(sequences)]
        return _softmax(torch.cat(logits))

    def probabilities_by_step(self, sequences: Sequences) -> list[NDArray[np.float64]]:
        """The belief after each step of each sequence, ``N`` arrays ``(T_i, C)``."""
        beliefs = []
        for batch in _batches(sequences):
            by_step = _softmax(self._infer(self.model.by_step, batch))  # (B, T, C)
            beliefs += [
                belief[:steps] for belief, steps in zip(by_step, batch.lengths, strict=True)
            ]
        return beliefs

    def probabilities_until(self, sequences: Sequences, until: float) -> list[NDArray[np.float64]]:
        """The belief after each step that is read; reading ends when it is strong enough.

        Parameters
        ----------
        sequences : Sequences
        until : float
            The probability that the most probable class must have.

        Returns
        -------
        list of N arrays (t_i, C)
            The last row is the answer; ``t_i`` steps were read.

        Raises
        ------
        DataError
            If the model reads from both ends.
        """
        beliefs = []
        for batch in _batches(sequences):
            with self.answering():
                read = read_until(self.model, batch.x.to(self.device), batch.lengths, until)
            beliefs += [belief.numpy() for belief in read]
        return beliefs

    def check_features(self, sequences: Sequences, title: str) -> None:
        """Refuse sequences of another width than the model's.

        Raises
        ------
        DataError
        """
        if sequences.num_features != self.model.num_features:
            raise DataError(
                f"{title} has {sequences.num_features} features a step, "
                f"expected {self.model.num_features} as in training"
            )

    def _infer(self, network: Any, batch: Batch) -> Tensor:
        """Logits, on the CPU."""
        with self.answering():
            logits: Tensor = network(batch.x.to(self.device), batch.lengths)
            return logits.cpu()

    # --- judging ---------------------------------------------------------------------------

    def read_part(self, split: str, data_dir: Path | None) -> Sequences:
        """Read the sequences of one part, with their labels."""
        assert self.data is not None
        return source.load(self.data, data_dir, self.vocabulary).part(split)

    def read_file(self, path: Path) -> Sequences:
        """Read the sequences of a labelled file, a table by the columns of the model's own."""
        if self.vocabulary is not None:
            columns = self.data.text_columns if self.data else None
            with naming(str(path)):
                return labelled_text.read(path, columns).tokenised(self.vocabulary)
        return series.read(path, columns=self.data.columns if self.data else None)

    def targets(self, sequences: Sequences, title: str) -> NDArray[np.int64]:
        """Each sequence's label as its position among the classes, ``(N,)``.

        Raises
        ------
        DataError
            If there are no labels, or one was never seen in training.
        """
        if sequences.labels is None:
            raise DataError(f"{title} has no labels, expected one for each sequence")
        known = {label: position for position, label in enumerate(self.classes)}
        unknown = sorted(set(sequences.labels.tolist()) - known.keys())
        if unknown:
            raise DataError(
                f"{title} has labels never seen in training: {some(unknown)}; "
                f"expected some of {some(self.classes)}"
            )
        return np.array([known[label] for label in sequences.labels.tolist()], np.int64)

    def evaluate(
        self,
        examples: Sequences,
        title: str,
        by_step: bool = False,
        until: float | None = None,
    ) -> LabelEvaluation:
        """Compare the model's answers with the true labels.

        Parameters
        ----------
        examples : Sequences
        title : str
            What an error calls them.
        by_step : bool
            Also after 1, 2, … steps; a shorter sequence counts with its last belief.
        until : float, optional
            Also with answers as soon as the most probable class has this probability.

        Raises
        ------
        DataError
            If the sequences do not fit, or ``until`` is given and the model reads from both ends.
        """
        self.check_features(examples, title)
        targets = self.targets(examples, title)
        if until is not None:
            refuse_both_directions(self.model)
        evaluation = LabelEvaluation.of(self.classes, self.probabilities(examples), targets)
        if by_step or until is not None:
            answers = self._answers_by_step(examples, targets)
            if by_step:
                evaluation = evaluation.by_step(answers)
            if until is not None:
                evaluation = replace(evaluation, until=answers.early(until))
        return evaluation

    def _answers_by_step(self, sequences: Sequences, targets: NDArray[np.int64]) -> AnswersByStep:
        shape = (len(sequences), int(sequences.lengths.max()))
        confidence, right = np.empty(shape), np.empty(shape, np.bool_)
        for batch in _batches(sequences):
            beliefs = _softmax(self._infer(self.model.by_step, batch))  # (B, T, C)
            rows, steps = batch.indices.numpy(), beliefs.shape[1]
            confidence[rows, :steps] = beliefs.max(-1)
            right[rows, :steps] = beliefs.argmax(-1) == targets[rows, None]
            confidence[rows, steps:] = confidence[rows, steps - 1, None]
            right[rows, steps:] = right[rows, steps - 1, None]
        return AnswersByStep(confidence, right, sequences.lengths)

    # --- answers ---------------------------------------------------------------------------

    def answers(self, source: str | TextIO, top: int, by_step: bool) -> Iterator[dict[str, Any]]:
        """Say what each sequence of a file or of lines of numbers, or each text, is."""
        given = self._read_input(source)
        beliefs = self.probabilities(given.sequences)  # (N, C)
        steps = self.probabilities_by_step(given.sequences) if by_step else [None] * len(beliefs)
        for called, belief, after_steps in zip(given.ids, beliefs, steps, strict=True):
            answer: dict[str, Any] = {"input": given.title, "id": called}
            answer |= self._answer(belief, top) | given.note
            if after_steps is not None:
                answer["by_step"] = self._by_step(after_steps, top)
            yield answer

    def answers_until(
        self, source: str | TextIO, top: int, by_step: bool, until: float
    ) -> Iterator[dict[str, Any]]:
        """Say likewise what each is as soon as the belief is strong enough."""
        given = self._read_input(source)
        beliefs = self.probabilities_until(given.sequences, until)
        lengths = given.sequences.lengths.tolist()
        for called, after_steps, steps in zip(given.ids, beliefs, lengths, strict=True):
            answer: dict[str, Any] = {"input": given.title, "id": called}
            answer |= self._answer(after_steps[-1], top)
            answer |= {"steps_read": len(after_steps), "steps": steps} | given.note
            if by_step:
                answer["by_step"] = self._by_step(after_steps, top)
            yield answer

    def prepared(self, name: str) -> Preparation | None:
        """The one picture of a file as it is read; None where the file is none."""
        if self.picture is None or self.vocabulary is not None:
            return None
        return inputs.read_prepared(Path(name), self.picture)

    def _read_input(self, source: str | TextIO) -> _Given:
        """Read one input of a user's, which must be something that the model can read."""
        title, given = _given(source)
        summary = ""
        if self.vocabulary is not None:
            text_columns = self.data.text_columns if self.data else None
            texts = inputs.read_texts(given, text_columns)
            with naming(title):
                sequences = texts.tokenised(self.vocabulary).check(title)
            ids = [str(number) for number in range(len(sequences))]
        elif not isinstance(given, str):
            sequences, ids = inputs.read_lines(given)
        elif (prepared := self.prepared(given)) is not None:
            sequences, ids = Sequences.from_array(prepared.picture[None]), ["0"]
            summary = prepared.summary
        else:
            columns = self.data.columns if self.data else None
            sequences, ids = inputs.read(Path(given), columns)
        self.check_features(sequences, title)
        return _Given(title, sequences, ids, {"prepared": summary} if summary else {})

    def _answer(self, belief: NDArray[np.float64], top: int) -> dict[str, Any]:
        """The most probable class, and the ``top`` most probable with their probabilities."""
        return ranking.ranking(belief, self.classes.__getitem__, top)

    def _by_step(self, beliefs: NDArray[np.float64], top: int) -> list[dict[str, Any]]:
        return ranking.by_step(self._answer(belief, top) for belief in beliefs)

    # --- the model folder ------------------------------------------------------------------

    def description(self) -> dict[str, Any]:
        """Architecture, labels, objective and origin of the data."""
        return {
            "num_features": self.model.num_features,
            "reads": "numbers" if self.vocabulary is None else "text",
            "classes": list(self.classes),
            "label_type": self.label_type,
            "objective": self.objective,
            "picture": self.picture and self.picture.model_dump(),
            "model": self.model.settings.model_dump(exclude_none=True),
            "data": self.data and self.data.model_dump(exclude_none=True),
        }

    def summary(self) -> str:
        """Say what the network reads, and how."""
        sequence = (
            f"sequence of {self.model.num_features} features a step"
            if self.vocabulary is None
            else f"text in {len(self.vocabulary):,} {self.vocabulary.unit}s"
        )
        both = self.model.settings.bidirectional
        reading = "from both ends" if both else "from the first step to the last"
        return (
            f"A network of {layers_in_words(self.model, self.model.settings)} that reads a "
            f"{sequence} {reading} and says which of {len(self.classes)} classes it is."
        )


class _Given(NamedTuple):
    """What a user gave.

    Parameters
    ----------
    title : str
        What messages and answers call it.
    sequences : Sequences
    ids : list of str
        What each of them is called.
    note : dict
        What an answer is to say of how a picture was prepared.
    """

    title: str
    sequences: Sequences
    ids: list[str]
    note: dict[str, str]


def _given(source: str | TextIO) -> tuple[str, str | list[str]]:
    """What to call an input, and its name or, of standard input, its lines."""
    if isinstance(source, str):
        return source, source
    return standard_input.TITLE, lines_in(standard_input.read(source))


def some(labels: Sequence[str], most: int = 10) -> str:
    """Name labels in a message, not too many of them."""
    shown = ", ".join(map(repr, labels[:most]))
    return shown if len(labels) <= most else f"{shown}, … ({len(labels)} in all)"


def _batches(sequences: Sequences) -> Iterator[Batch]:
    return Batches(sequences, _BATCH).in_order()


def _softmax(logits: Tensor) -> NDArray[np.float64]:
    return logits.double().softmax(-1).numpy()
