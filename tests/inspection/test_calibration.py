import io

import numpy as np
import pytest
from PIL import Image

from unspool.inspection import calibration
from unspool.tasks.classify.calibration import reliability


def found(count, steps=3, seed=0):
    random = np.random.default_rng(seed)
    confidence = random.uniform(0.2, 1, count)
    return reliability(confidence, random.random(count) < confidence, steps)


@pytest.mark.parametrize(
    "diagrams",
    [
        [found(1)],
        [found(500, steps) for steps in (14, 21, 28)],
        [reliability(np.ones(9), np.ones(9, bool), 1)],
        [reliability(np.ones(9), np.zeros(9, bool), 1), found(100_000)],
    ],
    ids=["one answer", "three", "perfect", "always wrong"],
)
@pytest.mark.parametrize("title", ["mnist (test part)", "$x_{"])
def test_a_picture_that_can_be_seen(diagrams, title):
    content = calibration.reliability_diagrams(diagrams, title)
    assert len(content) < 200_000
    image = Image.open(io.BytesIO(content))
    assert image.format == "PNG"
    assert 300 < min(image.size) <= max(image.size) <= 1600
    assert np.asarray(image.convert("L")).std() > 1


def test_a_bar_ends_at_the_accuracy_of_its_bin(monkeypatch):
    figures = []
    monkeypatch.setattr(calibration, "png", lambda figure: figures.append(figure) or b"")
    one = found(400)
    calibration.reliability_diagrams([one], "x")
    bars, counts = figures[0].axes
    held = [each for each in one.bins if each.count]
    assert [bar.get_height() for bar in bars.patches] == [each.accuracy for each in held]
    assert [bar.get_alpha() < 1 for bar in bars.patches] == [each.count < 10 for each in held]
    levels = [line.get_ydata()[0] for line in bars.lines[1:]]
    assert levels == [each.confidence for each in held]
    assert [bar.get_height() for bar in counts.patches] == [each.count for each in one.bins]
    assert f"{one.error:.2%}" in bars.get_title()
