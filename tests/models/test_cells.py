"""Layers as models make them: their answers do not hang on what shares the batch."""

import pytest
import torch
from torch import nn

from unspool.models.cells import CELLS, make_layers
from unspool.models.classifier import Classifier, ClassifierSettings
from unspool.models.drawing import DrawingModel, DrawingSettings
from unspool.models.encoder_decoder import EncoderDecoder
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings
from unspool.models.language_model import LanguageModel, LanguageModelSettings

MODELS = {
    "classify": lambda: Classifier(4, 3, ClassifierSettings(hidden_size=5)),
    "draw": lambda: DrawingModel(4, 4, DrawingSettings(hidden_size=6)),
    "predict": lambda: LanguageModel(9, LanguageModelSettings(hidden_size=5)),
    "translate": lambda: EncoderDecoder(9, 9, EncoderDecoderSettings(hidden_size=5)),
}


@pytest.mark.parametrize("model", MODELS)
def test_of_every_model(model: str) -> None:
    layers = [each for each in MODELS[model]().modules() if isinstance(each, nn.RNNBase)]
    assert layers
    assert all(isinstance(each, tuple(CELLS.values())) for each in layers)
    assert all(each.batch_invariant for each in layers)


@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_alone_and_among_others(cell: str) -> None:
    layers, x = make_layers(cell, 5, 70, forget_bias=1.0), torch.randn(20, 4, 5)
    with torch.no_grad():
        assert torch.equal(layers(x)[0], torch.cat([layers(each[None])[0] for each in x]))


def test_a_forget_bias_is_for_an_lstm_alone() -> None:
    assert make_layers("lstm", 2, 3, forget_bias=1.0).bias_ih_l0[3:6].eq(1).all()
    assert make_layers("gru", 2, 3, forget_bias=1.0).hidden_size == 3
