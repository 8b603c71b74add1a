import hashlib

import numpy as np
import pytest

from unspool.data import catalogue_entries
from unspool.data.catalogue_entries import Entry
from unspool.data.download import RemoteFile
from unspool.data.pair_codecs import PairVocabularySettings, fit_codecs
from unspool.data.pair_limits import LeftOut, LengthLimits
from unspool.data.pair_settings import PairDataSettings
from unspool.data.pair_source import encode, load, load_part, read_parts
from unspool.data.pairs import Pairs
from unspool.errors import DataError

SOURCES = "".join(f"w{n} and w{n + 1}\n" for n in range(20))
TARGETS = "".join(f"v{n} et v{n + 1}\n" for n in range(20))


@pytest.fixture
def aligned(write):
    """Settings of two aligned files of twenty pairs; keywords are more settings."""
    paths = {"path": str(write("a.en", SOURCES)), "target_path": str(write("a.fr", TARGETS))}
    return lambda **more: PairDataSettings(**{**paths, **more})


@pytest.fixture
def tiny(monkeypatch, tmp_path) -> Entry:
    """A set like multi30k, but of one pair a part and in two languages."""
    files = []
    for part in ("train", "val", "test_a", "test_b"):
        for language in ("en", "de"):
            content = f"{part} {language}\n".encode()
            name = f"{part}.{language}"
            files.append(RemoteFile(name, len(content), hashlib.sha256(content).hexdigest(), ()))
            (tmp_path / name).write_bytes(content)
    entry = Entry("tiny", "", "", "", "", (), tuple(files), kind="pairs")
    monkeypatch.setitem(catalogue_entries.ENTRIES, "tiny", entry)
    monkeypatch.setenv("UNSPOOL_DATA", str(tmp_path))
    return entry


def decoded(division, split) -> list[tuple[str, str]]:
    corpus, codecs = division.part(split), division.codecs
    return [
        (codecs.source.decode(corpus.sources.row(n)), codecs.target.decode(corpus.targets.row(n)))
        for n in range(len(corpus))
    ]


def test_files_are_divided_and_the_codecs_are_those_of_the_training_part(aligned):
    division = load(aligned(validation=0.2, test=0.1))
    assert division.splits == ("train", "validation", "test")
    assert [len(division.part(split)) for split in division.splits] == [14, 4, 2]
    together = [pair for split in division.splits for pair in division.part(split).pairs]
    assert sorted(together) == sorted(zip(SOURCES.splitlines(), TARGETS.splitlines(), strict=True))
    assert decoded(division, "train") == list(division.training.pairs)
    known = set(" ".join(division.training.pairs.sources).split())
    assert set(division.codecs.source.vocabulary.tokens) == {"<unk>", *known}
    assert division.notes() == []


def test_the_division_is_the_same_whatever_the_vocabulary_and_limit(aligned):
    one = load(aligned())
    other = load(aligned(vocabulary={"unit": "byte"}, limit=3))
    assert one.tests["test"].pairs == other.tests["test"].pairs
    assert one.validation.pairs == other.validation.pairs
    assert len(other.training) == 3
    assert set(other.training.pairs) < set(one.training.pairs)


def test_parts_may_be_files_of_their_own(aligned, write):
    division = load(
        aligned(
            validation_path=str(write("b.en", "w1\n")),
            validation_target_path=str(write("b.fr", "v1\n")),
            test_path=str(write("c.tsv", "en\tfr\nw2 ?\tv2 ?\n")),
            columns={"source": "en", "target": "fr"},
        )
    )
    assert len(division.training) == 20
    assert decoded(division, "validation") == [("w1", "v1")]
    assert decoded(division, "test") == [("w2 <unk>", "v2 <unk>")]


def test_only_what_lacks_is_divided_off(aligned, write):
    parts = read_parts(
        aligned(test_path=str(write("c.csv", "source,target\nx,y\n")), validation=0.5, test=0.4)
    )
    assert {name: len(pairs) for name, pairs in parts.items()} == {
        "train": 10,
        "validation": 10,
        "test": 1,
    }
    assert read_parts(aligned(validation=0.0, test=0.0))["test"] == Pairs()


