from itertools import product

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from unspool.models.drawing import DrawingModel, DrawingSettings

VARIANTS = [
    {"cell": "lstm"},
    {"cell": "gru", "pixels": "grey", "num_mixtures": 2},
    {"cell": "rnn", "window": 1, "num_sweeps": 1},
    {"cell": "gru", "window": 9, "num_row_layers": 1},
]


def model_of(rows: int, columns: int, num_classes=None, **settings) -> DrawingModel:
    torch.manual_seed(1)
    chosen = DrawingSettings(hidden_size=6, conditional=num_classes is not None, **settings)
    return DrawingModel(rows, columns, chosen, num_classes).double().eval()


def pictures_of(model: DrawingModel, count: int) -> torch.Tensor:
    size = (count, model.num_rows, model.num_columns)
    return torch.randint(0, model.pixels.num_values, size, dtype=torch.uint8)


def every_binary_picture(rows: int, columns: int) -> torch.Tensor:
    values = list(product((0, 1), repeat=rows * columns))
    return torch.tensor(values, dtype=torch.uint8).view(-1, rows, columns)


# --- a distribution of pictures ------------------------------------------------------------


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_probabilities_of_all_black_and_white_pictures_add_up_to_one(cell):
    with torch.no_grad():
        found = model_of(2, 3, cell=cell).log_likelihood(every_binary_picture(2, 3))
    assert found.shape == (64,)
    assert float(found.exp().sum()) == pytest.approx(1, abs=1e-6)
    assert len(set(found.tolist())) == 64


def test_so_do_those_of_all_grey_pictures():
    values = torch.arange(256, dtype=torch.uint8)
    pictures = torch.cartesian_prod(values, values).view(-1, 1, 2)
    model = model_of(1, 2, pixels="grey", num_sweeps=1, num_row_layers=1)
    with torch.no_grad():
        assert float(model.log_likelihood(pictures).exp().sum()) == pytest.approx(1, abs=1e-6)


def test_so_do_those_of_each_kind():
    model, pictures = model_of(2, 2, num_classes=3), every_binary_picture(2, 2)
    found = [model.log_likelihood(pictures, torch.full((16,), label)) for label in range(3)]
    for each in found:
        assert float(each.detach().exp().sum()) == pytest.approx(1, abs=1e-6)
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_told_of_a_pixel_depends_on_those_before_it_alone(variant):
    model = model_of(4, 5, **variant)
    pictures = pictures_of(model, 3)
    before = model(pictures).flatten(1, 2)
    assert before.shape == (3, 20, model.pixels.num_parameters)
    for place in range(20):
        changed = pictures.flatten(1).clone()
        changed[:, place] = (changed[:, place].int() + 1) % model.pixels.num_values
        differs = (model(changed.view_as(pictures)).flatten(1, 2) != before).any(2).all(0)
        assert not differs[: place + 1].any()
        assert differs[place + 1 :].all()


def test_pictures_do_not_know_each_other():
    model = model_of(4, 5)
    pictures = pictures_of(model, 4)
    together = model.log_likelihood(pictures)
    alone = torch.cat([model.log_likelihood(picture[None]) for picture in pictures])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


# --- the network ---------------------------------------------------------------------------


def plainly(model: DrawingModel, values: torch.Tensor) -> torch.Tensor:
    """The network of a binary model with LSTMs, pixel by pixel by torch's cells."""
    count, rows, columns = values.shape
    window, x = model.settings.window, values.double()
    seen = F.pad(x, (window, window + columns, 1, 0))  # rows and columns beyond the edges are black

    def cell(layer, suffix=""):
        made = nn.LSTMCell(layer.input_size, layer.hidden_size).double()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(made, name, getattr(layer, f"{name}_l0{suffix}"))
        return made

    def swept(cell, inputs):
        state, outputs = None, []
        for each in inputs:
            state = cell(each, state)
            outputs.append(state[0])
        return outputs

    places = list(product(range(rows), range(columns)))
    found = {
        (r, c): model.above(seen[:, r, c : c + 2 * window + 1])
        + model.row_places[r]
        + model.column_places[c]
        for r, c in places
    }
    for down, across in zip(model.down, model.across, strict=True):
        for c in range(columns):
            for r, h in enumerate(swept(cell(down), [found[r, c] for r in range(rows)])):
                found[r, c] = found[r, c] + h
        for r in range(rows):
            inputs = [found[r, c] for c in range(columns)]
            right = swept(cell(across), inputs)
            left = swept(cell(across, "_reverse"), inputs[::-1])[::-1]
            for c in range(columns):
                found[r, c] = inputs[c] + torch.cat([right[c], left[c]], 1)
    for r in range(rows):
        inputs = [found[r, c] + model.left(seen[:, r + 1, c : c + window]) for c in range(columns)]
        for layer in model.along:
            inputs = [x + h for x, h in zip(inputs, swept(cell(layer), inputs), strict=True)]
        for c in range(columns):
            found[r, c] = model.readout(inputs[c])
    return torch.stack([found[place] for place in places], 1).view(count, rows, columns, -1)


def test_it_is_the_network_that_its_words_say():
    model = model_of(3, 4, window=2)
    pictures = pictures_of(model, 2)
    torch.testing.assert_close(model(pictures), plainly(model, pictures), rtol=0, atol=1e-10)


def test_dropout_is_for_learning():
    model = model_of(3, 4, dropout=0.5)
    pictures = pictures_of(model, 2)
    assert torch.equal(model(pictures), model(pictures))
    model.train()
    assert not torch.equal(model(pictures), model(pictures))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_weight_learns(variant):
    model = model_of(3, 4, num_classes=2, **variant)
    model.log_likelihood(pictures_of(model, 6), torch.tensor([0, 1] * 3)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


# --- settings ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hidden_size": 7}, "multiple of 2"),
        ({"num_mixtures": 3}, "num_mixtures is for pixels 'grey', got 'binary'; leave it out"),
        ({"pixels": "colour"}, "'binary' or 'grey'"),
        ({"window": 0}, "greater than or equal to 1"),
        ({"dropout": 1.0}, "less than 1"),
        ({"num_sweeps": 65}, "less than or equal to 64"),
    ],
)
def test_settings_that_make_no_sense(wrong, message):
    with pytest.raises(ValidationError, match=message):
        DrawingSettings(**wrong)


def test_grey_has_five_logistics_if_nothing_else_is_said():
    assert DrawingSettings(pixels="grey").kind_of_pixels().num_parameters == 15
    assert DrawingSettings(pixels="grey", num_mixtures=2).kind_of_pixels().num_parameters == 6
