import math

import pytest
import torch
import torch.nn.functional as F

from unspool.data.text_source import TextDataSettings
from unspool.errors import DataError
from unspool.tasks.predict.training import PredictSettings
from unspool.tasks.task import Totals

CELLS = ["rnn", "gru", "lstm"]


def an_epoch(task, batch_size=4) -> Totals:
    task.model.eval()
    with torch.no_grad():
        parts = [task.loss(batch) for batch in task.training_batches(batch_size, 1, 0)]
    return sum(parts[1:], start=parts[0])


@pytest.mark.parametrize("cell", CELLS)
def test_streams_predict_every_token_once_however_long_the_segments(make_predict, cell):
    whole = an_epoch(make_predict(cell=cell, steps=1000))
    assert whole.count == len(make_predict()._training)
    for steps in (1, 5, 17):
        found = an_epoch(make_predict(cell=cell, steps=steps))
        assert float(found.loss) == pytest.approx(float(whole.loss), rel=1e-5)
        assert (found.count, float(found.weight)) == (whole.count, whole.count)


def test_the_loss_of_a_document_is_that_of_a_loop_by_hand(make_predict, text_division):
    task = make_predict()
    corpus, model = text_division.training, task.model
    nats = 0.0
    for start, length in zip(corpus.starts, corpus.lengths, strict=True):
        document = torch.from_numpy(corpus.tokens[start : start + length].astype("int64"))
        read = torch.cat([torch.tensor([corpus.vocabulary.start]), document[:-1]])
        with torch.no_grad():
            hidden = model.eval()(read[None]).hidden[0]
            logits = F.linear(hidden, model.output.weight, model.output.bias)
        nats += float(F.cross_entropy(logits, document, reduction="sum"))
    assert float(an_epoch(task, 1).loss) == pytest.approx(nats, rel=1e-5)


def test_windows_are_read_from_a_state_of_zero(make_predict, text_division):
    task = make_predict(view="windows", context=2)
    task.model.eval()
    (batch,) = task.training_batches(1000, 1, 0)
    hidden = task.model(batch.tokens).hidden[:, -1]
    expected = -task.model.log_probabilities(hidden).gather(1, batch.targets[:, None]).sum()
    found = task.loss(batch)
    torch.testing.assert_close(found.loss, expected)
    lengths = text_division.training.lengths
    assert found.count == int((lengths - 2).clip(0).sum()) == len(batch)


def test_the_state_is_carried_from_segment_to_segment(make_predict):
    task = make_predict(steps=5)
    batches = list(task.training_batches(2, 1, 0))
    task.model.eval()
    task.loss(batches[0])
    carried = float(task.loss(batches[1]).loss.detach())
    task.load_state_dict({})
    assert float(task.loss(batches[1]).loss.detach()) != carried
    assert not any(member.requires_grad for member in task.state_dict().values())


def test_a_state_that_is_not_finite_is_not_carried(make_predict):
    task = make_predict()
    batches = list(task.training_batches(2, 1, 0))
    task.loss(batches[0])
    before = {name: member.clone() for name, member in task.state_dict().items()}
    torch.nn.init.constant_(task.model.layers[0].weight_hh_l0, math.nan)
    task.loss(batches[1])
    after = task.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_validation_leaves_the_carried_state_alone(make_predict):
    task = make_predict()
    task.loss(next(iter(task.training_batches(2, 1, 0))))
    before = {name: member.clone() for name, member in task.state_dict().items()}
    assert set(task.validate()) == {"loss", "perplexity"}
    after = task.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("cell", CELLS)
def test_the_carried_state_comes_back(make_predict, cell):
    one, other = (make_predict(cell=cell, num_layers=2) for _ in range(2))
    one.loss(next(iter(one.training_batches(3, 1, 0))))
    state = one.state_dict()
    other.load_state_dict(state)
    assert all(torch.equal(state[name], other.state_dict()[name]) for name in state)
    name = "1.h"
    with pytest.raises(ValueError, match=rf"state {name} is nothing, expected shape \[1, 3, 6\]"):
        other.load_state_dict({k: v for k, v in state.items() if k != name})
    with pytest.raises(ValueError, match=rf"state {name} is \[1, 3, 5\], expected shape"):
        other.load_state_dict({**state, name: torch.zeros(1, 3, 5)})


def test_penalties_are_learned_from_and_not_reported(make_predict):
    plain, task = make_predict(), make_predict(activation_penalty=2.0, slowness_penalty=3.0)
    batch = next(iter(task.training_batches(2, 1, 0)))
    totals = task.loss(batch)
    reading = task.model(batch.tokens, None, batch.resets)
    expected = (
        2 * reading.dropped.square().mean() + 3 * reading.activations.diff(dim=1).square().mean()
    )
    torch.testing.assert_close(totals.penalty, expected)
    torch.testing.assert_close(totals.objective, totals.mean_loss + expected)
    torch.testing.assert_close(totals.mean_loss, plain.loss(batch).mean_loss)
    assert plain.loss(batch).penalty is None
    one_step = make_predict(slowness_penalty=3.0, steps=1)
    assert one_step.loss(next(iter(one_step.training_batches(2, 1, 0)))).penalty is None


