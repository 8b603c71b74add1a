"""The best of many values, where of equal ones the first always wins."""

import torch
from torch import Tensor

from unspool import native

_CHUNK = 64
_SORTED = 256  # values
_FEW = 64  # chunks of a row, and
_SMALL = 50_000  # values: below, it does not pay to look at the maxima of chunks first


def best(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the greatest values of each row.

    Unlike :func:`torch.topk`, which leaves open which of several equal values it takes, this
    depends on nothing but the row. It is quicker, too, where rows are long.

    Parameters
    ----------
    values : (N, M) tensor
    count : int
        How many to find, ``K``; all ``M`` where there are no more.

    Returns
    -------
    values : (N, K) tensor
        The greatest first.
    indices : (N, K) int64 tensor
        Their columns; of equal values, the lower column comes first.

    Examples
    --------
    >>> best(torch.tensor([[1.0, 3.0, 0.0, 3.0]]), 2)
    (tensor([[3., 3.]]), tensor([[1, 3]]))
    """
    count = min(count, values.shape[1])
    if count > 0 and _is_plain(values) and native.absence() is None:
        return _natively(values, count)
    return _by_torch(values, count)


def best_sums(
    values: Tensor, offsets: Tensor, each: int, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the greatest sums of a value and its row's offset, among the rows of each group.

    Parameters
    ----------
    values : (B·W, M) tensor
        The rows of one group after those of another.
    offsets : (B, W) float64 tensor
    each : int
        How many of a row's values count, the greatest ones; all where there are no more.
    count : int
        How many sums to find, ``K``; all where there are no more.

    Returns
    -------
    sums : (B, K) float64 tensor
        The greatest first.
    rows, columns : (B, K) int64 tensor
        Where the values stand; of equal sums that of the lower row comes first, then that of the
        greater value.

    Examples
    --------
    >>> values = torch.tensor([[0.0, 1.0], [3.0, 0.0]])
    >>> best_sums(values, torch.tensor([[5.0, 2.0]], dtype=torch.float64), 2, 3)
    (tensor([[6., 5., 5.]], dtype=torch.float64), tensor([[0, 0, 1]]), tensor([[1, 0, 0]]))
    """
    each = min(each, values.shape[1])
    count = min(count, offsets.shape[1] * each)
    plain = _is_plain(values) and _is_plain(offsets) and len(values) == offsets.numel()
    types = (values.dtype, offsets.dtype)
    if count > 0 and plain and types == (torch.float32, torch.float64) and native.absence() is None:
        return _sums_natively(values, offsets, each, count)
    return _sums_by_torch(values, offsets, each, count)


def _sums_natively(
    values: Tensor, offsets: Tensor, each: int, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    from unspool import _native

    groups, width = offsets.shape
    sums = offsets.new_empty(groups, count)
    rows, columns = (offsets.new_empty(groups, count, dtype=torch.int64) for _ in range(2))
    _native.best_sums(
        (groups, width, values.shape[1], each, count),
        values.data_ptr(),
        offsets.data_ptr(),
        sums.data_ptr(),
        rows.data_ptr(),
        columns.data_ptr(),
        torch.get_num_threads(),
    )
    return sums, rows, columns


def _sums_by_torch(
    values: Tensor, offsets: Tensor, each: int, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    groups, width = offsets.shape
    found, columns = best(values, each)
    sums, places = best((offsets.reshape(-1, 1) + found).reshape(groups, -1), count)
    first = torch.arange(0, groups * width, width, device=places.device)
    rows = first[:, None] + places // each
    return sums, rows, columns.reshape(groups, -1).gather(1, places)


def _by_torch(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    if values.numel() < _SMALL or values.shape[1] < _CHUNK * max(_FEW, 8 * count):
        return _of_few(values, count)
    return _of_many(values, count)


def _is_plain(values: Tensor) -> bool:
    """Tell whether C++ can read the values by their address."""
    return (
        type(values) is Tensor
        and values.is_cpu
        and values.dtype in (torch.float32, torch.float64)
        and values.is_contiguous()
        and not values.requires_grad
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
    )


def _natively(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    from unspool import _native

    rows, columns = values.shape
    found = values.new_empty(rows, count)
    indices = values.new_empty(rows, count, dtype=torch.int64)
    _native.best(
        (rows, columns, count),
        values.dtype is torch.float64,
        values.data_ptr(),
        found.data_ptr(),
        indices.data_ptr(),
        torch.get_num_threads(),
    )
    return found, indices


def _of_few(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    if count == 1:
        found, indices = values.max(dim=1, keepdim=True)  # which promises the first
        return found, indices
    # A sort is slower, unless there is next to nothing to sort. But whether any are equal is not
    # asked of a GPU, which would have to be waited for.
    if not values.is_cuda and values.numel() > _SORTED:
        found, indices = values.topk(min(count + 1, values.shape[1]), dim=1)
        tied = (found[:, 1:] == found[:, :-1]).any(1)
        if tied.any():
            indices[tied, :count] = _sorted(values[tied], count)[1]
        return found[:, :count], indices[:, :count]
    return _sorted(values, count)


def _sorted(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    ranked, indices = values.sort(dim=1, descending=True, stable=True)
    return ranked[:, :count], indices[:, :count]


def _of_many(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Look only into the chunks with the greatest maxima, and into what is left of a chunk.

    No value of another chunk can be among the best: each of ``count`` chunks has one that is
    greater, or equal and further left.
    """
    columns = values.shape[1]
    chunks = columns // _CHUNK
    rest = chunks * _CHUNK
    maxima = values[:, :rest].reshape(len(values), chunks, _CHUNK).amax(2)
    chosen = _of_few(maxima, count)[1].sort(dim=1).values  # (N, K), so that columns rise
    inside = torch.arange(_CHUNK, device=values.device)
    left_over = torch.arange(rest, columns, device=values.device).expand(len(values), -1)
    places = torch.cat([(chosen[:, :, None] * _CHUNK + inside).flatten(1), left_over], 1)
    found, indices = _of_few(values.gather(1, places), count)
    return found, places.gather(1, indices)
