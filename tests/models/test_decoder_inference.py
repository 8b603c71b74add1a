"""A step in C++ serves where only numbers are asked for, and only there."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import parametrizations

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
    return model._kept is not None and model._kept.ready is not None


def same_as_the_modules(model, state, tokens=TOKENS):
    """Whether a step within a scope is what the modules make of it."""
    with torch.no_grad():
        expected, _ = model.step(tokens, state)
        with keeping_packed(model):
            model.step(tokens, state)
            found, _ = model.step(tokens, state)
            of_a_search, _ = model.steps()(tokens, state)
        assert torch.equal(of_a_search, found)
    return torch.allclose(found, expected, atol=1e-5)


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


@pytest.mark.parametrize(
    "change", ["in place", "another", "loaded", "moved", "another module", "an output", "a bias"]
)
def test_weights_that_change_are_seen(model, change):
    with torch.no_grad(), keeping_packed(model):
        state = state_of(model)
        model.output.bias = None
        before, _ = model.step(TOKENS, state)
        weight = model.decoder.readout.weight
        if change == "in place":
            weight.mul_(2)
        elif change == "another":
            model.decoder.readout.weight = torch.nn.Parameter(weight * 2)
        elif change == "loaded":
            model.load_state_dict(model.state_dict() | {"decoder.readout.weight": weight * 2})
        elif change == "moved":
            weight.data = weight.data * 2
        elif change == "another module":
            model.decoder.readout = nn.Linear(8, 8)
        elif change == "an output":
            model.output = nn.Linear(8, 9)
            model.output.register_parameter("weight", None)
        else:
            model.output.bias = nn.Parameter(torch.randn(9))
        found, _ = model.step(TOKENS, state)
        assert served(model)
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


def test_hooks_of_all_modules_see_them_too(model):
    seen = []
    with torch.no_grad(), keeping_packed(model):
        state = state_of(model)
        model.step(TOKENS, state)
        hook = register_module_forward_hook(lambda *given: seen.append(given))
        model.step(TOKENS, state)
        hook.remove()
    assert seen


def test_dropout_can_be_switched_on_by_itself(model):
    model.decoder.after.p = 0.5
    model.decoder.after.train()
    with torch.no_grad(), keeping_packed(model):
        state = state_of(model)
        drawn = [model.step(TOKENS, state)[0] for _ in range(4)]
    assert any(not torch.equal(drawn[0], other) for other in drawn[1:])


def test_modules_that_do_something_else_are_not_passed_by(model):
    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    state = state_of(model)
    plain = model.decoder.readout
    for readout in (Doubled(8, 8), nn.Sequential(plain, nn.Tanh())):
        model.decoder.readout = readout
        assert same_as_the_modules(model, state)
    model.decoder.readout = parametrizations.weight_norm(plain)
    assert same_as_the_modules(model, state)
    plain.forward = lambda x: x * 0
    assert same_as_the_modules(model, state)


def test_weights_of_inference_mode_have_no_versions_and_are_not_kept(model):
    with torch.inference_mode():
        model.decoder.readout.weight = nn.Parameter(torch.randn(8, 8))
        state = state_of(model)
        with keeping_packed(model):
            model.step(TOKENS, state)
            model.decoder.readout.weight.mul_(3)
            found, _ = model.step(TOKENS, state)
        torch.testing.assert_close(found, model.step(TOKENS, state)[0])


def wrong_states(state):
    memory = state.memory
    yield state._replace(layers=state.layers[:1])
    yield state._replace(layers=tuple((h, h) for (h,) in state.layers))
    yield state._replace(memory=memory._replace(keys=memory.keys[:, :, :5].contiguous()))
    yield state._replace(memory=memory._replace(padding=memory.padding.to("meta")))
    yield state._replace(memory=memory._replace(padding=memory.padding.long()))


@pytest.mark.parametrize("number", range(5))
def test_what_does_not_fit_is_left_to_the_modules_to_refuse(model, number):
    with torch.no_grad(), keeping_packed(model):
        state = state_of(model)
        model.step(TOKENS, state)
        with pytest.raises((RuntimeError, ValueError, AttributeError)):
            model.step(TOKENS, list(wrong_states(state))[number])
