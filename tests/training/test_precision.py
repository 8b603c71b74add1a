import pytest
import torch

from unspool import native
from unspool.errors import TrainingError
from unspool.training import loop, precision
from unspool.training.optimization import OptimizerSettings
from unspool.training.report import Observer
from unspool.training.settings import TrainingSettings
from unspool.training.state import TrainingState

CPU = torch.device("cpu")


def test_bf16_is_refused_where_the_processor_lacks_it(monkeypatch):
    monkeypatch.setattr(native, "fast_bf16", lambda: False)
    monkeypatch.setattr(native, "instruction_sets", lambda: ("avx2",))
    monkeypatch.setattr(native, "absence", lambda: None)
    with pytest.raises(TrainingError, match=r"AMD's avx512_bf16; use fp32 \(.* has avx2\)"):
        precision.check("bf16", CPU)


def test_bf16_is_refused_with_the_reason_why_there_is_no_native_module(monkeypatch):
    monkeypatch.setattr(native, "fast_bf16", lambda: False)
    monkeypatch.setattr(native, "absence", lambda: "native module absent: no compiler")
    with pytest.raises(TrainingError, match=r"use fp32 .*no compiler"):
        precision.check("bf16", CPU)


def test_fp32_is_never_refused(monkeypatch):
    monkeypatch.setattr(native, "fast_bf16", lambda: False)
    precision.check("fp32", CPU)


def test_products_are_formed_in_the_precision_asked_for():
    x = torch.ones(2, 2)
    with precision.computing_in("bf16", CPU):
        assert (x @ x).dtype is torch.bfloat16
    with precision.computing_in("fp32", CPU):
        assert (x @ x).dtype is torch.float32


def test_training_in_bf16_learns_and_keeps_weights_in_fp32(monkeypatch, make_task):
    monkeypatch.setattr(precision, "check", lambda *_: None)  # torch can do it, if slowly
    settings = TrainingSettings(
        epochs=15, batch_size=12, precision="bf16", optimizer=OptimizerSettings(lr=0.02)
    )
    losses = []

    class Losses(Observer):
        def stepped(self, state, totals):
            assert totals.loss.dtype is torch.float32
            losses.append(float(totals.mean_loss))

    task = make_task()
    loop.train(TrainingState.start(task, settings), settings, seed=1, observers=[Losses()])
    assert max(losses[-3:]) < 0.7 * losses[0]
    assert {weight.dtype for weight in task.model.parameters()} == {torch.float32}
