"""Sequences from a file of any known format, chosen by the file's name."""

import re
from pathlib import Path

from unspool.data import table_files
from unspool.data.arrays import read_npy, read_npz
from unspool.data.files import chunks
from unspool.data.images import ELEMENT_TYPES, read_idx_pair
from unspool.data.sequences import Sequences
from unspool.data.tables import TableColumns, read_table
from unspool.data.ts_files import read_ts
from unspool.errors import DataError

FORMATS = (".npz", ".npy", *table_files.FORMATS, ".ts", ".ts.gz")
"""The known endings of names; IDX files have none and are known by their content."""


def read(
    path: Path | str,
    *,
    labels_path: Path | str | None = None,
    columns: TableColumns | None = None,
    labelled: bool = True,
) -> Sequences:
    """Read sequences, and their labels where the file has them.

    Parameters
    ----------
    path : path
        A file whose name ends in one of ``FORMATS``, or an IDX file, plain or compressed.
    labels_path : path, optional
        The labels of an IDX file, where they are not beside it under their usual name.
    columns : TableColumns, optional
        The meaning of a table's columns (CSV, Parquet, JSON Lines).
    labelled : bool
        Whether to read labels. False, as for prediction: the file need not have any.

    Returns
    -------
    Sequences
        With labels unless ``labelled`` is false or the file has none.

    Raises
    ------
    DataError
        If the file is missing, of no known format, damaged, or holds what no network can learn
        from.
    """
    path = Path(path)
    ending = _ending(path)
    if ending is None:
        sequences = read_idx_pair(path, labels_path, labelled=labelled)
        return sequences.check(str(path))
    if labels_path is not None:
        raise DataError(
            f"{path} takes no labels from a second file ({labels_path}), expected them in the "
            "same file; only IDX files have their labels apart"
        )
    return _read(path, ending.removesuffix(".gz"), columns, labelled).check(str(path))


def _read(path: Path, kind: str, columns: TableColumns | None, labelled: bool) -> Sequences:
    match kind:
        case ".npz":
            return read_npz(path, labelled=labelled)
        case ".npy":
            return read_npy(path)
        case ".ts":
            return read_ts(path, labelled=labelled)
        case _:
            return read_table(path, columns, labelled=labelled)[0]


def _ending(path: Path) -> str | None:
    """Return the ending that names a file's format, or None for an IDX file."""
    name = path.name.lower()
    known = next((ending for ending in FORMATS if name.endswith(ending)), None)
    if known is not None or re.search(r"idx\d", name) or _looks_like_idx(path):
        return known
    raise DataError(
        f"{path} is of no known format, expected an IDX file or a name that ends in "
        f"{', '.join(FORMATS)}"
    )


def _looks_like_idx(path: Path) -> bool:
    magic = b"".join(chunks(path, limit=4))
    return len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in ELEMENT_TYPES
