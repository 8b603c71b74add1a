import unicodedata
from collections import Counter

import numpy as np

from unspool.data import catalogue, languages
from unspool.data.vocabulary import VocabularySettings
from unspool.data.vocabulary_fitting import fit

NAMES = languages.names()


def script(text: str) -> str:
    letters = [unicodedata.name(letter).split()[0] for letter in text if letter.isalpha()]
    return Counter(letters).most_common(1)[0][0]


def test_every_language_has_hundreds_of_names_in_a_script_that_others_share():
    counts = Counter(NAMES.labels.tolist())
    assert len(counts) == len(languages.LANGUAGES) == 32
    assert min(counts.values()) > 600
    scripts = Counter(
        script(" ".join(np.array(NAMES.texts)[NAMES.labels == label])) for label in counts
    )
    assert scripts == {"LATIN": 20, "CYRILLIC": 6, "ARABIC": 3, "DEVANAGARI": 3}
    assert catalogue.entry("languages").class_names == tuple(languages.LANGUAGES.values())


def test_names_are_what_they_should_be():
    pairs = set(zip(NAMES.texts, NAMES.labels.tolist(), strict=True))
    assert {("Deutschland", "German"), ("Германия", "Russian"), ("allemand", "French")} <= pairs
    assert all(name.strip() for name in NAMES.texts)


def test_a_spelling_that_languages_share_is_there_with_every_label():
    shared = [
        label for name, label in zip(NAMES.texts, NAMES.labels, strict=True) if name == "Angola"
    ]
    assert len(shared) > 10
    assert len(set(shared)) == len(shared)


def test_no_place_or_language_is_in_two_parts():
    parts = [NAMES.take(part) for part in NAMES.divide(validation=0.1, test=0.2)]
    groups = [set(part.groups.tolist()) for part in parts]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert sum(map(len, parts)) == len(NAMES)
    shares = [len(part) / len(NAMES) for part in parts]
    assert np.allclose(shares, [0.7, 0.1, 0.2], atol=0.01)
    for part in parts:
        assert set(part.labels.tolist()) == set(languages.LANGUAGES.values())


def test_the_names_are_the_same_every_time():
    again = languages.names()
    assert again.texts == NAMES.texts
    assert again.groups.tolist() == NAMES.groups.tolist()


def test_names_are_read_letter_by_letter():
    letters = fit(NAMES.texts, VocabularySettings(unit="character"))
    sequences = NAMES.tokenised(letters)
    assert len(sequences) == len(NAMES)
    first = sequences.values[: sequences.lengths[0], 0]
    assert letters.decode(first) == NAMES.texts[0]
