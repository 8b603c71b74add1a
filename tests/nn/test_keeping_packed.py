"""Weights that are kept packed from call to call change nothing but the time, and last bits."""

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.func import functional_call

from unspool.nn import levels
from unspool.nn.keeping import keeping_packed
from unspool.nn.recurrent import GRU, LSTM, RNN

LAYERS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
pytestmark = pytest.mark.skipif(not levels.names(), reason="there is no native kernel")


def layer_of(cell="gru", **options):
    torch.manual_seed(1)
    return LAYERS[cell](5, 7, batch_first=True, **options)


def state_of(answer):
    final = answer[1]
    return final if isinstance(final, tuple) else (final,)


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 3}, {"bidirectional": True}, {"bias": False}], ids=str
)
def test_answers_are_the_same(cell, options, native):
    del native
    layer = layer_of(cell, **options)
    for batch, steps in ((9, 1), (2, 3), (7, 4)):
        x = torch.randn(batch, steps, 5)
        with torch.inference_mode():
            expected = layer(x)
            with keeping_packed(layer):
                for _ in range(3):  # made ready, packed, kept
                    found = layer(x)
                    assert torch.equal(found[0], expected[0])
                    assert all(map(torch.equal, state_of(found), state_of(expected)))


@pytest.mark.parametrize("cell", LAYERS)
def test_steps_are_those_of_the_whole_sequence(cell, native):
    del native
    layer = layer_of(cell, num_layers=2)
    x = torch.randn(3, 6, 5)
    with torch.inference_mode(), keeping_packed(layer):
        expected, _ = layer(x)
        state = None
        for step in range(6):
            output, state = layer.step(x[:, step], state)
            torch.testing.assert_close(output, expected[:, step], rtol=1e-6, atol=1e-7)


def test_weights_that_change_are_packed_anew():
    layer, x = layer_of(), torch.randn(6, 2, 5)
    with keeping_packed(layer), torch.no_grad():
        before = layer(x)[0], layer(x)[0]
        layer.weight_hh_l0.mul_(2)
        after = layer(x)[0]
        assert not torch.equal(before[1], after)
        assert torch.equal(layer(x)[0], after)
        assert torch.equal(after, copy.deepcopy(layer)(x)[0])
        zeros = {name: torch.zeros_like(weight) for name, weight in layer.named_parameters()}
        assert not functional_call(layer, zeros, (x,))[0].any()
        assert torch.equal(layer(x)[0], after)


def test_weights_that_are_computed_are_computed_each_time():
    layer, x = layer_of(), torch.randn(6, 2, 5)
    nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    with keeping_packed(layer), torch.no_grad():
        before = layer(x)[0], layer(x)[0]
        layer.parametrizations.weight_hh_l0.original0.mul_(2)
        assert torch.equal(*before)
        assert not torch.equal(before[0], layer(x)[0])


def test_a_copy_has_weights_of_its_own():
    layer, x = layer_of(), torch.randn(6, 2, 5)
    with keeping_packed(layer), torch.no_grad():
        expected = layer(x)[0], layer(x)[0]
        other = copy.deepcopy(layer)
        layer.weight_hh_l0.zero_()
        assert torch.equal(other(x)[0], expected[0])
        other.weight_hh_l0.zero_()
        assert torch.equal(other(x)[0], layer(x)[0])


def test_weights_without_a_history_are_read_each_time():
    with torch.inference_mode():
        layer, x = layer_of(), torch.randn(6, 2, 5)
        with keeping_packed(layer):
            before = layer(x)[0], layer(x)[0]
            layer.weight_hh_l0.mul_(2)
            assert not torch.equal(before[1], layer(x)[0])


def test_what_is_packed_serves_the_calls_that_follow():
    layer, x = layer_of(), torch.randn(6, 2, 5)
    with torch.inference_mode(), keeping_packed(layer):
        layer(x)
        ready = layer._kept.ready
        assert not ready._packed  # one call may be all
        layer(x)
        ((kernel, packed),) = ready._packed.items()
        layer.step(torch.randn(5))
        layer(x)
        assert layer._kept.ready._packed == {kernel: packed}


