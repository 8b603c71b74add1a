import gzip
import json

import numpy as np
import pytest

from unspool.data import text_source
from unspool.data.text_source import SPLITS, TextDataSettings, load
from unspool.data.vocabulary import Vocabulary
from unspool.errors import DataError

LINES = "".join(f"w{n} and w{n + 1}\n" for n in range(20))


def texts(division) -> list[str]:
    return [division.vocabulary.decode(division.part(split).tokens) for split in SPLITS]


def test_a_file_is_divided_and_its_vocabulary_is_that_of_the_training_part(write):
    division = load(TextDataSettings(path=str(write("a.txt", LINES)), validation=0.2, test=0.2))
    training, validation, test = texts(division)
    assert training + validation.replace("<unk>", "?") + test.replace("<unk>", "?") != LINES
    assert LINES.startswith(training)
    assert validation.splitlines()[-1] == "<unk> and <unk>"
    assert "w19" not in division.vocabulary.tokens
    assert {corpus.vocabulary for corpus in map(division.part, SPLITS)} == {division.vocabulary}


def test_parts_may_be_files_of_their_own(write):
    settings = TextDataSettings(
        path=str(write("a.txt", "one two\n")),
        validation_path=str(write("b.txt", "two\n")),
        test_path=str(write("c.txt.gz", gzip.compress(b"one three\n"))),
    )
    assert texts(load(settings)) == ["one two\n", "two\n", "one <unk>\n"]


def test_only_what_lacks_is_divided_off(write):
    settings = TextDataSettings(
        path=str(write("a.txt", LINES)), test_path=str(write("c.txt", "and\n")), validation=0.5
    )
    training, validation, test = texts(load(settings))
    assert (len(training.splitlines()), len(validation.splitlines())) == (11, 9)
    assert test == "and\n"


def test_documents_are_divided_whole(write):
    lines = [json.dumps({"body": f"a{n} b{n} c{n}"}) for n in range(10)]
    settings = TextDataSettings(
        path=str(write("a.jsonl", "\n".join(lines))),
        field="body",
        division="documents",
        vocabulary={"unit": "byte"},
        validation=0.2,
        test=0.2,
    )
    division = load(settings)
    assert [len(division.part(split).starts) for split in SPLITS] == [6, 2, 2]
    assert sorted("".join(texts(division))) == sorted("".join(f"a{n} b{n} c{n}" for n in range(10)))


def test_a_share_of_zero_is_an_empty_part(write):
    division = load(TextDataSettings(path=str(write("a.txt", LINES)), validation=0.0, test=0.0))
    assert texts(division) == [LINES, "", ""]
    assert len(division.test) == 0


def test_a_trained_models_vocabulary_is_used(write):
    vocabulary = Vocabulary.of_tokens("word", ["<unk>", "<eos>", "and"], end_of_sentence=True)
    path = str(write("a.txt", LINES))
    division = load(TextDataSettings(path=path, test=0.5), vocabulary=vocabulary)
    assert division.vocabulary is vocabulary
    assert set(division.test.tokens.tolist()) == {0, 1, 2}


def test_a_limit_holds_for_training_alone(write):
    division = load(TextDataSettings(path=str(write("a.txt", LINES)), limit=5, test=0.2))
    assert len(division.training) == 5
    assert len(division.test) == 12


def test_the_same_text_and_settings_are_worked_out_once(write, monkeypatch, own_folders):
    settings = TextDataSettings(path=str(write("a.txt", LINES)))
    first = load(settings)
    monkeypatch.setattr(text_source, "fit", None)
    packed = TextDataSettings(path=str(write("b.txt.gz", gzip.compress(LINES.encode()))))
    for again in (load(settings), load(packed)):
        assert again.vocabulary.fingerprint == first.vocabulary.fingerprint
        assert texts(again) == texts(first)
    assert len(list((own_folders / "corpora").glob("*/tokens.bin"))) == 3
    assert len(list((own_folders / "vocabularies").iterdir())) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"vocabulary": {"unit": "character"}},
        {"vocabulary": {"end_of_sentence": False}},
        {"validation": 0.3},
        {"validation": 0.0},
    ],
)
def test_other_settings_are_another_corpus(write, change):
    path = str(write("a.txt", LINES))
    first, other = load(TextDataSettings(path=path)), load(TextDataSettings(path=path, **change))
    assert not np.array_equal(first.training.tokens, other.training.tokens)


def test_another_text_under_the_same_name_is_another_corpus(write):
    path = str(write("a.txt", LINES))
    load(TextDataSettings(path=path))
    write("a.txt", LINES.replace("and", "or"))
    assert "or" in texts(load(TextDataSettings(path=path)))[0]


def test_a_damaged_vocabulary_in_the_cache_is_made_anew(write, own_folders):
    settings = TextDataSettings(path=str(write("a.txt", LINES)))
    first = load(settings)
    [kept] = (own_folders / "vocabularies").iterdir()
    kept.write_bytes(b"{}")
    assert load(settings).vocabulary.fingerprint == first.vocabulary.fingerprint


def test_the_progress_is_told(write):
    seen = []
    load(
        TextDataSettings(path=str(write("a.txt", LINES)), validation=0.0, test=0.0),
        progress=lambda *told: seen.append(told),
    )
    assert seen == [(what, len(LINES), len(LINES)) for what in ("vocabulary", "tokens, train")]


def test_the_fable_is_a_text():
    settings = TextDataSettings(
        name="fable", validation=0.0, test=0.0, vocabulary={"end_of_sentence": False}
    )
    division = load(settings)
    assert (len(division.training), len(division.vocabulary)) == (224, 117)
    assert settings.title == "fable"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs either name"),
        ({"name": "fable", "path": "x"}, "needs either name"),
        ({"name": "fable", "test_path": "x"}, "test_path goes with path"),
        ({"path": "x", "validation": 1.0}, "validation"),
        ({"path": "x", "limit": 0}, "limit"),
        ({"path": "x", "division": "words"}, "division"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TextDataSettings(**settings)


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (b"", {}, "a.txt holds no text, expected at least a word"),
        (b"caf\xe9", {}, r"a.txt, byte 3 \(from 0\): found 0xe9"),
        (
            b"word",
            {"test": 0.5},
            "the validation part of .*a.txt has no tokens, expected at least one; add text",
        ),
        (b"one\ntwo\n", {"division": "documents"}, "a text of 1 documents, too few"),
        (b"one two\n" * 9, {"vocabulary": {"min_count": 99}}, "no word occurs 99 times"),
        (b"one two\n" * 9, {"validation": 0.5, "test": 0.5}, "leave nothing for training"),
    ],
)
def test_unusable_text_is_refused(write, content, settings, message):
    with pytest.raises(DataError, match=message):
        load(TextDataSettings(path=str(write("a.txt", content)), **settings))


def test_one_token_is_a_corpus(write):
    settings = TextDataSettings(
        path=str(write("a.txt", "x")), validation=0.0, test=0.0, vocabulary={"unit": "character"}
    )
    assert load(settings).training.tokens.tolist() == [1]


def test_an_unknown_split_is_refused(write):
    with pytest.raises(DataError, match="no split 'dev', expected one of train, validation, test"):
        load(TextDataSettings(path=str(write("a.txt", LINES)))).part("dev")


@pytest.mark.data
def test_ptb_has_the_papers_counts(real_data):
    division = load(TextDataSettings(name="ptb"), real_data)
    assert [len(division.part(split)) for split in SPLITS] == [929_589, 73_760, 82_430]
    assert len(division.vocabulary) == 10_000
    assert 0 in division.test.tokens  # the text's own <unk>


@pytest.mark.data
def test_tinyshakespeare_is_divided_by_position(real_data):
    settings = TextDataSettings(name="tinyshakespeare", test=0.0, vocabulary={"unit": "character"})
    division = load(settings, real_data)
    assert len(division.vocabulary) == 1 + 65
    assert len(division.training) + len(division.validation) == 1_115_394
    assert abs(len(division.training) - 0.9 * 1_115_394) < 80
    assert 0 not in division.validation.tokens
