"""Sequences from tables in long form: one row a step, in CSV, Parquet or JSON Lines.

Reading tables needs polars (``pip install 'unspool[tables]'``), which is imported when the first
table is read.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from unspool.data.sequences import Sequences, naming
from unspool.data.table_files import Table, open_table
from unspool.errors import DataError
from unspool.settings import Settings

if TYPE_CHECKING:
    import polars as pl


class TableColumns(Settings):
    """Which columns of a table mean what.

    Parameters
    ----------
    sequence : str
        Says which sequence a row belongs to.
    step : str
        Orders the rows of a sequence; the numbers need not be consecutive.
    label : str
        The sequence's label, the same in all of its rows.
    features : tuple of str
        The features in this order; empty for all other numeric columns in the table's order.
    text : str
        Of a table with a text a row: the text. Such a table has a label besides, and no steps.
    """

    sequence: str = "sequence"
    step: str = "step"
    label: str = "label"
    features: Annotated[tuple[str, ...], Field(strict=False)] = ()
    text: str = "text"


def read_table(
    path: Path | str, columns: TableColumns | None = None, *, labelled: bool = True
) -> tuple[Sequences, NDArray[np.str_]]:
    """Read a table in long form.

    The rows may come in any order: sequences keep the order of their first appearance, and rows
    are sorted by step within their sequence.

    Parameters
    ----------
    path : path
        A ``.csv``, ``.parquet``, ``.jsonl`` or ``.ndjson`` file.
    columns : TableColumns, optional
    labelled : bool
        Whether to read labels. False, as for prediction: the column need not be there.

    Returns
    -------
    sequences : Sequences
    ids : (N,) array of str
        Each sequence's name in the column ``columns.sequence``.

    Raises
    ------
    DataError
        If the file is damaged; a column is not there; a value is missing, not a number or not
        finite; a step comes twice in a sequence; or a sequence has several labels. The line is
        named.
    """
    columns = columns or TableColumns()
    table = open_table(Path(path))
    label = [columns.label] if labelled else []
    table.require(
        [columns.sequence, columns.step, *label, *columns.features],
        "sequence, step, label and features",
    )
    ids, sequence_of = _encode(texts_of(table, columns.sequence))
    steps = _steps(table, columns.step)
    order = np.lexsort((steps, sequence_of))
    _check_steps(table, columns, order, sequence_of, steps)
    names = _feature_names(table, columns)
    values = np.stack([_feature(table, name) for name in names], axis=1)  # (S, F)
    labels = _labels(table, columns, sequence_of) if labelled else None
    lengths = np.bincount(sequence_of)
    sequences = Sequences(values[order], lengths.astype(np.int64), labels, names)
    return sequences, ids.to_numpy().astype(str)


def _encode(column: "pl.Series") -> tuple["pl.Series", NDArray[np.int64]]:
    """Replace values by numbers, given in the order of first appearance."""
    distinct = column.unique(maintain_order=True)
    codes = column.replace_strict(distinct, np.arange(len(distinct)))
    return distinct, codes.to_numpy().astype(np.int64)


def texts_of(table: Table, name: str) -> "pl.Series":
    """Read names, labels or texts; numbers stay numbers, so that 1.0 and 1 can be one label.

    Raises
    ------
    DataError
        If one is missing or nothing but white space.
    """
    import polars as pl

    column = table.frame[name]
    if column.dtype.is_nested() or column.dtype == pl.Binary:
        raise DataError(f"{table.path}: column {name!r} has type {column.dtype}, expected text")
    if not column.dtype.is_numeric():
        column = column.cast(pl.String).str.strip_chars()
        column = column.replace("", None)
    refuse(table, column, column.is_null(), "a value")
    return column


def _numbers(table: Table, name: str) -> "pl.Series":
    """Read numbers; what is none becomes null."""
    import polars as pl

    column = table.frame[name]
    if column.dtype == pl.String:
        column = column.str.strip_chars()
    try:
        return column.cast(pl.Float64, strict=False)
    except pl.exceptions.PolarsError:
        raise DataError(
            f"{table.path}: column {name!r} has type {column.dtype}, expected numbers"
        ) from None


def _steps(table: Table, name: str) -> NDArray[Any]:
    """Read the steps, as whole numbers where they are: time stamps need all of their digits."""
    import polars as pl

    numbers = _numbers(table, name)
    refuse(table, table.frame[name], ~numbers.is_finite().fill_null(False), "a finite number")
    column = table.frame[name]
    texts = column.str.strip_chars() if column.dtype == pl.String else column
    whole = texts.cast(pl.Int64, strict=False)
    if whole.null_count() == 0 and (whole.cast(pl.Float64) == numbers).all():
        return whole.to_numpy()
    return numbers.to_numpy()


def _check_steps(
    table: Table,
    columns: TableColumns,
    order: NDArray[np.int64],
    sequence_of: NDArray[np.int64],
    steps: NDArray[Any],
) -> None:
    """Refuse a step that comes twice in one sequence; equal ones are neighbours in ``order``."""
    before, after = order[:-1], order[1:]
    same = (sequence_of[before] == sequence_of[after]) & (steps[before] == steps[after])
    if same.any():
        pair = int(np.argmax(same))
        first, second = int(before[pair]), int(after[pair])
        raise DataError(
            f"{table.place(second)}: sequence {table.frame[columns.sequence][second]!r} has step "
            f"{table.frame[columns.step][second]} already in {table.line_of(first)}, expected "
            "each step once"
        )


def _feature_names(table: Table, columns: TableColumns) -> tuple[str, ...]:
    """Name the features: those asked for, or all other numeric columns in the table's order."""
    names = columns.features or tuple(_numeric(table, columns))
    if not names:
        raise DataError(
            f"{table.path} has no numeric column for a feature, found "
            f"{', '.join(table.frame.columns)}; expected at least one besides "
            f"{columns.sequence!r}, {columns.step!r} and {columns.label!r}"
        )
    return names


