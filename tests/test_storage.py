import errno
import json
import os
from pathlib import Path

import pytest

from unspool.errors import SaveError
from unspool.storage import replacing_folder, write_file

FILES, MARK = ("a.json", "b.txt"), ("a.json", "made")


def fill(folder: Path, text: str = "new") -> None:
    (folder / "a.json").write_text(json.dumps({"made": text}))
    (folder / "b.txt").write_text(text)


def contents(folder: Path) -> dict[str, str]:
    found = {path.name: path.read_text() for path in sorted(folder.iterdir())}
    return {**found, "a.json": json.loads(found["a.json"])["made"]}


@pytest.fixture
def target(tmp_path) -> Path:
    """An earlier folder, alone in its parent."""
    folder = tmp_path / "parent" / "target"
    folder.mkdir(parents=True)
    fill(folder, "old")
    return folder


def untouched(target: Path) -> bool:
    alone = os.listdir(target.parent) == [target.name]
    return alone and contents(target) == {"a.json": "old", "b.txt": "old"}


def test_a_new_folder_appears_complete_with_its_parents(tmp_path):
    target = tmp_path / "x" / "y"
    with replacing_folder(target, FILES, MARK) as aside:
        fill(aside)
        assert not target.exists()
    assert contents(target) == {"a.json": "new", "b.txt": "new"}
    assert os.listdir(target.parent) == ["y"]


def test_an_earlier_folder_is_replaced_whole(target):
    with replacing_folder(target, FILES, MARK) as aside:
        (aside / "a.json").write_text('{"made": "new"}')
    assert contents(target) == {"a.json": "new"}
    assert os.listdir(target.parent) == ["target"]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), SaveError),
        (RuntimeError("any other"), RuntimeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_whatever_happens_while_writing_the_old_folder_stays(target, failure, expected):
    def write():
        with replacing_folder(target, FILES, MARK) as aside:
            (aside / "a.json").write_text("new")
            raise failure

    with pytest.raises(expected):
        write()
    assert untouched(target)


@pytest.mark.parametrize("failure", [OSError(errno.EIO, "I/O error"), KeyboardInterrupt()])
@pytest.mark.parametrize("which", [1, 2])
def test_whatever_happens_while_swapping_the_old_folder_stays(target, monkeypatch, which, failure):
    calls, rename = [], Path.rename

    def failing(path, to):
        calls.append(path)
        if len(calls) == which:
            raise failure
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", failing)
    with (
        pytest.raises((SaveError, KeyboardInterrupt)),
        replacing_folder(target, FILES, MARK) as aside,
    ):
        fill(aside)
    assert untouched(target)


def test_the_old_folder_goes_only_when_the_new_files_are_on_the_disk(target, monkeypatch):
    synchronised = []

    def fsync(descriptor: int) -> None:
        assert contents(target) == {"a.json": "old", "b.txt": "old"}
        synchronised.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    with replacing_folder(target, FILES, MARK) as aside:
        fill(aside)
        assert not synchronised
    assert sorted(synchronised) == sorted(file.stat().st_ino for file in target.iterdir())
    assert contents(target) == {"a.json": "new", "b.txt": "new"}


def test_a_disk_that_fails_at_the_last_moment_leaves_the_old(target, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with (
        pytest.raises(SaveError, match="Input/output error"),
        replacing_folder(target, FILES, MARK) as aside,
    ):
        fill(aside)
    assert untouched(target)
    with pytest.raises(SaveError, match="Input/output error"):
        write_file(target / "b.txt", "new")
    assert untouched(target)


def test_a_full_disk_is_explained(target):
    with (
        pytest.raises(SaveError, match=r"could not write .*target: No space left on device"),
        replacing_folder(target, FILES, MARK),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_with_anything_else_in_it_is_never_replaced(target):
    (target / "thesis.tex").write_text("years of work")
    with pytest.raises(SaveError, match=r"target holds thesis.tex, expected a new or empty folder"):
        replacing_folder(target, FILES, MARK).__enter__()
    assert (target / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("mark", [None, "no JSON", "[]", '{"title": "mine"}'])
def test_a_folder_of_somebody_else_is_never_replaced_whatever_its_names(target, mark):
    if mark is None:
        (target / "a.json").unlink()
    else:
        (target / "a.json").write_text(mark)
    before = {path: path.read_bytes() for path in target.iterdir()}
    with pytest.raises(SaveError, match=r"target holds [ab]\..*, expected a new or empty folder"):
        replacing_folder(target, FILES, MARK).__enter__()
    assert before == {path: path.read_bytes() for path in target.iterdir()}


def test_a_folder_by_the_name_of_a_file_is_never_replaced(target):
    (target / "b.txt").unlink()
    (target / "b.txt").mkdir()
    (target / "b.txt" / "thesis.tex").write_text("years of work")
    with pytest.raises(SaveError, match=r"target holds b\.txt, expected a new or empty folder"):
        replacing_folder(target, FILES, MARK).__enter__()
    assert (target / "b.txt" / "thesis.tex").read_text() == "years of work"


def test_a_file_is_never_replaced_by_a_folder(tmp_path):
    target = tmp_path / "file"
    target.write_text("mine")
    with pytest.raises(SaveError, match="Not a directory"):
        replacing_folder(target, FILES, MARK).__enter__()
    assert target.read_text() == "mine"


def test_a_link_stays_a_link(target, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(target)
    with replacing_folder(link, FILES, MARK) as aside:
        fill(aside)
    assert link.is_symlink()
    assert contents(target) == {"a.json": "new", "b.txt": "new"}


def test_a_file_is_written_with_its_folders(tmp_path):
    write_file(tmp_path / "x" / "y.txt", "größer")
    write_file(tmp_path / "x" / "z.bin", b"\0")
    assert (tmp_path / "x" / "y.txt").read_text(encoding="utf-8") == "größer"
    assert sorted(os.listdir(tmp_path / "x")) == ["y.txt", "z.bin"]


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch, failure):
    target = tmp_path / "file"
    target.write_text("old")
    write_bytes = Path.write_bytes

    def half(path, data):
        write_bytes(path, data[:1])
        raise failure

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises((SaveError, KeyboardInterrupt)):
        write_file(target, "new")
    assert os.listdir(tmp_path) == ["file"]
    assert target.read_text() == "old"


def test_a_file_in_place_of_a_parent_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveError, match="could not write"):
        write_file(tmp_path / "file" / "below", "x")
    with (
        pytest.raises(SaveError, match="could not write"),
        replacing_folder(tmp_path / "file" / "below", FILES, MARK),
    ):
        pass
