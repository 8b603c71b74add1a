"""NumPy's own files as sequences: ``.npz`` with labels and lengths, ``.npy`` without.

Nothing is ever unpickled, and the size that a header declares is compared with the file's before
memory is taken.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from unspool.data.files import DEFLATE_RATIO, open_file
from unspool.data.sequences import Sequences, naming
from unspool.errors import DataError


def read_archive(path: Path | str) -> dict[str, NDArray[Any]]:
    """Read all arrays of an ``.npz`` file, by name.

    Raises
    ------
    DataError
        If it is missing or damaged, or holds Python objects.
    """
    path = Path(path)
    with _opened(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        return {name: _read_member(archive, name, path) for name in names}


def read_npz(path: Path | str, *, labelled: bool = True) -> Sequences:
    """Read ``x`` ``(N, T, F)`` or ``(N, T)``, ``y`` ``(N,)`` and ``lengths`` ``(N,)``.

    Parameters
    ----------
    path : path
        The archive. ``lengths`` is optional and says how many steps of each sequence count.
    labelled : bool
        Whether to read ``y``, if it is there.

    Raises
    ------
    DataError
        If the archive is damaged, lacks ``x``, holds Python objects, or its shapes do not fit.
    """
    path = Path(path)
    with _opened(path) as archive:
        return _read_members(archive, path, labelled)


def read_npy(path: Path | str) -> Sequences:
    """Read one array ``(N, T, F)`` or ``(N, T)``, without labels.

    Raises
    ------
    DataError
        If the file is damaged, holds Python objects, or has another number of dimensions.
    """
    path = Path(path)
    with open_file(path) as file:
        array = _read_array(file, path.stat().st_size, str(path))
    with naming(str(path)):
        return Sequences.from_array(array)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; whatever of it turns out to be damaged is explained."""
    with open_file(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise DataError(
                f"{path}: damaged archive ({error}), expected an .npz file as numpy.savez writes it"
            ) from None


def _read_members(archive: zipfile.ZipFile, path: Path, labelled: bool) -> Sequences:
    """Read the arrays that are meant for us and leave all others alone."""
    found = [name.removesuffix(".npy") for name in archive.namelist()]
    if "x" not in found:
        raise DataError(
            f"{path} has no array 'x', found {', '.join(sorted(found)) or 'nothing'}; save it with "
            "numpy.savez(path, x=sequences, y=labels)"
        )
    wanted = ["x", "lengths", *(["y"] if labelled else [])]
    arrays = {name: _read_member(archive, name, path) for name in wanted if name in found}
    with naming(str(path)):
        return Sequences.from_array(arrays["x"], arrays.get("y"), arrays.get("lengths"))


def _read_member(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    source = f"{path}: array '{name}'"
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise DataError(f"{source} is no .npy member; save it with numpy.savez") from None
    if info.flag_bits & 1:
        raise DataError(f"{source} is encrypted; save it with numpy.savez")
    if info.file_size > info.compress_size * DEFLATE_RATIO:
        raise DataError(
            f"{source} declares {info.file_size} bytes, which its {info.compress_size} compressed "
            "bytes cannot hold; the archive is damaged"
        )
    with archive.open(info) as file:
        return _read_array(file, info.file_size, source)


def _read_array(file: IO[bytes], size: int, source: str) -> NDArray[Any]:
    """Read one array after its header has been compared with the ``size`` of the whole."""
    try:
        shape, fortran_order, dtype = _read_header(file)
    except (ValueError, EOFError, TokenError) as error:
        raise DataError(f"{source}: {error}; expected an array as numpy.save writes it") from None
    if dtype.hasobject:
        raise DataError(
            f"{source} holds Python objects, expected numbers or text; such files are not opened "
            "because they can run code"
        )
    held = size - file.tell()
    declared = math.prod(shape) * dtype.itemsize
    if declared != held:
        raise DataError(
            f"{source}: the header declares shape {shape} of {dtype}, expected {declared} bytes, "
            f"found {held}"
        )
    array = np.frombuffer(file.read(declared), dtype)
    return array.reshape(shape, order="F" if fortran_order else "C")


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"version {version} of the format, which only structured arrays need")
