"""What users may give as ``X`` and ``y``."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from unspool.data.labels import to_text
from unspool.errors import DataError

Form = Literal["table", "array", "list", "text"]


def form_of(X: Any) -> Form:
    """Tell a table (a row a sequence) from an array (sequences, steps, features) and a list.

    A list of arrays is a list of sequences even where all of them have the same length, so that
    what it means does not hang on the lengths. A list of plain lists is what numpy makes of it,
    as everywhere in scikit-learn; numpy makes nothing of rows of unequal lengths. One dimension of
    strings, a list, an array or a series, is text.
    """
    if _is_text(X):
        return "text"
    if isinstance(X, (list, tuple)) and any(_is_array(sequence) for sequence in X):
        return "list"
    try:
        dimensions = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    except ValueError:  # nested unevenly
        return "list"
    return "table" if dimensions <= 2 else "array"


def _is_array(sequence: Any) -> bool:
    return hasattr(sequence, "__array__") and np.ndim(sequence) > 0


def _is_text(X: Any) -> bool:
    one_dimension = isinstance(X, (list, tuple)) or len(getattr(X, "shape", ())) == 1
    return one_dimension and len(X) > 0 and all(isinstance(text, str) for text in X)


def check_text(text: str, place: str) -> None:
    """Refuse what Python takes for a text, and no file and no tokenizer does.

    Raises
    ------
    DataError
        If it has half of a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place} has half of a surrogate pair, {text[error.start]!r}, at character "
            f"{error.start}, expected text"
        ) from None


class Labels(NamedTuple):
    """``N`` labels of ``C`` classes.

    Parameters
    ----------
    classes : (C,) array
        The distinct labels, sorted, of the type that the user gave.
    names : (C,) array of str
        The same as text.
    texts : (N,) array of str
        Each sequence's label as text.
    """

    classes: NDArray[Any]
    names: NDArray[np.str_]
    texts: NDArray[np.str_]


def read_labels(y: Any, count: int) -> Labels:
    """Check the labels of ``count`` sequences.

    Raises
    ------
    DataError, ValueError
        If they are missing, not one a sequence, no classes, or all the same.
    """
    if y is None:
        raise DataError(
            "fit requires y to be passed, but the target y is None; give one label a sequence"
        )
    labels = column_or_1d(y, warn=True)
    if len(labels) != count:
        raise DataError(f"y has {len(labels)} labels for {count} sequences, expected one each")
    assert_all_finite(labels, input_name="y")
    try:
        check_classification_targets(labels)
        classes, positions = np.unique(labels, return_inverse=True)
    except TypeError as error:  # the labels cannot be sorted
        raise DataError(f"y mixes labels of different types ({error}), expected one type") from None
    if len(classes) < 2:
        raise DataError(
            f"y holds one class, {classes.tolist()[0]!r}, expected at least two; "
            "there is nothing to tell apart"
        )
    names = to_text(classes)
    for name in names.tolist():
        check_text(name, "a label of y")
    return Labels(classes, names, names[positions])
