"""A linear layer beside torch's own, and beside itself in other company."""

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from unspool.nn import levels
from unspool.nn.keeping import keeping_packed
from unspool.nn.linear import Linear

needs_kernel = pytest.mark.skipif(not levels.names(), reason="there is no native kernel")


def twins(inputs: int, outputs: int, bias: bool = True) -> tuple[Linear, nn.Linear]:
    """Ours and torch's, of the same weights."""
    torch.manual_seed(0)
    ours = Linear(inputs, outputs, bias=bias)
    other = nn.Linear(inputs, outputs, bias=bias)
    other.load_state_dict(ours.state_dict())
    return ours, other


@pytest.mark.parametrize("shape", [(7,), (1, 7), (50, 7), (3, 5, 7), (0, 7), (3, 0, 7)])
@pytest.mark.parametrize("bias", [False, True])
def test_it_is_torchs(shape, bias):
    ours, other = twins(7, 33, bias)
    x = torch.randn(shape)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), other(x))
    torch.testing.assert_close(ours(x), other(x), rtol=0, atol=0)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert ours(x).dtype is torch.bfloat16
    with torch.no_grad():
        torch.testing.assert_close(ours.double()(x.double()), other.double()(x.double()))


@needs_kernel
@given(
    rows=st.integers(1, 60),
    inputs=st.integers(1, 90),
    outputs=st.integers(1, 70),
    kernel=st.sampled_from(levels.names() or ("portable",)),
    threads=st.integers(1, 3),
    data=st.data(),
)
def test_a_row_is_the_same_in_any_company(rows, inputs, outputs, kernel, threads, data):
    begin = data.draw(st.integers(0, rows - 1))
    end = data.draw(st.integers(begin + 1, rows))
    layer, _ = twins(inputs, outputs)
    x = torch.randn(rows, inputs)
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setenv("UNSPOOL_KERNEL", kernel)
        together = layer(x)
        torch.set_num_threads(threads)
        try:
            assert torch.equal(layer(x[begin:end]), together[begin:end])
        finally:
            torch.set_num_threads(before)


def test_rows_that_do_not_lie_side_by_side():
    ours, other = twins(6, 4)
    x = torch.randn(5, 3, 12)
    with torch.no_grad():
        for view in (
            x[..., ::2],
            x[..., 6:],
            x[..., :6].transpose(0, 1),
            x[:1, :, :6].expand(4, 3, 6),
        ):
            torch.testing.assert_close(ours(view), other(view))


def test_weights_that_change_are_packed_anew():
    ours, other = twins(20, 10)
    x = torch.randn(3, 20)
    with torch.no_grad(), keeping_packed(ours):
        for _ in range(2):
            torch.testing.assert_close(ours(x), other(x))
        for layer in (ours, other):
            layer.weight.mul_(2)
            layer.bias.add_(1)
        torch.testing.assert_close(ours(x), other(x))
        for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
            assert torch.equal(twin(x), ours(x))


def test_other_kinds_of_tensors_are_left_to_torch():
    ours, other = twins(6, 4)
    x = torch.randn(5, 6)
    with torch.no_grad():
        for kind in (torch._neg_view(x), x.to_sparse(), torch.complex(x, x).conj().imag):
            torch.testing.assert_close(ours(kind), other(kind))


@pytest.mark.parametrize("name", levels.half_names())
def test_in_float32_a_kernel_of_bfloat16_leaves_it_to_the_one_for_float32(name, monkeypatch):
    monkeypatch.setenv("UNSPOOL_KERNEL", name)
    layer, _ = twins(128, 40)
    x = torch.randn(40, 128)
    with torch.no_grad():
        assert torch.equal(layer(x)[3:5], layer(x[3:5]))


def test_what_is_wrong_torch_explains():
    ours, _ = twins(20, 10)
    with torch.no_grad(), pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        ours(torch.randn(3, 19))


@pytest.mark.filterwarnings("ignore:`torch.jit.trace")
def test_it_is_traced_compiled_and_exported():
    ours, other = twins(20, 10)
    x, y = torch.randn(3, 20), torch.randn(8, 20)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.trace(ours, x)(y), other(y))
        compiled = torch.compile(ours, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(y), other(y))
        torch.testing.assert_close(torch.export.export(ours, (x,)).module()(x), other(x))
        mapped = torch.func.functional_call(ours, {"weight": other.weight * 2}, (x,))
        torch.testing.assert_close(mapped, nn.functional.linear(x, other.weight * 2, other.bias))
