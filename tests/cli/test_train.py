"""``unspool train`` and ``unspool resume``."""

import os
import pty
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from unspool.training.report import Observer

TINY = [
    *("--set", "training.epochs=2"),
    *("--set", "data.limit=64"),
    *("--set", "model.hidden_size=8"),
    *("--set", "model.num_layers=1"),
]


def npz(path, **arrays):
    random = np.random.default_rng(0)
    x = random.normal(size=(30, 4, 2)).astype(np.float32)
    np.savez(path, **{"x": x, "y": np.arange(30) % 3, **arrays})
    return path


def own(tmp_path, **data):
    """A recipe for a file of one's own."""
    lines = [f"{key} = {value!r}" for key, value in data.items()]
    path = tmp_path / "own.toml"
    path.write_text('task = "classify"\n[data]\n' + "\n".join(lines) + "\n")
    return path


# --- what a training prints ----------------------------------------------------------------


def test_quiet_prints_nothing_and_evaluate_one_object(command, tmp_path):
    assert command("train", "digits", *TINY, "--out", tmp_path / "R", "--quiet") == (0, "", "")
    status, out, err = command("evaluate", tmp_path / "R", "--split", "test", "--json")
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == 1


def test_a_line_an_epoch_where_there_is_no_terminal(command, tmp_path):
    status, out, err = command("train", "digits", *TINY, "--out", tmp_path / "R")
    assert status == 0
    lines = err.splitlines()
    assert len(lines) == 2
    for number, line in enumerate(lines, start=1):
        assert line.startswith(f"epoch {number}/2  loss ")
        assert "validation loss" in line
    assert "\x1b" not in err
    assert out.splitlines()[0].startswith("2 epochs in ")
    for name in ("model", "curves.png"):
        assert str(tmp_path / "R" / name) in out
    assert f"unspool evaluate {tmp_path / 'R'}\n" in out


@pytest.mark.parametrize(
    ("validation", "test", "part"),
    [(0.1, 0.2, []), (0.2, 0.0, ["--split", "validation"]), (0.0, 0.0, ["--split", "train"])],
)
def test_what_is_said_to_come_next_can_be_done(command, tmp_path, validation, test, part):
    shares = {"validation": validation, "test": test}
    recipe = own(tmp_path, path=str(npz(tmp_path / "own.npz")), **shares)
    _, out, _ = command("train", recipe, *TINY, "--out", tmp_path / "R")
    _, _, *next_command = out.splitlines()[-1].split()
    assert next_command == ["evaluate", str(tmp_path / "R"), *part]
    assert command(*next_command)[0] == 0


