"""Answers by a classifier: the label of each sequence.

Shapes: ``N`` sequences, ``B`` batch, ``T`` steps, ``F`` features, ``C`` classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from unspool.data import inputs, labelled_text, normalisation, series, source
from unspool.data.batches import Batch, Batches
from unspool.data.labels import LabelType, from_text
from unspool.data.sequences import Sequences, naming
from unspool.data.source import SequenceDataSettings
from unspool.data.vocabulary import Vocabulary
from unspool.errors import DataError
from unspool.models.classifier import Classifier, ClassifierSettings
from unspool.tasks import ranking, standard_input
from unspool.tasks.classify.evaluation import LabelEvaluation
from unspool.tasks.metric import Metric
from unspool.tasks.predictor import (
    Description,
    Predictor,
    layers_in_words,
    refuse_vocabulary,
    require_vocabulary,
)

Objective = Literal["end", "every-step"]

_BATCH = 256


class LabelPredictor(Predictor):
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
    """

    task: ClassVar[str] = "classify"
    metrics: tuple[Metric, ...] = (Metric("accuracy", higher_is_better=True, format=".2%"),)
    unit = "sequence"
    kind = "A sequence classifier"
    limits = (
        "The classes are those of the training data and no others; a sequence that is none of "
        "them gets one of their names all the same. A probability is the network's belief, not "
        "checked against how often it is right."
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
    ) -> None:
        self.model = model
        self.classes = tuple(classes)
        self.objective = objective
        self.data = data
        self.label_type = label_type
        self.vocabulary = vocabulary

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
        """
        assert training.labels is not None
        classes = _in_order(training.labels)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            num_tokens = None if vocabulary is None else len(vocabulary)
            model = Classifier(training.num_features, len(classes), settings, num_tokens)
        if vocabulary is None:
            centre, scale = normalisation.fit(training, normalise)
            model.set_normalisation(torch.from_numpy(centre), torch.from_numpy(scale))
        return cls(model, classes, objective, data, label_type, vocabulary)

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

    def evaluate(self, examples: Sequences, title: str, by_step: bool = False) -> LabelEvaluation:
        """Compare the model's answers with the true labels.

        Parameters
        ----------
        examples : Sequences
        title : str
            What an error calls them.
        by_step : bool
            Also after 1, 2, … steps; a shorter sequence counts with its last belief.
        """
        self.check_features(examples, title)
        targets = self.targets(examples, title)
        probabilities = self.probabilities(examples)
        steps = self._accuracy_by_step(examples, targets) if by_step else None
        return LabelEvaluation.of(self.classes, probabilities, targets, steps)

    def _accuracy_by_step(self, sequences: Sequences, targets: NDArray[np.int64]) -> list[float]:
        longest = int(sequences.lengths.max())
        hits = torch.zeros(longest, dtype=torch.int64)
        for batch in _batches(sequences):
            answers = self._infer(self.model.by_step, batch).argmax(-1)  # (B, T)
            right = answers == torch.from_numpy(targets)[batch.indices][:, None]
            hits[: right.shape[1]] += right.sum(0)
            hits[right.shape[1] :] += right[:, -1].sum()
        return (hits.double() / len(sequences)).tolist()

    # --- answers ---------------------------------------------------------------------------

    def answers(self, source: str | TextIO, top: int, by_step: bool) -> Iterator[dict[str, Any]]:
        """Say what each sequence of a file or of lines of numbers, or each text, is."""
        title, (sequences, ids) = self._read_inputs(source)
        self.check_features(sequences, title)
        beliefs = self.probabilities(sequences)  # (N, C)
        steps = self.probabilities_by_step(sequences) if by_step else [None] * len(sequences)
        for called, belief, after_steps in zip(ids, beliefs, steps, strict=True):
            answer = {"input": title, "id": called, **self._answer(belief, top)}
            if after_steps is not None:
                answer["by_step"] = ranking.by_step(
                    self._answer(after, top) for after in after_steps
                )
            yield answer

    def _read_inputs(self, source: str | TextIO) -> tuple[str, tuple[Sequences, list[str]]]:
        """What to call an input, its sequences, and what each of them is called."""
        title, given = _given(source)
        if self.vocabulary is not None:
            text_columns = self.data.text_columns if self.data else None
            texts = inputs.read_texts(given, text_columns)
            with naming(title):
                sequences = texts.tokenised(self.vocabulary).check(title)
            return title, (sequences, [str(number) for number in range(len(sequences))])
        if isinstance(given, str):
            columns = self.data.columns if self.data else None
            return title, inputs.read(Path(given), columns)
        return title, inputs.read_lines(given)

    def _answer(self, belief: NDArray[np.float64], top: int) -> dict[str, Any]:
        """The most probable class, and the ``top`` most probable with their probabilities."""
        return ranking.ranking(belief, self.classes.__getitem__, top)

    # --- the model folder ------------------------------------------------------------------

    def description(self) -> dict[str, Any]:
        """Architecture, labels, objective and origin of the data."""
        return {
            "num_features": self.model.num_features,
            "reads": "numbers" if self.vocabulary is None else "text",
            "classes": list(self.classes),
            "label_type": self.label_type,
            "objective": self.objective,
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


class ClassifyDescription(Description):
    """The part of a classifier's config.json."""

    num_features: Annotated[int, Field(ge=1, le=1_000_000)]
    reads: Literal["numbers", "text"] = "numbers"
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=1_000_000, strict=False)]
    label_type: LabelType = "str"
    objective: Objective
    model: ClassifierSettings
    data: SequenceDataSettings | None

    @model_validator(mode="after")
    def _labels_fit_their_type(self) -> ClassifyDescription:
        from_text(self.classes, self.label_type)
        return self

    def predictor(self, vocabulary: Vocabulary | None) -> LabelPredictor:
        """Build it with weights yet to be loaded."""
        num_tokens = None
        if self.reads == "text":
            vocabulary = require_vocabulary(vocabulary)
            num_tokens = len(vocabulary)
        else:
            refuse_vocabulary(vocabulary)
        with torch.device("meta"):
            model = Classifier(self.num_features, len(self.classes), self.model, num_tokens)
        return LabelPredictor(
            model, self.classes, self.objective, self.data, self.label_type, vocabulary
        )


def _given(source: str | TextIO) -> tuple[str, str | list[str]]:
    """What to call an input, and its name or, of standard input, its lines."""
    if isinstance(source, str):
        return source, source
    return standard_input.TITLE, standard_input.read(source).splitlines()


def some(labels: Sequence[str], most: int = 10) -> str:
    """Name labels in a message, not too many of them."""
    shown = ", ".join(map(repr, labels[:most]))
    return shown if len(labels) <= most else f"{shown}, … ({len(labels)} in all)"


def _in_order(labels: NDArray[np.str_]) -> list[str]:
    """The distinct labels, by number where all of them are numbers."""
    distinct = sorted(set(labels.tolist()))
    try:
        return sorted(distinct, key=float)
    except ValueError:
        return distinct


def _batches(sequences: Sequences) -> Iterator[Batch]:
    return Batches(sequences, _BATCH).in_order()


def _softmax(logits: Tensor) -> NDArray[np.float64]:
    return logits.double().softmax(-1).numpy()