@pytest.mark.parametrize("view", ["streams", "windows"])
def test_it_learns(make_predict, learn, view):
    task = make_predict(view=view, cell="gru", hidden_size=16)
    before = task.validate()["loss"]
    learn(task, epochs=4, batch_size=8, optimizer={"lr": 0.02})
    assert task.validate()["loss"] < before - 0.15


@pytest.mark.parametrize(
    "dropout",
    [{"words": 0.1, "inputs": 0.2, "layers": 0.2, "outputs": 0.2, "weights": 0.3, "locked": True}],
)
def test_it_learns_with_all_that_regularises(make_predict, learn, dropout):
    task = make_predict(
        num_layers=2,
        hidden_size=24,
        dropout=dropout,
        tie_weights=True,
        embedding_size=12,
        activation_penalty=0.1,
        slowness_penalty=0.1,
    )
    before = task.validate()["loss"]
    learn(task, epochs=8, batch_size=4, optimizer={"lr": 0.02})
    assert task.validate()["loss"] < before


def test_a_batch_is_named_by_its_text(make_predict):
    task = make_predict()
    batch = next(iter(task.training_batches(2, 1, 0)))
    assert task.examples(batch).startswith("the text around ")


def test_the_units_of_speed_and_loss(make_predict):
    task = make_predict()
    assert (task.unit, task.metric_names) == ("word", ["perplexity"])
    batch = next(iter(task.training_batches(2, 1, 0)))
    totals = task.loss(batch).detached()
    assert task.measure(totals)["perplexity"] == pytest.approx(math.exp(float(totals.mean_loss)))


def test_a_text_too_short_for_its_windows_is_refused(make_predict):
    with pytest.raises(DataError, match="the longest document has 172 tokens, expected at least"):
        make_predict(view="windows", context=400)


# --- from a recipe -------------------------------------------------------------------------


def settings_of(path, **values) -> PredictSettings:
    data = {"path": str(path), "validation": 0.0, "test": 0.0, **values.pop("data", {})}
    model = {"hidden_size": 4}
    return PredictSettings.model_validate({"data": data, "model": model, **values})


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNSPOOL_CACHE", str(tmp_path / "cache"))


def test_a_text_without_text_is_refused(tmp_path):
    (tmp_path / "own.txt").write_text(" \n\n")
    with pytest.raises(DataError, match=r"own.txt holds no text, expected at least a word"):
        settings_of(tmp_path / "own.txt").build(1)


def test_bytes_that_are_no_text_are_named_by_their_position(tmp_path):
    (tmp_path / "own.txt").write_bytes(b"caf\xe9 au lait")
    with pytest.raises(DataError, match=r"own.txt, byte 3 \(from 0\): found 0xe9, expected UTF-8"):
        settings_of(tmp_path / "own.txt").build(1)


def test_one_token_is_a_text(tmp_path):
    (tmp_path / "own.txt").write_text("a")
    settings = settings_of(tmp_path / "own.txt", data={"vocabulary": {"unit": "character"}})
    totals = an_epoch(settings.build(1), batch_size=20)
    assert totals.count == 1
    assert math.isfinite(float(totals.loss))
    with pytest.raises(DataError, match="the longest document has 1 tokens, expected at least 4"):
        settings.model_copy(update={"view": "windows"}).build(1)


def test_a_vocabulary_larger_than_the_text_is_as_large_as_the_text(tmp_path):
    (tmp_path / "own.txt").write_text("the cat and the mouse\n")
    task = settings_of(tmp_path / "own.txt", data={"vocabulary": {"size": 10_000}}).build(1)
    assert len(task.predictor.vocabulary) == task.model.num_tokens == 6


def test_texts_that_come_apart_have_a_validation_part(tmp_path):
    (tmp_path / "own.txt").write_text("the cat\n")
    apart = {"validation_path": str(tmp_path / "own.txt")}
    assert settings_of(tmp_path / "own.txt", data=apart).has_validation
    assert not settings_of(tmp_path / "own.txt").has_validation
    assert TextDataSettings(name="ptb", validation=0.0).has_validation
    assert not TextDataSettings(name="fable", validation=0.0).has_validation


def test_which_texts_have_a_test_part():
    assert TextDataSettings(path="own.txt").has_test
    assert not TextDataSettings(path="own.txt", test=0.0).has_test
    assert TextDataSettings(path="own.txt", test=0.0, test_path="other.txt").has_test
    assert TextDataSettings(name="ptb", test=0.0).has_test
