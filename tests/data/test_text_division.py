from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.data import text as texts
from unspool.data.text import TextInMemory, survey
from unspool.data.text_division import divide_text
from unspool.errors import DataError

SHARES = st.floats(0, 0.49)


def divide(documents, rule="position", validation=0.0, test=0.0):
    text = TextInMemory("these", tuple(documents))
    return divide_text(text, survey(text), rule, validation=validation, test=test)


def content(text) -> str:
    return "".join(piece.text for piece in text.pieces())


LINES = st.lists(st.text(alphabet="ab \n", max_size=20).map("x{}".format), min_size=1, max_size=6)


@given(documents=LINES, validation=SHARES, test=SHARES)
def test_stretches_together_are_the_text_and_meet_at_ends_of_lines(documents, validation, test):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(texts, "PIECE", 1000)
        parts = divide(documents, validation=validation, test=test)
        whole = "".join(documents)
        read = [content(part) for part in parts.values()]
    assert "".join(read) == whole
    ends = {0, *(sum(map(len, documents[: n + 1])) for n in range(len(documents)))}
    ends |= {n + 1 for n, letter in enumerate(whole) if letter == "\n"}
    position = 0
    for part in read:
        assert position in ends
        position += len(part)


@given(documents=LINES, validation=SHARES, test=SHARES)
def test_every_stretch_starts_a_document_and_keeps_their_bounds(documents, validation, test):
    for part in divide(documents, validation=validation, test=test).values():
        pieces = list(part.pieces())
        assert all(piece.text for piece in pieces)
        assert [piece.starts_document for piece in pieces[:1]] in ([], [True])


def test_a_stretch_begins_at_the_end_of_the_line_that_its_position_is_in():
    parts = divide(["one\ntwo\nthree\nfour\nfive\n"], validation=0.25, test=0.25)
    assert [content(part) for part in parts.values()] == ["one\ntwo\nthree\n", "four\n", "five\n"]
    assert list(parts) == ["train", "validation", "test"]


def test_a_position_at_the_end_of_a_line_is_not_moved():
    parts = divide(["abc\ndef\n"], test=0.5)
    assert [content(part) for part in parts.values()] == ["abc\n", "def\n"]


def test_a_text_of_one_line_is_divided_between_pieces(monkeypatch):
    monkeypatch.setattr(texts, "PIECE", 8)
    parts = divide(["one two three four five"], test=0.5)
    assert [content(part) for part in parts.values()] == ["one two three", " four five"]


def test_a_share_of_zero_is_no_part():
    assert list(divide(["one\ntwo\n"])) == ["train"]
    assert content(divide(["one\ntwo\n"])["train"]) == "one\ntwo\n"


@given(count=st.integers(8, 30), validation=SHARES, test=SHARES)
def test_every_document_is_in_one_part(count, validation, test):
    documents = [f"document {n}" for n in range(count)]
    parts = divide(documents, "documents", validation, test)
    read = [[piece.text for piece in part.pieces()] for part in parts.values()]
    assert sorted(chain.from_iterable(read)) == sorted(documents)
    assert all(part == sorted(part, key=documents.index) and part for part in read)


def test_documents_stay_whole(monkeypatch):
    monkeypatch.setattr(texts, "PIECE", 4)
    parts = divide(["one two three", "four five six", "seven eight"], "documents", test=0.34)
    for part in parts.values():
        pieces = list(part.pieces())
        assert pieces[0].starts_document
    assert sorted(content(parts["train"]) + content(parts["test"])) == sorted(
        "one two threefour five sixseven eight"
    )


def test_the_test_part_does_not_depend_on_the_validation_part():
    documents = [str(n) for n in range(50)]
    without = divide(documents, "documents", test=0.2)["test"]
    beside = divide(documents, "documents", validation=0.3, test=0.2)["test"]
    assert content(without) == content(beside)


@pytest.mark.parametrize(
    ("rule", "shares", "message"),
    [
        ("documents", {"validation": 0.1, "test": 0.1}, "these is a text of 2 documents, too few"),
        ("position", {"validation": 0.5, "test": 0.5}, "leave nothing for training"),
        ("position", {"validation": -0.1, "test": 0}, "validation fraction is -0.1"),
    ],
)
def test_impossible_divisions_are_refused(rule, shares, message):
    with pytest.raises(DataError, match=message):
        divide(["one", "two"], rule, **shares)
