"""A step in C++ serves where only numbers are asked for, and only there."""

import copy

import pytest
import torch

from unspool.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from unspool.nn import levels
from unspool.nn.keeping import keep_packed, keeping_packed

pytestmark = pytest.mark.skipif(not levels.names(), reason="there is no native kernel")

TOKENS = torch.tensor([3, 1, 4, 1])


@pytest.fixture
def model():
    torch.manual_seed(1)
    settings = EncoderDecoderSettings(
        cell="gru", hidden_size=8, attention="additive", num_decoder_layers=2, tie_weights=True
    )
    return EncoderDecoder(9, 9, settings).eval()


def state_of(model):
    source = torch.tensor([[1, 2, 3], [4, 5, 6]])
    return model.initial_state(model.encode(source)).repeat(2)


def served(model):
    return model._kept is not None


def test_it_serves_within_a_scope_alone(model):
    with torch.no_grad():
        state = state_of(model)
        expected, _ = model.step(TOKENS, state)
        assert not served(model)
        with keeping_packed(model):
            found, _ = model.step(TOKENS, state)
            assert served(model)
        assert not served(model)
    torch.testing.assert_close(found, expected)


def test_a_network_can_keep_its_weights_packed_for_good(model):
    keep_packed(model)
    with torch.no_grad():
        model.step(TOKENS, state_of(model))
        with keeping_packed(model):
            pass
    assert served(model)
    assert not served(copy.deepcopy(model))


@pytest.mark.parametrize("change", ["in place", "another", "loaded", "moved"])
def test_weights_that_change_are_seen(model, change):
    with torch.no_grad(), keeping_packed(model):
        state = state_of(model)
        before, _ = model.step(TOKENS, state)
        weight = model.decoder.readout.weight
        if change == "in place":
            weight.mul_(2)
        elif change == "another":
            model.decoder.readout.weight = torch.nn.Parameter(weight * 2)
        elif change == "loaded":
            model.load_state_dict(model.state_dict() | {"decoder.readout.weight": weight * 2})
        else:
            weight.data = weight.data * 2
        found, _ = model.step(TOKENS, state)
    assert not torch.allclose(found, before)
    with torch.no_grad():
        torch.testing.assert_close(found, model.step(TOKENS, state)[0])


def test_gradients_are_there_where_they_are_asked_for(model):
    with keeping_packed(model):
        log_probabilities, _ = model.step(TOKENS, state_of(model))
        log_probabilities.sum().backward()
    assert not served(model)
    assert model.decoder.readout.weight.grad is not None


def test_training_and_autocast_are_the_modules_own(model):
    with torch.no_grad(), keeping_packed(model):
        state = state_of(model)
        with torch.autocast("cpu", torch.bfloat16):
            model.step(TOKENS, state)
        model.train()
        model.step(TOKENS, state)
    assert not served(model)


def test_double_precision_is_the_modules_own(model):
    model.double()
    with torch.no_grad(), keeping_packed(model):
        log_probabilities, _ = model.step(TOKENS, state_of(model))
    assert log_probabilities.dtype == torch.float64


@pytest.mark.parametrize("kernel", ["torch", "reference"])
def test_a_kernel_that_was_chosen_is_taken(model, kernel, monkeypatch):
    monkeypatch.setenv("UNSPOOL_KERNEL", kernel)
    with torch.no_grad(), keeping_packed(model):
        model.step(TOKENS, state_of(model))
        assert not served(model)


def test_hooks_see_what_goes_through_their_modules(model):
    seen = []
    with torch.no_grad(), keeping_packed(model):
        state = state_of(model)
        model.step(TOKENS, state)
        hook = model.decoder.readout.register_forward_hook(lambda *given: seen.append(given))
        model.step(TOKENS, state)
        hook.remove()
        model.step(TOKENS, state)
    assert len(seen) == 1


def test_states_that_are_not_contiguous_are_the_modules_own(model):
    with torch.no_grad(), keeping_packed(model):
        state = state_of(model)
        expected, _ = model.step(TOKENS, state)
        strided = tuple(
            tuple(member.t().contiguous().t() for member in layer) for layer in state.layers
        )
        found, _ = model.step(TOKENS, state._replace(layers=strided))
    torch.testing.assert_close(found, expected)