def test_a_bar_on_a_terminal(tmp_path):
    ours, theirs = pty.openpty()
    arguments = ["digits", *TINY, "--set", "training.batch_size=2", "--out", str(tmp_path / "R")]
    process = subprocess.Popen(
        [sys.executable, "-m", "unspool", "train", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "150"},
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    text = shown.decode()
    assert "\x1b[" in text
    assert "sequences/s" in text
    assert "epoch 2/2" in text
    assert "Traceback" not in text


def test_without_a_folder_it_takes_the_next_number(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        status, out, _ = command("train", "digits", *TINY)
        assert status == 0
        assert f"runs/digits-{number}/model" in out
    status, out, _ = command("train", "runs/digits-1/recipe.toml")
    assert "runs/digits-1-1/model" in out
    one, again = (tmp_path / "runs" / name / "model" for name in ("digits-1", "digits-1-1"))
    assert (one / "model.safetensors").read_bytes() == (again / "model.safetensors").read_bytes()


def test_a_search_for_a_rate_draws_a_picture(command, tmp_path):
    status, out, err = command("train", "digits", "--find-lr", "--out", tmp_path / "lr")
    assert (status, err) == (0, "")
    first, second = out.splitlines()
    assert 1e-4 < float(first.removeprefix("suggested  training.optimizer.lr=")) < 0.5
    curve = tmp_path / "lr-learning-rate.png"
    assert second == f"curve      {curve}"
    with Image.open(curve) as picture:
        assert picture.format == "PNG"
    assert list(tmp_path.iterdir()) == [curve]  # the run's own folder is still free


# --- interruption --------------------------------------------------------------------------


def test_an_interruption_says_how_to_go_on(command, tmp_path, monkeypatch):
    class Stop(Observer):
        def __init__(self, settings):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            pass

        def stepped(self, state, totals):
            if state.progress.step == 3:
                raise KeyboardInterrupt

    run = tmp_path / "R"
    with monkeypatch.context() as patched:
        patched.setattr("unspool.cli.progress.TrainingProgress", Stop)
        status, out, err = command("train", "digits", *TINY, "--out", run)
    assert (status, out) == (130, "")
    assert err == f"unspool: interrupted; go on with: unspool resume {run}\n"
    status, out, err = command("train", "digits", *TINY, "--out", run)
    assert status == 1
    assert "already exists and is not empty; choose another --out or remove it, or go on" in err
    assert command("resume", run, "--quiet") == (0, "", "")
    assert command("train", "digits", *TINY, "--out", tmp_path / "whole", "--quiet").status == 0
    weights = "model/model.safetensors"
    assert (run / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()


def test_control_c(tmp_path):
    run = tmp_path / "R"
    arguments = ["train", "digits", "--out", str(run), "--set", "training.epochs=10000"]
    with subprocess.Popen(
        [sys.executable, "-m", "unspool", *arguments], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "epoch" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert rest.splitlines()[-1] == f"unspool: interrupted; go on with: unspool resume {run}"
    assert "Traceback" not in rest
    assert (run / "curves.png").exists()


def test_resuming_a_finished_run_says_what_there_is(command, tmp_path):
    command("train", "digits", *TINY, "--out", tmp_path / "R", "--quiet")
    status, out, err = command("resume", tmp_path / "R")
    assert (status, err) == (0, "")
    assert out.startswith("2 epochs in ")


# --- bad input -----------------------------------------------------------------------------


def failure(answer) -> str:
    """The one line that explains a failure."""
    assert answer.status == 1
    assert answer.out == ""
    assert answer.err.startswith("unspool: ")
    assert answer.err.endswith("\n")
    assert len(answer.err.splitlines()) == 1
    assert "Traceback" not in answer.err
    assert "--debug" not in answer.err  # it was foreseen
    return answer.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["digts"], "no recipe is called 'digts'; did you mean digits?"),
        (["nowhere.toml"], "recipe nowhere.toml: no such file"),
        (["digits", "--set", "model.hiden_size=3"], "unknown key, did you mean model.hidden_size?"),
        (["digits", "--set", "seed"], "expected key=value"),
        (["digits", "--set", "data.name=digit"], "no data set is called 'digit'"),
        (["digits", "--set", "class_weights.ten=2"], "class_weights names 'ten', expected labels"),
    ],
)
def test_a_bad_recipe(command, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    assert expected in failure(command("train", *arguments))
    assert not list(tmp_path.iterdir())


def test_values_out_of_range_are_told_all_at_once(command):
    values = ["training.epochs=0", "model.dropout=1.5", "training.optimizer.lr=-1", "seed=x"]
    answer = command("train", "digits", *(part for value in values for part in ("--set", value)))
    for key in ("training.epochs = 0", "model.dropout = 1.5", "lr = -1", "seed = 'x'"):
        assert key in failure(answer)


def test_a_file_that_is_not_there(command, tmp_path):
    recipe = own(tmp_path, path="nowhere.npz")
    assert "nowhere.npz: no such file" in failure(command("train", recipe))


def test_features_that_are_not_numbers(command, tmp_path):
    x = np.zeros((30, 4, 2), np.float32)
    x[7, 2, 1] = np.nan
    recipe = own(tmp_path, path=str(npz(tmp_path / "x.npz", x=x)))
    message = failure(command("train", recipe))
    assert "x.npz: sequence 7, step 2, feature 1 is nan, expected finite numbers" in message


def test_an_empty_data_set(command, tmp_path):
    empty = npz(tmp_path / "x.npz", x=np.zeros((0, 4, 2), np.float32), y=np.zeros(0, int))
    message = failure(command("train", own(tmp_path, path=str(empty))))
    assert "x.npz holds no sequences, expected at least one" in message


def test_a_test_file_of_another_width(command, tmp_path):
    train = npz(tmp_path / "x.npz")
    test = npz(tmp_path / "t.npz", x=np.zeros((30, 4, 3), np.float32))
    recipe = own(tmp_path, path=str(train), test_path=str(test))
    assert "t.npz has 3 features a step, expected 2" in failure(command("train", recipe))


def test_a_folder_in_use(command, tmp_path):
    (tmp_path / "mine").touch()
    answer = command("train", "digits", *TINY, "--out", tmp_path)
    assert "already exists and is not empty" in failure(answer)


def test_a_folder_below_a_file(command, tmp_path):
    (tmp_path / "file").touch()
    answer = command("train", "digits", *TINY, "--quiet", "--out", tmp_path / "file" / "R")
    assert "could not write" in failure(answer)


def test_a_gpu_that_is_not_there(command, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "finds no GPU here" in failure(command("train", "digits", "--device", "cuda"))


def test_resuming_what_is_no_run(command, tmp_path):
    assert "holds no recipe.toml, expected the folder of a run" in failure(
        command("resume", tmp_path)
    )
