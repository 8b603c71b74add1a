import pytest

from unspool.data.pair_limits import LengthLimits
from unspool.data.pair_settings import PairDataSettings

ENGLISH_TO_FRENCH = {"source_language": "en", "target_language": "fr"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs either name"),
        ({"name": "dates", "path": "x"}, "needs either name"),
        ({"name": "dates", "target_path": "x"}, "target_path goes with path"),
        ({"name": "dates", "test_path": "x"}, "test_path goes with path"),
        ({"path": "x", "validation_target_path": "y"}, "needs validation_path, the file"),
        ({"path": "x", "test_target_path": "y"}, "needs test_path, the file"),
        ({"name": "multi30k", "source_language": "en"}, "go together; give both"),
        (
            {"name": "multi30k", "source_language": "en", "target_language": "en"},
            "are both 'en'",
        ),
        ({"path": "x", **ENGLISH_TO_FRENCH}, "source_language goes with name"),
        ({"path": "x", "size": 9}, "size is for the built-in sets dates, reverse, copy; use limit"),
        ({"name": "multi30k", "size": 9}, "size is for the built-in sets"),
        ({"name": "reverse", "locale_mark": True}, "locale_mark is for the built-in set dates"),
        ({"path": "x", "limit": 0}, "limit"),
        ({"path": "x", "seed": -1}, "seed"),
        ({"path": "x", "max_source_length": 0}, "max_source_length"),
        ({"path": "x", "validation": 1.0}, "validation"),
        ({"path": "x", "vocabulary": {"unit": "bpe"}}, "needs a size of 256"),
        ({"path": "x", "columns": {"text": "y"}}, "columns.text"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PairDataSettings(**settings)


def test_the_data_has_a_title():
    assert PairDataSettings(name="dates").title == "dates"
    assert PairDataSettings(name="multi30k", **ENGLISH_TO_FRENCH).title == "multi30k, en to fr"
    assert PairDataSettings(path="/some/where.en", target_path="b").title == "where.en"


def test_it_is_known_whether_there_is_a_validation_part():
    assert PairDataSettings(name="dates").has_validation
    assert not PairDataSettings(name="dates", validation=0.0).has_validation
    assert PairDataSettings(name="multi30k", validation=0.0, **ENGLISH_TO_FRENCH).has_validation
    assert not PairDataSettings(path="x", validation=0.0).has_validation
    assert PairDataSettings(path="x", validation=0.0, validation_path="y").has_validation


def test_limits_are_those_of_both_sides():
    settings = PairDataSettings(name="dates", max_source_length=7)
    assert settings.limits == LengthLimits(7, None)
