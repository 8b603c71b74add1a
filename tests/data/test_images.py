import gzip
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from unspool.data.images import guess_labels, parse_idx, read_idx, read_idx_pair, read_picture
from unspool.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array) -> bytes:
    array = np.asarray(array)
    code = CODES[array.dtype.str[1:]]
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@given(
    st.sampled_from(sorted(CODES)).flatmap(
        lambda code: arrays(code, array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
    ),
    st.booleans(),
)
def test_any_rank_and_type_comes_back(tmp_path_factory, array, packed):
    path = tmp_path_factory.mktemp("idx") / "any"
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    back = read_idx(path)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


GOOD = idx(np.arange(6, dtype="u1").reshape(1, 2, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds 0 bytes, expected an IDX file of at least 4"),
        (b"\x89PNG....", "starts with 89 50 4e 47, expected an IDX file: 00 00"),
        (b"\0\0\x0a\x01" + bytes(9), "starts with 00 00 0a 01"),
        (b"\0\0\x08\xff", "declares rank 255, expected at most 32"),
        (GOOD[:10], "holds 10 bytes, expected 16 for the header alone"),
        (GOOD[:-1], r"shape \(1, 2, 3\), expected 22 bytes in all, the file holds at most 21"),
        (GOOD + b"\0", r"shape \(1, 2, 3\), expected 22 bytes in all, found more"),
        (gzip.compress(GOOD[:-1]), "expected 22 bytes in all, found 21"),
        (gzip.compress(GOOD + b"\0"), "expected 22 bytes in all, found more"),
        (gzip.compress(GOOD)[:-9], "gzip data breaks off"),
        (gzip.compress(GOOD)[:-6] + b"123456", r"damaged gzip data \(CRC check failed"),
        (b"\x1f\x8bnonsense", "damaged gzip data"),
    ],
)
def test_a_bad_file_is_refused_by_name(write, content, message):
    path = write("bad-idx", content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(DataError, match="is a folder"):
        read_idx(tmp_path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_header_that_claims_gigabytes_is_refused_before_memory_is_taken(write, pack):
    content = struct.pack(">HBB3I", 0, 8, 3, 60_000, 1000, 1000) + bytes(100)
    path = write("huge-idx", pack(content))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="expected 60000000016 bytes in all"):
            read_idx(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_a_gzip_bomb_is_read_no_further_than_declared(write):
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(GOOD)
    for _ in range(100):
        bomb += packer.compress(bytes(1 << 20))
    path = write("bomb-idx", bomb + packer.flush())
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="expected 22 bytes in all, found more"):
            read_idx(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_a_product_that_overflows_64_bits_is_refused():
    header = struct.pack(">HBB4I", 0, 8, 4, *[1 << 31] * 4)
    with pytest.raises(DataError, match=str((1 << 124) + 20)):
        parse_idx(header, "overflow")


def test_labels_are_found_beside_the_images(write):
    images = write("some-images-idx3-ubyte", GOOD)
    write("some-labels-idx1-ubyte.gz", gzip.compress(idx(np.array([7], "u1"))))
    sequences = read_idx_pair(images)
    assert sequences.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert sequences.values.dtype == np.uint8
    assert sequences.labels.tolist() == ["7"]
    assert read_idx_pair(images, labelled=False).labels is None


def test_labels_may_lie_elsewhere_or_be_absent(write):
    images = write("pictures", GOOD)
    assert guess_labels(images) is None
    assert read_idx_pair(images).labels is None
    labels = write("names", idx(np.array([3], "i4")))
    assert read_idx_pair(images, labels).labels.tolist() == ["3"]


def test_rank_two_is_one_feature_a_step(write):
    path = write("series-idx2", idx(np.array([[1, -2, 3]], "i2")))
    assert read_idx_pair(path).values.tolist() == [[1], [-2], [3]]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros(3, "u1"), np.zeros(3, "u1"), r"images.idx has shape \(3,\), expected \(images"),
        (np.zeros((2, 2), "u1"), np.zeros((2, 1), "u1"), r"labels.idx has shape \(2, 1\)"),
        (np.zeros((2, 2), "u1"), np.zeros(3, "u1"), "labels.idx has 3 labels, expected 2"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(write, images, labels, message):
    paths = write("images.idx", idx(images)), write("labels.idx", idx(labels))
    with pytest.raises(DataError, match=message):
        read_idx_pair(*paths)


def test_numbers_too_large_are_refused_by_name(write):
    path = write("large-idx2", idx(np.array([[1e300]])))
    with pytest.raises(DataError, match=r"large-idx2: a value of 1e\+300 is beyond 32-bit"):
        read_idx_pair(path)


def test_a_grey_png_comes_back_exactly(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    assert np.array_equal(read_picture(tmp_path / "grey.png"), pixels)


def test_colours_become_grey_and_transparency_white(tmp_path):
    Image.new("RGB", (5, 4), (255, 0, 0)).save(tmp_path / "red.jpg", quality=100)
    red = read_picture(tmp_path / "red.jpg")
    assert red.shape == (4, 5)
    assert abs(int(red[0, 0]) - 76) <= 2  # 0.299 of full brightness
    Image.new("RGBA", (1, 1), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_picture(tmp_path / "clear.png").tolist() == [[255]]


def test_white_strokes_on_nothing_are_laid_on_black(tmp_path):
    drawn = np.full((5, 5, 4), 255, np.uint8)
    drawn[:, :, 3] = np.eye(5) * 255
    Image.fromarray(drawn).save(tmp_path / "white.png")
    assert read_picture(tmp_path / "white.png").tolist() == (np.eye(5) * 255).tolist()
    drawn[:, :, :3] = 0
    Image.fromarray(drawn).save(tmp_path / "black.png")
    assert read_picture(tmp_path / "black.png").tolist() == (255 - np.eye(5) * 255).tolist()


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert read_picture(tmp_path / "deep.png").tolist() == [[0, 128, 255]]


def test_a_photograph_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by a quarter
    Image.new("L", (30, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_picture(tmp_path / "turned.jpg").shape == (30, 20)


def png_of_size(columns: int, rows: int) -> bytes:
    """A small PNG whose header claims any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no picture", "is no picture, expected a PNG or JPEG"),
        (b"", "is no picture"),
        (png_of_size(10_000, 10_000), "has 10000 x 10000 pixels, expected at most 64,000,000"),
        (png_of_size(100_000, 100_000), "has too many pixels"),
        (png_of_size(50, 50), "damaged picture"),
        (png_of_size(4, 2)[:50], "damaged picture"),
    ],
)
def test_a_bad_picture_is_refused_by_name(write, content, message):
    path = write("bad.png", content)
    with pytest.raises(DataError, match=message) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)


def test_other_kinds_of_pictures_are_refused(tmp_path):
    Image.new("L", (2, 2)).save(tmp_path / "a.gif")
    with pytest.raises(DataError, match="is no picture"):
        read_picture(tmp_path / "a.gif")
