"""Where a recipe's text comes from, how it is divided, and what its tokens are."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from unspool.data import catalogue
from unspool.data.cache import cache_folder
from unspool.data.corpus import Corpus
from unspool.data.text import Text, survey, text_files
from unspool.data.text_division import DivisionRule, divide_text
from unspool.data.tokenisation import tokenise
from unspool.data.vocabulary import Vocabulary, VocabularySettings
from unspool.data.vocabulary_fitting import fit
from unspool.errors import DataError
from unspool.settings import Settings

Progress = Callable[[str, int, int], None]
"""Called with what is going on, the characters that are done, and about how many there are."""

Share = Annotated[float, Field(ge=0, lt=1)]

SPLITS = ("train", "validation", "test")

_FORMAT = 1  # of what the cache holds: goes up when the same text and settings give something else


class TextDataSettings(Settings):
    """Which text to learn from, a catalogue name or files of one's own, and what its tokens are.

    Parameters
    ----------
    name : str, optional
        A text of the catalogue (``unspool data list``).
    path : str, optional
        In place of ``name``: a UTF-8 file, compressed or not; a ``.jsonl`` file with a document a
        line; or a folder of ``.txt`` files.
    validation_path, test_path : str, optional
        The validation and the test part, where they are files or folders of their own.
    field : str
        What the objects of a ``.jsonl`` file call the text.
    division : {"position", "documents"}
        Whether the shares are stretches of the text, training first and test last, or documents.
    validation, test : float
        Shares of the text divided off for model selection and for the final test; of no account
        where there is such a part already. The division is always the same, whatever the run's
        seed.
    vocabulary : VocabularySettings
    limit : int, optional
        Learn from the first so many training tokens only, for a quick trial.
    """

    name: str | None = None
    path: str | None = None
    validation_path: str | None = None
    test_path: str | None = None
    field: str = "text"
    division: DivisionRule = "position"
    validation: Share = 0.1
    test: Share = 0.1
    vocabulary: VocabularySettings = VocabularySettings()
    limit: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "TextDataSettings":
        if (self.name is None) == (self.path is None):
            raise ValueError("needs either name (a catalogue set) or path (a file), and not both")
        given = [key for key in ("validation_path", "test_path") if getattr(self, key) is not None]
        if self.name is not None and given:
            raise ValueError(f"{given[0]} goes with path (a file), not with name (a catalogue set)")
        return self

    @property
    def title(self) -> str:
        """What messages and model cards call the data."""
        return self.name or os.path.basename(os.path.normpath(self.path or ""))

    @property
    def has_validation(self) -> bool:
        """Whether a part is divided off for model selection, or comes apart."""
        return (
            self.validation > 0
            or self.validation_path is not None
            or catalogue.is_divided(self.name)
        )

    @property
    def has_test(self) -> bool:
        """Whether a part is divided off for the final test, or comes apart."""
        return self.test > 0 or self.test_path is not None or catalogue.is_divided(self.name)


@dataclass(frozen=True)
class TextDivision:
    """The three parts and the vocabulary of the first; a part that was not asked for is empty."""

    training: Corpus
    validation: Corpus
    test: Corpus
    vocabulary: Vocabulary

    def part(self, split: str) -> Corpus:
        """Give the part called ``train``, ``validation`` or ``test``."""
        parts = {"train": self.training, "validation": self.validation, "test": self.test}
        if split not in parts:
            raise DataError(f"no split {split!r}, expected one of {', '.join(parts)}")
        return parts[split]


@dataclass(frozen=True)
class _Part:
    """One part of the text, and what tells it from every other text in the cache."""

    text: Text
    identity: tuple[Any, ...]
    characters: int  # roughly: for the progress


def load(
    settings: TextDataSettings,
    data_dir: Path | None = None,
    *,
    vocabulary: Vocabulary | None = None,
    progress: Progress | None = None,
) -> TextDivision:
    """Read the text, divide it, and tokenise it; what was done before is found in the cache.

    Parameters
    ----------
    settings : TextDataSettings
    data_dir : Path, optional
        Where catalogue sets are looked for first; ``$UNSPOOL_DATA`` when not given.
    vocabulary : Vocabulary, optional
        A trained model's; without it one is fitted on the training part alone.
    progress : callable, optional
        See :data:`Progress`.

    Raises
    ------
    DataError
        If the text is missing, empty or unusable; the message names the file.
    SaveError
        If the cache cannot be written.
    """
    progress = progress or (lambda what, done, total: None)
    parts = _parts(settings, data_dir)
    if vocabulary is None:
        vocabulary = _fitted(parts["train"], settings.vocabulary, progress)
    corpora = dict.fromkeys(SPLITS, Corpus.from_texts([], vocabulary))
    for name, part in parts.items():
        corpora[name] = _tokenised(name, part, vocabulary, progress)
    if settings.limit is not None:
        corpora["train"] = corpora["train"].first(settings.limit)
    return TextDivision(corpora["train"], corpora["validation"], corpora["test"], vocabulary)


def _parts(settings: TextDataSettings, data_dir: Path | None) -> dict[str, _Part]:
    """The parts that come apart, and those that are divided off where they do not."""
    texts = _texts(settings, data_dir)
    whole = survey(texts["train"])
    validation, test = (
        0.0 if name in texts else getattr(settings, name) for name in ("validation", "test")
    )
    sizes = {"train": 1 - validation - test, "validation": validation, "test": test}
    rule = settings.division
    divided = divide_text(texts.pop("train"), whole, rule, validation=validation, test=test)
    parts = {
        name: _Part(
            text,
            (whole.sha256, rule, validation, test, name),
            int(sizes[name] * whole.characters),
        )
        for name, text in divided.items()
    }
    for name, text in texts.items():
        found = survey(text)
        parts[name] = _Part(text, (found.sha256,), found.characters)
    return parts


def _texts(settings: TextDataSettings, data_dir: Path | None) -> dict[str, Text]:
    """The text as ``train``, and its validation and test part where they come apart."""
    if settings.name is not None:
        return dict(zip(SPLITS, catalogue.texts(settings.name, data_dir), strict=False))
    paths = (settings.path, settings.validation_path, settings.test_path)
    return {
        name: text_files(path, settings.field)
        for name, path in zip(SPLITS, paths, strict=True)
        if path is not None
    }


def _fitted(part: _Part, settings: VocabularySettings, progress: Progress) -> Vocabulary:
    path = cache_folder() / "vocabularies" / f"{_key(*part.identity, settings.model_dump())}.json"
    try:
        return Vocabulary.load(path)
    except DataError:  # not there yet, or damaged
        vocabulary = fit(_counted(part, "vocabulary", progress), settings)
        vocabulary.save(path)
        return vocabulary


def _counted(part: _Part, what: str, progress: Progress) -> Iterator[str]:
    """The text of a part, each piece told to the progress when it is done with."""
    done = 0
    for piece in part.text.pieces():
        yield piece.text
        done += len(piece.text)
        progress(what, done, part.characters)


def _tokenised(name: str, part: _Part, vocabulary: Vocabulary, progress: Progress) -> Corpus:
    key = _key(*part.identity, vocabulary.fingerprint)
    return tokenise(
        part.text, vocabulary, key, lambda done: progress(f"tokens, {name}", done, part.characters)
    )


def _key(*identity: Any) -> str:
    """Name something in the cache by all that decides it."""
    return hashlib.sha256(json.dumps([_FORMAT, *identity]).encode()).hexdigest()
