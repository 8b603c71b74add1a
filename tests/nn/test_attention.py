from math import exp, tanh

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unspool.nn.attention import AdditiveAttention, MultiplicativeAttention, masked_softmax

KINDS = [AdditiveAttention, MultiplicativeAttention]


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def made(kind, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return kind(3, 5).to(dtype)


def padding_of(*lengths, steps):
    return torch.arange(steps) >= torch.tensor(lengths)[:, None]


def weights_of(kind, queries, memory, padding):
    return kind(queries, kind.keys(memory), padding)


def test_additive_attention_by_hand():
    layer = AdditiveAttention(1, 1, size=2).double()
    with torch.no_grad():
        layer.query.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        layer.query.bias.copy_(torch.tensor([0.5, 0.0]))
        layer.key.weight.copy_(torch.tensor([[2.0], [1.0]]))
        layer.energy.copy_(torch.tensor([3.0, 2.0]))
    query, memory = torch.tensor([[[1.0]]]).double(), torch.tensor([[[0.5], [-1.0]]]).double()
    scores = [
        3 * tanh(1 + 0.5 + 2 * 0.5) + 2 * tanh(-1 + 0.5),
        3 * tanh(1 + 0.5 - 2) + 2 * tanh(-1 - 1),
    ]
    total = exp(scores[0]) + exp(scores[1])
    expected = torch.tensor([[[exp(score) / total for score in scores]]], dtype=torch.float64)
    found = weights_of(layer, query, memory, padding_of(2, steps=2))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_multiplicative_attention_by_hand():
    layer = MultiplicativeAttention(2, 1).double()
    with torch.no_grad():
        layer.key.weight.copy_(torch.tensor([[3.0], [-1.0]]))
    query = torch.tensor([[[1.0, 2.0]]]).double()
    memory = torch.tensor([[[0.5], [-1.0], [7.0]]]).double()
    scores = [1 * 3 * 0.5 - 2 * 0.5, -1 * 3 + 2]
    total = exp(scores[0]) + exp(scores[1])
    expected = torch.tensor([[[exp(scores[0]) / total, exp(scores[1]) / total, 0]]]).double()
    found = weights_of(layer, query, memory, padding_of(2, steps=3))
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_differences(kind):
    layer = made(kind)
    leaves = [drawn(2, 3, 3).requires_grad_(), drawn(2, 4, 5, seed=1).requires_grad_()]
    padding = padding_of(4, 2, steps=4)
    parameters = list(layer.parameters())

    def weigh(queries, memory, *_):
        return weights_of(layer, queries, memory, padding)

    assert torch.autograd.gradcheck(weigh, [*leaves, *parameters])


@pytest.mark.parametrize("kind", KINDS)
def test_weights_sum_to_one_over_the_valid_steps(kind):
    padding = padding_of(4, 1, 3, steps=4)
    found = weights_of(made(kind), drawn(3, 2, 3), drawn(3, 4, 5, seed=1), padding)
    torch.testing.assert_close(found.sum(2), torch.ones(3, 2, dtype=torch.float64))
    assert bool((found.transpose(1, 2)[padding] == 0).all())
    assert bool((found.transpose(1, 2)[~padding] > 0).all())


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("kind", KINDS)
def test_of_nothing_nothing_is_seen_and_nothing_learnt(kind):
    layer, queries = made(kind), drawn(2, 3, 3).requires_grad_()
    with torch.autograd.detect_anomaly(check_nan=True):
        found = weights_of(layer, queries, drawn(2, 4, 5, seed=1), padding_of(0, 4, steps=4))
        (found * drawn(2, 3, 4, seed=2)).sum().backward()
    assert bool((found[0] == 0).all())
    assert bool((queries.grad[0] == 0).all())
    assert bool((queries.grad[1] != 0).any())


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=5),
    st.integers(0, 3),
    st.integers(0, 1000),
    st.sampled_from(KINDS),
)
def test_what_shares_the_batch_changes_nothing(lengths, more, seed, kind):
    layer, steps = made(kind), max(lengths) + more
    if steps == 0:
        return
    queries, memory = drawn(len(lengths), 2, 3, seed=seed), drawn(len(lengths), steps, 5, seed=7)
    together = weights_of(layer, queries, memory, padding_of(*lengths, steps=steps))
    for row, length in enumerate(lengths):
        part = slice(row, row + 1)
        alone = weights_of(
            layer, queries[part], memory[part, :length], padding_of(length, steps=length)
        )
        torch.testing.assert_close(together[part, :, :length], alone, rtol=1e-12, atol=1e-12)
        assert bool((together[part, :, length:] == 0).all())


def test_scores_far_below_zero_are_scores_still():
    scores = torch.tensor([[[-1e30, -1e30, 5.0]]])
    found = masked_softmax(scores, torch.tensor([[False, False, True]]))
    assert found.tolist() == [[[0.5, 0.5, 0.0]]]


@pytest.mark.parametrize("kind", KINDS)
def test_under_autocast(kind):
    layer, queries, memory = made(kind, torch.float32), drawn(2, 3, 3), drawn(2, 4, 5, seed=1)
    padding = padding_of(4, 2, steps=4)
    expected = weights_of(layer, queries.float(), memory.float(), padding)
    with torch.autocast("cpu", torch.bfloat16):
        found = weights_of(layer, queries.float(), memory.float(), padding)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.02)
    found.square().sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in layer.parameters())
