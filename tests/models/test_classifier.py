import pytest
import torch
from torch import nn

from unspool.errors import RecipeError
from unspool.models.classifier import Classifier, ClassifierSettings

CELLS = ["rnn", "lstm", "gru"]


def network(**settings) -> Classifier:
    torch.manual_seed(0)
    model = Classifier(3, 4, ClassifierSettings(**{"hidden_size": 5, **settings}))
    return model.double().eval()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(4, 6, 3, dtype=torch.float64), torch.tensor([6, 1, 4, 2])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("projection", [None, 7])
def test_logits_are_those_of_torch_layers(cell, bidirectional, projection, batch):
    """The same by torch.nn's own layers, one sequence at a time."""
    model = network(
        cell=cell, num_layers=2, bidirectional=bidirectional, input_projection=projection
    )
    model.set_normalisation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 1.0, 0.5]))
    layers = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
    twin = layers(projection or 3, 5, 2, batch_first=True, bidirectional=bidirectional).double()
    twin.load_state_dict(model.recurrent.state_dict())
    x, lengths = batch
    for sequence, length, logits in zip(x, lengths, model(x, lengths), strict=True):
        normal = (sequence[:length] - model.centre) / model.scale
        _, state = twin(model.projection(normal))
        hidden = state[0] if cell == "lstm" else state
        last = hidden[-2:].flatten() if bidirectional else hidden[-1]
        torch.testing.assert_close(model.head(last), logits, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_max_pooling_takes_the_largest_outputs_of_torch_layers(cell, bidirectional, batch):
    model = network(cell=cell, bidirectional=bidirectional, pooling="max")
    layers = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
    twin = layers(3, 5, batch_first=True, bidirectional=bidirectional).double()
    twin.load_state_dict(model.recurrent.state_dict())
    x, lengths = batch
    for sequence, length, logits in zip(x, lengths, model(x, lengths), strict=True):
        largest = twin(sequence[:length])[0].max(0).values
        torch.testing.assert_close(model.head(largest), logits, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", "max"])
def test_a_belief_is_that_of_the_beginning_cut_by_hand(cell, bidirectional, pooling, batch):
    model = network(cell=cell, bidirectional=bidirectional, pooling=pooling, num_layers=2)
    x, lengths = batch
    by_step = model.by_step(x, lengths)
    assert by_step.shape == (4, 6, 4)
    for place, length in enumerate(lengths.tolist()):
        for step in range(6):
            seen = min(step + 1, length)
            alone = model(x[place : place + 1, :seen])[0]
            torch.testing.assert_close(by_step[place, step], alone, rtol=0, atol=1e-10)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_belief_does_not_know_the_future(bidirectional, batch):
    model, (x, _) = network(bidirectional=bidirectional), batch
    changed = x.clone()
    changed[:, 3:] = 100.0
    before, after = model.by_step(x), model.by_step(changed)
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.isclose(before[:, 3:], after[:, 3:]).all(-1).any()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", "max"])
def test_without_lengths_every_step_counts(bidirectional, pooling, batch):
    model, (x, _) = network(bidirectional=bidirectional, pooling=pooling), batch
    full = torch.full((4,), 6)
    assert torch.equal(model(x), model(x, full))
    assert torch.equal(model.by_step(x), model.by_step(x, full))


def test_bytes_are_read_as_numbers():
    model = network().float()
    x = torch.randint(0, 256, (2, 6, 3), dtype=torch.uint8)
    assert torch.equal(model(x), model(x.float()))


def test_the_forget_gates_start_where_they_are_told():
    layers = network(forget_bias=1.0, num_layers=2).recurrent
    for layer in range(2):
        total = getattr(layers, f"bias_ih_l{layer}") + getattr(layers, f"bias_hh_l{layer}")
        assert torch.equal(total[5:10], torch.ones(5, dtype=torch.float64))


def test_the_head_drawn_from_a_standard_normal():
    model = network(hidden_size=512, output_init="standard-normal")
    assert float(model.head.weight.detach().std()) == pytest.approx(1, abs=0.1)
    assert not model.head.bias.any()
    assert float(network(hidden_size=512).head.weight.detach().abs().max()) < 0.05


def test_dropout_works_in_training_alone(batch):
    model, (x, _) = network(dropout=0.5), batch
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


def test_token_dropout_drops_whole_tokens_in_training_alone():
    settings = ClassifierSettings(hidden_size=5, token_dropout=0.5)
    torch.manual_seed(0)
    model = Classifier(1, 4, settings, num_tokens=9)
    read = []
    model.projection.register_forward_hook(lambda module, arguments, output: read.append(output))
    tokens = torch.full((1, 64, 1), 3)
    model(tokens)
    kept = (read[0] != 0).any(-1)
    assert 16 < int(kept.sum()) < 48
    assert torch.equal(read[0][kept], 2 * model.embedding.weight[[3] * int(kept.sum())])
    model.eval()(tokens)
    assert torch.equal(read[1], model.embedding(tokens[:, :, 0]))


def test_token_dropout_needs_tokens():
    with pytest.raises(RecipeError, match="token_dropout is for text"):
        network(token_dropout=0.1)


def test_the_normalisation_is_part_of_the_state():
    model = network()
    model.set_normalisation(torch.ones(3), torch.full((3,), 2.0))
    assert torch.equal(model.state_dict()["centre"], torch.ones(3, dtype=torch.float64))
    assert torch.equal(model.state_dict()["scale"], torch.full((3,), 2.0, dtype=torch.float64))
    assert {"centre", "scale"}.isdisjoint(dict(model.named_parameters()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cell": "lstn"}, "'lstm', 'gru' or 'rnn'"),
        ({"hidden_size": 0}, "greater than or equal to 1"),
        ({"hidden_size": 65537}, "less than or equal to 65536"),
        ({"num_layers": 65}, "less than or equal to 64"),
        ({"input_projection": 0}, "greater than or equal to 1"),
        ({"dropout": 1.0}, "less than 1"),
        ({"token_dropout": 1.0}, "less than 1"),
        ({"pooling": "mean"}, "'last' or 'max'"),
        ({"dropout": float("nan")}, "finite"),
        ({"cell": "gru", "forget_bias": 1.0}, "forget_bias needs cell 'lstm', got cell 'gru'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ClassifierSettings(**settings)