def _numeric(table: Table, columns: TableColumns) -> list[str]:
    """Name the columns that hold numbers.

    A column of text is left out; but one with a number in it, or with nothing at all, stays and
    is refused later: a feature must not vanish in silence because of a slip in some cell.
    """
    special = {columns.sequence, columns.step, columns.label}
    return [
        name for name in table.frame.columns if name not in special and not _is_text(table, name)
    ]


def _is_text(table: Table, name: str) -> bool:
    import polars as pl

    column = table.frame[name]
    if column.dtype != pl.String:
        return not (column.dtype.is_numeric() or column.dtype == pl.Null)
    written = column.str.strip_chars().replace("", None).is_not_null()
    return bool(written.any()) and not _numbers(table, name).is_not_null().any()


def _feature(table: Table, name: str) -> NDArray[np.float32]:
    numbers = _numbers(table, name)
    refuse(
        table,
        table.frame[name],
        ~numbers.is_finite().fill_null(False),
        "a finite number; fill or remove such rows, or leave the column out by naming the features",
    )
    with naming(f"{table.path}: column {name!r}"):
        return Sequences.from_list([numbers.to_numpy()]).values[:, 0]


def _labels(
    table: Table, columns: TableColumns, sequence_of: NDArray[np.int64]
) -> NDArray[np.str_]:
    """Read one label a sequence."""
    column = texts_of(table, columns.label)
    _, codes = _encode(column)
    _, first_row = np.unique(sequence_of, return_index=True)
    differs = codes != codes[first_row][sequence_of]
    if differs.any():
        row = int(np.argmax(differs))
        first = int(first_row[sequence_of[row]])
        raise DataError(
            f"{table.place(row)}: sequence {table.frame[columns.sequence][row]!r} has label "
            f"{column[row]!r}, expected {column[first]!r} as in {table.line_of(first)}"
        )
    labels = Sequences.from_list([[0]] * len(first_row), column.to_numpy()[first_row]).labels
    assert labels is not None
    return labels


def refuse(table: Table, column: "pl.Series", bad: "pl.Series", expected: str) -> None:
    """Refuse the first bad value, naming its line and column.

    Raises
    ------
    DataError
    """
    if bad.any():
        row = int(bad.arg_max() or 0)
        found = table.frame[column.name][row]
        shown = "missing" if found is None or str(found).strip() == "" else repr(found)
        raise DataError(f"{table.place(row)}: {column.name} is {shown}, expected {expected}")
