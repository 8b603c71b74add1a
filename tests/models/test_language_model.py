import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unspool.errors import RecipeError
from unspool.models.language_model import LanguageModel, LanguageModelSettings

V = 13


def model_of(dtype=torch.float32, seed=1, **settings) -> LanguageModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = LanguageModel(V, LanguageModelSettings(**{"hidden_size": 6, **settings}))
    return made.to(dtype)


def tokens_of(batch=3, steps=7, seed=0):
    return torch.randint(V, (batch, steps), generator=torch.Generator().manual_seed(seed))


def same_state(one, other):
    for left, right in zip(one, other, strict=True):
        for a, b in zip(left, right, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_network_is_torch_s(cell):
    ours = model_of(cell=cell, num_layers=2, embedding_size=4).eval()
    kind = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell]
    twin = kind(4, 6, num_layers=2, batch_first=True)
    for number, layer in enumerate(ours.layers):
        for name, weight in layer.state_dict().items():
            getattr(twin, name.replace("l0", f"l{number}")).data.copy_(weight)
    tokens = tokens_of()
    outputs, _ = twin(ours.embedding(tokens))
    expected = F.linear(outputs, ours.output.weight, ours.output.bias).log_softmax(-1)
    torch.testing.assert_close(ours.log_probabilities(ours(tokens).hidden), expected)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_to_read_step_by_step_is_to_read(cell):
    model = model_of(cell=cell, num_layers=2).eval()
    tokens = tokens_of()
    whole = model(tokens)
    state = None
    for step, column in enumerate(tokens.unbind(1)):
        found, state = model.step(column, state)
        torch.testing.assert_close(found, model.log_probabilities(whole.hidden[:, step]))
    same_state(state, whole.state)
    half = model(tokens[:, :3])
    rest = model(tokens[:, 3:], half.state)
    torch.testing.assert_close(torch.cat([half.hidden, rest.hidden], 1), whole.hidden)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_reset_row_forgets_and_no_other_does(cell):
    model = model_of(cell=cell, num_layers=2, dtype=torch.float64).eval()
    tokens = tokens_of(batch=3, steps=8)
    before = model(tokens_of(seed=5)).state
    resets = torch.zeros(3, 8, dtype=torch.bool)
    resets[0, 0] = resets[1, 3] = resets[1, 6] = True
    found = model(tokens, before, resets).hidden
    row = [tuple(member[:, i : i + 1] for member in layer) for i in range(3) for layer in before]
    states = [row[2 * i : 2 * i + 2] for i in range(3)]
    torch.testing.assert_close(found[0], model(tokens[:1]).hidden[0])
    torch.testing.assert_close(found[2], model(tokens[2:], states[2]).hidden[0])
    torch.testing.assert_close(found[1, :3], model(tokens[1:2, :3], states[1]).hidden[0])
    torch.testing.assert_close(found[1, 3:6], model(tokens[1:2, 3:6]).hidden[0])
    torch.testing.assert_close(found[1, 6:], model(tokens[1:2, 6:]).hidden[0])


def test_without_resets_a_layer_runs_in_one_go(monkeypatch):
    model = model_of()
    calls = []
    hook = model.layers[0].register_forward_hook(lambda *given: calls.append(1))
    model(tokens_of(), resets=torch.zeros(3, 7, dtype=torch.bool))
    assert len(calls) == 1
    hook.remove()


def test_the_sum_is_that_of_the_probabilities():
    for settings in ({}, {"tie_weights": True}, {"adaptive_softmax": (4, 9), "hidden_size": 16}):
        model = model_of(dtype=torch.float64, **settings).eval()
        hidden = model(tokens_of()).hidden.flatten(0, 1)
        targets = tokens_of(seed=2).flatten()
        log_probabilities = model.log_probabilities(hidden)
        expected = F.nll_loss(log_probabilities, targets, reduction="sum")
        torch.testing.assert_close(model.nats(hidden, targets), expected)
        torch.testing.assert_close(
            log_probabilities.exp().sum(-1), torch.ones(len(targets), dtype=torch.float64)
        )


