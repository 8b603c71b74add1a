import bz2
import gzip
import lzma

import polars as pl
import pytest

from unspool.data.pairs import PairColumns, Pairs, read
from unspool.errors import DataError

FEW = Pairs(("a cat", "two cats", "no cat"), ("un chat", "deux chats", "aucun chat"))
TABLE = "id,source,target\n1,a cat,un chat\n2,two cats,deux chats\n3,no cat,aucun chat\n"


def test_two_aligned_files_are_pairs(write):
    sources, targets = write("a.en", "\n".join(FEW.sources)), write("a.fr", "\n".join(FEW.targets))
    pairs = read(sources, targets)
    assert pairs == FEW
    assert list(pairs)[1] == ("two cats", "deux chats")


def test_a_last_line_may_or_may_not_be_ended(write):
    assert read(write("a", "x\ny\n"), write("b", "1\n2")) == Pairs(("x", "y"), ("1", "2"))


@pytest.mark.parametrize(
    ("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_every_kind_of_file_may_be_compressed(write, ending, pack):
    assert read(write(f"a.{ending}", pack(b"x\n")), write("b", "1\n")) == Pairs(("x",), ("1",))
    for name, comma in (("a.csv", ","), ("a.tsv", "\t")):
        packed = write(f"{name}.{ending}", pack(TABLE.replace(",", comma).encode()))
        assert read(packed) == FEW


def test_only_a_newline_ends_a_line(write):
    """Unicode knows more ends of lines, and a text that has one would shift all that follow."""
    strange = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g\rh"
    pairs = read(write("a", f"\ufeff {strange}\t\r\nx\n"), write("b", "1\r\n2\r\n"))
    assert pairs == Pairs((strange, "x"), ("1", "2"))


def test_an_empty_line_is_an_empty_text(write):
    pairs = read(write("a", "x\n\n \ny\n"), write("b", "1\n2\n3\n\n"))
    assert pairs == Pairs(("x", "", "", "y"), ("1", "2", "3", ""))


def test_all_tables_say_the_same(write, tmp_path):
    frame = pl.read_csv(write("a.csv", TABLE))
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.write_csv(tmp_path / "a.tsv", separator="\t")
    for ending in ("csv", "parquet", "jsonl", "tsv"):
        assert read(tmp_path / f"a.{ending}") == FEW


def test_columns_can_be_named(write):
    path = write("a.jsonl", '{"en": " one", "n": 1.5}\n{"en": null, "n": 2}\n')
    assert read(path, columns=PairColumns(source="n", target="en")) == Pairs(
        ("1.5", "2.0"), ("one", "")
    )


def test_in_a_tsv_file_a_quotation_mark_is_one(write):
    path = write("a.tsv", 'target\tsource\r\n"\t6"\r\n\r\nfoo\t"a"\r\n\tb\r\n')
    assert read(path) == Pairs(('6"', '"a"', "b"), ('"', "foo", ""))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("x\ny\nz\n", "1\n2\n", r"/a has 3 lines and .*/b has 2, expected as many, each target"),
        ("x\n", "1\n\n", "/a has 1 lines and .*/b has 2"),
        ("", "", "/a holds no pairs, expected at least one"),
        (b"x\ncaf\xe9\n", "1\n2\n", r"/a, byte 5 \(from 0\): found 0xe9, expected UTF-8"),
        ("x\n", b"\xff\xfe", r"/b, byte 0 \(from 0\): found 0xff"),
    ],
)
def test_unusable_files_are_refused(write, first, second, message):
    with pytest.raises(DataError, match=message):
        read(write("a", first), write("b", second))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "x\n", r"a.txt is no table, .*\.tsv.*name both \(target_path in"),
        ("a.csv", "src,target\nx,1\n", "no column 'source', found src, target; "),
        ("a.jsonl", '{"source": "x"}\n', "no column 'target', found source; .*columns.target"),
        ("a.jsonl", '{"source": ["x"], "target": "y"}\n', r"column 'source' has type List"),
        ("a.csv", "source,target\n", "a.csv has no rows"),
        ("a.csv", "source,target\na,b\n\nc\nd,\n", "a.csv, line 4: found 1, expected 2 cells"),
        ("a.csv", 'source,target\na"b,c\nd,"e"\n', "a.csv, line 2 or after: found a lone quotat"),
        ("a.csv", 'source,target\na,b\n"c,d\n', "a.csv, line 3 or after: found a lone quotation"),
        ("a.tsv", "source\ttarget\n", "a.tsv holds no pairs"),
        ("a.tsv", "", "no column called 'source', found nothing in its first line"),
        ("a.tsv", "x\ty\n", "no column called 'source', found x, y in its first line"),
        ("a.tsv", "source\tsource\ttarget\n", "several columns called 'source'"),
        ("a.tsv", "source\ttarget\nx\ty\nz\n", "a.tsv, line 3: found 1, expected 2 cells"),
    ],
)
def test_a_bad_table_is_refused(write, name, content, message):
    with pytest.raises(DataError, match=message):
        read(write(name, content))


@pytest.mark.parametrize("half", [r"\ud83d", r"\ude00", r"\uD83D\u0041", r"\ude00\ud83d"])
def test_half_a_character_is_refused(write, half):
    whole = r'{"source": "\ud83d\ude00 \\ud83d", "target": "y"}'
    assert list(read(write("a.jsonl", whole))) == [("\N{GRINNING FACE} \\ud83d", "y")]
    path = write("a.jsonl", f"{whole}\n{whole.replace('y', half)}\n")
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: found half of a surrogate pair, '.ud"):
        read(path)


def test_a_table_is_no_side_of_an_aligned_pair(write):
    with pytest.raises(DataError, match=r"b.csv.gz is a table, expected a text file"):
        read(write("a", "x\n"), write("b.csv.gz", "1\n"))


def test_a_missing_file_is_named(write, tmp_path):
    with pytest.raises(DataError, match="b: no such file"):
        read(write("a", "x\n"), tmp_path / "b")


def test_pairs_are_taken_by_position():
    assert FEW.take([2, 0]) == Pairs(("no cat", "a cat"), ("aucun chat", "un chat"))
    assert FEW.take([]) == Pairs()


def test_a_source_is_in_one_part_with_all_its_targets():
    pairs = Pairs(tuple(f"s{n // 3}" for n in range(90)), tuple(map(str, range(90))))
    parts = pairs.divide(validation=0.2, test=0.1)
    assert [len(part) for part in parts.values()] == [63, 18, 9]
    assert sorted(pair for part in parts.values() for pair in part) == sorted(pairs)
    sources = [set(part.sources) for part in parts.values()]
    assert sum(map(len, sources)) == len(set.union(*sources)) == 30
    assert parts == pairs.divide(validation=0.2, test=0.1)
    assert list(parts) == ["train", "validation", "test"]
