import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence

from unspool.nn.packing import Packing

LENGTHS = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@given(LENGTHS, st.integers(0, 2))
def test_what_is_packed_comes_back(lengths, padding):
    steps = max(lengths) + padding
    x = torch.arange(1.0, len(lengths) * steps * 2 + 1).view(len(lengths), steps, 2)
    packing = Packing(len(lengths), steps, torch.tensor(lengths))
    packed = packing.pack(x)
    assert len(packed) == sum(packing.counts) == sum(lengths)
    valid = torch.arange(steps) < torch.tensor(lengths)[:, None]
    assert torch.equal(packing.unpack(packed), torch.where(valid[..., None], x, 0))
    rows = torch.arange(len(lengths))
    assert torch.equal(packing.as_given(packing.in_order(rows)), rows)
    sorted_lengths = packing.in_order(torch.tensor(lengths)).tolist()
    assert sorted_lengths == sorted(lengths, reverse=True)
    assert packing.counts == [sum(n > t for n in lengths) for t in range(max(lengths))]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_the_order_is_that_of_a_packed_sequence(lengths):
    x = torch.arange(len(lengths) * max(lengths)).view(len(lengths), -1)
    order = torch.tensor(lengths).argsort(descending=True, stable=True)
    known = pack_padded_sequence(x[order], torch.tensor(lengths)[order], batch_first=True)
    packing = Packing(len(lengths), max(lengths), torch.tensor(lengths))
    assert torch.equal(packing.pack(x), known.data)
    assert packing.counts == known.batch_sizes.tolist()


@pytest.mark.parametrize("lengths", [None, torch.tensor([3, 3])])
def test_where_all_are_of_one_length_nothing_is_left_out(lengths):
    packing = Packing(2, 3, lengths)
    x = torch.arange(6).view(2, 3)
    assert packing.order is None
    assert packing.pack(x).tolist() == [0, 3, 1, 4, 2, 5]
    assert torch.equal(packing.unpack(packing.pack(x)), x)


def test_a_gradient_goes_both_ways():
    packing = Packing(3, 4, torch.tensor([1, 4, 0]))
    x = torch.randn(3, 4, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(packing.pack, [x])
    assert torch.autograd.gradcheck(packing.unpack, [packing.pack(x).detach().requires_grad_()])
