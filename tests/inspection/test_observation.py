"""What is seen of a network while it runs, however its layers are called."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from unspool.inspection.observation import observing, recurrent_layers
from unspool.inspection.unrolling import LayerCall, unroll
from unspool.models.classifier import Classifier, ClassifierSettings
from unspool.models.drawing import DrawingModel, DrawingSettings
from unspool.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from unspool.models.language_model import LanguageModel, LanguageModelSettings
from unspool.nn import GRU, LSTM


def seen_in(model: nn.Module, *args, **kwargs) -> tuple[list[tuple[str, LayerCall]], object]:
    seen: list[tuple[str, LayerCall]] = []
    with torch.no_grad(), observing(model, lambda *both: seen.append(both)):
        result = model(*args, **kwargs)
    return seen, result


def test_names_are_a_readers():
    classifier = Classifier(3, 2, ClassifierSettings(num_layers=3, hidden_size=4))
    assert list(recurrent_layers(classifier)) == [".0"]
    language = LanguageModel(9, LanguageModelSettings(num_layers=2, hidden_size=4))
    assert list(recurrent_layers(language)) == [".0", ".1"]
    pairs = EncoderDecoder(9, 9, EncoderDecoderSettings(num_encoder_layers=2, hidden_size=4))
    assert list(recurrent_layers(pairs)) == ["encoder.0", "encoder.1", "decoder.0"]
    drawing = DrawingModel(4, 4, DrawingSettings(hidden_size=4, num_sweeps=1))
    assert list(recurrent_layers(drawing)) == ["down.0", "across.0", "along.0", "along.1"]
    assert recurrent_layers(nn.LSTM(2, 3)) == {}


def test_time_first_packed_and_single_sequences_are_brought_into_one_form():
    torch.manual_seed(0)
    layer = GRU(3, 4)
    one = torch.randn(5, 3)
    ((_, call),), (output, _) = seen_in(layer, one)
    assert (call.input.shape, call.output.shape) == ((1, 5, 3), (1, 5, 4))
    assert torch.equal(next(unroll(call, {0})).hidden[0], output)

    both = torch.stack([one, -one], 1)
    ((_, call),), (output, _) = seen_in(layer, both, torch.ones(1, 2, 4))
    assert call.input.shape == (2, 5, 3)
    assert torch.equal(next(unroll(call, {0})).hidden.transpose(0, 1), output)

    packed = pack_sequence([one[:2], one], enforce_sorted=False)
    ((_, call),), _ = seen_in(layer, packed)
    assert call.lengths.tolist() == [2, 5]
    assert torch.equal(call.output[1], seen_in(layer, one)[1][0])
    assert torch.equal(next(unroll(call, {0})).hidden, call.output)


def test_single_steps_are_seen():
    layer = LSTM(3, 4)
    seen: list[LayerCall] = []
    with torch.no_grad(), observing(layer, lambda _, call: seen.append(call)):
        output, state = layer.step(torch.ones(2, 3))
        output, _ = layer.step(torch.ones(2, 3), state)
    assert [call.input.shape for call in seen] == [(2, 1, 3)] * 2
    assert torch.equal(next(unroll(seen[1], {0})).hidden[:, 0], output)


def test_nothing_is_left_behind():
    layer = LSTM(3, 4)
    with pytest.raises(RuntimeError, match="stop"), observing(layer, lambda *_: None):
        raise RuntimeError("stop")
    assert not layer._forward_hooks
