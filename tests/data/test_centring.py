import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unspool.data import catalogue
from unspool.data.centring import PictureFormat, prepare
from unspool.data.sequences import Sequences
from unspool.errors import DataError

MNIST = PictureFormat(rows=28, columns=28, box=20, brightest=255)


def seven(rows=28, columns=28, top=4, left=7, thick=3, high=20, wide=13):
    """A seven in the manner of MNIST, light on dark, as 0 to 1."""
    picture = np.zeros((rows, columns))
    picture[top : top + thick, left : left + wide] = 1
    for row in range(high):
        right = left + wide - thick - round(row * (wide - thick) * 0.6 / high)
        picture[top + row, right : right + thick] = 1
    return picture


def photograph(picture, size=(200, 300), at=(30, 40), scale=5, noise=0.03, seed=0):
    """Dark ink on light paper, unevenly lit, off the middle, noisy."""
    random = np.random.default_rng(seed)
    ink = np.zeros(size)
    big = np.kron(picture, np.ones((scale, scale)))
    ink[at[0] : at[0] + len(big), at[1] : at[1] + big.shape[1]] = big
    y, x = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]), indexing="ij")
    light = 0.7 + 0.12 * x - 0.08 * y - 0.06 * (x * x + y * y)
    return bytes_of(light * (1 - 0.7 * ink) + random.normal(0, noise, size))


def bytes_of(values):
    return np.clip(np.round(values * 255), 0, 255).astype(np.uint8)


def difference(one, other):
    return np.abs(one.astype(float) - other.astype(float)).mean()


def extents(picture):
    return [int(np.ptp(places)) + 1 for places in (picture > 127).nonzero()]


def centre(picture):
    places = np.indices(picture.shape).reshape(2, -1)
    return (places * picture.ravel()).sum(1) / picture.sum()


# --- what the network's pictures look like -------------------------------------------------


def test_the_format_is_measured():
    digits, _ = catalogue.load("digits")
    assert PictureFormat.of(digits) == PictureFormat(rows=8, columns=8, box=8, brightest=16)
    pictures = np.stack([bytes_of(np.roll(seven(), step, 1)) for step in range(5)])
    assert PictureFormat.of(Sequences.from_array(pictures)) == MNIST


