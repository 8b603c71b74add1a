"""Labelled text: what a classifier reads token by token.

Texts become sequences of token numbers: :class:`~unspool.data.sequences.Sequences` of one feature a
step, of type int32, that a network looks up in its embedding.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unspool.data.division import Parts, divide
from unspool.data.files import COMPRESSED, without_compression
from unspool.data.sequences import Sequences
from unspool.data.table_files import open_table
from unspool.data.tables import texts_of
from unspool.errors import DataError
from unspool.settings import Settings

if TYPE_CHECKING:
    from unspool.data.vocabulary import Vocabulary


FORMATS = (".csv", ".parquet", ".jsonl", ".ndjson")
"""The endings of a table's name; those of text may be compressed."""


class TextColumns(Settings):
    """Which columns of a table hold the text and its label.

    Parameters
    ----------
    text, label : str
    """

    text: str = "text"
    label: str = "label"


@dataclass(frozen=True)
class LabelledText:
    """Texts and their labels; the same text may come more than once, also with different labels.

    Parameters
    ----------
    texts : tuple of str, ``N``
    labels : (N,) array of str, or None
    groups : (N,) array of int64, or None
        Texts of one group are never divided; None where each text stands for itself.
    """

    texts: tuple[str, ...]
    labels: NDArray[np.str_] | None = None
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: ArrayLike) -> "LabelledText":
        """Choose texts by position, in the order given."""
        chosen = np.asarray(indices, np.int64)
        return LabelledText(
            tuple(self.texts[index] for index in chosen),
            None if self.labels is None else self.labels[chosen],
            None if self.groups is None else self.groups[chosen],
        )

    def divide(self, *, validation: float, test: float) -> Parts:
        """Divide the texts, always in the same way: whole groups, or else stratified by label.

        Raises
        ------
        DataError
            As :func:`unspool.data.division.divide` does.
        """
        if self.groups is None:
            return divide(self.labels, len(self), validation=validation, test=test)
        count = int(self.groups.max(initial=-1)) + 1
        parts = divide(None, count, validation=validation, test=test)
        return Parts(*(np.flatnonzero(np.isin(self.groups, part)) for part in parts))

    def tokenised(self, vocabulary: "Vocabulary") -> Sequences:
        """Return the texts as sequences of token numbers, int32, one feature a step.

        Raises
        ------
        DataError
            If a text has no tokens; it is named.

        Examples
        --------
        >>> from unspool.data.vocabulary import Vocabulary
        >>> letters = Vocabulary.of_tokens("character", ["<unk>", *"abc"])
        >>> sequences = LabelledText(("ab", "cx"), np.array(["1", "2"])).tokenised(letters)
        >>> sequences.values[:, 0], sequences.lengths
        (array([1, 2, 3, 0], dtype=int32), array([2, 2]))
        """
        tokens = [vocabulary.encode(text).astype(np.int32) for text in self.texts]
        lengths = np.array([len(row) for row in tokens], np.int64)
        if not lengths.all():
            raise DataError(
                f"text {int(lengths.argmin())} has no tokens, expected at least one; leave it out"
            )
        values = np.concatenate([np.zeros(0, np.int32), *tokens])
        return Sequences(values[:, None], lengths, self.labels)


def read(
    path: Path | str, columns: TextColumns | None = None, *, labelled: bool = True
) -> LabelledText:
    """Read a table with a text and a label a row: CSV, Parquet or JSON Lines.

    Parameters
    ----------
    path : path
    columns : TextColumns, optional
    labelled : bool
        Whether to read labels. False, as for prediction: the column need not be there.

    Raises
    ------
    DataError
        If the file is damaged or lacks a column, or a text or label is missing; the line is named.
    """
    path, columns = Path(path), columns or TextColumns()
    if not without_compression(path.name.lower()).endswith(FORMATS):
        raise DataError(
            f"{path} is no table, expected a name that ends in {', '.join(FORMATS)}, or in these "
            f"and {', '.join(COMPRESSED)}"
        )
    table = open_table(path)
    table.require([columns.text, columns.label] if labelled else [columns.text], "text and label")
    texts = texts_of(table, columns.text)
    labels = texts_of(table, columns.label).to_numpy() if labelled else None
    if labels is not None:
        labels = Sequences.from_list([[0]] * len(texts), labels).labels
    return LabelledText(tuple(texts.cast(str).to_list()), labels)
