import math

import pytest
import torch
from pydantic import ValidationError

from unspool.decoding.settings import BeamSettings
from unspool.errors import DataError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam": 0}, "greater than or equal to 1"),
        ({"beam": 3, "n_best": 5}, "n_best is 5 and beam is 3.*widen the beam"),
        ({"min_length": 9, "max_length": 8}, "min_length is 9 and max_length is 8"),
        ({"min_length": 0}, "greater than or equal to 1"),
        ({"length_penalty": -0.1}, "greater than or equal to 0"),
        ({"coverage_penalty": -0.1}, "greater than or equal to 0"),
        ({"no_repeat_ngram": 0}, "greater than or equal to 1"),
        ({"max_length_factor": 0.0}, "greater than 0"),
        ({"max_length_constant": 3}, "give max_length_factor"),
        ({"patience": 0.0}, "greater than 0"),
        ({"beams": 3}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        BeamSettings(**settings)


def limits(lengths, **settings):
    given = None if lengths is None else torch.tensor(lengths)
    return BeamSettings(**settings).limits(3, given, torch.device("cpu")).tolist()


def test_the_most_tokens_hang_on_the_source_where_that_is_asked_for():
    assert limits(None, max_length=40) == [40] * 3
    assert limits([1, 2, 3], max_length=40) == [40] * 3
    assert limits([0, 5, 30], max_length=40, max_length_factor=1.5) == [1, 7, 40]
    assert limits(
        [0, 5, 30], max_length=40, min_length=4, max_length_factor=0.5, max_length_constant=3
    ) == [4, 5, 18]
    with pytest.raises(DataError, match=r"max_length_factor is 1.5, and the sources' lengths"):
        limits(None, max_length_factor=1.5)


def test_patience_counts_in_beams():
    assert BeamSettings(beam=4).enough == math.inf
    assert BeamSettings(beam=4, patience=1.0).enough == 4
    assert BeamSettings(beam=4, patience=0.6).enough == 3
    assert BeamSettings(beam=1, patience=3.0).enough == 1
