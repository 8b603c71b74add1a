import bz2
import gzip
import lzma

import numpy as np
import polars as pl
import pytest

from unspool.data.batches import Batches
from unspool.data.labelled_text import LabelledText, TextColumns, read
from unspool.data.vocabulary import Vocabulary
from unspool.errors import DataError

TABLE = "text,label\nguten Tag,de\ngood day,en\nTag,da\nTag,sv\n"
LETTERS = Vocabulary.of_tokens("character", ["<unk>", *"abcd"])


def test_a_table_is_texts_and_labels(write):
    found = read(write("t.csv", TABLE))
    assert found.texts == ("guten Tag", "good day", "Tag", "Tag")
    assert found.labels.tolist() == ["de", "en", "da", "sv"]  # the same text with two labels stays
    assert found.groups is None


def test_all_formats_say_the_same(write, tmp_path):
    frame = pl.read_csv(write("t.csv", TABLE))
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ndjson(tmp_path / "t.jsonl")
    expected = read(tmp_path / "t.csv")
    for name in ("t.parquet", "t.jsonl"):
        found = read(tmp_path / name)
        assert found.texts == expected.texts
        assert found.labels.tolist() == expected.labels.tolist()


@pytest.mark.parametrize(
    ("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_a_table_may_be_compressed(write, ending, pack):
    found = read(write(f"t.csv.{ending}", pack(TABLE.encode())))
    assert found.texts[0] == "guten Tag"


def test_another_format_is_refused(write):
    with pytest.raises(DataError, match=r"t.txt is no table, expected a name that ends in .csv, "):
        read(write("t.txt", TABLE))


def test_columns_can_be_named(write):
    path = write("t.jsonl", '{"body": "x", "kind": 1.0}\n{"body": "y", "kind": 2.0}\n')
    found = read(path, TextColumns(text="body", label="kind"))
    assert (found.texts, found.labels.tolist()) == (("x", "y"), ["1", "2"])


def test_labels_are_left_alone_for_prediction(write):
    found = read(write("t.csv", "text\nx\n7\n"), labelled=False)
    assert (found.texts, found.labels) == (("x", "7"), None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("body,label\nx,1\n", "no column 'text', found body, label; .*settings text and label"),
        ("text,lable\nx,1\n", "no column 'label', .*did you mean 'lable'"),
        ("text,label\nx,1\n ,2\n", "line 3: text is missing, expected a value"),
        ("text,label\nx,1\ny,\n", "line 3: label is missing, expected a value"),
        ("text,label\n", "t.csv has no rows"),
    ],
)
def test_a_bad_table_is_refused(write, content, message):
    with pytest.raises(DataError, match=message):
        read(write("t.csv", content))


def test_texts_become_sequences_of_tokens():
    data = LabelledText(("ab", "dcx", "a"), np.array(["1", "2", "1"]))
    sequences = data.tokenised(LETTERS)
    assert sequences.values.tolist() == [[1], [2], [4], [3], [0], [1]]
    assert sequences.values.dtype == np.int32
    assert sequences.lengths.tolist() == [2, 3, 1]
    assert sequences.labels.tolist() == ["1", "2", "1"]
    [batch] = Batches(sequences, 8).in_order()
    assert batch.x[:, :, 0].tolist() == [[1, 2, 0], [4, 3, 0], [1, 0, 0]]


def test_a_text_without_tokens_is_refused():
    words = Vocabulary.of_tokens("word", ["<unk>", "a"])
    with pytest.raises(DataError, match="text 1 has no tokens, expected at least one; leave it"):
        LabelledText(("a", " ")).tokenised(words)


def test_no_text_is_no_sequence():
    assert len(LabelledText(()).tokenised(LETTERS)) == 0


def test_texts_are_taken_in_the_order_given():
    data = LabelledText(("a", "b", "c"), np.array(["1", "2", "3"]), np.array([0, 1, 1]))
    taken = data.take([2, 0])
    assert (taken.texts, taken.labels.tolist(), taken.groups.tolist()) == (
        ("c", "a"),
        ["3", "1"],
        [1, 0],
    )


def test_each_label_keeps_its_share():
    data = LabelledText(tuple("abcdefghij"), np.array(["x"] * 6 + ["y"] * 4))
    parts = data.divide(validation=0, test=0.5)
    assert sorted(data.take(parts.test).labels) == ["x"] * 3 + ["y"] * 2


def test_groups_are_never_divided():
    groups = np.repeat(np.arange(20), 3)
    data = LabelledText(tuple("x" * 60), np.array(["a", "b", "c"] * 20), groups)
    parts = [set(data.take(part).groups) for part in data.divide(validation=0.2, test=0.3)]
    assert [len(part) for part in parts] == [10, 4, 6]
    assert len(set.union(*parts)) == 20
