"""What the tests of encoder-decoder networks share: small ones, and the same written plainly."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unspool.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings

VARIANTS = [
    {},
    {"attention": "additive"},
    {"attention": "multiplicative"},
    {"attention": "additive", "input_feeding": True},
    {"attention": "multiplicative", "input_feeding": True},
]


@pytest.fixture(
    params=VARIANTS, ids=lambda settings: "-".join(map(str, settings.values())) or "none"
)
def variant(request) -> dict:
    """Each kind of decoder, by its settings."""
    return request.param


@pytest.fixture
def make_model() -> Callable[..., EncoderDecoder]:
    """Make a small network; keywords are its settings."""

    def make(dtype=torch.float32, seed=1, shared=False, **settings) -> EncoderDecoder:
        sizes = {"hidden_size": 6, "embedding_size": 4, "init": 0.5}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            chosen = EncoderDecoderSettings(**{**sizes, **settings})
            made = EncoderDecoder(11, 11 if shared else 13, chosen, shared_vocabulary=shared)
        return made.to(dtype)

    return make


@pytest.fixture
def plain_encoder_decoder() -> Callable[..., tuple[torch.Tensor, torch.Tensor | None]]:
    """The network written plainly, with a model's own parameters.

    Sequences are packed, the source is turned round by a list, and the decoder goes step by step
    with torch's cells.
    """
    return _plain_hidden


LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
STEPS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


def _plain_hidden(model, source, lengths, targets):
    """What the output layer reads, ``(B, T, P)``, and the attention, ``(B, T, S)`` or None."""
    settings = model.settings
    outputs, final = _encoded(model, source, lengths)
    states = _starts(model, final)
    decoder = model.decoder
    seen = outputs.new_zeros(len(source), settings.readout_size)
    found, attended = [], []
    for token in targets.unbind(1):
        x = F.embedding(token, model.target_embedding.weight)
        if settings.input_feeding:
            x = torch.cat([x, seen], 1)
        context, weights = None, None
        for number, layer in enumerate(decoder.layers):
            if number > 0 and context is not None:
                x = torch.cat([x, context], 1)
            states[number] = _step(settings.cell, layer, x, states[number])
            x = states[number][0]
            last = number == len(decoder.layers) - 1
            if settings.attention != "none" and (last if settings.input_feeding else number == 0):
                weights = _weights(decoder.attention, x, outputs, lengths)
                context = torch.einsum("bs,bsm->bm", weights, outputs) @ decoder.value.weight.T
        if context is None:
            seen = decoder.readout(x)
        else:
            looked = torch.einsum("bs,bsm->bm", weights, outputs)
            both = torch.cat([decoder.value.weight, decoder.readout.weight], 1)  # W of equation 5
            seen = torch.tanh(torch.cat([looked, x], 1) @ both.T + decoder.readout.bias)
            attended.append(weights)
        found.append(seen)
    return torch.stack(found, 1), torch.stack(attended, 1) if attended else None


def _encoded(model, source, lengths):
    settings = model.settings
    embedding = model.source_embedding or model.target_embedding
    rows = [row[:length] for row, length in zip(source.tolist(), lengths.tolist(), strict=True)]
    rows = [row[::-1] if settings.reverse_source else row for row in rows]
    tokens = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    x = F.embedding(tokens, embedding.weight)
    finals = []
    for layer in model.encoder.layers:
        twin = LAYERS[settings.cell](
            x.size(2), settings.hidden_size, batch_first=True, bidirectional=settings.bidirectional
        ).to(x.dtype)
        for name, parameter in layer.named_parameters():
            setattr(twin, name, parameter)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        packed, final = twin(packed)
        x, _ = pad_packed_sequence(packed, batch_first=True)
        finals.append(final if settings.cell == "lstm" else (final,))
    if settings.reverse_source:
        outputs = [row[:length].flip(0) for row, length in zip(x, lengths.tolist(), strict=True)]
        x = nn.utils.rnn.pad_sequence(outputs, batch_first=True)
    return F.pad(x, (0, 0, 0, source.size(1) - x.size(1))), finals


def _starts(model, finals):
    projections = model.bridge.projections
    if not len(projections):
        return [tuple(member[0] for member in final) for final in finals]
    last = [torch.cat(list(member), 1) for member in finals[-1]]
    starts = [F.linear(each, p.weight, p.bias) for each, p in zip(last, projections, strict=True)]
    starts[0] = starts[0].tanh()
    size = model.settings.hidden_size
    return [
        tuple(start[:, number * size : (number + 1) * size] for start in starts)
        for number in range(model.settings.num_decoder_layers)
    ]


def _step(cell, layer, x, state):
    twin = STEPS[cell](x.size(1), layer.hidden_size).to(x.dtype)
    for name, parameter in layer.named_parameters():
        setattr(twin, name.removesuffix("_l0"), parameter)
    after = twin(x, state if cell == "lstm" else state[0])
    return after if cell == "lstm" else (after,)


def _weights(attention, query, outputs, lengths):
    keys = outputs @ attention.key.weight.T
    if hasattr(attention, "energy"):
        projected = query @ attention.query.weight.T + attention.query.bias
        scores = torch.tanh(projected[:, None] + keys) @ attention.energy
    else:
        scores = torch.einsum("bq,bsq->bs", query, keys)
    beyond = torch.arange(outputs.size(1)) >= lengths[:, None]
    return scores.masked_fill(beyond, -torch.inf).softmax(1)
