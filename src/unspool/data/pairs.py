"""Pairs of texts: aligned lines of two files, or two columns of a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from unspool.data.division import Parts, divide
from unspool.data.files import COMPRESSED, without_compression
from unspool.data.table_files import open_table, refuse_short_rows
from unspool.data.text import TextFiles, lines_in
from unspool.errors import DataError
from unspool.settings import Settings

SPLITS = Parts._fields

FORMATS = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
"""The endings of a table's name; those of text may be compressed."""

_SETTINGS = "columns.source and columns.target"


class PairColumns(Settings):
    """Which columns of a table hold the two texts.

    Parameters
    ----------
    source, target : str
    """

    source: str = "source"
    target: str = "target"


@dataclass(frozen=True)
class Pairs:
    """Texts and what each is to be turned into; either may be empty.

    Parameters
    ----------
    sources, targets : tuple of str, ``P``
    """

    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Pairs, ``P``."""
        return len(self.sources)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return zip(self.sources, self.targets, strict=True)

    def take(self, numbers: ArrayLike) -> "Pairs":
        """Choose pairs by position, in the order given."""
        chosen = np.asarray(numbers, np.int64).tolist()
        return Pairs(
            tuple(self.sources[number] for number in chosen),
            tuple(self.targets[number] for number in chosen),
        )

    def divide(self, *, validation: float, test: float) -> dict[str, "Pairs"]:
        """Divide into ``train``, ``validation`` and ``test``, always in the same way.

        All pairs of one source are in one part: what the test asks was never answered in training.

        Parameters
        ----------
        validation, test : float
            Shares of the distinct sources, in ``[0, 1)``.

        Raises
        ------
        DataError
            As :func:`unspool.data.division.divide` does.
        """
        groups = {source: number for number, source in enumerate(dict.fromkeys(self.sources))}
        group_of = np.array([groups[source] for source in self.sources], np.int64)
        parts = divide(None, len(groups), validation=validation, test=test)
        return {
            split: self.take(np.flatnonzero(np.isin(group_of, part)))
            for split, part in parts._asdict().items()
        }


def read(
    path: Path | str, target_path: Path | str | None = None, columns: PairColumns | None = None
) -> Pairs:
    """Read pairs from two aligned text files, or from a table; white space around a text is not.

    Parameters
    ----------
    path : path
        The sources, a line each; or, without ``target_path``, a table with both.
    target_path : path, optional
        The targets: line ``n`` answers line ``n`` of ``path``.
    columns : PairColumns, optional
        Those of a table.

    Raises
    ------
    DataError
        If a file is missing, damaged, not UTF-8 (the byte is named) or no table; the two have
        unequally many lines; or a column is not there.
    """
    if target_path is None:
        pairs = _read_table(Path(path), columns or PairColumns())
    else:
        pairs = _read_aligned(Path(path), Path(target_path))
    if not len(pairs):
        raise DataError(f"{path} holds no pairs, expected at least one")
    return pairs


def _read_aligned(path: Path, target_path: Path) -> Pairs:
    for side in (path, target_path):
        if is_table(side):
            raise DataError(
                f"{side} is a table, expected a text file, a line a text; a table has both "
                "texts of a pair, so name it alone"
            )
    sources, targets = _lines(path), _lines(target_path)
    if len(sources) != len(targets):
        raise DataError(
            f"{path} has {len(sources)} lines and {target_path} has {len(targets)}, expected as "
            "many, each target on the line of its source; align them, and keep a line for an "
            "empty text"
        )
    return Pairs(_stripped(sources), _stripped(targets))


def is_table(path: Path) -> bool:
    """Tell whether it is one, by its name."""
    return without_compression(path.name.lower()).endswith(FORMATS)


def _lines(path: Path) -> list[str]:
    return lines_in("".join(piece.text for piece in TextFiles(str(path), (path,)).pieces()))


def _stripped(texts: list[str]) -> tuple[str, ...]:
    return tuple(text.strip() for text in texts)


def read_sources(path: Path, columns: PairColumns) -> tuple[str, ...]:
    """Read the sources alone of a table, which need have no targets.

    Raises
    ------
    DataError
        If it cannot be read, or lacks the column.
    """
    (sources,) = _read_columns(path, [columns.source])
    return sources


def _read_table(path: Path, columns: PairColumns) -> Pairs:
    if not is_table(path):
        raise DataError(
            f"{path} is no table, expected a name that ends in {', '.join(FORMATS)}, or in these "
            f"and {', '.join(COMPRESSED)}; where the targets are a second file, name both "
            "(target_path in a recipe, a second --data)"
        )
    return Pairs(*_read_columns(path, [columns.source, columns.target]))


def _read_columns(path: Path, wanted: list[str]) -> list[tuple[str, ...]]:
    if without_compression(path.name.lower()).endswith(".tsv"):
        return _read_tsv(path, wanted)
    return _read_with_polars(path, wanted)


def _read_tsv(path: Path, wanted: list[str]) -> list[tuple[str, ...]]:
    """Read a line of column names and a row a line; a quotation mark is one, and quotes nothing.

    So corpora are written; a CSV reader would stumble over the first sentence with a lone quote.
    """
    rows = [line.split("\t") for line in _lines(path)]
    names = rows[0] if rows else []
    places = [_place_of(column, names, path) for column in wanted]
    found: list[list[str]] = []
    for line, cells in enumerate(rows[1:], start=2):
        if cells == [""]:
            continue
        if len(cells) != len(names):
            raise DataError(
                f"{path}, line {line}: found {len(cells)}, expected {len(names)} cells with tabs "
                "between them, as in the line of names"
            )
        found.append([cells[place] for place in places])
    return [_stripped([cells[i] for cells in found]) for i in range(len(wanted))]


def _place_of(column: str, names: list[str], path: Path) -> int:
    if names.count(column) != 1:
        problem = "several columns" if column in names else "no column"
        raise DataError(
            f"{path} has {problem} called {column!r}, found {', '.join(names) or 'nothing'} in its "
            f"first line; rename one, or name the columns by a recipe's settings {_SETTINGS}"
        )
    return names.index(column)


def _read_with_polars(path: Path, wanted: list[str]) -> list[tuple[str, ...]]:
    import polars as pl

    table = open_table(path)
    table.require(wanted, _SETTINGS)
    columns = [table.frame[name] for name in wanted]
    is_csv = without_compression(path.name.lower()).endswith(".csv")
    if is_csv and any(column.null_count() for column in columns):
        refuse_short_rows(path)
    sides = []
    for name, column in zip(wanted, columns, strict=True):
        if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Duration):
            raise DataError(f"{path}: column {name!r} has type {column.dtype}, expected text")
        sides.append(_stripped(column.cast(pl.String).fill_null("").to_list()))
    return sides
