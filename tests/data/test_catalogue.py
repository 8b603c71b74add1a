import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from unspool.data import catalogue, catalogue_entries
from unspool.data.catalogue_entries import Entry
from unspool.data.download import RemoteFile
from unspool.errors import DataError

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte")
LAST = "t10k-labels-idx1-ubyte"


def contents() -> dict[str, bytes]:
    """The four files of a set of three training images and one test image of 2 x 2 pixels."""

    def idx(shape: tuple[int, ...], body: bytes) -> bytes:
        return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + body

    bodies = [
        idx((3, 2, 2), bytes(range(12))),
        idx((3,), bytes([1, 0, 1])),
        idx((1, 2, 2), bytes(4)),
        idx((1,), bytes([0])),
    ]
    return dict(zip((*FILES, LAST), bodies, strict=True))


@pytest.fixture
def tiny(monkeypatch, tmp_path) -> Entry:
    """A set like MNIST, but tiny; its mirror has nothing."""
    files = tuple(
        RemoteFile(
            name, len(body), hashlib.sha256(body).hexdigest(), (f"http://127.0.0.1:1/{name}.gz",)
        )
        for name, body in contents().items()
    )
    entry = Entry("tiny", "Tiny", "three images", "this test", "none", ("no", "yes"), files)
    monkeypatch.setitem(catalogue_entries.ENTRIES, "tiny", entry)
    return entry


def fill(folder: Path, *, packed: bool = True, **changed: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in {**contents(), **changed}.items():
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(body) if packed else body)
    return folder


def test_an_unknown_name_is_answered_with_the_nearest():
    calls = (catalogue.entry, catalogue.load, catalogue.texts, catalogue.locate, catalogue.verify)
    for call in calls:
        with pytest.raises(DataError, match=r"'minst', expected one of digits, mnist, .*'mnist'"):
            call("minst")


def test_digits_are_built_in():
    train, test = catalogue.load("digits")
    assert test is None
    assert (len(train), train.num_features, train.values.dtype) == (1797, 8, np.uint8)
    assert set(train.lengths) == {8}
    assert train.values.max() == 16
    assert train.labels[:3].tolist() == ["0", "1", "2"]
    assert catalogue.entry("digits").built_in
    assert catalogue.verify("digits") == []


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_entries_are_complete(name):
    entry = catalogue.entry(name)
    assert entry.size == 47_040_016 + 60_008 + 7_840_016 + 10_008
    assert len(entry.class_names) == 10
    for file in entry.files:
        assert len(file.sha256) == 64
        assert len(file.urls) >= 2
        assert all(url.endswith(f"/{file.name}.gz") for url in file.urls)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["argument", "argument/tiny", "environment", "cache"])
def test_a_set_is_found_wherever_it_may_be(tiny, monkeypatch, tmp_path, own_folders, place, packed):
    folder = fill(own_folders / "tiny" if place == "cache" else tmp_path / place, packed=packed)
    if place == "environment":
        monkeypatch.setenv("UNSPOOL_DATA", str(folder))
    data_dir = tmp_path / "argument" if place.startswith("argument") else None
    assert all(path.parent == folder for path in catalogue.locate("tiny", data_dir).values())
    train, test = catalogue.load("tiny", data_dir)
    assert train.values.tolist() == np.arange(12).reshape(6, 2).tolist()
    assert train.lengths.tolist() == [2, 2, 2]
    assert train.labels.tolist() == ["yes", "no", "yes"]
    assert test.labels.tolist() == ["no"]


def test_the_folder_given_comes_before_the_environment_and_the_cache(
    tiny, monkeypatch, tmp_path, own_folders
):
    monkeypatch.setenv("UNSPOOL_DATA", str(fill(tmp_path / "environment")))
    fill(own_folders / "tiny")
    given = fill(tmp_path / "given")
    assert set(catalogue.locate("tiny", given).values()) == {
        given / f"{name}.gz" for name in contents()
    }


def test_the_cache_is_searched_where_the_folder_lacks_the_set(tiny, tmp_path, own_folders):
    fill(own_folders / "tiny")
    found = catalogue.fetch("tiny", tmp_path / "nothing-here")
    assert {path.parent for path in found.values()} == {own_folders / "tiny"}


def test_the_cache_has_a_default(monkeypatch):
    monkeypatch.delenv("UNSPOOL_CACHE")
    assert catalogue.cache_folder().name == "unspool"


