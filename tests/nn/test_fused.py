"""Torch's own kernels as a route."""

import pytest
import torch

from unspool.nn import LSTM, fused


@pytest.fixture
def unable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make oneDNN know nothing of half precision, as on a processor without AVX-512."""
    monkeypatch.setenv("UNSPOOL_KERNEL", "torch")
    monkeypatch.setattr(fused, "_onednn_knows", lambda dtype: dtype == torch.float32)


@pytest.mark.usefixtures("unable")
@pytest.mark.parametrize("lengths", [None, [4, 4, 4], [4, 2, 1], [4, 2, 0]])
def test_half_precision_does_without_an_unable_onednn(lengths: list[int] | None) -> None:
    lstm = LSTM(5, 6, 2, bidirectional=True)
    x = torch.randn(4, 3, 5)
    expected = lstm(x, lengths=lengths)[0]
    with torch.autocast("cpu", torch.bfloat16):
        found = lstm(x, lengths=lengths)[0]
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.02)
    found.float().sum().backward()
    assert all(weight.grad is not None for weight in lstm.parameters())


@pytest.mark.usefixtures("unable")
def test_onednn_is_left_as_it_was() -> None:
    lstm, x = LSTM(5, 6), torch.randn(4, 3, 5)
    before = torch._C._get_mkldnn_enabled()
    with fused.without_unable_onednn("lstm", x):
        assert torch._C._get_mkldnn_enabled() == before
    with fused.without_unable_onednn("lstm", x.bfloat16()):
        assert not torch._C._get_mkldnn_enabled()
    with pytest.raises(RuntimeError), torch.autocast("cpu", torch.bfloat16):
        lstm(x[..., :4])
    assert torch._C._get_mkldnn_enabled() == before


@pytest.mark.usefixtures("unable")
def test_calls_side_by_side_all_do_without_onednn() -> None:
    half, before = torch.zeros(1, dtype=torch.bfloat16), torch._C._get_mkldnn_enabled()
    first = fused.without_unable_onednn("lstm", half)
    with fused.without_unable_onednn("lstm", half):
        with first:
            assert not torch._C._get_mkldnn_enabled()
        assert not torch._C._get_mkldnn_enabled()
    with fused.without_unable_onednn("gru", half):
        assert torch._C._get_mkldnn_enabled() == before
    assert torch._C._get_mkldnn_enabled() == before
