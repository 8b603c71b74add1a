import pytest

from unspool.devices import device_called
from unspool.errors import UnspoolError


def test_a_device_by_its_name(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device_called("cpu").type == "cpu"
    assert device_called("auto").type == "cpu"
    with pytest.raises(
        UnspoolError, match="device 'cuda': torch finds no GPU here; use cpu, or install torch"
    ):
        device_called("cuda")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert device_called("auto").type == "cuda"
