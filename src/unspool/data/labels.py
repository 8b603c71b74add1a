"""Labels as text, which is how models and their folders keep them, and back as what they were."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unspool.errors import DataError

LabelType = Literal["str", "int", "float", "bool"]

_TYPES: dict[str, LabelType] = {"b": "bool", "i": "int", "u": "int", "f": "float"}
_READERS: dict[LabelType, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": {"True": True, "False": False}.__getitem__,
}


def type_of(array: NDArray[Any]) -> LabelType:
    """What the labels of an array are; all but numbers and booleans is text."""
    return _TYPES.get(array.dtype.kind, "str")


def to_text(array: NDArray[Any]) -> NDArray[np.str_]:
    """Write labels as text, whole numbers without a decimal point.

    Examples
    --------
    >>> to_text(np.array([1.0, 2.0])).tolist()
    ['1', '2']
    """
    texts = [str(int(x)) if type(x) is float and x.is_integer() else str(x) for x in array.tolist()]
    return np.array(texts, np.str_)


def distinct(labels: NDArray[np.str_]) -> list[str]:
    """Each label once, in the order of their numbers where all of them are numbers.

    Examples
    --------
    >>> distinct(np.array(["10", "9", "10"]))
    ['9', '10']
    """
    found = sorted(set(labels.tolist()))
    try:
        return sorted(found, key=float)
    except ValueError:
        return found


def from_text(texts: Sequence[str], label_type: LabelType) -> NDArray[Any]:
    """Read labels that :func:`to_text` wrote.

    Raises
    ------
    DataError
        If a text is not what such a label is written as.

    Examples
    --------
    >>> from_text(["10", "9"], "int")
    array([10,  9])
    """
    read = _READERS[label_type]
    try:
        values = [read(text) for text in texts]
        array = np.array(values)
        if label_type == "int" and array.dtype.kind == "f":  # some are beyond int64, as IDs may be
            array = np.array(values, np.uint64)
    except (KeyError, OverflowError, ValueError):
        array = np.array([])
    if to_text(array).tolist() != list(texts):
        raise DataError(f"the labels are not all of type {label_type}, as label_type says")
    return array
