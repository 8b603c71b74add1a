"""Which pairs a recipe learns from, and what their tokens are."""

import os
from typing import Annotated

from pydantic import Field, model_validator

from unspool.data import catalogue
from unspool.data.pair_codecs import PairVocabularySettings
from unspool.data.pair_limits import LengthLimits
from unspool.data.pairs import PairColumns
from unspool.settings import Settings

Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]

BUILT_IN = ("dates", "reverse", "copy")
"""Sets that are drawn from a seed, as many pairs as one likes."""

_PATHS = (
    "target_path",
    "validation_path",
    "validation_target_path",
    "test_path",
    "test_target_path",
)


class PairDataSettings(Settings):
    """Which pairs to learn from, a catalogue name or files of one's own, and what tokens are.

    Parameters
    ----------
    name : str, optional
        Pairs of the catalogue (``unspool data list``).
    source_language, target_language : str, optional
        For a set in several languages: from which one into which one.
    size : int, optional
        For a built-in set: how many pairs in all, 100,000 when not given.
    seed : int
        For a built-in set: what is drawn. It is no matter of the run's seed: runs of several seeds
        learn from the same pairs, and are tested by the same.
    locale_mark : bool
        For ``dates``: put the locale before each, which tells what ``03/04/2021`` is.
    path : str, optional
        In place of ``name``: the sources, a UTF-8 file with a text a line, compressed or not; or,
        without ``target_path``, a table with a source and a target a row.
    target_path : str, optional
        The targets, aligned with ``path`` line by line.
    validation_path, validation_target_path, test_path, test_target_path : str, optional
        The validation and the test part, where they are files of their own.
    columns : PairColumns
        What a table's columns are called.
    validation, test : float
        Shares of the pairs divided off for model selection and for the final test; of no account
        where there is such a part already. The division is always the same, whatever the run's
        seed.
    vocabulary : PairVocabularySettings
    max_source_length, max_target_length : int, optional
        Tokens that a source and a target may have, the special ones not counted. Longer pairs are
        left out of the training and validation part, never of a test part.
    limit : int, optional
        Learn from this many training pairs only, for a quick trial.
    """

    name: str | None = None
    source_language: str | None = None
    target_language: str | None = None
    size: Count | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    locale_mark: bool = False
    path: str | None = None
    target_path: str | None = None
    validation_path: str | None = None
    validation_target_path: str | None = None
    test_path: str | None = None
    test_target_path: str | None = None
    columns: PairColumns = PairColumns()
    validation: Share = 0.1
    test: Share = 0.1
    vocabulary: PairVocabularySettings = PairVocabularySettings()
    max_source_length: Count | None = None
    max_target_length: Count | None = None
    limit: Count | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "PairDataSettings":
        if (self.name is None) == (self.path is None):
            raise ValueError("needs either name (a catalogue set) or path (a file), and not both")
        given = [key for key in _PATHS if getattr(self, key) is not None]
        if self.name is not None and given:
            raise ValueError(f"{given[0]} goes with path (a file), not with name (a catalogue set)")
        return self

    @model_validator(mode="after")
    def _files_are_of_one_kind(self) -> "PairDataSettings":
        for part in ("validation", "test"):
            path, target = getattr(self, f"{part}_path"), getattr(self, f"{part}_target_path")
            if path is None and target is not None:
                raise ValueError(f"{part}_target_path needs {part}_path, the file of the sources")
        return self

    @model_validator(mode="after")
    def _what_is_given_has_a_meaning(self) -> "PairDataSettings":
        if (self.source_language is None) != (self.target_language is None):
            raise ValueError("source_language and target_language go together; give both")
        if self.source_language is not None and self.source_language == self.target_language:
            raise ValueError(
                f"source_language and target_language are both {self.source_language!r}"
            )
        if self.name is None and self.source_language is not None:
            raise ValueError("source_language goes with name (a catalogue set), not with path")
        if self.name not in BUILT_IN and self.size is not None:
            raise ValueError(f"size is for the built-in sets {', '.join(BUILT_IN)}; use limit")
        if self.name != "dates" and self.locale_mark:
            raise ValueError("locale_mark is for the built-in set dates")
        return self

    @property
    def title(self) -> str:
        """What messages and model cards call the data."""
        if self.source_language is not None:
            return f"{self.name}, {self.source_language} to {self.target_language}"
        return self.name or os.path.basename(self.path or "")

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

    @property
    def limits(self) -> LengthLimits:
        """How long a pair may be."""
        return LengthLimits(self.max_source_length, self.max_target_length)
