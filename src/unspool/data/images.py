"""Images as sequences: IDX files, the format of MNIST, and single pictures.

An image is read row by row: a row is a step, its pixels are the step's features.
"""

import math
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.data.files import largest_content, open_file, read_content
from unspool.data.sequences import Sequences, naming
from unspool.errors import DataError

ELEMENT_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
"""The element types of IDX by the third byte of its magic number; all are big-endian."""

MAX_RANK = 32
MAX_PICTURE_PIXELS = 64_000_000

_BARELY_SEEN = 8  # grey values between the darkest and the lightest place


def read_idx(path: Path | str) -> NDArray[Any]:
    """Read an IDX file, plain or gzip-compressed, of any rank and element type.

    Returns
    -------
    array
        In the machine's own byte order, with the shape that the file declares.

    Raises
    ------
    DataError
        If the file is missing, is no IDX file, is damaged, or holds fewer or more bytes than its
        header declares. The declared size is compared with the file's before memory is taken.
    """
    path = Path(path)
    header = bytes(read_content(path, limit=4 + 4 * MAX_RANK))
    size = _declared_size(header, str(path))
    most = largest_content(path)
    if size > most:
        raise DataError(f"{path}: {_size_problem(header, size)}, the file holds at most {most}")
    return parse_idx(read_content(path, limit=size + 1), str(path))


def parse_idx(content: bytes | bytearray, source: str) -> NDArray[Any]:
    """Interpret the uncompressed content of an IDX file; ``source`` names it in messages.

    Raises
    ------
    DataError
        As :func:`read_idx` does.

    Examples
    --------
    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]), "labels")
    array([5, 0, 4], dtype=uint8)
    """
    size = _declared_size(content, source)
    if len(content) != size:
        found = f"found {len(content)}" if len(content) < size else "found more"
        raise DataError(f"{source}: {_size_problem(content, size)}, {found}")
    dtype, shape = _header(content, source)
    array = np.frombuffer(content, dtype, offset=4 + 4 * len(shape)).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def read_idx_pair(
    images: Path | str, labels: Path | str | None = None, *, labelled: bool = True
) -> Sequences:
    """Read IDX images ``(N, T, F)``, or series ``(N, T)`` of one feature, and their labels.

    Parameters
    ----------
    images : path
        The images or series.
    labels : path, optional
        One label an image. Left out, the file is looked for beside the images under the name that
        MNIST's convention gives it (``images-idx3`` becomes ``labels-idx1``); where there is
        none, the sequences have no labels.
    labelled : bool
        Whether to read labels at all.

    Raises
    ------
    DataError
        As :func:`read_idx` does, and if ranks or counts do not fit.
    """
    images = Path(images)
    labels = Path(labels) if labels is not None else guess_labels(images)
    targets = read_idx(labels) if labelled and labels is not None else None
    return pair(read_idx(images), targets, str(images), str(labels))


def pair(
    images: NDArray[Any], labels: NDArray[Any] | None, images_source: str, labels_source: str
) -> Sequences:
    """Join images and labels that were read from two named files.

    Raises
    ------
    DataError
        If ranks or counts do not fit.
    """
    if images.ndim not in (2, 3):
        raise DataError(
            f"{images_source} has shape {images.shape}, expected (images, rows, columns) "
            "or (series, steps)"
        )
    if labels is not None and labels.ndim != 1:
        raise DataError(f"{labels_source} has shape {labels.shape}, expected one label an image")
    if labels is not None and len(labels) != len(images):
        raise DataError(
            f"{labels_source} has {len(labels)} labels, expected {len(images)}, one for each "
            f"image of {images_source}"
        )
    with naming(images_source):
        return Sequences.from_array(images, labels)


