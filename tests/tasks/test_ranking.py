import numpy as np
import pytest

from unspool.tasks.ranking import by_step, ranking

BELIEF = np.array([0.1, 0.4, 0.1, 0.4])


@pytest.mark.parametrize("top", [1, 2, 3, 4, 99])
def test_the_most_probable_come_first_and_of_equals_the_earlier(top):
    found = ranking(BELIEF, "abcd".__getitem__, top)
    assert (found["label"], found["probability"]) == ("b", 0.4)
    expected = [("b", 0.4), ("d", 0.4), ("a", 0.1), ("c", 0.1)][:top]
    assert [(rank["label"], rank["probability"]) for rank in found["top"]] == expected


def test_steps_are_counted_from_one():
    assert by_step([{"label": "a"}, {"label": "b"}]) == [
        {"step": 1, "label": "a"},
        {"step": 2, "label": "b"},
    ]