@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("change", ["double", "shape"])
def test_weights_of_another_kind_are_refused_as_ever(calls, change):
    layer, x = layer_of(), torch.randn(6, 2, 5)
    with torch.no_grad(), keeping_packed(layer):
        for _ in range(calls):
            layer(x)
        if change == "double":
            layer.double()
        else:
            layer.weight_hh_l0.data = torch.zeros(1, 7)
        with pytest.raises((ValueError, RuntimeError)):
            layer(x)


def test_another_kernel_is_taken_at_once(monkeypatch):
    layer, x = layer_of(), torch.randn(6, 2, 5)
    with torch.inference_mode(), keeping_packed(layer):
        expected = [layer(x)[0] for _ in range(3)][-1]
        for name in ("reference", "torch", *levels.names()):
            monkeypatch.setenv("UNSPOOL_KERNEL", name)
            torch.testing.assert_close(layer(x)[0], expected, rtol=1e-5, atol=1e-6)


def test_nothing_is_kept_afterwards():
    network = nn.ModuleDict({"one": layer_of(), "other": layer_of("lstm")})
    names = set(network.state_dict())
    x = torch.randn(6, 2, 5)
    with torch.inference_mode(), keeping_packed(network):
        with keeping_packed(network["one"]):
            network["one"](x)
        assert network["one"]._kept is not None  # the outer one still holds
        assert set(network.state_dict()) == names
        other = copy.deepcopy(network["one"])
        other(x)
        assert other._kept is None
    network["one"](x)
    assert network["one"]._kept is None
    assert network["other"]._kept is None


def test_scopes_may_end_in_the_order_in_which_they_began():
    layer, x = layer_of(), torch.randn(6, 2, 5)
    first, second = keeping_packed(layer), keeping_packed(layer)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with torch.inference_mode():
        layer(x)
        assert layer._kept is not None
        second.__exit__(None, None, None)
        layer(x)
    assert layer._kept is None


def test_a_gradient_is_not_lost():
    layer, x = layer_of(), torch.randn(6, 2, 5)
    with keeping_packed(layer):
        layer(x)[0].sum().backward()
    assert layer.weight_hh_l0.grad.any()


@pytest.mark.parametrize("keeps", [False, True], ids=["at once", "kept"])
@pytest.mark.parametrize("cell", LAYERS)
def test_answers_do_not_hang_on_the_batch_where_that_is_asked_for(cell, keeps, fastest):
    del fastest
    layer, x = LAYERS[cell](5, 70, num_layers=2, batch_first=True), torch.randn(20, 6, 5)
    layer.batch_invariant = True
    with torch.inference_mode(), keeping_packed(layer) if keeps else nullcontext():
        for _ in range(2):
            together, _ = layer(x)
            alone = torch.cat([layer(each[None])[0] for each in x])
            assert torch.equal(together, alone)
            with_lengths, _ = layer(x, lengths=torch.full((20,), 6))
            assert torch.equal(together, with_lengths)


def test_both_ways_of_a_layer_are_kept_apart(fastest):
    layer, x = GRU(5, 70, batch_first=True), torch.randn(20, 6, 5)
    with torch.inference_mode(), keeping_packed(layer):
        fast = [layer(x)[0] for _ in range(3)]
        layer.batch_invariant = True
        alike = [layer(x)[0] for _ in range(3)]
        alone = torch.cat([layer(each[None])[0] for each in x])
    assert all(torch.equal(fast[0], each) for each in fast)
    assert all(torch.equal(alone, each) for each in alike)
    torch.testing.assert_close(fast[0], alone, rtol=1e-6, atol=1e-6)
    assert torch.equal(fast[0], alone) == (fastest != "amx")
