"""A trace as it is kept on disk."""

import json

import numpy as np
import pytest

from unspool.errors import DataError
from unspool.inspection.trace import Trace, TracedArray


@pytest.fixture
def trace():
    arrays = {
        "input": TracedArray(np.arange(6, dtype=np.uint8).reshape(1, 3, 2), "(B, T, F)", "input"),
        "belief": TracedArray(np.full((1, 3, 4), 0.25), "(B, T, C)", "belief", "probability"),
    }
    return Trace(arrays, {"task": "classify", "steps": [0, None], "classes": ["ä", "b", "c", "d"]})


def test_what_is_saved_comes_back(trace, tmp_path):
    trace.save(tmp_path / "new")
    found = Trace.load(tmp_path / "new")
    assert found.about == trace.about
    assert list(found) == list(trace) == ["input", "belief"]
    for name in trace:
        assert np.array_equal(found[name], trace[name])
        assert found[name].dtype == trace[name].dtype
        assert found.arrays[name].axes == trace.arrays[name].axes
        assert found.arrays[name].unit == trace.arrays[name].unit
    assert found.nbytes == 6 + 12 * 8
    described = json.loads((tmp_path / "new" / "trace.json").read_text())["arrays"]["belief"]
    assert described == {
        "axes": "(B, T, C)",
        "shape": [1, 3, 4],
        "type": "float64",
        "meaning": "belief",
        "unit": "probability",
    }


def test_it_says_what_it_holds(trace):
    assert "2 arrays of 102 bytes" in repr(trace)
    assert "belief  (B, T, C) = (1, 3, 4)  belief" in repr(trace)


def test_what_does_not_fit_is_refused(trace, tmp_path):
    trace.save(tmp_path)
    path = tmp_path / "trace.json"
    good = json.loads(path.read_text())

    def error(**changes) -> str:
        path.write_text(json.dumps({**good, **changes}))
        with pytest.raises(DataError) as caught:
            Trace.load(tmp_path)
        return str(caught.value)

    assert "format 2, expected 1" in error(format=2)
    assert "describes no arrays" in error(arrays=None)
    assert "does not hold what" in error(arrays={"input": good["arrays"]["input"]})
    wrong = {**good["arrays"]["input"], "shape": [3, 2]}
    assert "says uint8 (3, 2)" in error(arrays={**good["arrays"], "input": wrong})
    assert "not describe 'input'" in error(arrays={**good["arrays"], "input": {"shape": [1]}})
    path.write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        Trace.load(tmp_path)


def test_damaged_and_missing_files(trace, tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        Trace.load(tmp_path)
    trace.save(tmp_path)
    arrays = tmp_path / "trace.npz"
    arrays.write_bytes(arrays.read_bytes()[:50])
    with pytest.raises(DataError, match="damaged archive"):
        Trace.load(tmp_path)
    arrays.unlink()
    with pytest.raises(DataError, match=r"trace\.npz"):
        Trace.load(tmp_path)


def test_nothing_pickled_is_read(trace, tmp_path):
    trace.save(tmp_path)
    values = np.empty(1, object)
    values[0] = {"any": "object"}
    np.savez(tmp_path / "trace.npz", input=values, belief=trace["belief"])
    with pytest.raises(DataError, match="holds Python objects"):
        Trace.load(tmp_path)
