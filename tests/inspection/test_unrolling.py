"""Gates and states of the layers, held against the layers themselves and against the equations."""

import pytest
import torch
from torch import Tensor

from unspool.inspection.observation import observing
from unspool.inspection.unrolling import LayerCall, Unrolled, unroll
from unspool.nn import GRU, LSTM, RNN, levels, reference
from unspool.nn.recurrent import ROUTES
from unspool.nn.stack import Weights

CELLS = {
    "rnn_tanh": lambda *a, **k: RNN(*a, **k),
    "rnn_relu": lambda *a, **k: RNN(*a, nonlinearity="relu", **k),
    "lstm": LSTM,
    "gru": GRU,
}
cells = pytest.mark.parametrize("cell", CELLS)


@pytest.fixture(params=levels.names())
def native(request, monkeypatch) -> str:
    monkeypatch.setenv("UNSPOOL_KERNEL", request.param)
    return request.param


def call_of(cell: str, *, hidden: int = 19, state: bool = False, lengths=(7, 3, 0, 5), **options):
    """A call of a layer, and its final state. 19 units fill no kernel's vectors."""
    torch.manual_seed(0)
    layer = CELLS[cell](5, hidden, 2, batch_first=True, **options).eval()
    x = torch.randn(4, 7, 5)
    seen: list[LayerCall] = []
    hx = None
    if state:
        rows = 2 * (2 if layer.bidirectional else 1)
        members = tuple(torch.randn(rows, 4, size) for size in (layer.proj_size or hidden, hidden))
        hx = members if cell == "lstm" else members[0]
    with torch.no_grad(), observing(layer, lambda _, call: seen.append(call)):
        _, final = layer(x, hx, lengths=lengths)
    (call,) = seen
    return call, final if isinstance(final, tuple) else (final,)


def last_valid(values: Tensor, lengths: Tensor, direction: int) -> Tensor:
    """The value after the last step that is read, of sequences that have steps."""
    rows = torch.arange(len(values))
    return values[rows, torch.zeros_like(lengths) if direction else (lengths - 1).clamp(min=0)]


@cells
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("state", [False, True])
def test_states_are_the_layers_own_bit_for_bit(native, cell, bidirectional, state):
    call, final = call_of(cell, bidirectional=bidirectional, state=state)
    directions = 2 if bidirectional else 1
    unrolled = list(unroll(call, {0, 1}))
    assert [(each.layer, each.direction) for each in unrolled] == [
        (layer, direction) for layer in (0, 1) for direction in range(directions)
    ]
    top = torch.cat([each.hidden for each in unrolled if each.layer == 1], dim=2)
    assert torch.equal(top, call.output)
    there = call.lengths > 0
    for k, each in enumerate(unrolled):
        after = last_valid(each.hidden, call.lengths, each.direction)
        assert torch.equal(after[there], final[0][k][there])
        if cell == "lstm":
            after = last_valid(each.cell, call.lengths, each.direction)
            assert torch.equal(after[there], final[1][k][there])
        else:
            assert each.cell is None


def doubles(call: LayerCall, layer: int, direction: int, x: Tensor) -> tuple[Weights, Tensor]:
    """Weights and inputs of one layer and direction in double precision."""
    directions = 2 if call.layer.bidirectional else 1
    weights = call.layer.all_weights[layer * directions + direction]
    return Weights(*(weight.detach().double() for weight in weights)), x.double()


def before(each: Unrolled, name: str, lengths: Tensor) -> Tensor:
    """The state before each step, zeros before the first one that is read."""
    values = getattr(each, name)
    if each.direction == 0:
        return torch.cat([torch.zeros_like(values[:, :1]), values[:, :-1]], 1)
    return torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], 1)


