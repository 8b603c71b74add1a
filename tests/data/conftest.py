"""What the tests of data share: a clean environment and the folder of real data sets."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REAL_DATA = os.environ.get("UNSPOOL_DATA")


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path_factory) -> Path:
    """Keep every test away from the user's data and cache; the result is the empty cache."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.delenv("UNSPOOL_DATA", raising=False)
    monkeypatch.setenv("UNSPOOL_CACHE", str(cache))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return cache


@pytest.fixture
def real_data() -> Path:
    if not REAL_DATA:
        pytest.skip("UNSPOOL_DATA is not set: the data sets are not there")
    return Path(REAL_DATA)


@pytest.fixture
def write(tmp_path) -> Callable[[str, str | bytes], Path]:
    """Write a file of a test's own and return its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
