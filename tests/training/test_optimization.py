import copy
import json
import math

import pytest
import torch
from torch import nn

from unspool.training.optimization import OptimizerSettings, ScheduleSettings, clip_gradients

OPTIMIZERS = ["adamw", "adam", "sgd", "rmsprop"]


def model_with_gradients(scale=1.0):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    model(torch.randn(5, 4) * scale).square().sum().backward()
    return model


def rates(schedule, *, steps_an_epoch=10, epochs=4, losses=(), optimizer=None):
    """The learning rate of every step of a run whose highest is 1."""
    optimizer = optimizer or OptimizerSettings(lr=1.0).build(nn.Linear(1, 1))
    built = ScheduleSettings(**schedule).build(optimizer, steps_an_epoch, epochs)
    found = []
    losses = iter(losses)
    for _ in range(epochs):
        for _ in range(steps_an_epoch):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            built.after_step()
        built.after_epoch(next(losses, None))
    return found


# --- clipping ------------------------------------------------------------------------------


@pytest.mark.parametrize("clip", [1e-3, 1.0, 1e6])
def test_clipping_is_torchs(clip):
    model = model_with_gradients(10.0)
    twin = copy.deepcopy(model)
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        theirs.grad = ours.grad.clone()
    norm = clip_gradients(list(model.parameters()), clip)
    expected = nn.utils.clip_grad_norm_(twin.parameters(), clip)
    assert norm == float(expected)
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)


def test_without_a_bound_the_norm_is_only_measured():
    model = model_with_gradients()
    before = [parameter.grad.clone() for parameter in model.parameters()]
    expected = math.sqrt(sum(float(gradient.square().sum()) for gradient in before))
    assert clip_gradients(list(model.parameters()), None) == pytest.approx(expected)
    for parameter, gradient in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_is_told_and_not_spread(value):
    model = model_with_gradients()
    model[0].bias.grad[0] = value
    others = model[1].weight.grad.clone()
    assert not math.isfinite(clip_gradients(list(model.parameters()), 1.0))
    assert torch.equal(model[1].weight.grad, others)


def test_rows_of_an_embedding_are_clipped_with_the_rest():
    def learned(sparse):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(9, 4, sparse=sparse), nn.Linear(4, 3))
        model(torch.tensor([3, 5, 3])).square().sum().backward()
        return model, clip_gradients(list(model.parameters()), 0.5)

    (ours, norm), (twin, expected) = learned(True), learned(False)
    assert norm == pytest.approx(expected)
    torch.testing.assert_close(ours[0].weight.grad.to_dense(), twin[0].weight.grad)
    torch.testing.assert_close(ours[1].weight.grad, twin[1].weight.grad)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("tied", [False, True])
def test_an_embedding_learns_the_same_whatever_its_gradient_is_kept_as(name, tied):
    def learned(sparse):
        torch.manual_seed(0)
        embedding = nn.Embedding(20, 6)
        optimizer = OptimizerSettings(name=name, lr=0.1).build(embedding)
        if sparse is not None:
            embedding.sparse = sparse
        for _ in range(3):
            optimizer.zero_grad()
            x = embedding(torch.tensor([[3, 5, 3, 7]]))
            (x @ embedding.weight.T if tied else x).square().sum().backward()
            assert clip_gradients(list(embedding.parameters()), 1.0) > 1
            optimizer.step()
        return embedding.weight

    torch.testing.assert_close(learned(None), learned(False))


# --- schedules -----------------------------------------------------------------------------


def test_constant():
    assert rates({}) == [1.0] * 40


@pytest.mark.parametrize("name", ["constant", "cosine", "step"])
def test_a_warmup_rises_evenly_to_the_highest_rate(name):
    found = rates({"name": name, "warmup": 0.1})
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert max(found) == 1.0


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_a_cosine_falls_to_its_final_rate(final):
    found = rates({"name": "cosine", "final": final})
    assert found[0] == 1.0
    assert found[20] == pytest.approx((1 + final) / 2)
    assert found[39] == pytest.approx(final, abs=0.01)
    assert found == sorted(found, reverse=True)


def test_steps_multiply_by_a_factor():
    found = rates({"name": "step", "factor": 0.1, "every": 2})
    assert found == pytest.approx([1.0] * 20 + [0.1] * 20)


def test_steps_may_be_parts_of_epochs():
    found = rates({"name": "step", "factor": 0.5, "start": 2, "every": 0.5}, epochs=4)
    assert found == [1.0] * 20 + [0.5] * 5 + [0.25] * 5 + [0.125] * 5 + [0.0625] * 5


