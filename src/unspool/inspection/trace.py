"""A trace: everything that a network computed at every step, by name.

Shapes: ``B`` batch, ``T`` steps, ``F`` features, ``H`` hidden size, ``G`` gates × H, ``C`` classes.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.data.arrays import read_archive
from unspool.errors import DataError
from unspool.storage import write_file

FORMAT = 1
ARRAYS, DESCRIPTION = "trace.npz", "trace.json"
_LARGEST_DESCRIPTION = 64 * 2**20  # bytes

_IS_PICTURE = re.compile(r"(?:[^./\\\0][^/\\\0]*/)?[^./\\\0][^/\\\0]*\.(?:png|gif)")
"""A name in the trace's folder, or in one of its folders."""


@dataclass(frozen=True)
class TracedArray:
    """One of a trace's arrays, and what it is.

    Parameters
    ----------
    values : array
    axes : str
        What its dimensions are, in the legend of this package, such as ``(B, T, H)``.
    meaning : str
        What it holds, for a reader.
    unit : str
        What the numbers are in, such as ``probability``; empty where they have no unit.
    """

    values: NDArray[Any]
    axes: str
    meaning: str
    unit: str = ""


class Trace(Mapping[str, NDArray[Any]]):
    """Arrays by name, each with a description.

    Layers are named from 0 and by the direction in which they read: ``layer.0.forward.gate.f`` is
    the forget gate of the first one; in networks of several parts, ``encoder.layer.0.…``.

    Parameters
    ----------
    arrays : mapping of TracedArray
    about : dict
        What else is known, fit for JSON: the task, the steps that were kept, the kernel of each
        layer, labels and tokens.

    Examples
    --------
    >>> hidden = TracedArray(np.zeros((1, 3, 4)), "(B, T, H)", "h after each step")
    >>> trace = Trace({"layer.0.forward.hidden": hidden}, {"task": "classify"})
    >>> trace["layer.0.forward.hidden"].shape
    (1, 3, 4)
    >>> trace
    Trace of task 'classify', 1 array of 96 bytes
      layer.0.forward.hidden  (B, T, H) = (1, 3, 4)  h after each step
    """

    def __init__(self, arrays: Mapping[str, TracedArray], about: Mapping[str, Any]) -> None:
        self.arrays = dict(arrays)
        self.about = dict(about)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name].values

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __repr__(self) -> str:
        count = f"{len(self)} array{'' if len(self) == 1 else 's'}"
        width = max(map(len, self), default=0)
        lines = [f"Trace of task {self.about.get('task')!r}, {count} of {self.nbytes:,} bytes"]
        for name, array in self.arrays.items():
            lines.append(f"  {name:{width}}  {array.axes} = {array.values.shape}  {array.meaning}")
        return "\n".join(lines)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays in memory."""
        return sum(array.values.nbytes for array in self.arrays.values())

    def description(self) -> dict[str, Any]:
        """What :meth:`save` writes beside the arrays, fit for JSON."""
        return {
            "format": FORMAT,
            **self.about,
            "arrays": {
                name: {
                    "axes": array.axes,
                    "shape": list(array.values.shape),
                    "type": str(array.values.dtype),
                    "meaning": array.meaning,
                    "unit": array.unit,
                }
                for name, array in self.arrays.items()
            },
        }

    def save(self, folder: str | Path, pictures: Collection[str] = ()) -> None:
        """Write trace.npz and trace.json; nothing is pickled.

        Parameters
        ----------
        folder : path
        pictures : collection of str
            Files there that show it. Those of an earlier trace in the folder are removed.

        Raises
        ------
        SaveError
            If they could not be written.
        """
        buffer = io.BytesIO()
        # numpy's type has its own keyword among the arrays' names, which ours never are
        np.savez_compressed(buffer, **dict(self))  # type: ignore[arg-type]
        earlier = _pictures_in(Path(folder))
        write_file(Path(folder) / ARRAYS, buffer.getvalue())
        description = {**self.description(), "pictures": list(pictures)}
        text = json.dumps(description, indent=1, ensure_ascii=False) + "\n"
        write_file(Path(folder) / DESCRIPTION, text)
        for name in earlier.difference(pictures):
            _remove(Path(folder) / name, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> Trace:
        """Read a trace that was saved, whoever made it: nothing in it is run.

        Raises
        ------
        DataError
            If a file is missing, damaged, or does not fit the other.
        """
        folder = Path(folder)
        description = _read_description(folder / DESCRIPTION)
        described = description.pop("arrays")
        description.pop("pictures", None)
        path = folder / ARRAYS
        held = read_archive(path)
        if set(held) != set(described):
            raise DataError(f"{path} does not hold what {DESCRIPTION} describes; copy both anew")
        arrays = {name: _fitting(path, name, held[name], described[name]) for name in described}
        return cls(arrays, description)


def _remove(picture: Path, folder: Path) -> None:
    """Remove a picture, and the folder below the trace's that it was the last in."""
    with suppress(OSError):  # somebody removed it, or has made a folder of its name
        picture.unlink()
        if picture.parent != folder:
            picture.parent.rmdir()


def _pictures_in(folder: Path) -> set[str]:
    """Those that a trace in a folder speaks of, by their own names alone."""
    try:
        listed = _read_description(folder / DESCRIPTION).get("pictures")
    except DataError:  # there is none
        return set()
    names = listed if isinstance(listed, list) else []
    return {name for name in names if isinstance(name, str) and _IS_PICTURE.fullmatch(name)}


def _read_description(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_DESCRIPTION:
            raise DataError(f"{path} is larger than {_LARGEST_DESCRIPTION} bytes, expected a few")
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; expected a trace") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not valid JSON: {error}") from None
    number = found.pop("format", None) if isinstance(found, dict) else None
    if number != FORMAT:
        raise DataError(f"{path} has format {number!r}, expected {FORMAT}, that of a trace")
    if not isinstance(found.get("arrays"), dict):
        raise DataError(f"{path} describes no arrays, expected those of {ARRAYS}")
    description: dict[str, Any] = found
    return description


def _fitting(path: Path, name: str, values: NDArray[Any], described: Any) -> TracedArray:
    """An array with its description, if they fit each other."""
    try:
        expected = (tuple(described["shape"]), described["type"])
        words = [str(described[key]) for key in ("axes", "meaning", "unit")]
    except (KeyError, TypeError) as error:
        raise DataError(f"{DESCRIPTION} does not describe {name!r} fully ({error!r})") from None
    if (values.shape, str(values.dtype)) != expected:
        raise DataError(
            f"{path}: {name} is {values.dtype} {values.shape}, {DESCRIPTION} says "
            f"{expected[1]} {expected[0]}; copy both anew"
        )
    return TracedArray(values, *words)
