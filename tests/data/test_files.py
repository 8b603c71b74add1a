import bz2
import gzip
import lzma
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.data import files
from unspool.errors import DataError

PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
KINDS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz"}


@pytest.mark.parametrize("ending", files.COMPRESSED)
@given(content=st.binary(max_size=200), more=st.binary(max_size=20))
def test_the_content_is_what_was_compressed(tmp_path_factory, ending, content, more):
    path = tmp_path_factory.mktemp("packed") / "any-name"
    path.write_bytes(PACK[ending](content))
    assert files.compression(path) == KINDS[ending]
    assert files.read_content(path) == content
    assert files.read_content(path, limit=3) == content[:3]
    path.write_bytes(PACK[ending](content) + PACK[ending](more))  # as by cat
    assert files.read_content(path) == content + more


def test_what_is_not_compressed_is_read_as_it_is(write):
    for content in (b"", b"B", b"BZh is how it begins", b"\x1f"):
        path = write("plain", content)
        assert files.compression(path) is None
        assert files.read_content(path) == content


@pytest.mark.parametrize("ending", files.COMPRESSED)
def test_large_content_comes_in_parts(write, ending):
    content = os.urandom(1000) * 5000
    path = write("large", PACK[ending](content))
    parts = list(files.chunks(path))
    assert b"".join(parts) == content
    assert max(map(len, parts)) <= 1 << 20


@pytest.mark.parametrize("ending", files.COMPRESSED)
def test_damage_is_named(write, ending):
    packed = PACK[ending](os.urandom(5000))
    with pytest.raises(
        DataError, match=f"the {KINDS[ending]} data breaks off, expected a complete"
    ):
        files.read_content(write("short", packed[:-20]))
    hurt = packed[:200] + bytes(byte ^ 0xFF for byte in packed[200:300]) + packed[300:]
    with pytest.raises(DataError, match=f"damaged {KINDS[ending]} data .*expected an intact file"):
        files.read_content(write("hurt", hurt))


def test_zeros_may_stand_between_xz_streams(write):
    path = write("padded", lzma.compress(b"one ") + bytes(8) + lzma.compress(b"two") + bytes(4))
    assert files.read_content(path) == b"one two"


def test_a_header_cannot_make_the_reader_take_much_memory(write):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    path = write("greedy.xz", lzma.compress(b"little", filters=filters))
    with pytest.raises(DataError, match=r"damaged xz data .Memory usage limit exceeded"):
        files.read_content(path)


def test_how_much_a_file_can_hold(write):
    assert files.largest_content(write("plain", b"12345")) == 5
    packed = gzip.compress(b"12345")
    assert files.largest_content(write("packed", packed)) == len(packed) * 1032
    assert files.largest_content(write("other", bz2.compress(b"1"))) == files.MAX_TEXT_BYTES


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.txt.BZ2", "a.txt.xz"])
def test_the_ending_of_a_compressed_file_is_taken_off(name):
    assert files.without_compression(name) == "a.txt"


def test_what_cannot_be_opened_is_explained(tmp_path):
    with pytest.raises(DataError, match="no such file; check the path"):
        files.read_content(tmp_path / "nothing")
    with pytest.raises(DataError, match="is a folder, expected a file"):
        files.read_content(Path(tmp_path))
