"""What all commands have in common: help, lazy imports, exit statuses, errors in one line."""

import os
import re
import subprocess
import sys

import pytest

from unspool import native

COMMANDS = [
    [],
    ["train"],
    ["resume"],
    ["evaluate"],
    ["predict"],
    ["generate"],
    ["draw"],
    ["recipes"],
    ["bench"],
    ["bench", "layers"],
    ["data"],
    ["data", "list"],
    ["data", "fetch"],
    ["data", "verify"],
]
HEAVY = ("torch", "pydantic", "matplotlib", "sklearn", "numpy", "rich.console", "polars")


def python(*arguments: str, **keywords) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **keywords)


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_has_help(command, names):
    status, out, err = command(*names, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(" ".join(["Usage: unspool", *names]))
    assert (status, out) == command(*names, "-h")[:2]
    _, _, commands = out.partition("\nCommands:\n")
    assert "..." not in commands  # each says in a line what it does


@pytest.mark.parametrize(
    "statement",
    ["import unspool", "import sys; sys.argv = ['unspool', '--help']; import unspool.__main__"],
)
def test_what_is_quick_imports_nothing_heavy(statement):
    program = (
        f"{statement}\n"
        "import sys\n"
        "from unspool.cli import app\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    assert "heavy: []" in python("-c", program).stdout


def test_help_itself_imports_nothing_heavy():
    program = (
        "import sys\n"
        "sys.argv = ['unspool', '--help']\n"
        "from unspool.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        f"    print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    ended = python("-c", program)
    assert "Train, explain and serve recurrent networks." in ended.stdout
    assert "heavy: []" in ended.stdout


def test_the_package_is_a_program():
    ended = python("-m", "unspool", "recipes")
    assert ended.returncode == 0
    assert "digits" in ended.stdout


def test_versions(command):
    status, out, _ = command("--version")
    assert status == 0
    assert re.match(r"unspool \d+\.\d+\.\d+, torch \d+\.\d+", out)


def test_the_version_names_the_kernel_in_use(command, monkeypatch):
    monkeypatch.delenv("UNSPOOL_KERNEL", raising=False)
    fastest = ("torch", *native.kernels())[-1]
    assert f"\nkernel {fastest}\n" in command("--version").out
    monkeypatch.setenv("UNSPOOL_KERNEL", "portable")
    assert "\nkernel portable (UNSPOOL_KERNEL)\n" in command("--version").out
    monkeypatch.setattr(native, "absence", lambda: "native module absent: lost")
    monkeypatch.delenv("UNSPOOL_KERNEL")
    assert "\nkernel torch\nnative module absent: lost\n" in command("--version").out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sing"], "No such command 'sing'"),
        (["train"], "Missing argument 'RECIPE'"),
        (["train", "digits", "--device", "tpu"], "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (["train", "digits", "--surprise"], "No such option"),
        (["train", "digits", "--out"], "requires an argument"),
        (["predict", "R", "x.csv", "--top", "0"], "Invalid value for '--top'"),
        (["predict", "R", "x.csv", "--top", "-1"], "Invalid value for '--top'"),
        (["predict", "R", "x.csv", "--top", "many"], "Invalid value for '--top'"),
        (["data", "burn"], "No such command 'burn'"),
    ],
)
def test_wrong_usage_has_status_2(command, arguments, expected):
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert expected in err
    assert "Traceback" not in err


def test_a_failure_is_one_line_and_debug_shows_where(command, tmp_path):
    missing = tmp_path / "nowhere"
    status, out, err = command("evaluate", missing)
    assert (status, out) == (1, "")
    assert err == f"unspool: no folder {missing}, expected a run or a model folder\n"
    for arguments in (["--debug", "evaluate", missing], ["evaluate", missing, "--debug"]):
        ended = python("-m", "unspool", *map(str, arguments))
        assert ended.returncode == 1
        assert "Traceback (most recent call last)" in ended.stderr
        assert "ModelFolderError: no folder" in ended.stderr


def test_a_fault_of_the_program_is_one_line_too(command, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("unspool.recipes.shipped.shipped", broken)
    status, _, err = command("recipes")
    assert status == 1
    assert err == "unspool: ZeroDivisionError: division by zero (--debug shows where)\n"


def test_a_reader_that_leaves_early_is_no_failure_to_explain():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "unspool", "recipes", "digits"],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr
