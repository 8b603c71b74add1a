"""Small language models for the tests of the commands."""

import pytest

from unspool import runs
from unspool.recipes import recipe


@pytest.fixture(scope="session")
def fable_run(tmp_path_factory):
    """A run of the fable in windows, short; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "fable"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNSPOOL_CACHE", str(folder.parent / "cache"))
        runs.train(recipe.load("fable", ["training.epochs=6", "model.hidden_size=32"]), folder)
    return folder


@pytest.fixture(scope="session")
def stream_run(tmp_path_factory):
    """A run of the fable as a stream, short; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "stream"
    changes = [
        "view=streams",
        "training.epochs=3",
        "model.hidden_size=16",
        "data.validation=0.2",
        "data.test=0.2",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNSPOOL_CACHE", str(folder.parent / "cache"))
        runs.train(recipe.load("fable", changes), folder)
    return folder


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNSPOOL_CACHE", str(tmp_path / "cache"))
