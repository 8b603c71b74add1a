import gzip
import struct

import numpy as np
import polars as pl
import pytest

from unspool.data import files, series
from unspool.data.tables import TableColumns
from unspool.errors import DataError

VALUES = [[1.0, 2.0], [3.0, 4.0]]
CSV = "sequence,step,label,a\nx,1,up,1\nx,2,up,2\ny,1,down,3\ny,2,down,4\n"
TS = "@classLabel true up down\n@data\n1,2:up\n3,4:down\n"


@pytest.fixture
def folder(tmp_path):
    """The same two labelled sequences in every format."""
    np.savez(tmp_path / "a.npz", x=VALUES, y=["up", "down"])
    np.save(tmp_path / "a.npy", VALUES)
    (tmp_path / "a.csv").write_text(CSV)
    frame = pl.read_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.write_ndjson(tmp_path / "a.ndjson")
    (tmp_path / "a.ts").write_text(TS)
    for name in ("a.csv", "a.jsonl", "a.ndjson", "a.ts"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    return tmp_path


@pytest.mark.parametrize("ending", series.FORMATS)
@pytest.mark.parametrize("labelled", [True, False])
def test_every_format_says_the_same(folder, ending, labelled):
    sequences = series.read(folder / f"a{ending}", labelled=labelled)
    assert sequences.values.ravel().tolist() == [1, 2, 3, 4]
    assert sequences.lengths.tolist() == [2, 2]
    if labelled and ending != ".npy":
        assert sequences.labels.tolist() == ["up", "down"]
    else:
        assert sequences.labels is None


def test_the_ending_may_be_in_capitals(folder):
    (folder / "a.csv").rename(folder / "A.CSV")
    assert len(series.read(str(folder / "A.CSV"))) == 2


IDX = struct.pack(">HBB2I", 0, 8, 2, 2, 2) + bytes([1, 2, 3, 4])


@pytest.mark.parametrize("name", ["a-images-idx2-ubyte", "anything"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_is_known_by_name_or_content(write, name, pack):
    assert series.read(write(name, pack(IDX))).values.ravel().tolist() == [1, 2, 3, 4]


def test_the_labels_of_idx_may_lie_elsewhere(write):
    labels = write("names", struct.pack(">HBBI", 0, 8, 1, 2) + bytes([7, 8]))
    sequences = series.read(write("anything", IDX), labels_path=labels)
    assert sequences.labels.tolist() == ["7", "8"]


def test_columns_are_passed_on(write):
    path = write("a.csv", CSV.replace("step", "time"))
    assert len(series.read(path, columns=TableColumns(step="time"))) == 2


def test_an_unknown_format_is_refused_with_those_known(write):
    with pytest.raises(DataError, match=r"a.xyz is of no known format, .* .npz, .npy, .csv, "):
        series.read(write("a.xyz", "something"))


def test_a_missing_file_is_refused(tmp_path):
    for name in ("a.npz", "a.csv", "a.ts", "a.xyz", "a-idx3-ubyte"):
        with pytest.raises(DataError, match=f"{name}: no such file"):
            series.read(tmp_path / name)


def test_labels_elsewhere_are_refused_where_they_mean_nothing(folder):
    with pytest.raises(DataError, match="takes no labels from a second file"):
        series.read(folder / "a.csv", labels_path="labels.csv")


def test_what_no_network_can_learn_from_is_refused_by_name(tmp_path):
    np.save(tmp_path / "bad.npy", [[1.0, np.nan]])
    with pytest.raises(DataError, match=r"bad.npy: sequence 0, step 1, feature 0 is nan"):
        series.read(tmp_path / "bad.npy")


def test_text_that_unpacks_to_too_much_is_refused(monkeypatch, write):
    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 100)
    with pytest.raises(DataError, match=r"holds more than 100 bytes of text; use Parquet or .npz"):
        series.read(write("a.csv.gz", gzip.compress(CSV.encode() + b"\n" * 100)))
