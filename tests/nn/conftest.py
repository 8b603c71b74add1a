"""What the tests of layers share: the routes that they run on, and how near results must be."""

from collections.abc import Callable, Iterable, Iterator

import pytest
import torch
from torch import Tensor

from unspool.nn import levels
from unspool.nn.recurrent import ROUTES


@pytest.fixture
def small_batches_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a kernel for large batches compute small ones, which tests have."""
    monkeypatch.setattr(levels, "for_batch", lambda name, *_: name)


@pytest.fixture(params=[*ROUTES, *levels.names()])
def route(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, small_batches_too: None
) -> str:
    """Run the test once on every execution route."""
    monkeypatch.setenv("UNSPOOL_KERNEL", request.param)
    return request.param


@pytest.fixture(params=levels.names())
def native(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, small_batches_too: None
) -> str:
    """Run the test once on every native kernel that this machine can run."""
    monkeypatch.setenv("UNSPOOL_KERNEL", request.param)
    return request.param


@pytest.fixture
def fastest(monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test on the fastest native kernel."""
    if not levels.names():
        pytest.skip("no native kernel on this machine")
    monkeypatch.delenv("UNSPOOL_KERNEL", raising=False)
    return levels.names()[-1]


@pytest.fixture
def assert_near() -> Callable[[Iterable[Tensor], Iterable[Tensor]], None]:
    """Compare with tensors of double precision, relative to the largest number of each.

    A tensor of few numbers may be small because its terms cancelled, not their errors: hence 0.1.
    """

    def check(received: Iterable[Tensor], expected: Iterable[Tensor]) -> None:
        for one, other in zip(received, expected, strict=True):
            assert one.shape == other.shape
            if other.numel() == 0:
                continue
            tolerance = 1e-5 if one.dtype == torch.float32 else 1e-10
            error = (one.double() - other).abs().max()
            largest = max(0.1, other.abs().max())
            assert error <= tolerance * largest, f"error {error} of {largest}, {one.shape}"

    return check


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Set the number of threads, until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
