import pytest
import torch
import torch.nn.functional as F

from unspool.nn import reference
from unspool.nn.gates import BY_TORCH, run_gates
from unspool.nn.stack import Weights
from unspool.nn.stepwise import SteppedLayer, SteppedLinear

B, T, FEATURES, SIZE = 3, 4, 2, 5


def drawn(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()


def plain(weight, sums):
    steps = iter(sums.unbind(1))
    return lambda x: next(steps) + F.linear(x, weight)


def stepped(weight, sums):
    return SteppedLinear(weight, sums.transpose(0, 1).flatten(0, 1), [len(sums)] * sums.size(1))


def chained(linear, x, out):
    """A loop in which each step's input hangs on the step before."""
    found = []
    for _ in range(T):
        y = linear(x)
        found.append(y)
        x = torch.tanh(y @ out)
    return torch.stack(found, 1)


def learnt(make, leaves):
    weight, sums, x, out = leaves
    found = chained(make(weight, sums), x, out)
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    return found.detach(), *torch.autograd.grad(found.square().sum(), wanted)


def leaves_of(dtype=torch.float64):
    shapes = [(SIZE, FEATURES), (B, T, SIZE), (B, FEATURES), (SIZE, FEATURES)]
    return [drawn(*shape, seed=seed, dtype=dtype) for seed, shape in enumerate(shapes)]


def assert_same(received, expected, tolerance=1e-12):
    for one, other in zip(received, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_a_stepped_linear_is_linear_with_its_gradients():
    assert_same(learnt(stepped, leaves_of()), learnt(plain, leaves_of()))


def test_a_frozen_weight_stays_so():
    leaves = leaves_of()
    leaves[0].requires_grad_(False)
    assert_same(learnt(stepped, leaves), learnt(plain, leaves))


def test_a_bias_serves_all_steps():
    weight, bias, x = drawn(SIZE, FEATURES), drawn(SIZE, seed=1), drawn(B, FEATURES, seed=2)
    linear = stepped(weight, bias.expand(B, T, -1))
    total = sum(linear(x).square().sum() for _ in range(T))
    expected = T * F.linear(x, weight, bias).square().sum()
    leaves = [weight, bias, x]
    assert_same(torch.autograd.grad(total, leaves), torch.autograd.grad(expected, leaves))


def test_gradients_may_be_asked_for_twice():
    weight, sums, x, out = leaves_of()
    found = chained(stepped(weight, sums), x, out).sum()
    once = torch.autograd.grad(found, weight, retain_graph=True)
    assert_same(once, torch.autograd.grad(found, weight))


def test_a_loop_may_end_early_and_leave_steps_unused():
    weight, sums, x, _ = leaves_of()
    linear = stepped(weight, sums)
    first, _ = linear(x), linear(2 * x)
    d_weight, d_sums = torch.autograd.grad(first.sum(), [weight, sums])
    assert_same([d_weight], [x.detach().sum(0).expand(SIZE, -1)])
    assert_same([d_sums], [torch.zeros_like(sums).index_fill(1, torch.tensor([0]), 1)])


def test_under_autocast_sums_stay_in_single_precision():
    leaves = leaves_of(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = learnt(stepped, leaves)
        halves = stepped(leaves[0], leaves[1].bfloat16())
        assert halves(leaves[2]).dtype == torch.float32
    assert all(each.dtype == torch.float32 for each in found)
    for one, other in zip(found, learnt(plain, leaves), strict=True):
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05 * float(other.abs().max()))


def test_each_step_may_have_fewer_rows():
    counts = [4, 4, 2, 1]
    weight, sums, x = drawn(SIZE, FEATURES), drawn(sum(counts), SIZE, seed=1), drawn(4, FEATURES)
    linear = SteppedLinear(weight, sums, counts)
    found = [linear(x[:count] * (step + 1)) for step, count in enumerate(counts)]
    inputs = torch.cat([x[:count] * (step + 1) for step, count in enumerate(counts)])
    expected = sums + F.linear(inputs, weight)
    leaves = [weight, sums, x]
    assert_same(
        [torch.cat(found), *torch.autograd.grad(torch.cat(found).square().sum(), leaves)],
        [expected, *torch.autograd.grad(expected.square().sum(), leaves)],
    )


CELLS = {"rnn": ("rnn_tanh", 1), "lstm": ("lstm", 4), "gru": ("gru", 3)}


@pytest.mark.parametrize("cell", CELLS)
def test_a_stepped_layer_is_the_twin_s(cell):
    name, gates = CELLS[cell]
    shapes = [(gates * SIZE, FEATURES), (gates * SIZE, SIZE), (gates * SIZE,), (gates * SIZE,)]
    weights = Weights(*(drawn(*shape, seed=seed) for seed, shape in enumerate(shapes)))
    start = tuple(drawn(B, SIZE, seed=seed) for seed in range(5, 7 if cell == "lstm" else 6))
    x = drawn(B, T, FEATURES, seed=8)
    layer = SteppedLayer(
        cell,
        stepped(weights.weight_ih, weights.bias_ih.expand(B, T, -1)),
        stepped(weights.weight_hh, weights.bias_hh.expand(B, T, -1)),
    )
    results = []
    for advance in (layer, lambda x, state: reference.CELLS[name](x, state, weights)):
        state, found = start, []
        for step in x.unbind(1):
            state = advance(step, state)
            found.extend(state)
        total = sum(member.square().sum() for member in found)
        leaves = [x, *start, *weights[:4]]
        results.append([*found, *torch.autograd.grad(total, leaves)])
    assert_same(*results, tolerance=1e-10)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(("batch", "size"), [(1, 1), (3, 16), (5, 37), (40, 320)])
def test_every_kernel_computes_the_gates(native, threads, assert_near, cell, batch, size):
    gates = CELLS[cell][1]
    shapes = [(batch, gates * size)] * 2 + [(batch, size)] * (2 if cell == "lstm" else 1)
    leaves = [drawn(*shape, seed=seed).float() for seed, shape in enumerate(shapes)]

    def values_and_gradients(leaves, run):
        own = [leaf.clone().requires_grad_() for leaf in leaves]
        state = run(cell, own[0], own[1], tuple(own[2:]))
        state = run(cell, own[0] * 2, own[1], state)
        total = sum((member * (number + 1)).square().sum() for number, member in enumerate(state))
        found = torch.autograd.grad(total, own, allow_unused=True)
        return [each.detach() for each in (*state, *found) if each is not None]

    expected = values_and_gradients(
        [leaf.double() for leaf in leaves], lambda name, *given: BY_TORCH[name](*given)
    )
    found = []
    for count in (1, 2, 3):
        threads(count)
        found.append(values_and_gradients(leaves, run_gates))
    assert_near(found[0], expected)
    assert all(map(torch.equal, found[1], found[0]))
    assert all(map(torch.equal, found[2], found[0]))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_is_not_used_or_not_learnt_from_counts_for_nothing(fastest, cell):
    sums = drawn(3, 3 * CELLS[cell][1]).float().detach().requires_grad_()
    h, c = drawn(3, 3, seed=1).float().detach(), drawn(3, 3, seed=2).float().detach()
    found = []
    for run in (run_gates, lambda name, *given: BY_TORCH[name](*given)):
        after, *_ = run(cell, sums, 2 * sums, (h, c) if cell == "lstm" else (h,))
        found.append(torch.autograd.grad(after.square().sum(), sums)[0])
    torch.testing.assert_close(*found)


def test_sums_of_one_row_go_with_a_state_of_many(fastest):
    one, state = drawn(1, 12).float().detach(), drawn(4, 3, seed=1).float().detach()
    given = (one, 2 * one, (state, state))
    torch.testing.assert_close(run_gates("lstm", *given), BY_TORCH["lstm"](*given))