@pytest.mark.data
def test_the_format_of_mnist_is_the_one_it_was_made_in(real_data):
    training, test = catalogue.load("mnist", real_data)
    assert PictureFormat.of(training) == MNIST
    for digit in test.values.reshape(-1, 28, 28)[:20]:  # and back from a photograph
        page = photograph(digit / 255, scale=5)
        found = prepare(page, MNIST).picture
        assert np.abs(centre(found) - 14).max() < 0.51
        moved = [np.roll(found, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        likeness = [np.corrcoef(one.ravel(), digit.ravel())[0, 1] for one in moved]
        assert max(likeness) > 0.9  # a pixel's half can go either way


@pytest.mark.parametrize(
    "sequences",
    [
        Sequences.from_array(np.zeros((3, 8, 8), np.uint8)),
        Sequences.from_array(np.full((3, 8, 8), 255, np.uint8)),
        Sequences.from_array(np.eye(8)[None].astype(np.float32)),
        Sequences.from_array(np.full((3, 8, 2), 1, np.uint8)),
        Sequences.from_list([np.eye(8, dtype=np.uint8), np.eye(8, dtype=np.uint8)[:7]]),
        Sequences.from_array(np.zeros((0, 8, 8), np.uint8)),
    ],
    ids=["black", "dark on light", "no bytes", "narrow", "unequal", "none"],
)
def test_what_is_no_pictures_light_on_dark_has_no_format(sequences):
    assert PictureFormat.of(sequences) is None


# --- from a picture to the network's --------------------------------------------------------


def test_a_picture_like_the_network_s_own_is_left_alone():
    picture = bytes_of(seven())
    found = prepare(picture, MNIST)
    assert found.picture is picture
    assert found.summary == ""
    assert [name for name, _ in found.steps] == ["taken as it is"]


@pytest.mark.parametrize("invert", [False, True], ids=["light on dark", "dark on light"])
@pytest.mark.parametrize("scale", [1, 3, 10, 40])
@pytest.mark.parametrize("margin", [0, 30])
def test_size_margin_and_polarity_do_not_matter(invert, scale, margin):
    cut = seven()[4:24, 7:20]
    picture = np.pad(np.kron(cut, np.ones((scale, scale))), (margin, 2 * margin))
    found = prepare(bytes_of(1 - picture if invert else picture), MNIST)
    wanted = prepare(bytes_of(np.pad(cut, (0, 1))), MNIST).picture  # the same way, from itself
    assert ("dark on light" in found.summary.split(",")[1]) is invert
    assert extents(found.picture) == [20, 13]
    assert difference(found.picture, wanted) < 6


def test_a_photograph_gives_the_digit_back():
    found = prepare(photograph(seven()), MNIST)
    assert found.summary == "200 x 300 pixels, dark on light, brought to 28 x 28, light on dark"
    clean = prepare(bytes_of(np.kron(seven(), np.ones((5, 5)))), MNIST)
    assert difference(found.picture, clean.picture) < 5
    assert (found.picture[:3] == 0).all()  # no noise is left of the paper


@settings(max_examples=25)
@given(
    top=st.integers(0, 60),
    left=st.integers(0, 160),
    scale=st.integers(2, 4),
    seed=st.integers(0, 100),
)
def test_the_middle_is_the_centre_of_mass_wherever_the_ink_was(top, left, scale, seed):
    page = photograph(seven(), at=(top, left), scale=scale, seed=seed)
    found = prepare(page, MNIST).picture
    assert found.shape == (28, 28)
    assert found.max() == 255
    np.testing.assert_allclose(centre(found), 14, atol=0.51)


@settings(max_examples=25)
@given(st.integers(4, 40), st.integers(4, 40), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_any_field_and_any_ink_will_do(rows, columns, box, seed):
    wanted = PictureFormat(rows=rows, columns=columns, box=box, brightest=16)
    random = np.random.default_rng(seed)
    picture = np.zeros((50, 70))
    corner = random.integers(5, 30, 2)
    size = random.integers(4, 20, 2)
    picture[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]] = 1
    found = prepare(bytes_of(picture), wanted).picture
    assert (found.shape, found.dtype, found.max()) == ((rows, columns), np.uint8, 16)


def test_the_aspect_ratio_stays():
    bar = np.zeros((90, 90))
    bar[10:70, 40:55] = 1
    assert extents(prepare(bytes_of(bar), MNIST).picture) == [20, 5]
    assert extents(prepare(bytes_of(bar.T), MNIST).picture) == [5, 20]


def test_dust_and_a_smudge_are_not_ink():
    page = photograph(seven()).astype(float)
    page[180:183, 280:283] -= 120  # dust, far from the digit
    page[150:190, 20:60] -= 25  # a smudge
    found = prepare(np.clip(page, 0, 255).astype(np.uint8), MNIST)
    assert difference(found.picture, prepare(photograph(seven()), MNIST).picture) < 4


def test_every_step_is_there_to_be_seen():
    steps = prepare(photograph(seven()), MNIST).steps
    assert [name for name, _ in steps] == [
        "as given, 200 x 300",
        "light on dark",
        "ink alone",
        "scaled to 20 x 13",
        "centred in 28 x 28",
    ]
    assert all(picture.dtype == np.uint8 for _, picture in steps)
    given, lit, ink, scaled, centred = (picture for _, picture in steps)
    assert np.median(given) > 127 > np.median(lit)
    assert 0 < (ink > 0).mean() < 0.1
    assert scaled.shape == (20, 13)
    assert (centred == prepare(photograph(seven()), MNIST).picture).all()


@pytest.mark.parametrize("highest", [1, 255, 65_535])
def test_numbers_of_any_range(highest):
    page = (1 - np.kron(seven(), np.ones((5, 5)))) * highest
    expected = prepare(bytes_of(page / highest), MNIST).picture
    assert difference(prepare(page, MNIST).picture, expected) < 1


def test_a_huge_picture_is_worked_with_in_small():
    page = np.asarray(Image.fromarray(bytes_of(1 - seven())).resize((3000, 2000), 0))
    found = prepare(page, MNIST)
    assert max(found.steps[0][1].shape) == 512
    assert found.steps[0][0] == "as given, 2000 x 3000"


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.full((40, 30), 255, np.uint8), "a picture without ink: all of it is of one brightness"),
        (np.zeros((28, 28), np.uint8), "a picture without ink"),
        (np.full((28, 28), 77, np.uint8), "a picture without ink"),
        (np.full((3, 3), 0.5), "a picture without ink"),
        (np.zeros((1, 1), np.uint8), "a picture without ink"),
        (np.zeros((0, 5), np.uint8), r"shape \(0, 5\), expected at least one pixel"),
        (np.full((9, 9), np.nan), "values that are not finite"),
    ],
)
def test_nothing_to_be_seen_is_refused(picture, message):
    with pytest.raises(DataError, match=message):
        prepare(picture, MNIST)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(0, 0.06))
def test_paper_alone_is_refused_however_noisy(seed, noise):
    with pytest.raises(DataError, match="without ink"):
        prepare(photograph(np.zeros((4, 4)), noise=noise, seed=seed), MNIST)
