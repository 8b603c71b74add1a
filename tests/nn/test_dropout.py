import pytest
import torch
from torch import nn

from unspool.nn import LSTM
from unspool.nn.dropout import LockedDropout, drop_recurrent_weights, embed_with_dropout


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        yield


def test_locked_dropout_drops_the_same_features_at_every_step():
    dropped = LockedDropout(0.25)(torch.ones(50, 7, 40))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (dropped == 0).float().mean() == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(dropped[0], dropped[1])


def test_nothing_is_dropped_outside_training():
    x = torch.randn(2, 3, 4)
    assert LockedDropout(0.5).eval()(x) is x
    assert LockedDropout(0.0)(x) is x


def test_a_dropped_word_is_dropped_wherever_it_occurs():
    embedding = nn.Embedding(100, 4)
    weight = embedding.weight
    tokens = torch.arange(100).repeat(3, 2)
    embedded = embed_with_dropout(tokens, embedding, 0.3)
    assert torch.equal(embedded[:, :100], embedded[:, 100:])
    gone = (embedded[0, :100] == 0).all(1)
    assert 15 < int(gone.sum()) < 45
    torch.testing.assert_close(embedded[0, :100][~gone], weight[~gone] / 0.7)
    embedded.sum().backward()
    assert bool((weight.grad[gone] == 0).all())
    assert torch.equal(embed_with_dropout(tokens, embedding, 0.0), embedding.weight[tokens])


def test_recurrent_weights_alone_are_dropped():
    layer = LSTM(3, 20, num_layers=2)
    dropped = drop_recurrent_weights(layer, 0.5)
    assert list(dropped) == ["weight_hh_l0", "weight_hh_l1"]
    weight = dropped["weight_hh_l0"]
    assert (weight == 0).float().mean() == pytest.approx(0.5, abs=0.06)
    kept = weight != 0
    torch.testing.assert_close(weight[kept], 2 * layer.weight_hh_l0[kept])
    weight.sum().backward()
    assert torch.equal(layer.weight_hh_l0.grad, 2.0 * kept)
