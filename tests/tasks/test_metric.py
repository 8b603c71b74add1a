import pytest

from unspool.tasks.metric import Metric

ACCURACY = Metric("accuracy", higher_is_better=True, format=".2%")
PERPLEXITY = Metric("perplexity", higher_is_better=False, format=".2f")


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        (ACCURACY, 0.98765, "98.77%"),
        (ACCURACY, 1.0, "100.00%"),
        (ACCURACY, None, "nan%"),
        (PERPLEXITY, 82.1049, "82.10"),
        (PERPLEXITY, float("inf"), "inf"),
        (PERPLEXITY, None, "nan"),
    ],
)
def test_a_value_in_print(metric, value, text):
    assert metric.text(value) == text


def test_only_what_is_not_as_expected_is_said():
    assert (ACCURACY.label, ACCURACY.in_per_cent) == ("accuracy", True)
    assert (PERPLEXITY.label, PERPLEXITY.in_per_cent) == ("perplexity (lower is better)", False)