def guess_labels(images: Path) -> Path | None:
    """Find the labels' file beside the images', compressed or not, by MNIST's naming.

    Examples
    --------
    >>> guess_labels(Path("drawing.idx")) is None
    True
    """
    plain = images.name.removesuffix(".gz")
    named = plain.replace("images", "labels").replace("idx3", "idx1").replace("idx2", "idx1")
    if named == plain:
        return None
    candidates = [images.with_name(named), images.with_name(f"{named}.gz")]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def read_picture(path: Path | str) -> NDArray[np.uint8]:
    """Read a PNG or JPEG picture as grey values, ``(rows, columns)``.

    Transparent places become white, as on paper; or black where what is drawn would not be seen on
    white. A photograph is turned upright as its camera noted.

    Raises
    ------
    DataError
        If the file is missing, no picture, damaged, or larger than ``MAX_PICTURE_PIXELS``.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = Path(path)
    expected = "expected a PNG or JPEG picture"
    with open_file(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size is checked here, with our own bound
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as picture:
                columns, rows = picture.size
                if rows * columns > MAX_PICTURE_PIXELS:
                    raise DataError(
                        f"{path} has {rows} x {columns} pixels, expected at most "
                        f"{MAX_PICTURE_PIXELS:,} in all; scale it down"
                    )
                return _grey(ImageOps.exif_transpose(picture))
        except DataError:
            raise
        except Image.DecompressionBombError:
            raise DataError(
                f"{path} has too many pixels, expected at most {MAX_PICTURE_PIXELS:,}; scale it "
                "down"
            ) from None
        except UnidentifiedImageError:
            raise DataError(f"{path} is no picture, {expected}") from None
        except (OSError, SyntaxError, ValueError, struct.error) as error:
            raise DataError(f"{path}: damaged picture ({error}), {expected}") from None


def _grey(picture: Any) -> NDArray[np.uint8]:
    """Lay a picture on paper and keep its brightness."""
    from PIL import Image

    if picture.mode.startswith("I"):  # 16 bits a pixel: "L" would clip instead of scale
        deep = np.asarray(picture, np.int64)
        return (deep.clip(0, 65535) >> 8).astype(np.uint8)
    if picture.has_transparency_data:
        drawn = picture.convert("RGBA")
        papers = (Image.new("RGBA", drawn.size, colour) for colour in ("white", "black"))
        on_white, on_black = (
            np.array(Image.alpha_composite(paper, drawn).convert("L")) for paper in papers
        )
        hidden = np.ptp(on_white) < _BARELY_SEEN <= np.ptp(on_black)
        return on_black if hidden else on_white
    return np.array(picture.convert("L"), np.uint8)  # a copy: pillow's own memory is read-only


def _header(content: bytes | bytearray, source: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the element type and the shape that an IDX header declares."""
    if len(content) < 4:
        raise DataError(f"{source} holds {len(content)} bytes, expected an IDX file of at least 4")
    zero, code, rank = struct.unpack_from(">HBB", content)
    if zero != 0 or code not in ELEMENT_TYPES:
        raise DataError(
            f"{source} starts with {bytes(content[:4]).hex(' ')}, expected an IDX file: 00 00, "
            "then a type of 08, 09, 0b, 0c, 0d or 0e, then the rank"
        )
    if rank > MAX_RANK:
        raise DataError(f"{source} declares rank {rank}, expected at most {MAX_RANK}")
    if len(content) < 4 + 4 * rank:
        raise DataError(
            f"{source} holds {len(content)} bytes, expected {4 + 4 * rank} for the header alone"
        )
    return ELEMENT_TYPES[code], struct.unpack_from(f">{rank}I", content, offset=4)


def _declared_size(content: bytes | bytearray, source: str) -> int:
    """Bytes of a whole IDX file by its header, computed without overflow."""
    dtype, shape = _header(content, source)
    return 4 + 4 * len(shape) + dtype.itemsize * math.prod(shape)


def _size_problem(content: bytes | bytearray, size: int) -> str:
    _, shape = _header(content, "")
    return f"the header declares shape {shape}, expected {size} bytes in all"