@cells
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gates_are_those_of_the_equations(native, cell, bidirectional):
    """Every gate by name, unit and step: a change of the workspace's layout shows here."""
    call, _ = call_of(cell, bidirectional=bidirectional)
    unrolled = list(unroll(call, {0, 1}))
    below = {0: call.input, 1: torch.cat([e.hidden for e in unrolled if e.layer == 0], 2)}
    valid = torch.arange(7) < call.lengths[:, None]
    for each in unrolled:
        weights, x = doubles(call, each.layer, each.direction, below[each.layer])
        h = before(each, "hidden", call.lengths).double()
        x, h = x[valid], h[valid]
        projection = torch.nn.functional.linear(x, weights.weight_ih, weights.bias_ih)
        assert_near(each.projection[valid], projection)
        if cell == "lstm":
            expected = dict(zip("ifgo", reference.lstm_gates(x, h, weights), strict=True))
        elif cell == "gru":
            expected = dict(zip("rzn", reference.gru_gates(x, h, weights), strict=True))
            of_state = torch.nn.functional.linear(h, weights.weight_hh, weights.bias_hh)
            expected["hn"] = of_state.chunk(3, 1)[2]
        else:
            expected = {}
        assert list(each.gates) == list(expected)
        for name, gate in expected.items():
            assert_near(each.gates[name][valid], gate)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_states_follow_from_the_gates_in_double_precision(native, bidirectional):
    call, _ = call_of("lstm", bidirectional=bidirectional)
    for each in unroll(call, {0, 1}):
        i, f, g, o = (each.gates[name].double() for name in "ifgo")
        c = f * before(each, "cell", call.lengths).double() + i * g
        assert_near(each.cell, c, 1e-6)
        assert_near(each.hidden, o * torch.tanh(each.cell.double()), 1e-6)
    call, _ = call_of("gru", bidirectional=bidirectional)
    for each in unroll(call, {0, 1}):
        z, n = (each.gates[name].double() for name in "zn")
        h = (1 - z) * n + z * before(each, "hidden", call.lengths).double()
        assert_near(each.hidden, h, 1e-6)
        candidate = each.projection.double().chunk(3, 2)[2]
        valid = torch.arange(7) < call.lengths[:, None]
        n = torch.tanh(candidate + each.gates["r"].double() * each.gates["hn"].double())
        assert_near(each.gates["n"][valid], n[valid], 1e-6)


@cells
@pytest.mark.parametrize("route", ROUTES)
def test_other_routes_are_recomputed_closely(monkeypatch, cell, route):
    monkeypatch.setenv("UNSPOOL_KERNEL", route)
    call, _ = call_of(cell, bidirectional=True, state=True)
    recomputed = list(unroll(call, {0, 1}))
    assert_near(torch.cat([each.hidden for each in recomputed if each.layer == 1], 2), call.output)
    if not levels.names():
        return
    monkeypatch.delenv("UNSPOOL_KERNEL")
    for one, other in zip(recomputed, unroll(call, {0, 1}), strict=True):
        assert list(one.gates) == list(other.gates)
        for name in one.gates:
            assert_near(one.gates[name], other.gates[name])


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_a_projection_of_the_state():
    call, (h, _) = call_of("lstm", proj_size=6, state=True)
    first, second = unroll(call, {0, 1})
    assert first.cell.shape == (4, 7, 19)
    assert first.hidden.shape == (4, 7, 6)
    assert_near(second.hidden, call.output)
    assert_near(last_valid(first.hidden, call.lengths, 0)[[0, 1, 3]], h[0][[0, 1, 3]])


@cells
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("route", ["native", "reference"])
def test_some_steps_of_some_layers_are_those_of_all(monkeypatch, cell, bidirectional, route):
    if route != "native":
        monkeypatch.setenv("UNSPOOL_KERNEL", route)
    call, _ = call_of(cell, bidirectional=bidirectional, state=True)
    of_all = {(each.layer, each.direction): each for each in unroll(call, {0, 1})}
    for layers in ({0}, {1}, {0, 1}):
        for start, stop in ((0, 2), (2, 5), (4, None), (6, 7), (0, 99)):
            for each in unroll(call, layers, start, stop):
                whole = of_all[each.layer, each.direction]
                assert torch.equal(each.hidden, whole.hidden[:, start:stop])
                assert torch.equal(each.projection, whole.projection[:, start:stop])
                for name, gate in each.gates.items():
                    assert torch.equal(gate, whole.gates[name][:, start:stop])
    assert list(unroll(call, ())) == []


def test_padding_is_zero_and_never_nan(native):
    call, _ = call_of("gru", bidirectional=True)
    call.input[1, 3:] = torch.nan
    for each in unroll(call, {0, 1}):
        for values in (each.projection, each.hidden, *each.gates.values()):
            assert bool((values[1, 3:] == 0).all())
            assert bool((values[2] == 0).all())
            assert not bool(values.isnan().any())


def assert_near(received: Tensor, expected: Tensor, tolerance: float = 2e-5) -> None:
    assert received.shape == expected.shape
    assert float((received.double() - expected.double()).abs().max()) <= tolerance