def test_what_is_nowhere_is_downloaded_into_the_cache(tiny, monkeypatch, own_folders, tmp_path):
    bodies = contents()

    def deliver(file, target, progress):
        progress(0, 10)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(gzip.compress(bodies[file.name]))

    monkeypatch.setattr(catalogue, "download", deliver)
    fill(tmp_path)
    (tmp_path / f"{LAST}.gz").unlink()
    seen = []
    found = catalogue.fetch("tiny", tmp_path, lambda *numbers: seen.append(numbers))
    assert found[FILES[0]].parent == tmp_path
    assert found[LAST] == own_folders / "tiny" / f"{LAST}.gz"
    assert seen == [(LAST, 0, 10)]
    assert len(catalogue.load("tiny", tmp_path)[1]) == 1


def test_without_files_and_network_the_message_says_what_to_do(tiny):
    with pytest.raises(DataError, match=f"{FILES[0]} could not be downloaded .*--data-dir"):
        catalogue.load("tiny")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (contents()[LAST][:-1], "found 8 bytes uncompressed, expected 9; move it away, then run"),
        (contents()[LAST] + b"!", "found more than 9 bytes uncompressed, expected 9"),
        (contents()[LAST][:-1] + b"\1", "found SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}; move"),
    ],
)
def test_a_file_that_is_not_the_true_one_is_refused(tiny, tmp_path, body, message):
    fill(tmp_path, **{LAST: body})
    with pytest.raises(DataError, match=message) as caught:
        catalogue.load("tiny", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / LAST}.gz: found")
    assert str(caught.value).endswith("run `unspool data fetch tiny`")
    *good, bad = catalogue.verify("tiny", tmp_path)
    assert all(report.ok for report in good)
    assert not bad.ok
    assert (bad.name, bad.path) == (LAST, tmp_path / f"{LAST}.gz")
    assert bad.problem == str(caught.value)


def test_a_file_of_another_set_is_recognised(tiny, monkeypatch, tmp_path):
    body = contents()[LAST][:-1] + b"\1"
    file = RemoteFile(LAST, len(body), hashlib.sha256(body).hexdigest(), ())
    twin = Entry("twin", "", "", "", "", (), (file,))
    monkeypatch.setitem(catalogue_entries.ENTRIES, "twin", twin)
    with pytest.raises(DataError, match=r"\(it is the file of twin\); move it away"):
        catalogue.load("tiny", fill(tmp_path, **{LAST: body}))


def test_verify_reports_what_is_missing(tiny):
    reports = catalogue.verify("tiny")
    assert [report.name for report in reports] == [*FILES, LAST]
    assert {report.problem for report in reports} == {"not found; run `unspool data fetch tiny`"}
    assert {report.path for report in reports} == {None}


# --- texts -------------------------------------------------------------------------------------


def text_of(text) -> str:
    return "".join(piece.text for piece in text.pieces())


def test_the_fable_is_built_in():
    [fable] = catalogue.texts("fable")
    words = text_of(fable).split()
    assert (len(words), len(set(words))) == (224, 116)
    assert text_of(fable) == text_of(fable).lower()
    contexts = [tuple(words[n : n + 3]) for n in range(len(words) - 3)]
    assert sum(contexts.count(context) == 1 for context in contexts) == 213
    assert catalogue.verify("fable") == []


def test_the_python_docs_are_built_in():
    [docs] = catalogue.texts("python-docs")
    starts = [piece.text for piece in docs.pieces() if piece.starts_document]
    assert len(starts) > 50
    assert 'The "assert" statement' in starts[0]


@pytest.mark.parametrize("name", ["ptb", "wikitext-2", "tinyshakespeare"])
def test_entries_of_texts_are_complete(name):
    entry = catalogue.entry(name)
    assert entry.kind == "text"
    assert len(entry.files) in (1, 3)
    for file in entry.files:
        assert len(file.sha256) == 64
        assert file.urls
        assert file.ending == ""


@pytest.fixture
def tiny_text(monkeypatch) -> Entry:
    """A text of three files on a mirror that has nothing."""
    files = tuple(
        RemoteFile(f"{part}.txt", 4, hashlib.sha256(part[:3].encode() + b"\n").hexdigest(), (url,))
        for part, url in ((part, f"http://127.0.0.1:1/{part}") for part in ("one", "two", "six"))
    )
    entry = Entry("tiny", "", "", "", "", (), files, kind="text", how_to_get="ask the one")
    monkeypatch.setitem(catalogue_entries.ENTRIES, "tiny", entry)
    return entry


