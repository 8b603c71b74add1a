import io

import numpy as np
import pytest
from PIL import Image

from unspool.inspection import belief
from unspool.tasks.classify.stopping import AnswersByStep


def answers(count, steps, seed=0, growing=True):
    """Answers that become surer and righter, or sure and right at once."""
    random = np.random.default_rng(seed)
    rising = np.linspace(0.1, 0.99, steps) if growing else np.ones(steps)
    confidence = np.clip(rising + random.normal(0, 0.1, (count, steps)), 0.1, 1)
    right = random.random((count, steps)) < rising
    return AnswersByStep(confidence, right, np.full(count, steps))


@pytest.mark.parametrize(
    ("count", "steps", "growing", "chosen", "title"),
    [
        (1, 1, False, 0.99, "one answer"),
        (1, 1, True, 1.0, "$x_{"),
        (40, 28, True, 0.99, "a" * 300),
        (9, 300, False, 0.3, "always right"),
    ],
)
def test_a_picture_that_can_be_seen(count, steps, growing, chosen, title):
    found = answers(count, steps, growing=growing).early(chosen)
    content = belief.early_answers(found, count, title)
    assert len(content) < 200_000
    image = Image.open(io.BytesIO(content))
    assert image.format == "PNG"
    assert 300 < min(image.size) <= max(image.size) <= 1600
    assert np.asarray(image.convert("L")).std() > 1


def test_the_last_per_cents_take_most_of_the_height(monkeypatch):
    figures = []
    monkeypatch.setattr(belief, "png", lambda figure: figures.append(figure) or b"")
    belief.early_answers(answers(5000, 28).early(0.9), 5000, "x")
    (axes,) = figures[0].axes
    height = axes.yaxis.get_transform().transform
    assert height(0.99) - height(0.9) == pytest.approx(height(0.9) - height(0.0))
    assert np.isfinite(height(np.array([0.0, 1.0]))).all()
    shown = {line.get_label(): line for line in axes.lines}
    steps, _ = shown["equally far in every sequence"].get_data()
    assert list(steps) == list(range(1, 29))
