"""Where a recipe's labelled sequences come from, and how they are divided."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from unspool.data import catalogue, labelled_text, series
from unspool.data.augmentation import AugmentationSettings
from unspool.data.division import divide
from unspool.data.labelled_text import LabelledText, TextColumns
from unspool.data.normalisation import Normalisation
from unspool.data.sequences import Sequences, naming
from unspool.data.tables import TableColumns
from unspool.data.vocabulary import Vocabulary, VocabularySettings
from unspool.data.vocabulary_fitting import fit
from unspool.errors import DataError
from unspool.settings import Settings

Share = Annotated[float, Field(ge=0, lt=1)]


class SequenceDataSettings(Settings):
    """Which labelled sequences to learn from: a catalogue name, or files of one's own.

    Parameters
    ----------
    name : str, optional
        A set of the catalogue (``unspool data list``).
    path, labels_path : str, optional
        A file of one's own in place of ``name``; ``labels_path`` only where labels lie in a
        second file (IDX).
    test_path, test_labels_path : str, optional
        The test part, where it is a file of its own.
    columns : TableColumns
        The columns of a CSV, Parquet or JSONL file.
    vocabulary : VocabularySettings, optional
        What the tokens are where the sequences are texts; none for sequences of numbers.
    validation, test : float
        Shares of the data divided off for model selection and for the final test; ``test`` only
        where there is no test part already. The division is stratified and always the same,
        whatever the run's seed.
    normalisation : {"standard", "global", "range", "none"}
        See :data:`unspool.data.normalisation.Normalisation`.
    augmentation : AugmentationSettings
        Changes of training pictures.
    limit : int, optional
        Learn from this many training sequences only, for a quick trial.
    """

    name: str | None = None
    path: str | None = None
    labels_path: str | None = None
    test_path: str | None = None
    test_labels_path: str | None = None
    columns: TableColumns = TableColumns()
    vocabulary: VocabularySettings | None = None
    validation: Share = 0.1
    test: Share = 0.2
    normalisation: Normalisation = "standard"
    augmentation: AugmentationSettings = AugmentationSettings()
    limit: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "SequenceDataSettings":
        if (self.name is None) == (self.path is None):
            raise ValueError("needs either name (a catalogue set) or path (a file), and not both")
        apart = ("test_path", "labels_path", "test_labels_path")
        given = [key for key in apart if getattr(self, key) is not None]
        if self.name is not None and given:
            raise ValueError(f"{given[0]} goes with path (a file), not with name (a catalogue set)")
        if self.test_labels_path is not None and self.test_path is None:
            raise ValueError("test_labels_path needs test_path, the sequences that it labels")
        if self.vocabulary is not None and self.labels_path is not None:
            raise ValueError("labels_path is for IDX files; texts have their labels beside them")
        if self.vocabulary is not None and self.augmentation.active:
            raise ValueError("augmentation is for pictures, not for text; leave it out")
        return self

    def naming_features(self, names: tuple[str, ...]) -> "SequenceDataSettings":
        """The same, with a table's features by name: another table may have another order."""
        columns = self.columns.model_copy(update={"features": names})
        return self.model_copy(update={"columns": columns})

    @property
    def text_columns(self) -> TextColumns:
        """The columns of a table of texts."""
        return TextColumns(text=self.columns.text, label=self.columns.label)

    @property
    def title(self) -> str:
        """What messages and model cards call the data."""
        return self.name or os.path.basename(self.path or "")

    @property
    def has_test(self) -> bool:
        """Whether a part is divided off for the final test, or comes apart."""
        return self.test > 0 or self.test_path is not None or catalogue.is_divided(self.name)


@dataclass(frozen=True)
class Division:
    """The three parts. Training and selection look at the first two only.

    Where the sequences are texts, ``vocabulary`` is that of the training part.
    """

    training: Sequences
    validation: Sequences
    test: Sequences
    vocabulary: Vocabulary | None = None

    def part(self, split: str) -> Sequences:
        """Give the part called ``train``, ``validation`` or ``test``."""
        parts = {"train": self.training, "validation": self.validation, "test": self.test}
        if split not in parts:
            raise DataError(f"no split {split!r}, expected one of {', '.join(parts)}")
        return parts[split]


