import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from unspool.data.binarisation import BinarisationSettings, binarise, binarise_anew

SAMPLED, THRESHOLD = BinarisationSettings(), BinarisationSettings(method="threshold")


def grey(count: int, rows: int = 4, columns: int = 5) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, rows, columns), dtype=np.uint8)


def test_the_same_pictures_become_the_same_ones():
    pictures = grey(3000, 2, 2)
    found = binarise(pictures, SAMPLED)
    assert np.array_equal(found, binarise(pictures, SAMPLED))
    assert not np.array_equal(found, binarise(pictures, BinarisationSettings(seed=2)))


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025])
def test_a_picture_is_the_same_whatever_follows_it(count):
    pictures = grey(2100, 2, 2)
    whole = binarise(pictures, SAMPLED)
    assert np.array_equal(binarise(pictures[:count], SAMPLED), whole[:count])


def test_these_are_the_numbers_that_results_are_told_with():
    """Figures that are published by this seed stay comparable."""
    found = binarise(np.full((1, 2, 6), 128, np.uint8), SAMPLED)
    assert found.tolist() == [[[1, 0, 0, 0, 1, 1], [0, 0, 1, 1, 0, 1]]]


@given(st.integers(0, 2**63 - 1))
def test_black_stays_black_and_white_stays_white(seed):
    settings = BinarisationSettings(seed=seed)
    for value, expected in ((0, 0), (255, 1)):
        picture = np.full((2, 3, 3), value, np.uint8)
        assert (binarise(picture, settings) == expected).all()
        anew = binarise_anew(torch.from_numpy(picture), settings, torch.Generator())
        assert (anew == expected).all()


@pytest.mark.parametrize("brightness", [1, 51, 204, 254])
def test_brightness_is_the_probability_of_white(brightness):
    pictures = np.full((100, 40, 50), brightness, np.uint8)
    share = brightness / 255
    spread = 5 * np.sqrt(share * (1 - share) / pictures.size)
    anew = binarise_anew(torch.from_numpy(pictures), SAMPLED, torch.Generator().manual_seed(0))
    for found in (binarise(pictures, SAMPLED), anew.numpy()):
        assert found.dtype == np.uint8
        assert found.mean() == pytest.approx(share, abs=spread)


def test_from_a_half_on_it_is_white():
    picture = np.array([[[0, 127, 128, 255]]], np.uint8)
    expected = [[[0, 0, 1, 1]]]
    assert binarise(picture, THRESHOLD).tolist() == expected
    generator = torch.Generator()
    assert binarise_anew(torch.from_numpy(picture), THRESHOLD, generator).tolist() == expected


def test_for_learning_the_generator_alone_decides():
    pictures = torch.from_numpy(grey(20))

    def drawn(seed: int, settings: BinarisationSettings = SAMPLED) -> torch.Tensor:
        return binarise_anew(pictures, settings, torch.Generator().manual_seed(seed))

    before = torch.get_rng_state()
    assert torch.equal(drawn(3), drawn(3))
    assert torch.equal(drawn(3), drawn(3, BinarisationSettings(seed=9)))
    assert not torch.equal(drawn(3), drawn(4))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("wrong", [{"method": "rounded"}, {"seed": -1}, {"seed": 2**63}])
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(ValidationError):
        BinarisationSettings(**wrong)
