import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unspool.decoding import ranking
from unspool.decoding.ranking import best, best_sums


def by_sorting(values, count):
    found, order = values.sort(dim=1, descending=True, stable=True)
    return found[:, :count], order[:, :count]


def same(one, other):
    return all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def in_both_ways(values, count):
    """What torch finds, and C++ where there is such a module."""
    found = best(values, count)
    assert same(found, ranking._by_torch(values, count))
    return found


@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 12) | st.integers(100, 130),
    count=st.integers(1, 14),
    levels=st.integers(1, 30),
    seed=st.integers(0, 10**6),
)
def test_of_equal_values_the_first_are_taken(rows, columns, count, levels, seed):
    random = torch.Generator().manual_seed(seed)
    values = -torch.randint(levels, (rows, columns), generator=random).double()
    values[values < -20] = -torch.inf
    assert same(in_both_ways(values, count), by_sorting(values, count))


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_the_first_of_those_that_compete_for_the_last_place_is_taken(count):
    random = torch.Generator().manual_seed(count)
    levels = torch.cat([torch.arange(1.0, count), torch.zeros(40), torch.full((80,), -1.0)])
    shuffled = [torch.randperm(len(levels), generator=random) for _ in range(30)]
    values = torch.stack([levels[order] for order in shuffled])
    assert same(in_both_ways(values, count), by_sorting(values, count))


@given(
    columns=st.integers(4096, 4096 + 300),
    count=st.integers(1, 8),
    levels=st.sampled_from([1, 3, 200, 10**7]),
    seed=st.integers(0, 10**6),
)
def test_long_rows_give_the_same_as_sorting_them(columns, count, levels, seed):
    random = torch.Generator().manual_seed(seed)
    values = -torch.randint(levels, (13, columns), generator=random).float()
    assert same(in_both_ways(values, count), by_sorting(values, count))


def test_the_best_of_long_rows_may_lie_in_what_is_left_of_a_chunk():
    values = torch.zeros(13, 64 * 64 + 3)
    values[:, -1] = 1.0
    assert same(in_both_ways(values, 3), by_sorting(values, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_any_floating_type_is_ranked(dtype):
    values = torch.randn(2, 5000, generator=torch.Generator().manual_seed(1)).to(dtype)
    assert same(best(values, 9), by_sorting(values, 9))


def test_no_chunks_are_looked_at_where_rows_are_short(monkeypatch):
    monkeypatch.setattr(ranking, "_of_many", None)
    assert ranking._by_torch(torch.tensor([[0.0, 2.0, 1.0]]), 2)[1].tolist() == [[1, 2]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_not_a_number_ranks_first(dtype):
    values = torch.randn(3, 70, dtype=dtype, generator=torch.Generator().manual_seed(1))
    values[0, [5, 40]], values[1, 69], values[2, 3] = torch.nan, torch.nan, torch.inf
    found, columns = best(values, 3)
    assert columns[:, 0].tolist() == [5, 69, 3]
    assert columns[0, 1] == 40
    assert torch.equal(found.isnan().sum(1), torch.tensor([2, 1, 0]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_may_lie_anyhow_and_be_few(dtype):
    values = torch.randn(40, 6, dtype=dtype, generator=torch.Generator().manual_seed(1)).t()
    assert same(best(values, 4), by_sorting(values, 4))
    assert best(values[:0], 4)[0].shape == (0, 4)
    assert best(values[:, :2], 4)[1].shape == (6, 2)
    assert best(values, 0)[0].shape == (6, 0)


@given(
    groups=st.integers(1, 4),
    width=st.integers(1, 5),
    columns=st.integers(1, 40) | st.integers(5000, 5100),
    each=st.integers(1, 14),
    count=st.integers(1, 26),
    levels=st.sampled_from([1, 3, 10**6]),
    seed=st.integers(0, 10**6),
)
def test_the_best_sums_are_those_of_sorting_all_that_count(
    groups, width, columns, each, count, levels, seed
):
    random = torch.Generator().manual_seed(seed)
    values = -torch.randint(levels, (groups * width, columns), generator=random).float()
    offsets = -torch.randint(levels, (groups, width), generator=random).double()
    offsets[torch.rand(groups, width, generator=random) < 0.2] = -torch.inf
    found = best_sums(values, offsets, each, count)
    assert same(
        found, ranking._sums_by_torch(values, offsets, min(each, columns), found[0].shape[1])
    )
    kept, places = by_sorting(values, each)
    each = kept.shape[1]
    sums, order = by_sorting((offsets.reshape(-1, 1) + kept).reshape(groups, -1), count)
    rows = torch.arange(groups)[:, None] * width + order // each
    assert same(found, (sums, rows, places.reshape(groups, -1).gather(1, order)))


def test_the_default_device_plays_no_part():
    values, offsets = torch.tensor([[1.0, 3.0]]), torch.zeros(1, 1, dtype=torch.float64)
    with torch.device("meta"):
        assert best(values, 1)[1].tolist() == [[1]]
        assert best_sums(values, offsets, 1, 1)[2].tolist() == [[1]]


def test_sums_of_rows_that_are_too_few_are_refused():
    with pytest.raises(RuntimeError):
        best_sums(torch.zeros(3, 5), torch.zeros(2, 2, dtype=torch.float64), 2, 2)
