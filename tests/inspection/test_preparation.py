import io

import numpy as np
from PIL import Image

from unspool.data.centring import PictureFormat, prepare
from unspool.inspection import preparation

FORMAT = PictureFormat(rows=28, columns=28, box=20, brightest=255)


def page(rows=90, columns=60):
    paper = np.full((rows, columns), 255, np.uint8)
    paper[10:50, 5:15] = 30
    return paper


def test_a_row_for_each_picture():
    like_its_own = np.zeros((28, 28), np.uint8)
    like_its_own[4:24, 12:15] = 255
    found = {"$a_{.png": prepare(page(), FORMAT), "b.png": prepare(like_its_own, FORMAT)}
    one, two = (
        Image.open(io.BytesIO(preparation.draw(dict(list(found.items())[:count]))))
        for count in (1, 2)
    )
    assert two.height > 1.8 * one.height
    assert two.width == one.width
    assert np.asarray(two.convert("L")).std() > 1


def test_many_pictures_are_cut_short():
    found = {f"{number}.png": prepare(page(), FORMAT) for number in range(20)}
    content = preparation.draw(found)
    assert Image.open(io.BytesIO(content)).height < 12 * 300
