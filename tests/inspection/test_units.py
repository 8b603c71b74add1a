"""Units that follow something visible."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.inspection import properties
from unspool.inspection.trace import Trace, TracedArray
from unspool.inspection.tracing import trace
from unspool.inspection.units import activity, correlations, followers, properties_of


def test_what_is_seen_of_a_picture():
    rows = np.zeros((4, 5))
    rows[1, 0] = 8
    rows[2, [0, 2, 4]] = 8
    found = properties.of_picture(rows)
    assert found["ink in the row"].tolist() == [0, 1, 3, 0]
    assert found["strokes that the row crosses"].tolist() == [0, 1, 3, 0]
    assert found["rows since the first ink"].tolist() == [0, 1, 2, 3]
    assert found["how far down"].tolist() == [0, 1, 2, 3]
    assert np.allclose(
        found["where the stroke is, from left to right"], [np.nan, 0, 0.5, np.nan], equal_nan=True
    )


def test_what_is_seen_of_characters():
    text = 'Ab (c) "d!"\n9'
    found = properties.of_tokens(list(text))

    def where(name: str) -> str:
        return "".join(letter for letter, there in zip(text, found[name], strict=True) if there)

    assert where("inside quotes") == "d!"
    assert where("inside brackets") == "c"
    assert where("a capital letter") == "A"
    assert where("a digit") == "9"
    assert where("a vowel") == "A"
    assert where("a space or the end of a line") == "  \n"
    assert found["characters in the line so far"][-3:].tolist() == [11, 0, 1]
    assert found["characters in the word so far"][:3].tolist() == [1, 2, 0]


def test_what_is_seen_of_words():
    tokens = ["<eos>", "“", "Go", "on", "”", ".", "1999", "N"]
    found = properties.of_tokens(tokens)
    assert found["words in the sentence so far"].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert found["inside quotes"].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert found["punctuation"].tolist() == [0, 1, 0, 0, 1, 1, 0, 0]
    assert found["a number"].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert found["letters of the word"][2] == 2


@given(st.integers(0, 2**32 - 1))
def test_correlations_are_numpys(seed):
    random = np.random.default_rng(seed)
    course, units = random.normal(size=40), random.normal(size=(40, 6))
    course[random.random(40) < 0.1] = np.nan
    known = np.isfinite(course)
    expected = [np.corrcoef(course[known], unit[known])[0, 1] for unit in units.T]
    assert np.allclose(correlations(course, units), expected)


def test_what_hardly_ever_is_there_is_followed_by_nothing():
    units = np.arange(20.0)[:, None]
    rare = np.zeros(20)
    rare[:4] = 1
    assert np.isnan(correlations(rare, units)).all()
    rare[4] = 1
    assert np.isfinite(correlations(rare, units)).all()
    assert np.isnan(correlations(np.ones(20), units)).all()


def test_a_unit_that_is_made_to_follow_is_found():
    random = np.random.default_rng(0)
    inputs = random.integers(0, 256, (10, 12, 6)).astype(np.uint8)
    hidden = random.normal(size=(10, 12, 4)).astype(np.float32) * 0.1
    for number, picture in enumerate(inputs):
        hidden[number, :, 2] -= properties.of_picture(picture)["ink in the row"]
    arrays = {
        "lengths": TracedArray(np.full(10, 12), "(B,)", ""),
        "input": TracedArray(inputs, "(B, T, F)", ""),
        "layer.0.forward.hidden": TracedArray(hidden, "(B, T, H)", ""),
    }
    made = Trace(arrays, {"task": "classify", "steps": [0, None]})
    found = followers(made, most=2)
    best = next(each for each in found if each.seen == "ink in the row")
    assert (best.layer, best.unit, best.steps) == ("layer.0.forward", 2, 120)
    assert best.correlation == pytest.approx(-1, abs=0.02)
    assert found[0] == best
    assert sum(each.seen == "ink in the row" for each in found) == 2
    few = Trace({**arrays, "lengths": TracedArray(np.full(10, 9), "(B,)", "")}, made.about)
    assert followers(few) == []


def test_steps_of_all_sequences_lie_one_after_another(classifier, sequences):
    some = sequences(6, 9)
    found = trace(classifier(), some)
    assert activity(found, "layer.1.forward").shape == (some.lengths.sum(), 9)
    courses = properties_of(found)
    assert set(courses) == {"feature 0", "feature 1", "feature 2", "steps so far"}
    assert np.allclose(courses["feature 1"], some.values[:, 1])
