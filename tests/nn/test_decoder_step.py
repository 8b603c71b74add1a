"""A decoder's step in C++: what the modules compute, whatever the sizes, rows and threads."""

import itertools

import pytest
import torch

from unspool.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from unspool.nn import levels
from unspool.nn.keeping import keeping_packed

pytestmark = pytest.mark.skipif(not levels.names(), reason="there is no native kernel")

KINDS = [
    (cell, attention, feeds)
    for cell, (attention, feeds) in itertools.product(
        ("rnn", "lstm", "gru"),
        (
            ("none", False),
            ("additive", False),
            ("additive", True),
            ("multiplicative", False),
            ("multiplicative", True),
        ),
    )
]


def model_of(cell, attention, feeds, *, tokens=83, hidden=7, embedding=5, layers=2, tied=False):
    torch.manual_seed(1)
    settings = EncoderDecoderSettings(
        cell=cell,
        hidden_size=hidden,
        embedding_size=embedding,
        attention=attention,
        input_feeding=feeds,
        num_decoder_layers=layers,
        tie_weights=tied,
    )
    model = EncoderDecoder(11, tokens, settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.5, 0.5)
    return model


def steps_of(model, each=3, count=3, sources=((1, 2, 3, 4, 5), (6, 7, 0, 0, 0), (0, 0, 0, 0, 0))):
    """All that comes of some steps from sources that end before a zero."""
    source = torch.tensor(sources)
    state = model.initial_state(model.encode(source, (source > 0).sum(1))).repeat(each)
    tokens = torch.arange(each * len(sources)) * 7
    found = []
    for step in range(count):
        log_probabilities, state = model.step((tokens + step) % model.output.out_features, state)
        members = [member for layer in state.layers for member in layer]
        found += [log_probabilities, *members, state.seen, state.attention]
    return [each for each in found if each is not None]


def natively(model, **options):
    with torch.no_grad(), keeping_packed(model):
        found = steps_of(model, **options)
        assert model._kept is not None  # C++ has answered, and not the modules
        return found


@pytest.mark.parametrize(("cell", "attention", "feeds"), KINDS)
@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"layers": 1, "tied": True},
        {"hidden": 33, "embedding": 48, "tokens": 1300, "layers": 3},
        {"hidden": 64, "embedding": 16, "tokens": 8192, "tied": True},
    ],
    ids=str,
)
def test_it_is_what_the_modules_compute(native, threads, cell, attention, feeds, sizes):
    model = model_of(cell, attention, feeds, **sizes)
    with torch.no_grad():
        expected = steps_of(model)
    for count in (1, 2, 3):
        threads(count)
        torch.testing.assert_close(natively(model), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("feeds", [False, True])
def test_no_bit_depends_on_threads_or_on_what_shares_the_batch(native, threads, feeds):
    sources = ((1, 2, 3), (6, 7, 0), (4, 5, 6), (9, 9, 9))
    model = model_of("gru", "additive", feeds, hidden=80, tokens=3000, embedding=32)
    threads(1)
    together = natively(model, each=20, sources=sources)
    for count in (1, 2, 3):
        threads(count)
        assert all(map(torch.equal, natively(model, each=20, sources=sources), together))
    source = torch.tensor(sources)
    with torch.no_grad(), keeping_packed(model):
        memory = model.encode(source, (source > 0).sum(1))
        tokens = torch.arange(80) * 7
        together, _ = model.step(tokens, model.initial_state(memory).repeat(20))
        for row in (0, 30, 79):
            one = model.initial_state(memory.select(torch.tensor([row // 20])))
            assert torch.equal(model.step(tokens[row : row + 1], one)[0][0], together[row])


@pytest.mark.parametrize("attention", ["additive", "multiplicative"])
def test_an_empty_source_is_not_looked_at(native, attention):
    model = model_of("lstm", attention, feeds=False)
    *_, attention = natively(model, sources=((1, 2, 3), (0, 0, 0)))
    assert attention[:3].sum(1).allclose(torch.ones(3))
    assert (attention[3:] == 0).all()


def test_probabilities_sum_to_one(native):
    model = model_of("gru", "additive", feeds=False, tokens=1999)
    log_probabilities = natively(model, count=1)[0]
    assert log_probabilities.double().exp().sum(1).allclose(torch.ones(9).double(), atol=1e-5)


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_extreme_outputs_stay_numbers(native, scale):
    model = model_of("gru", "none", feeds=False, tokens=700)
    with torch.no_grad():
        model.output.bias.uniform_(-1, 1).mul_(scale)
        expected = steps_of(model, count=1)[0]
    # Differences of numbers that are as large as the scale.
    torch.testing.assert_close(natively(model, count=1)[0], expected, atol=1e-6 * scale, rtol=1e-6)


def test_numbers_that_are_none_are_not_hidden(native):
    model = model_of("gru", "none", feeds=False, tokens=700)
    with torch.no_grad():
        model.output.bias[13] = torch.nan
    assert natively(model, count=1)[0].isnan().all()


@pytest.mark.parametrize("token", [-1, 83])
def test_a_token_that_there_is_not(fastest, token):
    model = model_of("gru", "none", feeds=False)
    with torch.no_grad(), keeping_packed(model):
        state = model.initial_state(model.encode(torch.tensor([[1, 2]])))
        with pytest.raises(IndexError, match=f"tokens has the value {token}, expected 0 to 82"):
            model.step(torch.tensor([token]), state)
