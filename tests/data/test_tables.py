import gzip
import random
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.data.tables import TableColumns, read_table
from unspool.errors import DataError

HEAD = "sequence,step,label,a,b\n"
GOOD = HEAD + "x,2,up,3,4\ny,1,down,5,6\nx,1,up,1,2\n"


def rows(count: int, seed: int) -> list[dict]:
    """A table of a few sequences of different lengths."""
    draw = random.Random(seed)
    return [
        {"sequence": f"s{n}", "step": 3 * t - 2, "label": f"l{n % 2}", "a": draw.random(), "b": n}
        for n in range(count)
        for t in range(1 + n % 3)
    ]


def by_id(path) -> dict[str, tuple]:
    sequences, ids = read_table(path)
    parts = np.split(sequences.values, sequences.offsets[1:-1])
    return {
        name: (part.tolist(), label)
        for name, part, label in zip(ids, parts, sequences.labels, strict=True)
    }


@given(st.integers(1, 6), st.randoms(use_true_random=False))
def test_the_order_of_rows_means_nothing(tmp_path_factory, count, shuffler):
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    table = rows(count, seed=0)
    pl.DataFrame(table).write_csv(path)
    expected = by_id(path)
    shuffler.shuffle(table)
    pl.DataFrame(table).write_csv(path)
    assert by_id(path) == expected
    assert list(by_id(path)) == list(dict.fromkeys(row["sequence"] for row in table))


def test_all_formats_say_the_same(tmp_path):
    frame = pl.DataFrame(rows(6, seed=1))
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ndjson(tmp_path / "t.jsonl")
    frame.write_ndjson(tmp_path / "t.ndjson")
    for name in ("t.csv", "t.jsonl"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    read = [by_id(path) for path in sorted(tmp_path.iterdir())]
    assert len(read) == 6
    assert all(table == read[0] for table in read)


def test_sequences_keep_the_order_of_their_first_appearance(write):
    sequences, ids = read_table(write("t.csv", GOOD))
    assert ids.tolist() == ["x", "y"]
    assert sequences.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert sequences.lengths.tolist() == [2, 1]
    assert sequences.labels.tolist() == ["up", "down"]


@pytest.mark.parametrize(
    "content",
    [
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.replace("x,2", "\nx,2") + "\n\n",
        GOOD.replace("up", '"up"'),
        HEAD + GOOD.removeprefix(HEAD).replace(",", " , "),
        GOOD.replace("b\n", "b,note\n").replace("4\n", "4,good\n").replace("6\n", "6,\n"),
    ],
    ids=["line ends", "byte order mark", "blank lines", "quotes", "spaces", "text column"],
)
def test_the_same_table_written_otherwise(write, content):
    sequences, _ = read_table(write("t.csv", content))
    assert sequences.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert sequences.labels.tolist() == ["up", "down"]


def test_columns_can_be_named_and_chosen(write):
    path = write("t.csv", GOOD.replace(HEAD, "who,when,what,a,b\n"))
    columns = TableColumns(sequence="who", step="when", label="what", features=("b",))
    assert read_table(path, columns)[0].values.ravel().tolist() == [2, 4, 6]


def test_labels_are_left_alone_for_prediction(write):
    for content in (GOOD, GOOD.replace("up", ""), "sequence,step,a\nx,1,1\nx,2,3\ny,1,5\n"):
        sequences, _ = read_table(write("t.csv", content), labelled=False)
        assert sequences.labels is None
        assert sequences.values[:, 0].tolist() == [1, 3, 5]


def test_steps_that_differ_in_the_last_of_many_digits_are_different(write):
    early, late = 1_700_000_000_000_000_001, 1_700_000_000_000_000_002
    path = write("t.csv", f"sequence,step,label,a\nx,{late},up,2\nx,{early},up,1\n")
    assert read_table(path)[0].values.ravel().tolist() == [1, 2]


def test_steps_may_be_fractions(write):
    path = write("t.csv", "sequence,step,label,a\nx,10,up,3\nx,0.5,up,1\nx,2,up,2\n")
    assert read_table(path)[0].values.ravel().tolist() == [1, 2, 3]


def test_numeric_labels_are_whole(tmp_path):
    frame = pl.DataFrame({"sequence": [7, 7], "step": [1, 2], "label": [1.0, 1.0], "a": [1, 2]})
    frame.write_parquet(tmp_path / "t.parquet")
    sequences, ids = read_table(tmp_path / "t.parquet")
    assert sequences.labels.tolist() == ["1"]
    assert ids.tolist() == ["7"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "t.csv is empty, expected a line of column names"),
        (HEAD, "t.csv has no rows"),
        (GOOD.replace("step", "stp"), "no column 'step', found sequence, stp, .* mean 'stp'"),
        (GOOD.replace("label,a", "a,a"), "several columns called 'a'"),
        (GOOD.replace("3,4", "3,4,5"), "t.csv, line 2: found 6, expected 5 cells"),
        (GOOD.replace("1,2", "1,oops"), "line 4: b is 'oops', expected a finite number"),
        (GOOD.replace("1,2", "1,"), "line 4: b is missing, expected a finite number"),
        (GOOD.replace("1,2", "1"), "line 4: b is missing"),
        (GOOD.replace("1,2", "1,NaN"), "line 4: b is 'NaN', expected a finite number"),
        (GOOD.replace("1,2", "-inf,2"), "line 4: a is '-inf', expected a finite number"),
        (GOOD.replace("1,2", "1,1e39"), "column 'b': a value of 1e[+]39 is beyond"),
        (HEAD + "x,1,up,1,\n", "line 2: b is missing"),
        (GOOD.replace("x,1", "\n\nx,one"), "line 6: step is 'one', expected a finite number"),
        (GOOD.replace("x,1", "x,"), "line 4: step is missing"),
        (GOOD.replace("x,1", ",1"), "line 4: sequence is missing, expected a value"),
        (GOOD.replace("down", " "), "line 3: label is missing, expected a value"),
        (GOOD.replace("x,1", "x,2.0"), "line 4: sequence 'x' has step 2.0 already in line 2"),
        (GOOD.replace("x,1,up", "x,1,no"), "line 4: sequence 'x' has label 'no', expected 'up'"),
        ("sequence,step,label,a\nx,1,up,one\n", "t.csv has no numeric column"),
        (
            'sequence,step,label,a,b\n"x\ny",1,up,1,2\nz,1,up,?,2\nz,2,up,1,2\n',
            "line 4: a is '?'",
        ),
        (GOOD.encode() + b"\xff", "t.csv, line 5: found byte 0xff, expected UTF-8"),
    ],
)
def test_a_bad_table_is_refused_by_line(write, content, message):
    path = write("t.csv", content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


ROW = '{"sequence": "x", "step": 1, "label": "up", "a": 1}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\n", "t.jsonl is empty, expected a JSON object a line"),
        (ROW + "\n{", "t.jsonl, line 3: .*; expected a JSON object"),
        (ROW + "[1]", r"line 2: found '\[1\]', expected a JSON object"),
        (ROW + ROW.replace('"a": 1', '"a": NaN'), "line 2: found NaN, which JSON does not have"),
        (ROW + "\n" + ROW.replace('1, "l', '2, "l').replace('"a": 1', '"a": null'), "3: a is miss"),
        (ROW + "\n" + ROW.replace('1, "l', '2, "l').replace(', "a": 1', ""), "3: a is missing"),
        (ROW + "\n" + ROW, "line 3: sequence 'x' has step 1 already in line 1"),
        (ROW.replace('"a": 1', '"a": [1]'), "no numeric column"),
        (ROW + ROW.replace('"a": 1', '"a": true').replace('1, "l', '2, "l'), "t.jsonl"),
    ],
)
def test_bad_json_lines_are_refused_by_line(write, content, message):
    path = write("t.jsonl", content)
    with pytest.raises(DataError, match=message):
        read_table(path)


