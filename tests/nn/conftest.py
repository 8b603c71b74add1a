import pytest

from unspool.nn.recurrent import ROUTES


@pytest.fixture(params=list(ROUTES))
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once on every execution route."""
    monkeypatch.setenv("UNSPOOL_KERNEL", request.param)
    return request.param