def test_tied_weights_are_one_tensor():
    model = model_of(tie_weights=True, embedding_size=4)
    names = dict(model.named_parameters())
    assert "output.weight" not in names
    assert names["projection.weight"].shape == (4, 6)
    assert not model_of(tie_weights=True).projection.state_dict()
    model.nats(model(tokens_of()).hidden.flatten(0, 1), tokens_of().flatten()).backward()
    unread = torch.full((V,), True).index_fill(0, tokens_of().flatten(), False)
    assert bool((model.embedding.weight.grad[unread] != 0).any() or not unread.any())


def test_the_last_layer_may_be_of_another_size():
    model = model_of(num_layers=3, embedding_size=4, last_hidden_size=4, tie_weights=True)
    assert [layer.hidden_size for layer in model.layers] == [6, 6, 4]
    assert not model.projection.state_dict()
    assert model(tokens_of()).hidden.shape == (3, 7, 4)


def test_all_weights_are_drawn_from_the_range():
    model = model_of(init=0.05)
    drawn = torch.cat([parameter.flatten() for parameter in model.parameters()]).detach()
    assert 0.045 < drawn.abs().max() <= 0.05
    assert model_of().embedding.weight.abs().max() <= 0.1
    forget = model_of(forget_bias=1.0).layers[0].bias_ih_l0[6:12]
    assert bool((forget == 1).all())


DROPPED = ["words", "inputs", "layers", "outputs", "weights"]


@pytest.mark.parametrize("where", DROPPED)
@pytest.mark.parametrize("locked", [False, True])
def test_dropout_is_for_training_alone(where, locked):
    plain = model_of(num_layers=2)
    model = model_of(num_layers=2, dropout={where: 0.5, "locked": locked})
    tokens = tokens_of()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(model(tokens).hidden, plain(tokens).hidden)
        assert torch.equal(model.eval()(tokens).hidden, plain.eval()(tokens).hidden)


@pytest.mark.parametrize("kernel", ["", "torch", "reference"])
def test_dropped_recurrent_weights_reach_every_kernel(kernel, monkeypatch):
    monkeypatch.setenv("UNSPOOL_KERNEL", kernel)
    model = model_of(cell="gru", dropout={"weights": 0.999})
    bare = model_of(cell="gru")
    torch.nn.init.zeros_(bare.layers[0].weight_hh_l0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reading = model(tokens_of())
    torch.testing.assert_close(reading.hidden, bare(tokens_of()).hidden)
    reading.hidden.sum().backward()
    assert model.layers[0].weight_hh_l0.grad is not None


def test_locked_dropout_holds_through_a_reset():
    model = model_of(dropout={"outputs": 0.5, "locked": True})
    resets = torch.zeros(3, 7, dtype=torch.bool)
    resets[1, 4] = True
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reading = model(tokens_of(), resets=resets)
    gone = reading.dropped == 0
    assert torch.equal(gone, gone[:, :1].expand_as(gone))
    assert not torch.equal(reading.activations, reading.dropped)


def test_settings_that_do_not_fit_are_refused():
    for wrong, message in (
        ({"cell": "gru", "forget_bias": 1.0}, "forget_bias needs cell 'lstm'"),
        ({"forget_bias": 1.0, "init": 0.1}, "leave out forget_bias"),
        ({"adaptive_softmax": (4,), "tie_weights": True}, "leave out tie_weights"),
        ({"adaptive_softmax": (4, 4)}, r"has \[4, 4\], expected rising cutoffs"),
    ):
        with pytest.raises(ValueError, match=message):
            LanguageModelSettings(**wrong)
    with pytest.raises(RecipeError, match="cutoff 13, expected cutoffs below 13"):
        model_of(adaptive_softmax=(4, 13))
    with pytest.raises(RecipeError, match="2 cutoffs, expected a last layer of 16 units or more"):
        model_of(adaptive_softmax=(4, 9), hidden_size=15)
