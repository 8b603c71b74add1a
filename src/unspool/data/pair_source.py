"""Where a recipe's pairs come from, how they are divided, and what becomes of each part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from unspool.data import artificial_pairs, catalogue, dates
from unspool.data.division import check_fractions
from unspool.data.pair_codecs import PairCodecs, PairVocabularySettings, fit_codecs
from unspool.data.pair_corpus import PairCorpus
from unspool.data.pair_limits import LeftOut, LengthLimits, within
from unspool.data.pair_settings import PairDataSettings
from unspool.data.pairs import SPLITS, Pairs, read
from unspool.errors import DataError

Part = TypeVar("Part", Pairs, PairCorpus)

SIZE = 100_000
"""Pairs of a built-in set where a recipe does not say how many."""


@dataclass(frozen=True)
class PairDivision:
    """The parts, encoded, and the codecs of the first.

    Parameters
    ----------
    training, validation : PairCorpus
        Pairs with an empty side, or that are too long, are left out; the second part may be empty.
    tests : mapping of str to PairCorpus
        Each test part, whole: ``test``, or those of a catalogue's set by their own names.
    codecs : PairCodecs
    left_out : mapping of str to LeftOut
        For ``train`` and ``validation``.
    """

    training: PairCorpus
    validation: PairCorpus
    tests: Mapping[str, PairCorpus]
    codecs: PairCodecs
    left_out: Mapping[str, LeftOut]

    @property
    def splits(self) -> tuple[str, ...]:
        """What :meth:`part` knows by name."""
        return ("train", "validation", *self.tests)

    def part(self, split: str) -> PairCorpus:
        """Give a part by its name; ``test`` is the first test part, whatever it is called."""
        return _named({"train": self.training, "validation": self.validation, **self.tests}, split)

    def notes(self) -> list[str]:
        """What a user should be told: for each part, what was left out of it and why."""
        return [f"{split}: {found}" for split, found in self.left_out.items() if found.count]


def load(
    settings: PairDataSettings, data_dir: Path | None = None, *, codecs: PairCodecs | None = None
) -> PairDivision:
    """Read the pairs, divide them, and encode every part.

    Parameters
    ----------
    settings : PairDataSettings
    data_dir : Path, optional
        Where catalogue sets are looked for first; ``$UNSPOOL_DATA`` when not given.
    codecs : PairCodecs, optional
        A trained model's; without them they are fitted on the training part alone.

    Raises
    ------
    DataError
        If the pairs are missing or unusable, or none is left of a part.
    SaveError
        If a download cannot be kept.
    """
    parts = read_parts(settings, data_dir)
    return encode(parts, settings.vocabulary, settings.limits, codecs=codecs, title=settings.title)


def load_part(
    settings: PairDataSettings, split: str, codecs: PairCodecs, data_dir: Path | None = None
) -> PairCorpus:
    """Read the pairs and encode one part, as :func:`load` does.

    Raises
    ------
    DataError
        As :func:`load` does, and if there is no such part.
    """
    pairs = _named(read_parts(settings, data_dir), split)
    corpus = PairCorpus.encoded(pairs, codecs)
    return within(corpus, settings.limits)[0] if split in ("train", "validation") else corpus


def encode(
    parts: Mapping[str, Pairs],
    vocabulary: PairVocabularySettings,
    limits: LengthLimits,
    *,
    codecs: PairCodecs | None = None,
    title: str = "data",
) -> PairDivision:
    """Encode parts that were read, or are in memory.

    Parameters
    ----------
    parts : mapping of str to Pairs
        ``train``, ``validation``, and any number of test parts.
    vocabulary : PairVocabularySettings
        What to fit on the training part, if there are no codecs.
    limits : LengthLimits
        For training and validation pairs.
    codecs : PairCodecs, optional
    title : str
        What an error calls the data.

    Raises
    ------
    DataError
        If the training part is empty, or nothing is left of a part.
    """
    codecs = codecs or fit_codecs(parts["train"], vocabulary)
    corpora = {name: PairCorpus.encoded(pairs, codecs) for name, pairs in parts.items()}
    left_out = {}
    for split in ("train", "validation"):
        corpora[split], left_out[split] = within(corpora[split], limits)
        if not len(corpora[split]) and (left_out[split].count or split == "train"):
            raise DataError(
                f"{title} ({split} part) has no pairs to use, expected at least one: "
                f"{left_out[split]}; add pairs or raise max_source_length and max_target_length"
            )
    training, validation = corpora.pop("train"), corpora.pop("validation")
    return PairDivision(training, validation, corpora, codecs, left_out)


def read_parts(settings: PairDataSettings, data_dir: Path | None = None) -> dict[str, Pairs]:
    """Read the texts of ``train``, ``validation`` and the test parts.

    Raises
    ------
    DataError
        If they are missing, corrupt, or too few to divide; the message names the file.
    SaveError
        If a download cannot be kept.
    """
    if settings.name is None:
        parts = _divided(_from_files(settings), settings)
    elif catalogue.languages_of(settings.name):
        parts = _divided(_in_languages(settings.name, settings, data_dir), settings)
    else:
        parts = _drawn(settings.name, settings)
    return {**parts, "train": _limited(parts["train"], settings.limit)}


def _from_files(settings: PairDataSettings) -> dict[str, Pairs]:
    files = {
        "train": (settings.path, settings.target_path),
        "validation": (settings.validation_path, settings.validation_target_path),
        "test": (settings.test_path, settings.test_target_path),
    }
    return {
        split: read(path, target_path, settings.columns)
        for split, (path, target_path) in files.items()
        if path is not None
    }


def _in_languages(name: str, settings: PairDataSettings, data_dir: Path | None) -> dict[str, Pairs]:
    source, target = settings.source_language, settings.target_language
    if source is None or target is None:
        raise DataError(
            f"{name} is in several languages, expected source_language and target_language, two of "
            f"{', '.join(catalogue.languages_of(name))}"
        )
    return catalogue.pairs(name, source, target, data_dir)


def _divided(parts: dict[str, Pairs], settings: PairDataSettings) -> dict[str, Pairs]:
    """Divide what lacks off the training part."""
    tests = parts.keys() - {"train", "validation"}
    divided = parts["train"].divide(
        validation=0.0 if "validation" in parts else settings.validation,
        test=0.0 if tests else settings.test,
    )
    if tests:
        del divided["test"]
    return {**divided, **parts, "train": divided["train"]}


def _drawn(name: str, settings: PairDataSettings) -> dict[str, Pairs]:
    """Draw the parts of a built-in set, of which each has texts of its own."""
    if settings.source_language is not None:
        raise DataError(
            f"{name} is not in several languages; leave source_language and target_language out"
        )
    check_fractions(settings.validation, settings.test)
    size = SIZE if settings.size is None else settings.size
    shares = {"validation": settings.validation, "test": settings.test}
    counts = {split: max(1, int(share * size + 0.5)) for split, share in shares.items() if share}
    held_out = sum(counts.values())
    if held_out >= size:
        raise DataError(
            f"size is {size}, of which validation and test take {held_out}, expected a pair at "
            "least to learn from; raise size"
        )
    counts["train"] = size - held_out
    draws: dict[str, Callable[[str, int, int], Pairs]] = {
        "dates": partial(dates.draw, locale_mark=settings.locale_mark),
        "reverse": artificial_pairs.reverse,
        "copy": artificial_pairs.copy,
    }
    return {split: draws[name](split, counts.get(split, 0), settings.seed) for split in SPLITS}


def _named(parts: Mapping[str, Part], split: str) -> Part:
    """A part by its name; ``test`` is the first test part."""
    tests = [name for name in parts if name not in ("train", "validation")]
    if split == "test" and tests:
        return parts[tests[0]]
    if split not in parts:
        raise DataError(f"no split {split!r}, expected one of {', '.join(parts)}")
    return parts[split]


def _limited(pairs: Pairs, limit: int | None) -> Pairs:
    """So many of the pairs, always the same."""
    if limit is None or limit >= len(pairs):
        return pairs
    return pairs.take(np.sort(np.random.default_rng(0).permutation(len(pairs))[:limit]))