def test_long_and_empty_pairs_are_left_out_and_told_of_but_no_test_pair_is(aligned, write):
    odd = {"path": "a b c\n\na\na b\n", "target_path": "1\n1\n\n1\n"}
    files = {key: str(write(f"odd.{key}", text)) for key, text in odd.items()}
    tests = {f"test_{key}": path for key, path in files.items()}
    settings = PairDataSettings(**files, **tests, validation=0.0, max_source_length=2)
    division = load(settings)
    assert list(division.training.pairs) == [("a b", "1")]
    assert division.left_out["train"] == LeftOut(empty=2, too_long=1, among=4)
    assert division.notes() == [
        "train: 3 of 4 pairs left out: 2 with an empty side, 1 too long",
    ]
    assert division.part("test").pairs.sources == ("a b c", "", "a", "a b")
    assert decoded(division, "test")[1] == ("", "1")
    assert division.part("test").sources.lengths.min() == 1


def test_a_part_of_which_nothing_is_left_is_refused(aligned):
    with pytest.raises(DataError, match=r"a.en \(train part\) has no pairs .* 16 too long; add"):
        load(aligned(max_target_length=2))
    parts = {"train": Pairs(("a",), ("b",)), "validation": Pairs(("",), ("b",))}
    with pytest.raises(DataError, match=r"data \(validation part\) has no pairs .*empty side"):
        encode(parts, PairVocabularySettings(), LengthLimits())


def test_a_trained_models_codecs_are_used(aligned):
    codecs = fit_codecs(Pairs(("and",), ("et",)), PairVocabularySettings())
    division = load(aligned(), codecs=codecs)
    assert division.codecs is codecs
    assert decoded(division, "test")[0] == ("<unk> and <unk>", "<unk> et <unk>")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_part_alone_is_the_same_as_with_the_others(aligned, split):
    settings = aligned(max_source_length=3)
    division = load(settings)
    part = load_part(settings, split, division.codecs)
    assert part.pairs == division.part(split).pairs
    assert np.array_equal(part.targets.tokens, division.part(split).targets.tokens)


# --- sets of the catalogue ---------------------------------------------------------------------


def test_a_set_in_languages_has_its_own_parts(tiny):
    settings = PairDataSettings(name="tiny", source_language="de", target_language="en")
    division = load(settings)
    assert division.splits == ("train", "validation", "test_a", "test_b")
    assert list(division.training.pairs) == [("train de", "train en")]
    assert list(division.validation.pairs) == [("val de", "val en")]
    assert list(division.part("test_b").pairs) == [("test_b de", "test_b en")]
    assert division.part("test") is division.part("test_a")
    assert load_part(settings, "test_b", division.codecs).pairs.sources == ("test_b de",)
    assert load_part(settings, "test", division.codecs).pairs.sources == ("test_a de",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "tiny"}, "tiny is in several languages, expected .* two of en, de"),
        (
            {"name": "tiny", "source_language": "cs", "target_language": "en"},
            "tiny has no language 'cs', expected one of its own: en, de",
        ),
        (
            {"name": "dates", "source_language": "cs", "target_language": "en"},
            "dates is not in several languages; leave",
        ),
        ({"name": "date"}, "no data set is called 'date', .*did you mean 'dates'"),
        ({"name": "fable"}, "fable is text, expected pairs, such as dates, reverse, copy"),
        ({"name": "copy", "validation": 0.5, "test": 0.5}, "leave nothing for training"),
    ],
)
def test_a_set_that_cannot_be_had_so_is_refused(tiny, settings, message):
    with pytest.raises(DataError, match=message):
        load(PairDataSettings(**settings))


def test_a_file_that_is_not_the_true_one_is_refused(tiny, tmp_path):
    (tmp_path / "val.de").write_text("val dE\n")
    with pytest.raises(DataError, match=r"val.de: found SHA-256"):
        read_parts(PairDataSettings(name="tiny", source_language="de", target_language="en"))


