"""Tokenises a text once, into files of the user's cache that are mapped into memory afterwards.

While it is under way the files stand in ``KEY.part``, beside a note of how much of them is right;
after an interruption the next attempt goes on from there. The folder ``KEY`` itself is put there in
one move, when it is whole.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import filelock
import numpy as np

from unspool.data.cache import cache_folder, explained
from unspool.data.corpus import Corpus, encoded
from unspool.data.text import Text
from unspool.data.vocabulary import Vocabulary
from unspool.errors import DataError
from unspool.storage import write_file

Progress = Callable[[int], None]
"""Called with the number of characters that are done."""

TOKENS, STARTS, NOTE = "tokens.bin", "starts.bin", "corpus.json"

BETWEEN_NOTES = 1 << 24
"""Characters after which the files are noted to be right so far."""

_START_TYPE = np.dtype("<i8")


def tokenise(
    text: Text, vocabulary: Vocabulary, key: str, progress: Progress | None = None
) -> Corpus:
    """Return the corpus of a text, from the cache if it was tokenised before.

    Two processes that want the same corpus do not disturb each other: the second one waits and then
    finds it there.

    Parameters
    ----------
    text : Text
    vocabulary : Vocabulary
    key : str
        Names the text and the vocabulary in the cache: two that differ must not share one.
    progress : callable, optional
        See :data:`Progress`.

    Raises
    ------
    DataError
        If the text cannot be read or has no tokens.
    SaveError
        If the cache cannot be written.
    """
    target = cache_folder() / "corpora" / key
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(target.with_name(f"{key}.lock")):
            corpus = _open(target, vocabulary)
            if corpus is None:
                shutil.rmtree(target, ignore_errors=True)  # of another version, or damaged
                part = target.with_name(f"{key}.part")
                _write(text, vocabulary, part, progress or (lambda done: None))
                os.replace(part, target)
                corpus = _open(target, vocabulary)
    assert corpus is not None
    return corpus


@dataclass
class _Note:
    """How much of the files is there for certain."""

    pieces: int = 0
    characters: int = 0
    tokens: int = 0
    documents: int = 0

    @classmethod
    def read(cls, folder: Path) -> "_Note | None":
        try:
            found = json.loads((folder / NOTE).read_bytes())
            return cls(**{field.name: int(found[field.name]) for field in fields(cls)})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, folder: Path, *files: BinaryIO) -> None:
        for file in files:
            file.flush()
            os.fsync(file.fileno())  # the note must not reach the disk before what it speaks of
        write_file(folder / NOTE, json.dumps(asdict(self)))


def _open(folder: Path, vocabulary: Vocabulary) -> Corpus | None:
    """Map the files of a folder, or None if they are not those of a whole corpus."""
    note = _Note.read(folder)
    if note is None:
        return None
    try:
        tokens = np.memmap(folder / TOKENS, vocabulary.dtype.newbyteorder("<"), mode="r")
        starts = np.fromfile(folder / STARTS, _START_TYPE)
    except (OSError, ValueError):
        return None
    if (len(tokens), len(starts)) != (note.tokens, note.documents):
        return None
    return Corpus(tokens, starts.astype(np.int64), vocabulary)


def _write(text: Text, vocabulary: Vocabulary, part: Path, progress: Progress) -> None:
    """Complete the files of a part, from where its note says."""
    part.mkdir(exist_ok=True)
    token_type = vocabulary.dtype.newbyteorder("<")
    done = _right(part, token_type) or _Note()
    noted, begins = done.characters, False
    with (
        _cut_open(part / TOKENS, done.tokens * token_type.itemsize) as tokens_file,
        _cut_open(part / STARTS, done.documents * _START_TYPE.itemsize) as starts_file,
    ):
        for piece, tokens in encoded(islice(text.pieces(), done.pieces, None), vocabulary):
            done.pieces += 1
            done.characters += len(piece.text)
            begins = begins or piece.starts_document
            if begins and len(tokens):
                starts_file.write(np.array(done.tokens, _START_TYPE).tobytes())
                done.documents += 1
                begins = False
            tokens_file.write(tokens.astype(token_type, copy=False).tobytes())
            done.tokens += len(tokens)
            if done.characters - noted >= BETWEEN_NOTES and not begins:
                done.write(part, tokens_file, starts_file)
                noted = done.characters
            progress(done.characters)
        if not done.tokens:
            raise DataError(f"{text.title} has no tokens, expected at least one; add text")
        done.write(part, tokens_file, starts_file)


def _right(part: Path, token_type: np.dtype[Any]) -> _Note | None:
    """The note of a part that was begun, if the files hold what it says."""
    note = _Note.read(part)
    if note is None:
        return None
    sizes = {
        TOKENS: note.tokens * token_type.itemsize,
        STARTS: note.documents * _START_TYPE.itemsize,
    }
    there = all(
        (part / name).is_file() and (part / name).stat().st_size >= size
        for name, size in sizes.items()
    )
    return note if there else None


def _cut_open(path: Path, size: int) -> BinaryIO:
    """Open a file for writing behind its first ``size`` bytes, and drop what stands there."""
    path.touch()
    file = path.open("r+b")
    file.truncate(size)
    file.seek(size)
    return file
