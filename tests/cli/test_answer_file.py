import os
from pathlib import Path

import pytest

from unspool.cli.answer_file import AnswerFile
from unspool.errors import SaveError


def test_lines_of_a_file_are_found_whatever_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr("unspool.cli.answer_file._BLOCK", 4)
    for content, done, last in (
        (b"", 0, ""),
        (b"half a line", 0, ""),
        (b"\n\n", 2, ""),
        (b"one\ntwo\nthr", 2, "two"),
        (b"a\nb\nc\n", 3, "c"),
    ):
        path = tmp_path / "answers.txt"
        path.write_bytes(content)
        with AnswerFile(path, goes_on=True) as file:
            assert file.done == done
            assert file.last.endswith(last)
            assert file.rest == content.rpartition(b"\n")[2][:4]
            file.write("né")
        assert path.read_bytes() == content[: content.rfind(b"\n") + 1] + "né\n".encode()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_no_room_for_answers():
    with (
        AnswerFile(Path("/dev/full"), goes_on=False) as file,
        pytest.raises(SaveError, match="/dev/full cannot be written: No space left"),
    ):
        file.write("x")


def test_nothing_is_changed_before_a_file_is_entered(tmp_path):
    path = tmp_path / "answers.txt"
    AnswerFile(path, goes_on=True)
    assert not path.exists()
    path.write_text("one\nha")
    AnswerFile(path, goes_on=True)
    assert path.read_text() == "one\nha"
    with pytest.raises(SaveError, match=r"answers\.txt exists already; go on .* by --continue"):
        AnswerFile(path, goes_on=False)


def test_a_line_is_in_the_file_at_once(tmp_path):
    with AnswerFile(tmp_path / "answers.txt", goes_on=False) as file:
        for count in range(1, 4):
            file.write("x")
            assert (tmp_path / "answers.txt").read_text() == "x\n" * count


def test_an_empty_file_may_be_written_to(tmp_path):
    (tmp_path / "answers.txt").touch()
    with AnswerFile(tmp_path / "answers.txt", goes_on=False) as file:
        assert (file.done, file.last) == (0, "")


def test_a_name_that_no_file_can_have(tmp_path):
    with pytest.raises(SaveError, match=r"cannot be read: File name too long; choose another"):
        AnswerFile(tmp_path / ("x" * 300), goes_on=False)
