import pytest
import torch

FED = {"attention": "additive", "input_feeding": True}


def tokens_of(*shape, seed=0):
    return torch.randint(11, shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        yield


def read(model):
    return model(tokens_of(3, 6), torch.tensor([6, 2, 4]), tokens_of(3, 5, seed=1))


def test_what_is_fed_is_not_dropped(make_model):
    model, plain = (make_model(dropout={"outputs": share}, **FED) for share in (0.5, 0.0))
    memory = plain.encode(tokens_of(3, 6))  # the memory itself is what dropout acts on, too
    found, expected = (
        each.read(tokens_of(3, 5, seed=1), plain.initial_state(memory)) for each in (model, plain)
    )
    gone = found.hidden == 0
    assert 0.2 < gone.float().mean() < 0.8
    torch.testing.assert_close(found.hidden[~gone], 2 * expected.hidden[~gone])
    torch.testing.assert_close(found.state.seen, expected.state.seen)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_dropped_weights_are_those_from_step_to_step(variant, cell, make_model):
    deep = {"cell": cell, "num_encoder_layers": 2, "num_decoder_layers": 2, **variant}
    model, bare = make_model(dropout={"weights": 0.9999}, **deep), make_model(**deep)
    for layer in (*bare.encoder.layers, *bare.decoder.layers):
        torch.nn.init.zeros_(layer.weight_hh_l0)
    reading = read(model)
    torch.testing.assert_close(reading.hidden, read(bare).hidden)
    reading.hidden.sum().backward()
    assert all(layer.weight_hh_l0.grad is not None for layer in model.decoder.layers)


@pytest.mark.parametrize("where", ["words", "inputs", "layers", "weights"])
def test_the_decoder_has_dropout_of_its_own(variant, where, make_model):
    plain = make_model(num_decoder_layers=2, **variant)
    model = make_model(num_decoder_layers=2, dropout={where: 0.5}, **variant)
    memory, tokens = plain.encode(tokens_of(3, 6)), tokens_of(3, 5, seed=1)
    found, expected = (each.read(tokens, plain.initial_state(memory)) for each in (model, plain))
    assert not torch.equal(found.hidden, expected.hidden)


@pytest.mark.parametrize("locked", [False, True])
def test_what_is_dropped_between_layers_is_another_at_each_step_or_is_not(
    variant, locked, make_model
):
    dropout = {"layers": 0.25, "locked": locked}
    size = {"hidden_size": 64, "num_decoder_layers": 2}
    model = make_model(cell="rnn", dropout=dropout, **size, **variant)
    hears, tells = model.decoder.layers[1], model.decoder.readout
    with torch.no_grad():  # the upper layer, and then the readout, say what they hear and no more
        for parameter in (*hears.parameters(), *tells.parameters()):
            parameter.zero_()
        hears.weight_ih_l0[:, :64] = torch.eye(64)
        if variant:
            tells.weight.copy_(torch.eye(64))
            model.decoder.value.weight.zero_()
    gone = read(model).hidden == 0
    assert gone.float().mean() == pytest.approx(0.25, abs=0.07)
    assert torch.equal(gone, gone[:, :1].expand_as(gone)) == locked


def test_padding_of_targets_changes_nothing_before_it(variant, make_model):
    model = make_model(num_decoder_layers=2, **variant)
    source, targets, lengths = tokens_of(3, 6), tokens_of(3, 5, seed=1), torch.tensor([5, 2, 3])
    valid = torch.arange(5) < lengths[:, None]
    whole = model(source, None, targets).hidden[valid]
    torch.testing.assert_close(model(source, None, targets, lengths).hidden[valid], whole)


def test_beams_share_a_memory(variant, make_model):
    model = make_model(num_decoder_layers=2, bidirectional=True, **variant).eval()
    memory = model.encode(tokens_of(2, 6), torch.tensor([6, 3]))
    targets = tokens_of(6, 4, seed=1)
    state = model.initial_state(memory).repeat(3)
    assert state.memory is memory
    found = model.read(targets, state)
    copied = model.initial_state(memory.select(torch.tensor([0, 0, 0, 1, 1, 1])))
    expected = model.read(targets, copied)
    torch.testing.assert_close(found.hidden, expected.hidden)
    if found.attention is not None:
        torch.testing.assert_close(found.attention, expected.attention)
