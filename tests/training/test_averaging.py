import copy
import json

import pytest
import torch
from torch import nn

from unspool.training.averaging import NonMonotonicASGD, learning
from unspool.training.optimization import OptimizerSettings


def built(patience=2, **settings):
    layer = nn.Linear(3, 1, bias=False)
    nn.init.ones_(layer.weight)
    settings = {"name": "nt-asgd", "lr": 0.5, "non_monotonic": patience, **settings}
    return layer, OptimizerSettings(**settings).build(layer)


def step(layer, optimizer, gradient=1.0):
    layer.weight.grad = torch.full_like(layer.weight, gradient)
    optimizer.step()
    return layer.weight.detach().clone()


def test_it_is_sgd_until_it_averages():
    layer, ours = built(weight_decay=0.1)
    twin = nn.Linear(3, 1, bias=False)
    nn.init.ones_(twin.weight)
    sgd = torch.optim.SGD(twin.parameters(), lr=0.5, weight_decay=0.1)
    for gradient in (1.0, -2.0, 0.5):
        step(twin, sgd, gradient)
        torch.testing.assert_close(step(layer, ours, gradient), twin.weight.detach())
    before = layer.weight.detach().clone()
    ours.exchange()
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize(
    ("losses", "begins"),
    [
        ([3, 2, 1, 0.5, 0.4, 0.3], None),
        ([3, 2, 2.5, 2.6, 2.7], 5),
        ([3, 2, 2.5, 2.6, 1], None),
        ([1, 2, 3, 4], 4),
        ([1, 2, 3], None),
    ],
)
def test_it_begins_when_the_loss_no_longer_falls(losses, begins):
    """After the first epoch whose loss is above the lowest but of the last two before it."""
    layer, optimizer = built(patience=2)
    began = None
    for epoch, loss in enumerate(losses, start=1):
        step(layer, optimizer)
        optimizer.after_epoch(loss)
        if optimizer.averaging and began is None:
            began = epoch
    assert began == begins


def test_what_it_shows_is_the_mean_of_the_weights_since():
    layer, optimizer = built(patience=1)
    step(layer, optimizer)
    for loss in (1.0, 2.0, 2.0):
        optimizer.after_epoch(loss)
    assert optimizer.averaging
    since = [step(layer, optimizer, gradient) for gradient in (1.0, -2.0, 0.5, 3.0)]
    moving = layer.weight.detach().clone()
    optimizer.exchange()
    torch.testing.assert_close(layer.weight.detach(), torch.stack(since[1:]).mean(0))
    with learning(optimizer):
        assert torch.equal(layer.weight, moving)
    assert not torch.equal(layer.weight, moving)


def test_its_state_is_restored():
    layer, optimizer = built(patience=1)
    for loss in (1.0, 2.0, 2.0):
        step(layer, optimizer)
        optimizer.after_epoch(loss)
    other, restored = built(patience=1)
    other.load_state_dict(layer.state_dict())
    state = copy.deepcopy(optimizer.state_dict())
    groups = json.loads(json.dumps(state["param_groups"]))
    restored.load_state_dict({"state": state["state"], "param_groups": groups})
    assert isinstance(restored, NonMonotonicASGD)
    assert restored.averaging
    for gradient in (1.0, -1.0, 0.3):
        with learning(optimizer), learning(restored):
            assert torch.equal(step(layer, optimizer, gradient), step(other, restored, gradient))
        assert torch.equal(layer.weight, other.weight)


def test_the_kept_weights_are_the_averages(make_task, learn):
    state, _ = learn(
        make_task(),
        epochs=6,
        keep="last",
        optimizer={"name": "nt-asgd", "lr": 0.3, "non_monotonic": 1},
        report_every=1,
    )
    assert isinstance(state.optimizer, NonMonotonicASGD)
    kept = [parameter.detach().clone() for parameter in state.task.model.parameters()]
    state.optimizer.exchange()
    moving = list(state.task.model.parameters())
    same = all(torch.equal(one, other) for one, other in zip(kept, moving, strict=True))
    assert same != state.optimizer.averaging
