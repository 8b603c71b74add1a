import pytest
import torch

from unspool.decoding.copying import copy_unknown
from unspool.errors import DataError

ATTENTION = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.4, 0.4, 0.2]])
SOURCE = ["Herr", "Unwin", "lacht"]


def test_an_unknown_word_becomes_the_one_most_attended_to():
    assert copy_unknown(["?", "x", "?"], ATTENTION, SOURCE, "?") == ["Herr", "x", "Herr"]
    assert copy_unknown(["x", "?", "y"], ATTENTION, SOURCE, "?") == ["x", "lacht", "y"]
    assert copy_unknown(["x", "y", "z"], ATTENTION, SOURCE, "?") == ["x", "y", "z"]


def test_nothing_can_be_copied_from_an_empty_source():
    assert copy_unknown(["?"], torch.zeros(1, 0), [], "?") == ["?"]
    assert copy_unknown([], torch.zeros(0, 2), ["a", "b"], "?") == []


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"attention has shape \(3, 3\), expected \(2, 3\)"):
        copy_unknown(["a", "b"], ATTENTION, SOURCE, "?")
