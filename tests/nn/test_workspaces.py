"""Memory that training steps hand on."""

import pytest
import torch
from torch import Tensor

from unspool.nn import LSTM, native_recurrent
from unspool.nn.workspaces import Workspaces

MIB = 2**18  # of float32


@pytest.fixture
def workspaces(monkeypatch: pytest.MonkeyPatch, fastest: str) -> Workspaces:
    """Those of the layers, with none kept yet."""
    mine = Workspaces()
    monkeypatch.setattr(native_recurrent, "WORKSPACES", mine)
    return mine


def held(workspaces: Workspaces) -> list[int]:
    """Sizes of those that are kept."""
    return [4 * len(kept) for kept in workspaces._kept]


def train(layer: LSTM, input: Tensor, **options: bool) -> Tensor:
    """Return an output whose gradients were asked for."""
    output: Tensor = layer(input)[0]
    output.sum().backward(**options)
    return output


def test_the_smallest_that_suffices_serves_again() -> None:
    workspaces = Workspaces()
    small, large = workspaces.take(2 * MIB), workspaces.take(4 * MIB)
    places = small.data_ptr(), large.data_ptr()
    workspaces.give_back(large)
    workspaces.give_back(small)

    again = workspaces.take(MIB), workspaces.take(3 * MIB)

    assert [each.data_ptr() for each in again] == [*places]
    assert [len(each) for each in again] == [MIB, 3 * MIB]
    assert not held(workspaces)


def test_a_larger_one_takes_the_place_of_one_too_small() -> None:
    workspaces = Workspaces()
    workspaces.give_back(workspaces.take(MIB))
    workspaces.give_back(workspaces.take(2 * MIB))
    assert held(workspaces) == [4 * 2 * MIB]


def test_neither_small_nor_huge_ones_are_kept() -> None:
    workspaces = Workspaces()
    workspaces.give_back(workspaces.take(MIB - 1))
    workspaces.give_back(torch.empty(257 * MIB))
    assert not held(workspaces)


def test_one_serves_step_after_step(workspaces: Workspaces) -> None:
    layer, input = LSTM(64, 64, num_layers=2), torch.randn(64, 20, 64)
    train(layer, input)
    first = held(workspaces)
    assert len(first) == 1
    for steps in (20, 16, 20):  # a shorter batch takes part of it
        train(layer, input[:, :steps])
        assert held(workspaces) == first


def test_gradients_are_those_of_fresh_memory(workspaces: Workspaces) -> None:
    layer = LSTM(64, 64)
    first, second = torch.randn(64, 20, 64), torch.randn(64, 12, 64)

    def gradients(input: Tensor) -> list[Tensor | None]:
        layer.zero_grad()
        train(layer, input)
        return [parameter.grad for parameter in layer.parameters()]

    fresh = gradients(first)
    gradients(second)
    assert held(workspaces)
    assert all(map(torch.equal, gradients(first), fresh))


def test_what_is_still_needed_is_not_handed_on(workspaces: Workspaces) -> None:
    layer, input = LSTM(64, 64), torch.randn(64, 20, 64)
    output = train(layer, input, retain_graph=True)
    assert not held(workspaces)
    first = layer.weight_hh_l0.grad.clone()
    layer(torch.randn(64, 20, 64))
    output.sum().backward()
    torch.testing.assert_close(layer.weight_hh_l0.grad, 2 * first)


def test_two_passes_under_way_have_one_each(workspaces: Workspaces) -> None:
    layer, input = LSTM(64, 64), torch.randn(64, 20, 64)
    outputs = [layer(input)[0], layer(input)[0]]
    for output in outputs:
        output.sum().backward()
    assert len(held(workspaces)) == 2


def test_memory_that_a_hook_has_brought_is_not_ours(workspaces: Workspaces) -> None:
    layer, input = LSTM(64, 64), torch.randn(64, 20, 64)
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: saved.clone(), lambda copy: copy):
        output = layer(input)[0]
    output.sum().backward()
    assert not held(workspaces)


def test_who_holds_on_to_one_is_told_of_every_use(workspaces: Workspaces) -> None:
    layer, input = LSTM(64, 64), torch.randn(64, 20, 64)
    held_on: list[Tensor] = []

    def pack(saved: Tensor) -> Tensor:
        held_on.append(saved)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        output = layer(input)[0]
    output.sum().backward()
    (kept,) = workspaces._kept
    (workspace,) = (each for each in held_on if each.data_ptr() == kept.data_ptr())
    for steps in (20, 16, 20):  # all of it, and a part
        before = workspace._version
        train(layer, input[:, :steps])
        assert workspace._version > before