@pytest.mark.parametrize("content", [b"", b"no parquet" * 9, b"PAR1" + b"\xff" * 23 + b"\x7fPAR1"])
def test_a_damaged_parquet_file_is_refused(write, content):
    with pytest.raises(DataError, match=r"t.parquet: .*; expected a .parquet table"):
        read_table(write("t.parquet", content))


def test_a_parquet_file_has_rows_and_types(tmp_path):
    path = tmp_path / "t.parquet"
    frame = pl.DataFrame(
        {"sequence": ["x", "x"], "step": [1, 2], "label": ["u", "u"], "a": [1.0, None]}
    )
    frame.write_parquet(path)
    with pytest.raises(DataError, match=r"t.parquet, row 2: a is missing"):
        read_table(path)
    frame.with_columns(sequence=pl.Series([[1], [2]]), a=1.0).write_parquet(path)
    with pytest.raises(DataError, match="column 'sequence' has type List"):
        read_table(path)
    frame.with_columns(a=pl.Series([[1], [2]])).write_parquet(path)
    with pytest.raises(DataError, match=r"column 'a' has type List.*, expected numbers"):
        read_table(path, TableColumns(features=("a",)))


def test_a_missing_file_is_refused(tmp_path):
    for name in ("t.csv", "t.parquet", "t.jsonl"):
        with pytest.raises(DataError, match="no such file"):
            read_table(tmp_path / name)


def test_without_polars_the_message_says_how_to_install_it(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(DataError, match=r"pip install 'unspool\[tables\]'"):
        read_table(write("t.csv", GOOD))
