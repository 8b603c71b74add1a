from itertools import count

import pytest
import torch
from torch import nn

from unspool.nn import LSTM, levels
from unspool.nn.dropout import (
    Dropout,
    LockedDropout,
    draw_kept,
    drop_recurrent_weights,
    embed_with_dropout,
)


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


def words(key):
    """Steele, Lea & Flood 2014's SplitMix64, with whole numbers of Python's."""
    for i in count(1):
        z = (key + i * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        yield z ^ z >> 31


@pytest.mark.skipif(not levels.names(), reason="there is no native module")
@pytest.mark.parametrize("size", [0, 1, 3, 4, 255, 256, 257, 5001])
def test_what_is_kept_is_a_function_of_one_number_of_torch_s(size, threads):
    torch.manual_seed(5)
    key = int(torch.randint(-(2**63), 2**63 - 1, ())) % 2**64
    bits = (word >> 16 * place & 0xFFFF for word in words(key) for place in range(4))
    expected = [next(bits) >= round(0.3 * 2**16) for _ in range(size)]
    for number in (1, 2, 3):
        threads(number)
        torch.manual_seed(5)
        assert draw_kept((size,), 0.3, torch.device("cpu")).tolist() == expected


def test_neighbours_are_dropped_independently():
    kept = draw_kept((1000, 1000), 0.1, torch.device("cpu")).double()
    assert float(kept.mean()) == pytest.approx(0.9, abs=0.002)
    centred = kept - 0.9
    for distance in (1, 2, 3, 4, 8, 16, 1000):
        both = centred.flatten()[:-distance] * centred.flatten()[distance:]
        assert abs(float(both.mean())) < 0.0005
    assert not torch.equal(kept, draw_kept((1000, 1000), 0.1, torch.device("cpu")).double())


def test_all_or_nothing():
    assert draw_kept((50,), 0.0, torch.device("cpu")).all()
    assert not draw_kept((50,), 1.0, torch.device("cpu")).any()


def test_many_threads_draw_as_one_does(threads):
    drawn = []
    for number in (1, 2, 5):
        threads(number)
        torch.manual_seed(5)
        drawn.append(draw_kept((3, 333_333), 0.5, torch.device("cpu")))
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])


@pytest.mark.skipif(not levels.names(), reason="there is no native module")
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99999])
def test_torch_s_operators_draw_the_same(share, monkeypatch):
    drawn = []
    for names in (levels.names(), ()):
        monkeypatch.setattr(levels, "names", lambda names=names: names)
        torch.manual_seed(5)
        drawn.append(draw_kept((3, 3333), share, torch.device("cpu")))
    assert torch.equal(*drawn)


def test_single_numbers_are_dropped_and_have_their_gradients():
    x = torch.randn(40, 50, requires_grad=True)
    dropped = Dropout(0.3)(x)
    kept = dropped != 0
    assert float(kept.float().mean()) == pytest.approx(0.7, abs=0.04)
    torch.testing.assert_close(dropped[kept], (x / 0.7)[kept])
    dropped.sum().backward()
    torch.testing.assert_close(x.grad, kept / 0.7)
    assert not Dropout(1.0)(x).any()
    assert torch.equal(Dropout(0.0)(x), x)
    assert Dropout(0.3).eval()(x) is x
