import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from unspool.errors import RecipeError
from unspool.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings

LENGTHS = torch.tensor([5, 2, 4])


def tokens_of(*shape, seed=0):
    return torch.randint(11, shape, generator=torch.Generator().manual_seed(seed))


def layers_of(state, row):
    return [member[row] for layer in state.layers for member in layer]


def assert_same(received, expected, tolerance=1e-10):
    for one, other in zip(received, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


DEEP = {"num_encoder_layers": 2, "num_decoder_layers": 2}
SHAPES = [
    {"cell": "gru"},
    {"cell": "rnn", "reverse_source": True},
    {"cell": "lstm", "bidirectional": True},
    {"cell": "lstm", "reverse_source": True, **DEEP},
    {"cell": "gru", "bidirectional": True, "tie_weights": True, **DEEP},
    {"cell": "lstm", "num_decoder_layers": 3, "tie_weights": True, "target_embedding_size": 5},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_network_is_the_plain_one(variant, shape, make_model, plain_encoder_decoder):
    model = make_model(torch.float64, **variant, **shape)
    source, targets = tokens_of(3, 6), tokens_of(3, 4, seed=1)
    reading = model(source, LENGTHS, targets)
    hidden, attention = plain_encoder_decoder(model, source, LENGTHS, targets)
    assert_same([reading.hidden, reading.attention], [hidden, attention])
    answers = tokens_of(12, seed=2)
    ours = model.nats(reading.hidden.flatten(0, 1), answers)
    weight = model.target_embedding.weight if model.settings.tie_weights else model.output.weight
    logits = F.linear(hidden.flatten(0, 1), weight, model.output.bias)
    plain = F.cross_entropy(logits, answers, reduction="sum")
    parameters = list(model.parameters())
    gradients = [torch.autograd.grad(loss, parameters) for loss in (ours, plain)]
    assert_same([ours, *gradients[0]], [plain, *gradients[1]])
    assert all(bool((gradient != 0).any()) for gradient in gradients[0])


def test_our_kernels_compute_the_plain_network(variant, make_model, plain_encoder_decoder):
    model = make_model(bidirectional=True, num_decoder_layers=2, **variant)
    source, targets = tokens_of(3, 6), tokens_of(3, 4, seed=1)
    found = model(source, LENGTHS, targets).hidden
    expected, _ = plain_encoder_decoder(model, source, LENGTHS, targets)
    assert_same([found], [expected], 1e-5)
    parameters = list(model.decoder.parameters()) + list(model.encoder.parameters())
    gradients = [torch.autograd.grad(hidden.sum(), parameters) for hidden in (found, expected)]
    assert_same(*gradients, 1e-4)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_to_read_step_by_step_is_to_read(variant, cell, layers, make_model):
    model = make_model(cell=cell, bidirectional=True, num_decoder_layers=layers, **variant).eval()
    source, targets = tokens_of(3, 6), tokens_of(3, 5, seed=1)
    whole = model(source, LENGTHS, targets)
    expected = model.log_probabilities(whole.hidden)
    for without_gradient in (False, True):
        with torch.set_grad_enabled(not without_gradient):
            state = model.initial_state(model.encode(source, LENGTHS))
            for step, column in enumerate(targets.unbind(1)):
                found, state = model.step(column, state)
                torch.testing.assert_close(found, expected[:, step], rtol=1e-5, atol=1e-5)
                if whole.attention is not None:
                    torch.testing.assert_close(state.attention, whole.attention[:, step])
        for ours, others in zip(state.layers, whole.state.layers, strict=True):
            assert_same(ours, others, 1e-5)
    beginning = model.read(targets[:, :2], model.initial_state(model.encode(source, LENGTHS)))
    rest = model.read(targets[:, 2:], beginning.state)
    torch.testing.assert_close(torch.cat([beginning.hidden, rest.hidden], 1), whole.hidden)


@given(
    lengths=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=4),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    seed=st.integers(0, 1000),
    reading=st.sampled_from([{"reverse_source": True}, {"bidirectional": True}, {}]),
    attention=st.sampled_from(["none", "additive", "multiplicative"]),
    feeding=st.booleans(),
    layers=st.integers(1, 2),
)
def test_what_shares_the_batch_changes_nothing(
    lengths, padding, seed, reading, attention, feeding, layers
):
    settings = EncoderDecoderSettings(
        cell="gru",
        hidden_size=3,
        num_encoder_layers=layers,
        num_decoder_layers=layers,
        attention=attention,
        input_feeding=feeding and attention != "none",
        **reading,
    )
    model = EncoderDecoder(11, 13, settings).double().eval()
    of_source, of_target = (torch.tensor(each) for each in zip(*lengths, strict=True))
    source = tokens_of(len(lengths), int(of_source.max()) + padding[0], seed=seed)
    targets = tokens_of(len(lengths), max(int(of_target.max()) + padding[1], 1), seed=seed + 1)
    together = model(source, of_source, targets, of_target)
    for row, (read, told) in enumerate(lengths):
        one = slice(row, row + 1)
        if told == 0:
            start = model.initial_state(model.encode(source[one, :read]))
            assert_same(layers_of(together.state, row), layers_of(start, 0), 1e-12)
            continue
        alone = model(source[one, :read], None, targets[one, :told])
        assert_same([together.hidden[row, :told]], [alone.hidden[0]], 1e-12)
        assert_same(layers_of(together.state, row), layers_of(alone.state, 0), 1e-12)
        if feeding and attention != "none":
            assert_same([together.state.seen[row]], [alone.state.seen[0]], 1e-12)
        if together.attention is not None and read > 0:
            last = together.state.attention[row, :read]
            assert_same([last], [alone.state.attention[0]], 1e-12)
            assert_same([together.attention[row, :told, :read]], [alone.attention[0]], 1e-12)
            assert bool((together.attention[row, :, read:] == 0).all())


@pytest.mark.parametrize("attention", ["additive", "multiplicative"])
@pytest.mark.parametrize("feeding", [False, True])
def test_a_batch_of_unequal_targets_learns_what_each_alone_would(attention, feeding, make_model):
    settings = {"attention": attention, "input_feeding": feeding, "num_decoder_layers": 2}
    model = make_model(torch.float64, **settings)
    source, targets = tokens_of(4, 5), tokens_of(4, 6, seed=1)
    told = torch.tensor([2, 5, 0, 4])
    reading = model(source, None, targets, told)
    valid = torch.arange(6) < told[:, None]
    reading.hidden[valid].square().sum().backward()
    together = [
        parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None
    ]
    model.zero_grad()
    for row, count in enumerate(told.tolist()):
        if count > 0:
            alone = model(source[row : row + 1], None, targets[row : row + 1, :count])
            alone.hidden.square().sum().backward()
    assert_same(
        together, [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    )


def test_an_empty_source_gives_numbers_and_gradients(variant, make_model):
    model = make_model(bidirectional=True, **variant)
    reading = model(tokens_of(3, 4), torch.tensor([0, 4, 0]), tokens_of(3, 2, seed=1))
    if reading.attention is not None:
        assert bool((reading.attention[[0, 2]] == 0).all())
    model.nats(reading.hidden.flatten(0, 1), tokens_of(6)).backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters())
    nothing = model(torch.zeros(2, 0, dtype=torch.int64), None, tokens_of(2, 3))
    torch.testing.assert_close(nothing.hidden[0], model(*_empty(tokens_of(2, 3)[:1])).hidden[0])


def _empty(targets):
    return tokens_of(1, 5), torch.tensor([0]), targets


def test_the_state_of_each_layer_is_handed_over(make_model):
    deep = {"num_encoder_layers": 3, "num_decoder_layers": 3, "reverse_source": True}
    model = make_model(torch.float64, **deep)
    source = tokens_of(2, 4)
    twin = torch.nn.LSTM(4, 6, num_layers=3, batch_first=True).double()
    for number, layer in enumerate(model.encoder.layers):
        for name, parameter in layer.named_parameters():
            setattr(twin, name.replace("l0", f"l{number}"), parameter)
    _, (h, c) = twin(model.source_embedding(source.flip(1)))
    memory = model.encode(source)
    for number, start in enumerate(memory.start):
        assert_same(start, [h[number], c[number]])
    assert_same([memory.sentence], [torch.cat([h[0], c[0], h[1], c[1], h[2], c[2]], 1)])
    assert not model.bridge.state_dict()
    assert not {*model.encoder.parameters()} & {*model.decoder.parameters()}


def test_attention_is_told_in_the_order_of_the_source(variant, make_model):
    if not variant:
        return
    forwards = make_model(**variant).eval()
    backwards = make_model(reverse_source=True, **variant).eval()
    backwards.load_state_dict(forwards.state_dict())
    source, targets = tokens_of(2, 5), tokens_of(2, 3, seed=1)
    turned = backwards(source, None, targets)
    plain = forwards(source.flip(1), None, targets)
    assert_same([turned.hidden, turned.attention], [plain.hidden, plain.attention.flip(2)], 1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_smoothed_targets_are_torch_s_and_for_training_alone(tied, make_model):
    model = make_model(torch.float64, label_smoothing=0.2, tie_weights=tied)
    hidden = torch.randn(7, model.settings.readout_size, dtype=torch.float64).requires_grad_()
    targets = tokens_of(7)
    weight = model.target_embedding.weight if tied else model.output.weight
    leaves = [hidden, weight, model.output.bias]
    for training, share in ((True, 0.2), (False, 0.0)):
        found = model.train(training).nats(hidden, targets)
        logits = F.linear(*leaves)
        expected = F.cross_entropy(logits, targets, label_smoothing=share, reduction="sum")
        gradients = [torch.autograd.grad(loss, leaves) for loss in (found, expected)]
        assert_same([found, *gradients[0]], [expected, *gradients[1]])


def test_the_sum_is_that_of_the_probabilities(make_model):
    for settings in ({}, {"tie_weights": True}):
        model = make_model(torch.float64, **settings).eval()
        hidden = model(tokens_of(3, 4), None, tokens_of(3, 2)).hidden.flatten(0, 1)
        log_probabilities = model.log_probabilities(hidden)
        expected = F.nll_loss(log_probabilities, tokens_of(6), reduction="sum")
        torch.testing.assert_close(model.nats(hidden, tokens_of(6)), expected)
        ones = torch.ones(6, dtype=torch.float64)
        torch.testing.assert_close(log_probabilities.exp().sum(-1), ones)


def test_tied_weights_are_one_tensor(make_model):
    names = dict(make_model(tie_weights=True).named_parameters())
    assert "output.weight" not in names
    assert {"source_embedding.weight", "target_embedding.weight", "output.bias"} <= names.keys()
    shared = make_model(tie_weights=True, shared=True)
    assert "source_embedding.weight" not in dict(shared.named_parameters())
    shared.encode(tokens_of(2, 3)).sentence.sum().backward()
    assert shared.target_embedding.weight.grad is not None
    assert "source_embedding.weight" in dict(make_model(shared=True).named_parameters())


def test_all_weights_are_drawn_from_the_range(make_model):
    model = make_model(init=0.08, attention="additive", num_encoder_layers=2)
    drawn = torch.cat([parameter.flatten() for parameter in model.parameters()]).detach()
    assert 0.078 < drawn.abs().max() <= 0.08
    plain = make_model(init=None, tie_weights=True, forget_bias=1.0)
    for embedding in (plain.source_embedding, plain.target_embedding):
        assert embedding.weight.abs().max() <= 0.1
    assert not plain.output.bias.any()
    for layer in (plain.encoder.layers[0], plain.decoder.layers[0]):
        assert bool((layer.bias_ih_l0[6:12] == 1).all())


@pytest.mark.parametrize("where", ["words", "inputs", "layers", "outputs", "weights"])
@pytest.mark.parametrize("locked", [False, True])
def test_dropout_is_for_training_alone(variant, where, locked, make_model):
    plain = make_model(**DEEP, **variant)
    model = make_model(dropout={where: 0.5, "locked": locked}, **DEEP, **variant)
    given = tokens_of(3, 6), LENGTHS, tokens_of(3, 4, seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(model(*given).hidden, plain(*given).hidden)
        sentences = [each.encode(*given[:2]).sentence for each in (model, plain)]
        assert torch.equal(*sentences) == (where == "outputs")  # a final state is no output
        assert torch.equal(model.eval()(*given).hidden, plain.eval()(*given).hidden)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_in_half_precision(variant, cell, make_model):
    model = make_model(cell=cell, bidirectional=True, num_decoder_layers=2, **variant)
    given = tokens_of(3, 6), LENGTHS, tokens_of(3, 4, seed=1)
    expected = model(*given)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(*given)
        loss = model.nats(found.hidden.flatten(0, 1), tokens_of(12))
    torch.testing.assert_close(found.hidden.float(), expected.hidden, rtol=0.1, atol=0.05)
    loss.backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters())


def test_settings_that_do_not_fit_are_refused(make_model):
    for wrong, message in (
        ({"cell": "gru", "forget_bias": 1.0}, "forget_bias needs cell 'lstm', got cell 'gru'"),
        ({"forget_bias": 1.0, "init": 0.1}, "leave out forget_bias"),
        ({"input_feeding": True}, "got attention 'none'; choose 'additive' or 'multiplicative'"),
        ({"reverse_source": True, "bidirectional": True}, "leave out one of the two"),
        ({"label_smoothing": 1.0}, "less than 1"),
        ({"attention": "dot"}, "'none', 'additive' or 'multiplicative'"),
    ):
        with pytest.raises(ValueError, match=message):
            EncoderDecoderSettings(**wrong)
    tied = EncoderDecoderSettings(tie_weights=True, target_embedding_size=7)
    with pytest.raises(RecipeError, match=r"model.target_embedding_size = 7, expected 256"):
        EncoderDecoder(5, 5, tied, shared_vocabulary=True)
    with pytest.raises(RecipeError, match="has 5 tokens and the target's 6, expected one"):
        EncoderDecoder(5, 6, EncoderDecoderSettings(tie_weights=True), shared_vocabulary=True)
    with pytest.raises(ValueError, match="lengths has values from 2 to 9, expected 0 to T = 4"):
        make_model().encode(tokens_of(2, 4), torch.tensor([2, 9]))
