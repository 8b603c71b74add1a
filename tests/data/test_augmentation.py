import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unspool.data.augmentation import AugmentationSettings, augment
from unspool.data.batches import batch_generator

WARPS = [
    {"rotation": 20.0},
    {"zoom": 0.3},
    {"shear": 0.3},
    {"elastic": 1.0},
    {"rotation": 10.0, "shift": 2},
]


def drawn(pictures, *, seed=0, **settings):
    return augment(pictures, AugmentationSettings(**settings), batch_generator(seed, 0, 0))


def test_all_zero_changes_nothing():
    pictures = torch.randint(0, 256, (4, 6, 5), dtype=torch.uint8)
    settings = AugmentationSettings()
    assert not settings.active
    assert torch.equal(augment(pictures, settings, torch.Generator()), pictures)


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), most=st.integers(1, 4))
def test_a_shift_moves_by_whole_pixels(rows, columns, most):
    pictures = torch.arange(1, 3 * rows * columns + 1).view(3, rows, columns).float()
    for before, after in zip(pictures, drawn(pictures, shift=most), strict=True):
        candidates = []
        for down in range(-most, most + 1):
            for right in range(-most, most + 1):
                moved = torch.zeros(rows, columns)
                for row in range(max(0, down), min(rows, rows + down)):
                    for column in range(max(0, right), min(columns, columns + right)):
                        moved[row, column] = before[row - down, column - right]
                candidates.append(moved)
        assert any(torch.equal(after, candidate) for candidate in candidates)


def test_shifts_are_spread_evenly_around_none():
    pictures = torch.zeros(4000, 9, 9, dtype=torch.uint8)
    pictures[:, 4, 4] = 1
    moved = drawn(pictures, shift=2)
    assert moved.dtype == torch.uint8
    rows, columns = moved.nonzero()[:, 1] - 4, moved.nonzero()[:, 2] - 4
    for shift in (rows, columns):
        counts = torch.bincount(shift + 2, minlength=5)
        assert len(counts) == 5
        assert (abs(counts - 800) < 120).all()
        assert abs(shift.float().mean()) < 0.1


@pytest.mark.parametrize("settings", [{"shift": 2}, *WARPS])
def test_the_generator_alone_decides(settings):
    pictures = torch.rand(5, 8, 8)
    before = torch.get_rng_state()
    once, again = (drawn(pictures, **settings) for _ in range(2))
    assert torch.equal(once, again)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(once, drawn(pictures, seed=1, **settings))
    assert not torch.equal(once, pictures)


@pytest.mark.parametrize("settings", WARPS)
@pytest.mark.parametrize("shape", [(6, 8, 8), (6, 5, 11)])
def test_a_warp_keeps_shape_and_range(settings, shape):
    pictures = torch.randint(0, 256, shape, dtype=torch.uint8)
    warped = drawn(pictures, **settings)
    assert warped.shape == pictures.shape
    assert warped.dtype == torch.float32
    assert warped.min() >= 0
    assert warped.max() <= 255


@pytest.mark.parametrize("settings", WARPS)
def test_a_warp_leaves_the_middle_where_it_is_on_average(settings):
    pictures = torch.zeros(2000, 15, 15)
    pictures[:, 7, 7] = 1.0
    warped = drawn(pictures, **settings)
    mass = warped.mean(0)
    positions = torch.arange(15.0)
    assert float((mass.sum(1) * positions).sum() / mass.sum()) == pytest.approx(7, abs=0.15)
    assert float((mass.sum(0) * positions).sum() / mass.sum()) == pytest.approx(7, abs=0.15)


def test_a_picture_that_is_not_square_is_turned_and_not_slanted():
    """A disc stays a disc, whatever the frame around it."""
    row, column = torch.meshgrid(torch.arange(21.0), torch.arange(41.0), indexing="ij")
    disc = ((row - 10) ** 2 + (column - 20) ** 2 < 49).float()
    turned = drawn(disc.expand(20, 21, 41), rotation=90.0)
    assert (turned - disc).abs().sum((1, 2)).max() < 0.15 * disc.sum()


@pytest.mark.parametrize(
    "settings", [{"shift": -1}, {"shift": 65}, {"rotation": 181}, {"zoom": 1}, {"shear": 2}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        AugmentationSettings(**settings)


def test_bending_displaces_neighbours_alike_and_by_the_deviation_asked_for():
    # Each pixel holds its own column, so that a bent picture tells where it was taken from.
    columns = torch.arange(28.0).expand(400, 28, 28)
    moved = (drawn(columns, elastic=1.5) - columns)[:, 4:-4, 6:-6]
    assert 0.7 < float(moved.std()) < 1.5
    assert abs(float(moved.mean())) < 0.1
    assert float((moved[:, :, 1:] - moved[:, :, :-1]).abs().mean()) < 0.35