def test_a_text_has_its_parts_in_order(tiny_text, tmp_path):
    for part in ("one", "two", "six"):
        (tmp_path / f"{part}.txt.gz").write_bytes(gzip.compress(f"{part}\n".encode()))
    parts = catalogue.texts("tiny", tmp_path)
    assert [text_of(part) for part in parts] == ["one\n", "two\n", "six\n"]
    assert parts[1].title == "tiny (two.txt)"


def test_a_text_that_is_not_the_true_one_is_refused(tiny_text, tmp_path):
    for part in ("one", "two", "six"):
        (tmp_path / f"{part}.txt").write_text("six\n")
    with pytest.raises(DataError, match=r"one.txt: found SHA-256"):
        catalogue.texts("tiny", tmp_path)


def test_a_download_keeps_its_ending(tiny_text, monkeypatch, own_folders):
    monkeypatch.setattr(catalogue, "download", lambda file, path, progress: None)
    assert catalogue.fetch("tiny")["one.txt"] == own_folders / "tiny" / "one.txt"


def test_a_text_that_cannot_be_had_is_explained(tiny_text):
    with pytest.raises(DataError, match=r"one.txt could not be downloaded .*; ask the one$"):
        catalogue.texts("tiny")


def test_a_set_of_another_kind_is_refused():
    with pytest.raises(DataError, match="fable is text, expected sequences, such as digits, mnist"):
        catalogue.load("fable")
    with pytest.raises(
        DataError, match="digits is sequences, expected text, such as fable, python"
    ):
        catalogue.texts("digits")


# --- pairs -------------------------------------------------------------------------------------


def test_the_entry_of_multi30k_is_complete():
    entry = catalogue.entry("multi30k")
    parts = ("train", "val", "test_2016_flickr", "test_2017_flickr")
    names = [f"{part}.{language}" for part in parts for language in ("en", "de", "fr")]
    assert [file.name for file in entry.files] == names
    assert len({file.sha256 for file in entry.files}) == 12
    for file in entry.files:
        assert len(file.sha256) == 64
        assert file.urls
        assert all(url.endswith(f"/task1/raw/{file.name}.gz") for url in file.urls)
    assert entry.size == 6_626_119
    assert "Flickr30k" in entry.licence
    assert catalogue.languages_of("multi30k") == ("en", "de", "fr")


@pytest.mark.parametrize("name", ["dates", "reverse", "copy"])
def test_pairs_without_files_are_built_in(name):
    entry = catalogue.entry(name)
    assert entry.built_in
    assert entry.kind == "pairs"
    assert catalogue.languages_of(name) == ()
    with pytest.raises(DataError, match=f"{name} has no language 'en', .*none to choose from"):
        catalogue.pairs(name, "en", "de")


def test_languages_are_those_of_pairs():
    with pytest.raises(DataError, match="ptb is text, expected pairs, such as dates, reverse"):
        catalogue.languages_of("ptb")
    with pytest.raises(DataError, match=r"multi30k has no language 'cs', .*: en, de, fr"):
        catalogue.pairs("multi30k", "en", "cs")


@pytest.mark.data
def test_multi30k_is_the_true_one(real_data):
    assert all(report.ok for report in catalogue.verify("multi30k", real_data))
    parts = catalogue.pairs("multi30k", "de", "fr", real_data)
    assert [len(part) for part in parts.values()] == [29_000, 1_014, 1_000, 1_000]
    assert parts["test_2016_flickr"].targets[0].endswith(" regardant quelque chose.")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "lines"), [("ptb", [42068, 3370, 3761]), ("tinyshakespeare", [40000])]
)
def test_texts_are_the_true_ones(real_data, name, lines):
    assert all(report.ok for report in catalogue.verify(name, real_data))
    assert [text_of(part).count("\n") for part in catalogue.texts(name, real_data)] == lines


@pytest.mark.data
def test_mnist_is_the_true_one(real_data):
    assert all(report.ok for report in catalogue.verify("mnist", real_data))
    train, test = catalogue.load("mnist", real_data)
    assert (len(train), len(test)) == (60_000, 10_000)
    for part in (train, test):
        assert part.num_features == 28
        assert set(part.lengths) == {28}
        assert part.values.dtype == np.uint8
        assert set(part.labels) == set("0123456789")
    assert train.labels[:5].tolist() == ["5", "0", "4", "1", "9"]
