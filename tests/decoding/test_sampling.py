import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from unspool.decoding.sampling import SamplingSettings, random_streams, sample

V = 9


def step(tokens, state):
    """A network of no parameters: what comes next depends on all that was read."""
    state = state * 0.5 + torch.sin(tokens.double()[:, None] * torch.arange(1, V + 1) * 1.7)
    return (2 * state).log_softmax(1), state


def first(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    state = torch.zeros(count, V, dtype=torch.float64)
    return state.log_softmax(1), state


def drawn(count=1, length=12, seed=0, numbers=None, history=None, never=(), **settings):
    randoms = random_streams(seed, count if numbers is None else max(numbers) + 1)
    if numbers is not None:
        randoms, count = [randoms[number] for number in numbers], len(numbers)
    tokens = sample(
        step, *first(count), SamplingSettings(**settings), randoms, history=history, never=never
    )
    return torch.stack(list(itertools.islice(tokens, length)), 1)  # (B, length)


def shares(belief, settings, draws=4000):
    """How often each token is drawn first, by a belief."""
    log_probabilities = torch.tensor(belief, dtype=torch.float64).log().expand(draws, -1)
    tokens = sample(
        step, log_probabilities, None, SamplingSettings(**settings), random_streams(1, draws)
    )
    return np.bincount(next(tokens).numpy(), minlength=len(belief)) / draws


def test_each_sequence_depends_on_its_own_stream_alone():
    together = drawn(8)
    assert torch.equal(drawn(8), together)
    for number in range(8):
        assert torch.equal(drawn(numbers=[number])[0], together[number])
    assert torch.equal(drawn(numbers=[5, 2]), together[[5, 2]])
    assert len(together.unique(dim=0)) == 8
    assert not torch.equal(drawn(8, seed=1), together)


def test_tokens_are_drawn_as_often_as_they_are_likely():
    belief = [0.5, 0.25, 0.125, 0.125]
    assert shares(belief, {}) == pytest.approx(belief, abs=0.03)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_temperature_sharpens_or_flattens(temperature):
    belief = np.array([0.5, 0.25, 0.125, 0.125])
    expected = belief ** (1 / temperature)
    found = shares(belief, {"temperature": temperature})
    assert found == pytest.approx(expected / expected.sum(), abs=0.03)


def test_a_temperature_of_zero_takes_the_most_probable():
    assert shares([0.2, 0.5, 0.3], {"temperature": 0.0}).tolist() == [0, 1, 0]
    assert torch.equal(drawn(3, temperature=0.0), drawn(3, temperature=0.0, seed=7))


def test_top_k_leaves_the_most_probable():
    found = shares([0.1, 0.4, 0.3, 0.2], {"top_k": 2})
    assert found == pytest.approx([0, 4 / 7, 3 / 7, 0], abs=0.03)
    assert shares([0.1, 0.9], {"top_k": 5}) == pytest.approx([0.1, 0.9], abs=0.03)
    assert shares([0.25] * 4, {"top_k": 1}).tolist() == [1, 0, 0, 0]  # ties: the first


@pytest.mark.parametrize(("top_p", "kept"), [(0.39, 1), (0.41, 2), (0.7, 2), (0.71, 3), (1.0, 4)])
def test_top_p_leaves_the_fewest_that_reach_it(top_p, kept):
    found = shares([0.1, 0.4, 0.3, 0.2], {"top_p": top_p})
    assert np.count_nonzero(found) == kept
    assert found[1] > 0


def test_typical_leaves_what_is_nearest_to_the_entropy():
    belief = np.array([0.6, 0.2, 0.1, 0.1])
    entropy = -(belief * np.log(belief)).sum()
    nearest = np.abs(-np.log(belief) - entropy).argmin()
    assert nearest == 1  # not the most probable
    assert shares(belief, {"typical": 0.1}).tolist() == [0, 1, 0, 0]
    assert np.count_nonzero(shares(belief, {"typical": 0.99})) == 4
    assert shares([0.5, 0.5], {"typical": 0.4}).tolist() == [1, 0]


def test_a_penalty_makes_what_has_occurred_less_likely():
    free, penalised = (drawn(40, repetition_penalty=r) for r in (1.0, 3.0))
    assert len(set(penalised[0].tolist())) >= len(set(free[0].tolist()))
    repeats = [
        sum(len(row) - len(set(row)) for row in tokens.tolist()) for tokens in (free, penalised)
    ]
    assert repeats[1] < repeats[0] * 0.8
    history = torch.arange(V - 1).expand(40, -1)
    fresh = (drawn(40, length=1, repetition_penalty=50.0, history=history) == V - 1).float().mean()
    assert fresh > 0.95


def test_some_tokens_are_never_drawn():
    tokens = drawn(30, never=[0, 4])
    assert not set(tokens.flatten().tolist()) & {0, 4}


@given(
    seed=st.integers(0, 10**6),
    top_k=st.none() | st.integers(1, 12),
    top_p=st.none() | st.floats(0.01, 1.0),
    typical=st.none() | st.floats(0.01, 1.0),
    temperature=st.floats(0.05, 4.0) | st.just(0.0),
)
def test_no_token_without_probability_is_drawn(seed, top_k, top_p, typical, temperature):
    random = np.random.default_rng(seed)
    belief = torch.tensor(random.dirichlet([0.05] * V)) * torch.tensor(random.random(V) < 0.6)
    belief[seed % V] += 1e-3
    log_probabilities = (belief / belief.sum()).log()[None]
    settings = SamplingSettings(top_k=top_k, top_p=top_p, typical=typical, temperature=temperature)
    token = next(sample(step, log_probabilities, None, settings, random_streams(seed, 1)))
    assert belief[token] > 0


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1.0},
        {"top_k": 0},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"typical": 0.0},
        {"repetition_penalty": 0.5},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        SamplingSettings(**settings)
