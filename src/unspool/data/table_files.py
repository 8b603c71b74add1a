"""Table files as polars frames whose rows can be traced back to their lines.

CSV cells stay text, so that a bad one can be shown as it stands in the file.
"""

import codecs
import csv
import difflib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from unspool.data.files import open_file, read_text_bytes, text_lines, without_compression
from unspool.errors import DataError

if TYPE_CHECKING:
    import polars as pl

FORMATS = (".csv", ".csv.gz", ".parquet", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
"""The endings of a table's name."""

ROW = "\0row"
"""The column that keeps each row's position in the file; no file has one of that name."""


_HALF_A_PAIR = re.compile(
    rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]"
)
"""An escape that may be one; or a backslash that is escaped itself, and letters."""


@dataclass(frozen=True)
class Table:
    """A table without its blank rows.

    Parameters
    ----------
    frame : polars.DataFrame
        The file's columns.
    path : path
    line_of : callable
        Turns a row of ``frame`` into ``"line 7"`` or, where a file has no lines, ``"row 7"``.
    """

    frame: "pl.DataFrame"
    path: Path
    line_of: Callable[[int], str]

    def place(self, row: int) -> str:
        """Name a row for a message."""
        return f"{self.path}, {self.line_of(row)}"

    def require(self, names: Iterable[str], settings: str) -> None:
        """Refuse a table that lacks one of some columns; ``settings`` says which ones name them.

        Raises
        ------
        DataError
            The nearest name that the table has is suggested.
        """
        found = self.frame.columns
        for name in names:
            if name not in found:
                nearest = difflib.get_close_matches(name, found, n=1)
                hint = f"did you mean {nearest[0]!r}? " if nearest else ""
                raise DataError(
                    f"{self.path} has no column {name!r}, found {', '.join(found)}; {hint}Rename "
                    f"one, or name the columns by a recipe's settings {settings}"
                )


def open_table(path: Path) -> Table:
    """Open a CSV, Parquet or JSON Lines file; the two kinds of text may be compressed.

    Raises
    ------
    DataError
        If polars is not installed, or the file is missing, damaged or empty.
    """
    try:
        import polars as pl
    except ImportError:
        raise DataError(
            f"{path} is a table, which needs polars; run `pip install 'unspool[tables]'`"
        ) from None
    kind = Path(without_compression(path.name.lower())).suffix
    opener = {".csv": _open_csv, ".parquet": _open_parquet}.get(kind, _open_json_lines)
    try:
        table = opener(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(f"{path}: {_first_line(error)}; expected a {kind} table") from None
    if table.frame.is_empty():
        raise DataError(f"{path} has no rows, expected at least one")
    return table


def _open_csv(path: Path) -> Table:
    import polars as pl

    content = read_text_bytes(path)
    if not content.strip():
        raise DataError(f"{path} is empty, expected a line of column names, and rows")
    names = next(_csv_records(content, path))[1]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise DataError(f"{path} has several columns called {repeated[0]!r}, expected one")
    try:
        frame = pl.read_csv(content, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        _explain_csv(content, path, error)
    frame = frame.with_row_index(ROW).filter(~pl.all_horizontal(pl.exclude(ROW).is_null()))
    positions = frame[ROW]

    def line_of(row: int) -> str:
        line, _ = next(islice(_csv_records(content, path), positions[row] + 1, None))
        return f"line {line}"

    return Table(frame.drop(ROW), path, line_of)


def _csv_records(content: bytes, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each record, blank lines among them, and the line on which it ends."""
    reader = csv.reader(text_lines(content, str(path)))
    try:
        for record in reader:
            yield reader.line_num, record
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from None


def refuse_short_rows(path: Path) -> None:
    """Refuse a CSV file with a row that lacks cells: polars takes these for empty ones.

    Raises
    ------
    DataError
        The line is named.
    """
    records = _csv_records(read_text_bytes(path), path)
    expected = len(next(records)[1])
    for line, record in records:
        if 0 < len(record) < expected:
            raise _wrong_width(path, line, record, expected)


def _wrong_width(path: Path, line: int, record: list[str], expected: int) -> DataError:
    return DataError(f"{path}, line {line}: found {len(record)}, expected {expected} cells")


def _explain_csv(content: bytes, path: Path, error: Exception) -> NoReturn:
    """Name the line that polars stumbled over."""
    records = _csv_records(content, path)
    expected = len(next(records)[1])
    for line, record in records:
        if len(record) > expected:
            raise _wrong_width(path, line, record, expected)
    for line, text in enumerate(text_lines(content, str(path)), start=1):
        if text.count('"') % 2:
            raise DataError(
                f"{path}, line {line} or after: found a lone quotation mark, expected a cell that "
                "has one to stand in quotes, and the mark twice"
            )
    raise DataError(f"{path}: {_first_line(error)}; expected a CSV table") from None


def _open_parquet(path: Path) -> Table:
    import polars as pl

    with open_file(path) as file:
        frame = pl.read_parquet(file)
    return Table(frame, path, lambda row: f"row {row + 1}")


def _open_json_lines(path: Path) -> Table:
    import polars as pl

    content = read_text_bytes(path).removeprefix(codecs.BOM_UTF8)
    if not content.strip():
        raise DataError(f"{path} is empty, expected a JSON object a line")
    try:
        frame = pl.read_ndjson(io.BytesIO(content), infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        _explain_json_lines(content, path, error)
    if _HALF_A_PAIR.search(content):
        _refuse_halves(content, path)

    def line_of(row: int) -> str:
        line, _ = next(islice(_json_records(content, path), row, None))
        return f"line {line}"

    return Table(frame, path, line_of)


def _json_records(content: bytes, path: Path) -> Iterator[tuple[int, str]]:
    for line, text in enumerate(text_lines(content, str(path)), start=1):
        if text.strip():
            yield line, text


def _explain_json_lines(content: bytes, path: Path, error: Exception) -> NoReturn:
    """Name the line that polars stumbled over."""
    for line, text in _json_records(content, path):
        place = f"{path}, line {line}"
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as problem:
            raise DataError(f"{place}: {problem}; expected a JSON object") from None
        if not isinstance(value, dict):
            raise DataError(f"{place}: found {text.strip()[:40]!r}, expected a JSON object")
    _refuse_halves(content, path)
    raise DataError(f"{path}: {_first_line(error)}; expected a JSON object a line") from None


def _refuse_halves(content: bytes, path: Path) -> None:
    """Half of a surrogate pair is no character; polars takes it for the character NUL."""
    for line, text in _json_records(content, path):
        if _HALF_A_PAIR.search(text.encode()):
            try:
                json.dumps(json.loads(text), ensure_ascii=False).encode()
            except UnicodeEncodeError as error:
                half = error.object[error.start]
                raise DataError(
                    f"{path}, line {line}: found half of a surrogate pair, {half!r}, expected both"
                ) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"found {name}, which JSON does not have")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
