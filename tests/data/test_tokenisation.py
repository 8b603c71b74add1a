import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest

from unspool.data import text as texts
from unspool.data import tokenisation
from unspool.data.corpus import Corpus
from unspool.data.text import TextInMemory
from unspool.data.tokenisation import tokenise
from unspool.data.vocabulary import Vocabulary
from unspool.errors import DataError, SaveError

LETTERS = Vocabulary.of_tokens("character", ["<unk>", *"abcdefghij \n"])
DOCUMENTS = ("abc def\nghi j\n", "", "jihg fedc ba\n" * 5, "a")


@dataclass
class Counting:
    """A text that knows how many times it was read."""

    documents: tuple[str, ...] = DOCUMENTS
    title: str = "these"
    readings: list[int] = field(default_factory=list)

    def pieces(self):
        self.readings.append(1)
        return TextInMemory(self.title, self.documents).pieces()


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(texts, "PIECE", 8)
    monkeypatch.setattr(tokenisation, "BETWEEN_NOTES", 20)


def agree(corpus) -> bool:
    """Whether this is the corpus of ``DOCUMENTS``."""
    expected = Corpus.from_texts(DOCUMENTS, LETTERS)
    return (
        corpus.tokens.tolist() == expected.tokens.tolist()
        and corpus.starts.tolist() == expected.starts.tolist()
    )


def test_a_corpus_is_made_once_and_mapped(own_folders):
    text = Counting()
    corpus, again = tokenise(text, LETTERS, "key"), tokenise(text, LETTERS, "key")
    assert agree(corpus)
    assert agree(again)
    assert len(text.readings) == 1
    assert isinstance(corpus.tokens, np.memmap)
    assert corpus.tokens.dtype == np.uint8
    assert not corpus.tokens.flags.writeable
    assert sorted(os.listdir(own_folders / "corpora")) == ["key", "key.lock"]


def test_another_key_is_another_corpus():
    text = Counting()
    tokenise(text, LETTERS, "one")
    tokenise(text, LETTERS, "other")
    assert len(text.readings) == 2


def test_the_type_on_disk_is_the_smallest(own_folders):
    many = Vocabulary.of_tokens("word", ["<unk>", *(f"w{n}" for n in range(300))])
    corpus = tokenise(TextInMemory("", ("w299 w0 w7",)), many, "key")
    assert corpus.tokens.tolist() == [300, 1, 8]
    assert (own_folders / "corpora" / "key" / "tokens.bin").stat().st_size == 6


def test_the_progress_is_told():
    seen = []
    tokenise(Counting(), LETTERS, "key", seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == sum(map(len, DOCUMENTS))


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("after", range(0, 80, 7))
def test_an_interrupted_one_goes_on_where_it_was(own_folders, monkeypatch, after):
    def stop(done):
        if done > after:
            raise StoppedError

    encoded = []

    class Watched(Vocabulary):
        def encode(self, text):
            encoded.append(text)
            return super().encode(text)

    watched = Watched("character", LETTERS.tokenizer)
    with pytest.raises(StoppedError):
        tokenise(Counting(), LETTERS, "key", stop)
    assert sorted(os.listdir(own_folders / "corpora")) == ["key.lock", "key.part"]
    encoded.clear()
    assert agree(tokenise(Counting(), watched, "key"))
    assert sorted(os.listdir(own_folders / "corpora")) == ["key", "key.lock"]
    noted = len("".join(encoded)) < sum(map(len, DOCUMENTS))
    assert noted == (after >= 21)  # what was noted once is not done again


def stop_after(characters: int, own_folders):
    """Leave a part whose note speaks of some pieces."""

    def stop(done):
        if done > characters:
            raise StoppedError

    with pytest.raises(StoppedError):
        tokenise(Counting(), LETTERS, "key", stop)
    return own_folders / "corpora" / "key.part"


def test_what_was_written_after_the_note_is_dropped(own_folders):
    part = stop_after(50, own_folders)
    for name in ("tokens.bin", "starts.bin"):
        with (part / name).open("ab") as file:
            file.write(b"\x07garbage")
    assert agree(tokenise(Counting(), LETTERS, "key"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda part: (part / "corpus.json").write_bytes(b"{"),
        lambda part: (part / "corpus.json").write_bytes(b"{}"),
        lambda part: (part / "corpus.json").write_bytes(b"[]"),
        lambda part: (part / "corpus.json").unlink(),
        lambda part: (part / "tokens.bin").write_bytes(b"\1"),
        lambda part: (part / "starts.bin").unlink(),
    ],
)
def test_a_part_that_is_less_than_its_note_says_is_begun_anew(own_folders, damage):
    damage(stop_after(50, own_folders))
    assert agree(tokenise(Counting(), LETTERS, "key"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "corpus.json").unlink(),
        lambda folder: (folder / "tokens.bin").write_bytes(b"\1"),
        lambda folder: (folder / "tokens.bin").write_bytes(b""),
        lambda folder: (folder / "starts.bin").unlink(),
    ],
)
def test_a_damaged_corpus_is_made_anew(own_folders, damage):
    tokenise(Counting(), LETTERS, "key")
    damage(own_folders / "corpora" / "key")
    assert agree(tokenise(Counting(), LETTERS, "key"))


def test_a_killed_process_leaves_nothing_that_is_taken_for_whole(own_folders):
    program = f"""
import os, signal
from unspool.data import text, tokenisation
from unspool.data.vocabulary import Vocabulary
text.PIECE, tokenisation.BETWEEN_NOTES = 8, 20
letters = Vocabulary.of_tokens("character", ["<unk>", *"abcdefghij \\n"])
def kill(done):
    if done > 50:
        os.kill(os.getpid(), signal.SIGKILL)
tokenisation.tokenise(text.TextInMemory("", {DOCUMENTS!r}), letters, "key", kill)
"""
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert killed.returncode == -9, killed.stderr.decode()
    assert sorted(os.listdir(own_folders / "corpora")) == ["key.lock", "key.part"]
    text = Counting()
    assert agree(tokenise(text, LETTERS, "key"))


def test_two_at_once_do_the_work_once(own_folders):
    text = Counting(documents=DOCUMENTS * 50)
    with ThreadPoolExecutor(4) as pool:
        corpora = list(pool.map(lambda _: tokenise(text, LETTERS, "key"), range(4)))
    assert len(text.readings) == 1
    assert len({len(corpus) for corpus in corpora}) == 1


def test_documents_without_tokens_are_left_out():
    vocabulary = Vocabulary.of_tokens("word", ["<unk>", "a", "b"])
    corpus = tokenise(TextInMemory("", ("  ", "      \n    a", "b\n", "\n")), vocabulary, "key")
    assert (corpus.tokens.tolist(), corpus.starts.tolist()) == ([1, 2], [0, 1])


def test_no_tokens_at_all_are_refused(own_folders):
    vocabulary = Vocabulary.of_tokens("word", ["<unk>", "a"])
    with pytest.raises(DataError, match="these has no tokens, expected at least one"):
        tokenise(Counting(documents=("  \n",)), vocabulary, "key")


def test_a_cache_that_cannot_be_written_is_explained(monkeypatch, write):
    monkeypatch.setenv("UNSPOOL_CACHE", str(write("file", b"")))
    with pytest.raises(
        SaveError, match=r"cannot be written: .*set UNSPOOL_CACHE to another folder"
    ):
        tokenise(Counting(), LETTERS, "key")