def test_plateau_waits_for_whole_epochs():
    with pytest.raises(ValueError, match=r"whole epochs, got every = 1\.5"):
        ScheduleSettings(name="plateau", every=1.5)


def test_steps_may_begin_later():
    """The decay of Zaremba et al. 2014: some epochs at the highest rate, then halved each epoch."""
    found = rates({"name": "step", "factor": 0.5, "start": 2}, epochs=5)
    assert found[::10] == pytest.approx([1, 1, 0.5, 0.25, 0.125])
    found = rates({"name": "step", "factor": 0.5, "start": 1, "every": 2}, epochs=5)
    assert found[::10] == pytest.approx([1, 0.5, 0.5, 0.25, 0.25])


def test_one_cycle_has_its_peak_where_the_warmup_ends():
    found = rates({"name": "one-cycle", "warmup": 0.25})
    peak = found.index(max(found))
    assert peak == pytest.approx(0.25 * 40, abs=1)
    assert found[peak] == pytest.approx(1.0, abs=0.01)
    assert found[0] == pytest.approx(1 / 25)
    assert found[-1] < 0.01
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_one_cycle_moves_what_momentum_there_is(optimizer, momentum):
    built = OptimizerSettings(name=optimizer, lr=1.0, momentum=momentum).build(nn.Linear(1, 1))
    rates({"name": "one-cycle", "warmup": 0.5}, optimizer=built)
    group = built.param_groups[0]
    if optimizer in ("adam", "adamw"):
        assert group["betas"] == pytest.approx((0.95, 0.999), abs=1e-3)
    else:
        assert group["momentum"] == pytest.approx(0.95 if momentum else 0.0, abs=1e-3)


@pytest.mark.parametrize("steps", range(1, 30))
@pytest.mark.parametrize("warmup", [0.1, 0.25, 0.3, 0.5, 0.9])
def test_one_cycle_works_for_runs_of_any_length(steps, warmup):
    found = rates({"name": "one-cycle", "warmup": warmup}, steps_an_epoch=1, epochs=steps)
    assert all(0 < rate <= 1 for rate in found)


def test_plateau_waits_for_epochs_without_a_lower_loss():
    losses = [3.0, 2.0, 2.5, 2.5, 1.0, 1.5, 1.5, 1.5]
    found = rates(
        {"name": "plateau", "factor": 0.5, "every": 2}, steps_an_epoch=1, epochs=8, losses=losses
    )
    assert found == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_plateau_counts_a_loss_that_is_not_a_number_as_no_better():
    found = rates({"name": "plateau"}, steps_an_epoch=1, epochs=3, losses=[1.0, float("nan"), 0.5])
    assert found == [1, 1, 0.5]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "one-cycle"}, "one-cycle needs warmup above 0"),
        ({"name": "plateau", "warmup": 0.1}, "plateau knows no warmup"),
        ({"name": "linear"}, "'constant', 'cosine', 'one-cycle', 'step' or 'plateau'"),
        ({"warmup": 1.0}, "less than 1"),
        ({"factor": 0}, "greater than 0"),
        ({"every": 0}, "greater than 0"),
        ({"final": 1.5}, "less than or equal to 1"),
    ],
)
def test_schedules_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ScheduleSettings(**settings)


@pytest.mark.parametrize("name", ["constant", "cosine", "one-cycle", "step", "plateau"])
def test_a_schedule_s_state_is_plain_json(name):
    warmup = {"warmup": 0.3} if name == "one-cycle" else {}
    optimizer = OptimizerSettings(lr=1.0).build(nn.Linear(1, 1))
    schedule = ScheduleSettings(name=name, **warmup).build(optimizer, 5, 2)
    state = schedule.state_dict()
    assert json.loads(json.dumps(state)) == state


# --- optimisers ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_learns(make_task, learn, name):
    lr = 0.5 if name == "sgd" else 0.02
    _, log = learn(make_task(), epochs=12, optimizer={"name": name, "lr": lr, "momentum": 0.5})
    losses = log.losses("validation")
    assert losses[-1] < 0.8 * losses[0]


def test_settings_reach_torch():
    built = OptimizerSettings(name="adamw", lr=0.1, weight_decay=0.2, betas=(0.5, 0.6)).build(
        nn.Linear(1, 1)
    )
    group = built.param_groups[0]
    assert isinstance(built, torch.optim.AdamW)
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.1, 0.2, (0.5, 0.6))


@pytest.mark.parametrize(
    "settings",
    [{"lr": 0}, {"lr": float("inf")}, {"weight_decay": -1}, {"betas": (0.9, 1)}, {"momentum": 1}],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        OptimizerSettings(**settings)
