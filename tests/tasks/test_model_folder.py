"""Model folders, whole and tampered with: whoever made one, loading it is safe."""

import errno
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from unspool.data.source import SequenceDataSettings
from unspool.errors import ModelFolderError, SaveError
from unspool.tasks import model_folder

CONFIG, WEIGHTS = "config.json", "model.safetensors"


@pytest.fixture
def folder(make_task, tmp_path) -> Path:
    model_folder.save(make_task(hidden_size=4).predictor, tmp_path / "model", "# A card\n")
    return tmp_path / "model"


def change(folder: Path, **values) -> None:
    """Change some of the top values of config.json."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    (folder / CONFIG).write_text(json.dumps({**config, **values}))


def refusal(folder: Path) -> str:
    with pytest.raises(ModelFolderError) as error:
        model_folder.load(folder)
    message = str(error.value)
    assert "\n" not in message
    return message


# --- there and back ------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_model_comes_back_as_it_was(
    make_task, sequences, tmp_path, same_weights, cell, bidirectional
):
    predictor = make_task(
        cell=cell,
        bidirectional=bidirectional,
        num_layers=2,
        input_projection=6,
        dropout=0.25,
        objective="every-step",
    ).predictor
    predictor.data = SequenceDataSettings(name="digits", limit=5)
    model_folder.save(predictor, tmp_path / "model", "card")
    loaded = model_folder.load(tmp_path / "model")
    assert same_weights(loaded.model, predictor.model)
    assert loaded.model.settings == predictor.model.settings
    assert (loaded.classes, loaded.objective, loaded.data) == (
        predictor.classes,
        predictor.objective,
        predictor.data,
    )
    assert not loaded.model.training
    data = sequences(9, 4)
    np.testing.assert_array_equal(loaded.probabilities(data), predictor.probabilities(data))


def test_labels_of_any_script_come_back(make_task, division, tmp_path):
    labels = np.array(["größer", "数字", 'a"b\\c\n', "😀"])
    data = division.training.take([0, 1, 2, 3])
    data = type(data)(data.values, data.lengths, labels)
    task = make_task(parts=type(division)(data, data.take([]), data))
    model_folder.save(task.predictor, tmp_path / "model", "größer")
    assert set(model_folder.load(tmp_path / "model").classes) == set(labels)
    assert (tmp_path / "model" / "README.md").read_text(encoding="utf-8") == "größer"


def test_nothing_is_pickled(folder):
    assert sorted(os.listdir(folder)) == ["README.md", CONFIG, WEIGHTS]
    assert set(safetensors.torch.load_file(folder / WEIGHTS)) >= {"centre", "scale", "head.bias"}
    config = json.loads((folder / CONFIG).read_text())
    assert (config["format"], config["task"]) == (1, "classify")
    assert set(config["versions"]) == {"unspool", "torch", "numpy"}


def test_a_run_is_found_by_its_folder(folder, tmp_path):
    assert model_folder.find(tmp_path) == folder == model_folder.find(folder)


def test_a_saved_model_replaces_an_earlier_one_and_nothing_else(make_task, folder, tmp_path):
    model_folder.save(make_task(hidden_size=7).predictor, folder, "new")
    assert model_folder.load(folder).model.settings.hidden_size == 7
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(SaveError, match=r"model holds notes.txt, expected a new or empty folder"):
        model_folder.save(make_task().predictor, folder, "newer")
    assert (folder / "notes.txt").read_text() == "mine"
    assert model_folder.load(folder).model.settings.hidden_size == 7


# --- tampered with -------------------------------------------------------------------------


def test_a_missing_folder_and_one_without_a_model(tmp_path):
    assert "no folder" in refusal(tmp_path / "nowhere")
    assert f"holds no {CONFIG}, expected a run or a model folder" in refusal(tmp_path)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_nobody_waits_for_a_pipe(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert name in refusal(folder)


def test_a_card_of_gigabytes_is_not_read(folder):
    os.truncate(folder / "README.md", 2**40)
    assert len(model_folder.read_card(folder)) <= 2**26


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert name in refusal(folder)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "config.json is not valid JSON"),
        (b"{", "config.json is not valid JSON"),
        (b"\xff\xfe", "config.json is not valid JSON"),
        (b"[" * 200_000, "config.json is not valid JSON"),
        (b"9" * 10_000, "config.json is not valid JSON"),
        (b"[]", "config.json holds a list, expected an object"),
        (b"null", "config.json holds a NoneType, expected an object"),
        (b"{}", "config.json has format None, expected 1; use the version of unspool"),
        (b'{"format": 99}', "config.json has format 99, expected 1; use the version of unspool"),
        (b'{"format": 1}', "config.json is of task None, expected one of classify"),
        (b'{"format": 1, "task": "sing"}', "config.json is of task 'sing', expected one of class"),
        (b'{"format": 1, "task": {}}', "config.json is of task {}, expected one of classify"),
        (b'{"format": 1, "task": "classify"}', "config.json: num_features: missing; classes: miss"),
    ],
)
def test_a_config_that_makes_no_sense(folder, content, expected):
    (folder / CONFIG).write_bytes(content)
    assert expected in refusal(folder)


def test_a_config_of_gigabytes_is_not_read(folder):
    with (folder / CONFIG).open("ab") as file:
        file.truncate(4 * 2**30)  # sparse: takes no room on the disk
    assert "config.json is larger than" in refusal(folder)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"surprise": 1}, "surprise: unknown key"),
        ({"num_features": 0}, "num_features = 0, expected greater than or equal to 1"),
        ({"num_features": 10**12}, "num_features = 1000000000000, expected less than or equal to"),
        ({"num_features": 4}, "centre has shape [3], expected [4] from config.json"),
        ({"classes": []}, "classes = [], expected at least 1 values"),
        ({"classes": ["a"] * 3 + ["b"]}, "head.weight has shape [3, 4], expected [4, 4]"),
        ({"classes": ["a", 3, "b"]}, "classes.1 = 3, expected text"),
        ({"objective": "middle"}, "objective = 'middle', expected 'end' or 'every-step'"),
        ({"model": {"hidden_size": 5}}, "has shape [16, 3], expected [20, 3] from config.json"),
        ({"model": {"hidden_size": 10**9}}, "model.hidden_size = 1000000000, expected less than"),
        ({"model": {"hidden_size": -4}}, "model.hidden_size = -4, expected greater than"),
        ({"model": {"hiden_size": 4}}, "model.hiden_size: unknown key"),
        ({"model": {"hidden_size": 4, "num_layers": 2}}, "lacks recurrent.bias_hh_l1"),
        ({"model": {"hidden_size": 4, "cell": "gru"}}, "has shape [16, 3], expected [12, 3]"),
        ({"model": {"hidden_size": 4, "bidirectional": True}}, "_reverse"),
        ({"model": 7}, "model = 7, expected a table"),
        ({"data": {"name": "digits", "path": "x"}}, "data: needs either name"),
    ],
)
def test_a_config_that_does_not_fit_the_weights(folder, values, expected):
    change(folder, **values)
    assert expected in refusal(folder)


def header_of(tensors: dict) -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


def altered(change_one):
    """Write the weights anew with one of them changed."""

    def alter(path: Path) -> None:
        tensors = safetensors.torch.load_file(path)
        change_one(tensors)
        path.write_bytes(safetensors.torch.save(tensors))

    return alter


HUGE = {"dtype": "F32", "shape": [2**20, 2**14], "data_offsets": [0, 2**36]}


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-4]), "cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:30]), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.write_bytes(os.urandom(500)), "cannot be read"),
        (lambda path: path.write_bytes(struct.pack("<Q", 2**62) + b"{}"), "cannot be read"),
        (lambda path: path.write_bytes(header_of({"head.weight": HUGE})), "cannot be read"),
        (altered(lambda t: t.update(more=torch.ones(1))), "has more too many"),
        (altered(lambda t: t.pop("centre")), "lacks centre"),
        (altered(lambda t: t.update(centre=torch.ones(4))), "centre has shape [4], expected [3]"),
        (altered(lambda t: t.update(centre=torch.ones(3, 1))), "shape [3, 1], expected [3]"),
        (altered(lambda t: t.update(centre=torch.ones(3).double())), "type torch.float64, expect"),
        (altered(lambda t: t.update(centre=torch.ones(3).bool())), "type torch.bool, expected"),
        (altered(lambda t: t["head.bias"].fill_(float("nan"))), "head.bias holds values that are"),
        (altered(lambda t: t["head.bias"].fill_(float("inf"))), "head.bias holds values that are"),
    ],
)
def test_weights_that_are_damaged_or_do_not_fit(folder, damage, expected):
    damage(folder / WEIGHTS)
    message = refusal(folder)
    assert WEIGHTS in message
    assert expected in message


def test_a_network_that_could_not_be_built(folder):
    config = json.loads((folder / CONFIG).read_text())
    change(folder, model={**config["model"], "embedding_size": 3})
    assert refusal(folder).startswith(f"{folder}: model.embedding_size is for text")


def test_sizes_that_would_need_terabytes_are_refused_without_taking_memory(folder):
    """In a process of its own that may take little more memory than it has."""
    change(folder, num_features=1_000_000, model={"hidden_size": 65536, "num_layers": 64})
    program = f"""