def load(
    settings: SequenceDataSettings,
    data_dir: Path | None = None,
    vocabulary: Vocabulary | None = None,
) -> Division:
    """Read the data and divide it.

    Parameters
    ----------
    settings : SequenceDataSettings
    data_dir : Path, optional
        Where catalogue sets are looked for first; ``$UNSPOOL_DATA`` when not given.
    vocabulary : Vocabulary, optional
        For texts, a trained model's; without it one is fitted on the training part alone.

    Raises
    ------
    DataError
        If the data is missing, corrupt or unusable; the message names the file.
    """
    if settings.vocabulary is not None:
        return _load_texts(settings, settings.vocabulary, vocabulary)
    whole, test = _read(settings, data_dir)
    if whole.labels is None:
        raise DataError(f"{settings.title} has no labels, expected one for each sequence")
    share = settings.test if test is None else 0.0
    training, validation, held_out = divide(
        whole.labels, len(whole), validation=settings.validation, test=share
    )
    training = _limited(training, settings.limit)
    if len(training) == 0:
        raise DataError(f"{settings.title} has {len(whole)} sequences, too few to divide")
    return Division(
        whole.take(training),
        whole.take(validation),
        whole.take(held_out) if test is None else test,
    )


def _limited(training: NDArray[np.int64], limit: int | None) -> NDArray[np.int64]:
    """So many of the training part's positions, always the same."""
    if limit is None or limit >= len(training):
        return training
    return np.sort(np.random.default_rng(0).permutation(training)[:limit])


def _load_texts(
    settings: SequenceDataSettings, tokens: VocabularySettings, vocabulary: Vocabulary | None
) -> Division:
    whole, test = _read_texts(settings)
    share = settings.test if test is None else 0.0
    training, validation, held_out = whole.divide(validation=settings.validation, test=share)
    parts = (
        whole.take(_limited(training, settings.limit)),
        whole.take(validation),
        whole.take(held_out) if test is None else test,
    )
    if len(parts[0]) == 0:
        raise DataError(f"{settings.title} has {len(whole)} texts, too few to divide")
    vocabulary = vocabulary or fit(parts[0].texts, tokens)
    with naming(settings.title):
        training_part, validation_part, test_part = (part.tokenised(vocabulary) for part in parts)
    return Division(training_part, validation_part, test_part, vocabulary)


def _read_texts(settings: SequenceDataSettings) -> tuple[LabelledText, LabelledText | None]:
    """The texts before any division, and the test part where it comes apart."""
    if settings.name is not None:
        return catalogue.labelled_texts(settings.name), None
    assert settings.path is not None
    columns = settings.text_columns
    test = settings.test_path and labelled_text.read(settings.test_path, columns)
    return labelled_text.read(settings.path, columns), test or None


def _read(
    settings: SequenceDataSettings, data_dir: Path | None
) -> tuple[Sequences, Sequences | None]:
    """The data before any division, and the test part where it comes apart."""
    if settings.name is not None:
        if catalogue.entry(settings.name).kind == "labelled text":
            raise DataError(
                f"{settings.name} holds texts, expected data.vocabulary to say what a token is, "
                "such as data.vocabulary.unit = 'character'"
            )
        return catalogue.load(settings.name, data_dir)
    assert settings.path is not None
    whole = series.read(settings.path, labels_path=settings.labels_path, columns=settings.columns)
    if settings.test_path is None:
        return whole, None
    columns = settings.naming_features(whole.feature_names).columns
    test = series.read(settings.test_path, labels_path=settings.test_labels_path, columns=columns)
    if test.num_features != whole.num_features:
        raise DataError(
            f"{settings.test_path} has {test.num_features} features a step, expected "
            f"{whole.num_features} as in {settings.path}"
        )
    return whole, test
