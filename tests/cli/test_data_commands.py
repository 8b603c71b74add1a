"""``unspool data`` and ``unspool recipes``."""

import pytest

from unspool.data import catalogue
from unspool.recipes import recipe as recipes
from unspool.recipes.shipped import shipped, text_of


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No data set but the built-in one, and no way to the network."""
    monkeypatch.delenv("UNSPOOL_DATA", raising=False)
    monkeypatch.setenv("UNSPOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def folder(tmp_path):
    """A folder with files under MNIST's names, of other content."""
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    for file in catalogue.entry("mnist").files:
        (tmp_path / "data" / "mnist" / file.name).write_bytes(b"no digits")
    return tmp_path / "data"


def test_the_list_says_what_is_where(command, folder):
    status, out, err = command("data", "list")
    assert (status, err) == (0, "")
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert list(rows) == ["name", *catalogue.names()]
    assert rows["digits"].rstrip().endswith("built in")
    assert "CC BY-SA 3.0" in rows["mnist"]
    assert rows["mnist"].rstrip().endswith("to be fetched")
    _, out, _ = command("data", "list", "--data-dir", folder)
    found = " ".join(out.split())
    assert str(folder / "mnist") in found.replace(" ", "")


def test_what_is_there_is_not_fetched_again(command, folder):
    status, out, err = command("data", "fetch", "mnist", "--data-dir", folder)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        str(folder / "mnist" / file.name) for file in catalogue.entry("mnist").files
    ]


def test_what_is_built_in_is_neither_fetched_nor_verified(command):
    assert command("data", "fetch", "digits") == (0, "digits is built in: nothing to fetch\n", "")
    assert command("data", "verify", "digits").out == "digits is built in: nothing to verify\n"


def test_wrong_files_are_named(command, folder):
    status, out, err = command("data", "verify", "mnist", "--data-dir", folder)
    assert status == 1
    assert err == "unspool: mnist: 4 of 4 files missing or wrong\n"
    assert len(out.splitlines()) == 4
    assert all("9 bytes" in line for line in out.splitlines())


def test_missing_files_are_named(command):
    status, out, err = command("data", "verify", "fashion-mnist")
    assert status == 1
    assert "run `unspool data fetch fashion-mnist`" in out
    assert "4 of 4 files" in err


@pytest.mark.parametrize("verb", ["fetch", "verify"])
def test_an_unknown_set(command, verb):
    status, out, err = command("data", verb, "mnsit")
    assert (status, out) == (1, "")
    assert "no data set is called 'mnsit'" in err
    assert "did you mean 'mnist'?" in err


def test_all_recipes_with_what_they_are(command):
    status, out, err = command("recipes")
    assert (status, err) == (0, "")
    names = [line.split()[0] for line in out.splitlines()]
    assert names == sorted(shipped())
    assert all(len(line.split()) > 3 for line in out.splitlines())


def test_one_recipe_as_it_is(command, tmp_path):
    status, out, err = command("recipes", "digits")
    assert (status, err) == (0, "")
    assert out == text_of("digits").rstrip() + "\n"
    (tmp_path / "own.toml").write_text(out)
    assert recipes.load(tmp_path / "own.toml").recipe == recipes.load("digits").recipe


@pytest.mark.parametrize("name", ["digts", "own.toml"])
def test_only_shipped_recipes_are_printed(command, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(text_of("digits"))
    status, out, err = command("recipes", name)
    assert (status, out) == (1, "")
    assert f"no recipe is called '{name}'" in err


def test_all_about_one_set(command):
    status, out, err = command("data", "list", "mnist")
    assert (status, err) == (0, "")
    for fact in ("CC BY-SA 3.0", "Cortes", "train-images-idx3-ubyte, 47,040,016 bytes", "ba891046"):
        assert fact in out


def test_all_about_a_set_that_is_not_known(command):
    status, _, err = command("data", "list", "mnits")
    assert status == 1
    assert "did you mean 'mnist'" in err