import resource
from pathlib import Path
from unspool.errors import ModelFolderError
from unspool.tasks import model_folder
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + 2**28
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    model_folder.load({str(folder)!r})
except ModelFolderError as error:
    print(error)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "lacks recurrent.bias_hh_l1" in ended.stdout
    assert len(ended.stdout.splitlines()) == 1
    assert len(ended.stdout) < 2000


def test_weights_in_pickle_s_format_are_never_opened(folder):
    (folder / WEIGHTS).unlink()
    torch.save({"centre": torch.ones(3)}, folder / "pytorch_model.bin")
    assert f"{WEIGHTS} is missing" in refusal(folder)


# --- a full disk ---------------------------------------------------------------------------


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_full_disk_leaves_the_earlier_model_as_it_was(make_task, folder, monkeypatch, nth):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    calls, write_bytes, write_text = [], Path.write_bytes, Path.write_text

    def failing(write):
        def half(path, data, **keywords):
            calls.append(path)
            if len(calls) == nth:
                write(path, data[: len(data) // 2], **keywords)
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(path, data, **keywords)

        return half

    monkeypatch.setattr(Path, "write_bytes", failing(write_bytes))
    monkeypatch.setattr(Path, "write_text", failing(write_text))
    with pytest.raises(SaveError, match=r"could not write .*model: No space left on device; noth"):
        model_folder.save(make_task().predictor, folder, "new card")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert os.listdir(folder.parent) == ["model"]


def test_a_limit_of_the_system_leaves_nothing_half_written(folder, tmp_path):
    """The same without pretence: the system refuses to write more than 1,000 bytes to a file."""
    shutil.copytree(folder, tmp_path / "copy" / "model")
    program = f"""
import resource
from pathlib import Path
from unspool.errors import SaveError
from unspool.tasks import model_folder
task = model_folder.load({str(folder)!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for name in ("copy/model", "new/model"):
    try:
        model_folder.save(task, Path({str(tmp_path)!r}) / name, "card")
    except SaveError as error:
        print(error)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    lines = ended.stdout.splitlines()
    assert len(lines) == 2
    assert all("File too large; nothing half-written was left" in line for line in lines)
    assert os.listdir(tmp_path / "copy") == ["model"]
    assert os.listdir(tmp_path / "new") == []
    model_folder.load(tmp_path / "copy" / "model")