@pytest.mark.parametrize("split", ["dev", "test_2016_flickr", ""])
def test_an_unknown_part_is_refused(aligned, split):
    division = load(aligned())
    expected = f"no split '{split}', expected one of train, validation, test$"
    with pytest.raises(DataError, match=expected):
        division.part(split)
    with pytest.raises(DataError, match=expected):
        load_part(aligned(), split, division.codecs)


# --- built-in sets -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dates", "reverse", "copy"])
def test_built_in_sets_are_of_any_size_and_from_a_seed(name):
    def sizes(parts):
        return [len(part) for part in parts.values()]

    def drawn(**settings):
        return read_parts(PairDataSettings(name=name, **settings))

    parts = drawn(size=50)
    assert sizes(parts) == [40, 5, 5]
    assert drawn(size=50) == parts
    assert drawn(size=50, seed=1)["test"] != parts["test"]
    assert sizes(drawn(size=9, validation=0.01, test=0.0)) == [8, 1, 0]
    larger = drawn(size=200)
    assert larger["test"].take(range(5)) == parts["test"]
    assert sizes(drawn(size=50, limit=7)) == [7, 5, 5]


def test_what_the_built_in_sets_ask_for():
    reverse, copy, dates, marked = (
        read_parts(PairDataSettings(size=10, **settings))["train"]
        for settings in (
            {"name": "reverse"},
            {"name": "copy"},
            {"name": "dates"},
            {"name": "dates", "locale_mark": True},
        )
    )
    assert all(target == source[::-1] for source, target in reverse)
    assert all(target == source for source, target in copy)
    assert not any(source.startswith("<") for source in dates.sources)
    assert all(source.startswith("<") for source in marked.sources)


def test_a_size_that_leaves_nothing_for_training_is_refused():
    with pytest.raises(DataError, match="size is 1, of which validation and test take 2, expected"):
        load(PairDataSettings(name="copy", size=1))


# --- the real thing ----------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize(
    ("source", "target", "first"),
    [("en", "fr", "Two young, White males are outside near many bushes."),
     ("de", "en", "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche.")],
)  # fmt: skip
def test_multi30k_has_its_parts_in_any_direction(real_data, source, target, first):
    settings = PairDataSettings(name="multi30k", source_language=source, target_language=target)
    parts = read_parts(settings, real_data)
    assert {name: len(pairs) for name, pairs in parts.items()} == {
        "train": 29_000,
        "validation": 1_014,
        "test_2016_flickr": 1_000,
        "test_2017_flickr": 1_000,
    }
    assert parts["train"].sources[0] == first
    backwards = settings.model_copy(update={"source_language": target, "target_language": source})
    turned = read_parts(backwards, real_data)
    assert all(turned[name] == Pairs(pairs.targets, pairs.sources) for name, pairs in parts.items())


@pytest.mark.data
def test_multi30k_loses_nothing_on_the_way_through_its_codecs(real_data):
    languages = {"source_language": "en", "target_language": "fr"}
    words = load(PairDataSettings(name="multi30k", limit=2000, **languages), real_data)
    for source, target in [*words.training.pairs][:500]:
        for codec, text in zip(words.codecs, (source, target), strict=True):
            assert codec.decode(codec.encode(text)) == " ".join(text.split())
    byte_pairs = load(
        PairDataSettings(
            name="multi30k",
            limit=2000,
            vocabulary={"unit": "bpe", "size": 1000, "joint": True},
            max_target_length=30,
            **languages,
        ),
        real_data,
    )
    assert decoded(byte_pairs, "test_2017_flickr") == list(
        byte_pairs.part("test_2017_flickr").pairs
    )
    assert byte_pairs.training.targets.lengths.max() == 32
    assert len(byte_pairs.training) + byte_pairs.left_out["train"].count == 2000
    assert byte_pairs.notes()[0].endswith(" too long")
