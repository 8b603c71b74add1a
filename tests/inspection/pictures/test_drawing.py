import io

import numpy as np
from PIL import Image

from unspool.inspection.pictures.drawing import Panel, panels, sheet

SAMPLES = np.random.default_rng(0).integers(0, 256, (3, 6, 4), dtype=np.uint8)


def opened(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"), np.int64)


def test_the_original_and_what_was_given_stand_before_what_was_drawn():
    found = panels(SAMPLES, 2, SAMPLES[0])
    assert [panel.label for panel in found] == ["original", "given: 2 rows", "1", "2", "3"]
    assert [panel.given for panel in found] == [0, 2, 2, 2, 2]
    assert found[1].drawn == 2
    assert [panel.label for panel in panels(SAMPLES)] == ["1", "2", "3"]
    assert [panel.label for panel in panels(SAMPLES, 0, SAMPLES[0])] == ["1", "2", "3"]


def test_ink_is_dark_and_what_is_not_yet_drawn_is_hidden():
    black, white = np.zeros((6, 6), np.uint8), np.full((6, 6), 255, np.uint8)
    paper, ink, hidden = (
        opened(sheet([Panel(picture, "", 0, drawn)])).mean()
        for picture, drawn in ((black, None), (white, None), (white, 3))
    )
    assert ink < hidden < paper


def test_given_rows_are_told_from_drawn_ones():
    black = np.zeros((6, 6), np.uint8)
    with_line, without = (opened(sheet([Panel(black, "", given)])) for given in (3, 0))
    assert with_line.shape == without.shape
    orange = (with_line[..., 0] > 180) & (with_line[..., 2] < 60)
    rows = np.flatnonzero(orange.sum(1) > 50)
    assert 1 <= len(rows) <= 3
    assert not ((without[..., 0] > 180) & (without[..., 2] < 60)).any()


def test_lines_of_ten():
    many = [Panel(SAMPLES[0], str(number)) for number in range(23)]
    one, three = opened(sheet(many[:10])), opened(sheet(many))
    assert one.shape[1] == three.shape[1]
    assert three.shape[0] > 2.5 * one.shape[0]
    assert opened(sheet(many[:2], "a title $of$ its\nown " * 20)).size > 0
