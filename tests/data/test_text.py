import bz2
import gzip
import json
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.data import text as texts
from unspool.data.text import Piece, TextFiles, TextInMemory, cut, survey, text_files
from unspool.errors import DataError

WORDS = "eins zwei\ndrei ünf\n\nsechs"


def documents(text) -> list[str]:
    """Put the pieces of each document together again."""
    found: list[str] = []
    for piece in text.pieces():
        if piece.starts_document:
            found.append("")
        found[-1] += piece.text
    return found


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(texts, "PIECE", 8)


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_file_is_a_document_whether_compressed_or_not(write, pack):
    text = text_files(write("some.name", pack(WORDS.encode())))
    assert documents(text) == [WORDS]
    assert survey(text).sha256 == survey(TextInMemory("", (WORDS,))).sha256


def test_a_byte_order_mark_is_no_text(write):
    assert documents(text_files(write("a.txt", "\ufeff" + WORDS))) == [WORDS]
    line = json.dumps({"text": "one"})
    assert documents(text_files(write("a.jsonl", "\ufeff" + line))) == ["one"]


def test_line_ends_stay_as_they_are(write):
    assert documents(text_files(write("a.txt", "one\r\ntwo\rthree\n"))) == ["one\r\ntwo\rthree\n"]


def test_a_folder_is_read_in_the_order_of_names(tmp_path):
    for name in ("b.txt", "a/z.txt.gz", "a/b/c.TXT", "notes.md", ".hidden.txt", ".git/x.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = name.encode()
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    text = text_files(tmp_path)
    assert documents(text) == ["a/b/c.TXT", "a/z.txt.gz", "b.txt"]


def test_a_folder_without_text_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"has no text file, expected names that end in .txt, .txt.gz"
    ):
        text_files(tmp_path)


def test_json_lines_hold_a_document_each(write):
    lines = [
        json.dumps({"id": n, "body": body}) for n, body in enumerate(["one\ntwo", "", "three"])
    ]
    content = "\n\n".join(lines)
    for name, packed in (
        ("a.jsonl", content.encode()),
        ("a.ndjson.xz", lzma.compress(content.encode())),
    ):
        assert documents(text_files(write(name, packed), field="body")) == ["one\ntwo", "three"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9 au lait", r"a.txt, byte 3 \(from 0\): found 0xe9, expected UTF-8 text; convert"),
        (b"caf\xc3", r"a.txt, byte 3 \(from 0\): found 0xc3 and the end of the text within"),
        (b"x" * (1 << 20) + b"\xff", r"byte 1048576 \(from 0\): found 0xff"),
        (b"x" * ((1 << 20) - 1) + b"\xe2\x82z", r"byte 1048575 \(from 0\): found 0xe2"),
        (b"\xef\xbb\xbfa\xff", r"byte 4 \(from 0\): found 0xff"),
    ],
)
def test_bytes_that_are_no_utf8_are_named(write, content, message):
    with pytest.raises(DataError, match=message):
        survey(text_files(write("a.txt", content)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"id": 7}', "line 2: no field 'text', found id; name the one that holds the text"),
        (b"{}", "line 2: no field 'text', found none"),
        (b'{"text": 7}', "line 2: text is 7, expected text"),
        (b'{"text": null}', "line 2: text is None, expected text"),
        (b'["text"]', "line 2: found '\\[\"text\"\\]', expected a JSON object"),
        (b'{"text": "x"', "line 2: .*expected a JSON object"),
        (b"[" * 100_000, "line 2: .*expected a JSON object"),
        (b'{"text": "\xff"}', r"line 2, byte 25 \(from 0\): found 0xff, expected UTF-8"),
        (b'{"text": "\\ud800"}', r"line 2: text has half of a surrogate pair, '\\ud800'"),
    ],
)
def test_a_bad_line_of_json_is_named(write, line, message):
    with pytest.raises(DataError, match=message):
        survey(text_files(write("a.jsonl", b'{"text": "on"}\n' + line)))


def test_a_line_of_json_beyond_measure_is_refused(write, monkeypatch):
    monkeypatch.setattr(texts, "MAX_JSON_LINE", 1 << 20)
    with pytest.raises(DataError, match="has a line of more than 1048576 bytes"):
        survey(text_files(write("a.jsonl", b" " * (1 << 21))))


@pytest.mark.parametrize("content", ["", " \n\t\n", "\ufeff"])
def test_text_without_text_is_refused(write, content):
    with pytest.raises(DataError, match=r"empty.txt holds no text, expected at least a word"):
        survey(text_files(write("empty.txt", content)))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file; check the path"):
        text_files(tmp_path / "nothing.txt")


# --- pieces ------------------------------------------------------------------------------------


@given(document=st.text(alphabet="ab \n", max_size=60), sizes=st.lists(st.integers(1, 20)))
def test_pieces_depend_on_the_text_alone_and_lose_nothing(document, sizes):
    parts, rest = [], document
    for size in sizes:
        parts.append(rest[:size])
        rest = rest[size:]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(texts, "PIECE", 8)
        pieces = list(cut([*parts, rest]))
        assert pieces == list(cut([document]))
    assert "".join(piece.text for piece in pieces) == document
    assert [piece.starts_document for piece in pieces] == [True, *[False] * (len(pieces) - 1)][
        : len(pieces)
    ]
    assert all(0 < len(piece.text) <= 8 for piece in pieces)


def test_a_piece_ends_after_a_line_or_before_a_space_if_it_can(small_pieces):
    assert [piece.text for piece in cut(["one\ntwo\nthree\n"])] == ["one\ntwo\n", "three\n"]
    assert [piece.text for piece in cut(["one two three"])] == ["one two", " three"]
    assert [piece.text for piece in cut(["onetwothreefour"])] == ["onetwoth", "reefour"]


def test_a_large_document_is_never_whole(write):
    path = write("large.txt.gz", gzip.compress(b"line of text\n" * 400_000))
    pieces = list(text_files(path).pieces())
    assert len(pieces) > 4
    assert all(piece.text.endswith("\n") for piece in pieces)
    assert sum(len(piece.text) for piece in pieces) == 13 * 400_000


# --- survey ------------------------------------------------------------------------------------


def test_a_survey_counts_and_tells_texts_apart():
    def of(*documents):
        return survey(TextInMemory("", documents))

    assert (of("öne\n", "two").documents, of("öne\n", "two").characters) == (2, 7)
    different = [of("ab"), of("a", "b"), of("b", "a"), of("ab", "c"), of("a", "bc"), of("abc")]
    assert len({found.sha256 for found in different}) == len(different)
    assert of("ab", "", "c") == of("ab", "c")


def test_texts_can_be_read_again(write):
    text = TextFiles("", (write("a.txt", WORDS),))
    assert list(text.pieces()) == list(text.pieces()) == [Piece(WORDS, True)]


def test_pieces_of_documents_follow_each_other(small_pieces):
    text = TextInMemory("", ("one two three four", "five"))
    starts = [piece.starts_document for piece in text.pieces()]
    assert starts == [True, False, False, True]
