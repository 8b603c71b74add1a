import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unspool.models.encoder import Bridge, reverse
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.integers(0, 2))
def test_a_sequence_is_reversed_within_its_length(lengths, more):
    steps = max(lengths) + more
    x = torch.arange(len(lengths) * steps).view(len(lengths), steps)
    found = reverse(x, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        assert found[row, :length].tolist() == x[row, :length].tolist()[::-1]
        assert torch.equal(found[row, length:], x[row, length:])
    features = torch.stack([x, -x], 2)
    assert torch.equal(reverse(features, torch.tensor(lengths)), torch.stack([found, -found], 2))


def final_of(layers, directions, members):
    shape = (layers, members, directions, 2, 3)  # two sentences, three units
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return tuple(tuple(layer) for layer in drawn)


def test_layers_start_from_their_counterparts():
    settings = EncoderDecoderSettings(hidden_size=3, num_encoder_layers=2, num_decoder_layers=2)
    final = final_of(2, 1, 2)
    for start, left in zip(Bridge(settings)(final), final, strict=True):
        assert torch.equal(start[0], left[0][0])
        assert torch.equal(start[1], left[1][0])


@pytest.mark.parametrize(
    "shape", [{"bidirectional": True}, {"num_encoder_layers": 2}, {"num_decoder_layers": 3}]
)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_other_layers_start_from_a_projection_of_the_last(shape, cell):
    settings = EncoderDecoderSettings(cell=cell, hidden_size=3, **shape)
    bridge, members = Bridge(settings), 2 if cell == "lstm" else 1
    final = final_of(settings.num_encoder_layers, settings.directions, members)
    starts = bridge(final)
    assert len(starts) == settings.num_decoder_layers
    for layer, start in enumerate(starts):
        part = slice(3 * layer, 3 * layer + 3)
        for member, bend in zip(range(members), (torch.tanh, lambda x: x), strict=False):
            read = torch.cat(list(final[-1][member]), 1)
            projection = bridge.projections[member]
            expected = bend(read @ projection.weight[part].T + projection.bias[part])
            torch.testing.assert_close(start[member], expected)
