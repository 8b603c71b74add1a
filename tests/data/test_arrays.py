import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.data.arrays import read_npy, read_npz
from unspool.errors import DataError


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("_npy", ".npy"), content)
    return buffer.getvalue()


def bad_offset() -> bytes:
    """An archive whose last record places its directory before the file's start."""
    content = bytearray(archive(x_npy=b""))
    content[-6:-2] = (1_000_000).to_bytes(4, "little")
    return bytes(content)


@given(
    st.sampled_from(["u1", "i8", "f4", ">f8"]),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)),
    st.booleans(),
    st.booleans(),
)
def test_arrays_come_back(tmp_path_factory, dtype, shape, fortran, packed):
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype, order="F" if fortran else "C")
    path = tmp_path_factory.mktemp("arrays") / "x.npz"
    (np.savez_compressed if packed else np.savez)(path, x=x, y=np.arange(len(x)))
    back = read_npz(path)
    assert back.values.reshape(shape).tolist() == x.tolist()
    assert back.values.dtype == ("u1" if dtype == "u1" else "f4")
    assert back.labels.tolist() == [str(number) for number in range(len(x))]
    np.save(path.with_suffix(".npy"), x)
    assert read_npy(path.with_suffix(".npy")).values.tolist() == back.values.tolist()


def test_lengths_and_labels_are_optional(write):
    path = write("a.npz", npz(x=[[1, 2], [3, 4]], lengths=[2, 1], unused=[object()]))
    sequences = read_npz(path)
    assert sequences.values.ravel().tolist() == [1, 2, 3]
    assert sequences.labels is None


def test_labels_are_left_alone_for_prediction(write):
    path = write("a.npz", npz(x=[[1]], y=np.array([{}], object)))
    assert read_npz(path, labelled=False).labels is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged archive"),
        (b"no archive", r"damaged archive \(File is not a zip file\), expected an .npz"),
        (npz(x=np.zeros((9, 9)))[:-40], "damaged archive"),
        (npz(), "has no array 'x', found nothing"),
        (npz(data=[1], y=[1]), "has no array 'x', found data, y; save it with numpy.savez"),
        (npz(x=np.array([[None]])), "array 'x' holds Python objects"),
        (npz(x=[[1]], y=np.array([None])), "array 'y' holds Python objects"),
        (npz(x=np.zeros(3)), r"shape \(3,\), expected \(sequences, steps, features\)"),
        (npz(x=[["a"]]), "type <U1, expected numbers"),
        (npz(x=np.zeros((1, 1), "i4,f4")), "expected numbers"),
        (npz(x=[[1], [2]], y=[1]), "1 labels for 2 sequences"),
        (npz(x=[[1]], lengths=[2]), "lengths run from 2 to 2, expected 0 to 1"),
        (bad_offset(), "damaged archive"),
        (archive(x=b""), "array 'x' is no .npy member"),
        (archive(x_npy=b""), "array 'x': EOF"),
        (archive(x_npy=b"x" * 50), "array 'x': the magic string is not correct"),
        (archive(x_npy=npy([[1, 2]])[:-1]), r"declares shape \(1, 2\) of int64, expected 16"),
        (archive(x_npy=npy([[1, 2]]) + b"!"), "expected 16 bytes, found 17"),
    ],
)
def test_a_bad_archive_is_refused_by_name(write, content, message):
    path = write("bad.npz", content)
    with pytest.raises(DataError, match=message) as caught:
        read_npz(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "EOF"),
        (npy([[1]]).replace(b"}", b" "), "bad.npy: .*expected an array as numpy.save writes it"),
        (npy(np.array([[None]])), "holds Python objects"),
        (npy(np.zeros((2, 2)))[:-1], r"declares shape \(2, 2\) of float64, expected 32 .*found 31"),
        (npy(np.zeros(2)), r"shape \(2,\)"),
        (b"\x93NUMPY\x03\x00" + bytes(50), r"version \(3, 0\) of the format"),
    ],
)
def test_a_bad_array_is_refused_by_name(write, content, message):
    path = write("bad.npy", content)
    with pytest.raises(DataError, match=message) as caught:
        read_npy(path)
    assert str(path) in str(caught.value)


def huge_header() -> bytes:
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 1 << 40)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + bytes(100)


def lying_archive() -> bytes:
    """An archive whose directory claims that the member is ten gigabytes long."""
    content = bytearray(archive(x_npy=huge_header()))
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (4_000_000_000).to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("huge.npz", archive(x_npy=huge_header()), "expected 9671406556917033397649408 bytes"),
        ("huge.npy", huge_header(), "expected 9671406556917033397649408 bytes, found 100"),
        ("lie.npz", lying_archive(), "declares 4000000000 bytes, which its 228 compressed"),
    ],
)
def test_headers_that_claim_too_much_are_refused_before_memory_is_taken(
    write, name, content, message
):
    path = write(name, content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            (read_npz if name.endswith("npz") else read_npy)(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_a_missing_file_is_refused(tmp_path):
    for reader in (read_npz, read_npy):
        with pytest.raises(DataError, match="no such file"):
            reader(tmp_path / "nothing")
