import math

import pytest
import torch

from unspool.decoding.beam import beam_search
from unspool.decoding.ensemble import Ensemble, EnsembleState
from unspool.decoding.settings import BeamSettings
from unspool.errors import DataError


class Nothing:
    def select(self, rows):
        return self


def always(values):
    return lambda tokens, state: (values.expand(len(tokens), -1), state)


def said(values, **options):
    steps = [always(torch.as_tensor(one)) for one in values]
    state = EnsembleState([Nothing()] * len(steps))
    return Ensemble(steps, **options)(torch.zeros(2, dtype=torch.int64), state)[0]


def average(logs, mean):
    """What networks that say so, row by row, say together."""
    steps = [lambda tokens, state, own=own: (own, state) for own in logs]
    state = EnsembleState([Nothing()] * len(steps))
    return Ensemble(steps, mean=mean)(torch.zeros(len(logs[0]), dtype=torch.int64), state)[0]


def random_logs(count, seed=0, vocabulary=7):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, vocabulary, generator=random).mul(3).log_softmax(1)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_probabilities_are_averaged(count):
    logs = random_logs(count)
    expected = logs.double().exp().mean(0).log().expand(2, -1)
    assert torch.allclose(said(logs).double(), expected, atol=1e-6)


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_no_bit_depends_on_the_place(mean):
    logs = [random_logs(37, seed, 13) for seed in range(3)]
    together = average(logs, mean)
    for row in range(37):
        assert torch.equal(average([one[row : row + 1] for one in logs], mean)[0], together[row])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_geometric_mean_adds_up_to_one(count):
    logs = random_logs(count, seed=1)
    product = logs.double().exp().prod(0) ** (1 / count)
    found = said(logs, mean="geometric").double()
    assert torch.allclose(found.exp(), (product / product.sum()).expand(2, -1), atol=1e-6)


def test_a_mean_of_very_small_probabilities_is_not_zero():
    found = said([[-900.0, 0.0], [-901.0, 0.0]])
    expected = -900 + math.log((1 + math.exp(-1)) / 2)
    assert float(found[0, 0]) == pytest.approx(expected, rel=1e-6)
    assert said([[-math.inf, 0.0], [-math.inf, 0.0]])[0].tolist() == [-math.inf, 0.0]


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_a_beam_search_by_many_is_one_by_their_mean(toy, mean):
    members = [toy(5, seed) for seed in range(3)]
    settings = BeamSettings(beam=4, n_best=4, max_length=10)
    sentences, start = range(8), torch.zeros(8, dtype=torch.int64)
    found = beam_search(
        Ensemble([member.step for member in members], mean),
        EnsembleState([member.state(sentences) for member in members]),
        start,
        4,
        settings,
    )
    one = toy(5)
    tables = torch.stack([member.table for member in members])
    one.table = (
        tables.exp().mean(0).log() if mean == "arithmetic" else tables.mean(0).log_softmax(1)
    )
    expected = beam_search(one.step, one.state(sentences), start, 4, settings)
    for own, others in zip(found, expected, strict=True):
        assert [each.tokens for each in own] == [each.tokens for each in others]
        scores = [each.score for each in others]
        assert [each.score for each in own] == pytest.approx(scores, rel=1e-12)


def test_networks_of_other_vocabularies_are_refused():
    message = r"vocabulary of 3 tokens and network 3 one of 4, expected the same"
    with pytest.raises(DataError, match=message):
        said([[-1.0] * 3, [-1.0] * 3, [-1.0] * 4])


def test_an_ensemble_of_nothing_is_refused():
    with pytest.raises(DataError, match="no networks"):
        Ensemble([])
