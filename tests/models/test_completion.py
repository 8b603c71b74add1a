import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unspool.models.completion import complete
from unspool.models.drawing import DrawingModel, DrawingSettings

VARIANTS = [{}, {"pixels": "grey"}, {"cell": "gru", "window": 9}, {"cell": "rnn", "window": 1}]
ROWS, COLUMNS = 4, 5


def model_of(dtype=torch.float64, size=(ROWS, COLUMNS), num_classes=None, **settings):
    torch.manual_seed(1)
    chosen = DrawingSettings(hidden_size=6, conditional=num_classes is not None, **settings)
    model = DrawingModel(*size, chosen, num_classes).to(dtype).eval()
    model.readout.weight.data *= 4  # what is drawn depends on what is there
    model.readout.bias.data.zero_()
    return model


def given_to(model: DrawingModel, count: int, rows: int) -> torch.Tensor:
    size = (count, rows, COLUMNS)
    return torch.randint(0, model.pixels.num_values, size, dtype=torch.uint8)


def chance(count: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, ROWS, COLUMNS, generator=generator, dtype=dtype)


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("temperature", [0.6, 1.0, 0.0])
@pytest.mark.parametrize("variant", VARIANTS)
def test_each_pixel_is_drawn_from_what_the_network_tells_of_the_finished_picture(
    variant, temperature
):
    model, uniforms = model_of(**variant), chance(6)
    for rows in range(ROWS):
        drawn = complete(model, given_to(model, 6, rows), uniforms, temperature=temperature)
        again = model.pixels.draw(model(drawn), uniforms, temperature)
        assert torch.equal(again[:, rows:], drawn[:, rows:])


@given(st.integers(0, ROWS), st.integers(0, 2**20), st.sampled_from([0.0, 0.5, 1.0, 3.0]))
def test_no_row_that_is_given_changes(rows, seed, temperature):
    torch.manual_seed(seed)
    for model in (MODEL, GREY):
        top = given_to(model, 3, rows)
        drawn = complete(model, top, chance(3, seed), temperature=temperature)
        assert drawn.shape == (3, ROWS, COLUMNS)
        assert drawn.dtype == torch.uint8
        assert torch.equal(drawn[:, :rows], top)
        assert int(drawn.max()) < model.pixels.num_values


MODEL, GREY = model_of(), model_of(pixels="grey")


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_shares_the_batch_changes_nothing(variant):
    model, uniforms = model_of(torch.float32, **variant), chance(9, dtype=torch.float32)
    top = given_to(model, 9, 2)
    together = complete(model, top, uniforms)
    alone = [complete(model, top[i : i + 1], uniforms[i : i + 1]) for i in range(9)]
    assert torch.equal(torch.cat(alone), together)
    assert torch.equal(complete(model, top.flip(0), uniforms.flip(0)).flip(0), together)


def test_pictures_are_drawn_as_often_as_they_are_likely():
    model, count = model_of(size=(2, 2)), 20_000
    uniforms = torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(0))
    drawn = complete(model, torch.zeros(count, 0, 2, dtype=torch.uint8), uniforms)
    bits = torch.tensor([8, 4, 2, 1])
    counts = torch.bincount(drawn.flatten(1).long() @ bits, minlength=16).numpy()
    pictures = (torch.arange(16)[:, None] & bits > 0).byte().view(16, 2, 2)
    expected = count * model.log_likelihood(pictures).exp().numpy()
    assert ((counts - expected) ** 2 / expected).sum() < 45  # chi-square of 15: 1 in 10,000
    assert np.ptp(expected) > count / 10


def test_without_temperature_chance_has_no_say():
    model = model_of()
    top = given_to(model, 5, 2)
    one, other = (complete(model, top, chance(5, seed), temperature=0) for seed in (1, 2))
    assert torch.equal(one, other)


def test_a_kind_is_drawn_when_it_is_asked_for():
    model, uniforms = model_of(num_classes=3), chance(6)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    drawn = complete(model, given_to(model, 6, 1), uniforms, labels=labels)
    again = model.pixels.draw(model(drawn, labels), uniforms, 1.0)
    assert torch.equal(again[:, 1:], drawn[:, 1:])
    others = complete(model, drawn[:, :1], uniforms, labels=(labels + 1) % 3)
    assert not torch.equal(others, drawn)
