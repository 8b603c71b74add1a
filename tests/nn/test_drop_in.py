"""The layers in the place of torch.nn's: construction, state dict, errors, daily use."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence

from unspool.nn import GRU, LSTM, RNN, kernel, kernels, levels, recurrent, reference

CLASSES = [(RNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)]
NAMES = ["RNN", "LSTM", "GRU"]
both = pytest.mark.parametrize(("ours", "theirs"), CLASSES, ids=NAMES)
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def last(state: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """h of a state."""
    return state[0] if isinstance(state, tuple) else state


# ------------------------------------------------------------------------------- construction


@both
def test_same_seed_gives_the_same_initial_parameters(ours: type, theirs: type) -> None:
    arguments = {"num_layers": 2, "bidirectional": True, "batch_first": True}
    torch.manual_seed(3)
    layer = ours(3, 4, **arguments)
    torch.manual_seed(3)
    twin = theirs(3, 4, **arguments)
    assert isinstance(layer, theirs)
    assert repr(layer) == repr(twin)
    assert list(layer.state_dict()) == list(twin.state_dict())
    assert all(map(torch.equal, layer.parameters(), twin.parameters()))


@pytest.mark.parametrize(
    ("ours", "theirs", "positional"),
    [
        (RNN, nn.RNN, (3, 4, 2, "relu", False, True, 0.5, True)),
        (LSTM, nn.LSTM, (3, 4, 2, False, True, 0.5, True, 2, "cpu", torch.float64)),
        (GRU, nn.GRU, (3, 4, 2, False, True, 0.5, True)),
    ],
    ids=NAMES,
)
def test_positional_arguments(ours: type, theirs: type, positional: tuple) -> None:
    layer, twin = ours(*positional), theirs(*positional)
    assert repr(layer) == repr(twin)
    for (name, parameter), (twin_name, twin_parameter) in zip(
        layer.named_parameters(), twin.named_parameters(), strict=True
    ):
        assert name == twin_name
        assert parameter.shape == twin_parameter.shape
        assert parameter.dtype == twin_parameter.dtype


@both
@pytest.mark.parametrize(
    "arguments",
    [
        {"input_size": 0, "hidden_size": 4},
        {"input_size": 3, "hidden_size": 0},
        {"input_size": 3.0, "hidden_size": 4},
        {"input_size": 3, "hidden_size": 4, "num_layers": 0},
        {"input_size": 3, "hidden_size": 4, "dropout": 1.5},
        {"input_size": 3, "hidden_size": 4, "dropout": True},
        {"input_size": 3, "hidden_size": 4, "bias": 1},
        {"input_size": 3, "hidden_size": 4, "batch_first": "yes"},
        {"input_size": 3, "hidden_size": 4, "proj_size": 4},
        {"input_size": 3, "hidden_size": 4, "unknown": 1},
        {"input_size": 3},
    ],
    ids=str,
)
def test_construction_fails_as_in_torch(ours: type, theirs: type, arguments: dict) -> None:
    with pytest.raises((ValueError, TypeError)) as expected:
        theirs(**arguments)
    with pytest.raises(expected.type) as received:
        ours(**arguments)
    if "argument" not in str(expected.value):  # Python's own messages name the caller
        assert str(received.value) == str(expected.value)


def test_unknown_nonlinearity_fails_as_in_torch() -> None:
    with pytest.raises(ValueError, match="Unknown nonlinearity 'gelu'"):
        RNN(3, 4, nonlinearity="gelu")


@both
def test_dropout_of_a_single_layer_warns_as_in_torch(ours: type, theirs: type) -> None:
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        ours(3, 4, dropout=0.5)


@both
@pytest.mark.parametrize("bias", [True, False])
def test_state_dict_loads_both_ways(
    monkeypatch: pytest.MonkeyPatch, ours: type, theirs: type, bias: bool
) -> None:
    monkeypatch.setenv("UNSPOOL_KERNEL", "torch")  # equal weights give equal bits there
    projection = {"proj_size": 2} if ours is LSTM else {}
    layer, twin = (
        cls(3, 4, 2, bias=bias, bidirectional=True, **projection) for cls in (ours, theirs)
    )
    layer.load_state_dict(twin.state_dict(), strict=True)
    x = torch.randn(5, 2, 3)
    assert torch.equal(layer(x)[0], twin(x)[0])
    other = ours(3, 4, 2, bias=bias, bidirectional=True, **projection)
    twin.load_state_dict(other.state_dict(), strict=True)
    assert torch.equal(other(x)[0], twin(x)[0])


# -------------------------------------------------------------------------------- forget bias


def test_forget_bias_sets_the_forget_gates_only() -> None:
    plain, layer = (LSTM(3, 4, 2, bidirectional=True, forget_bias=bias) for bias in (None, 1.5))
    for module in (plain, layer):
        torch.manual_seed(5)
        module.reset_parameters()
    for (name, drawn), value in zip(plain.named_parameters(), layer.parameters(), strict=True):
        expected = drawn.detach().clone()
        if name.startswith("bias_ih"):
            expected[4:8] = 1.5
        elif name.startswith("bias_hh"):
            expected[4:8] = 0.0
        assert torch.equal(value, expected), name


def test_forget_bias_is_set_by_the_constructor() -> None:
    layer = LSTM(3, 4, forget_bias=1)
    assert layer.bias_ih_l0[4:8].tolist() == [1.0] * 4
    assert layer.bias_hh_l0[4:8].tolist() == [0.0] * 4
    assert repr(layer) == "LSTM(3, 4, forget_bias=1.0)"
    assert list(layer.state_dict()) == list(nn.LSTM(3, 4).state_dict())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"forget_bias": 1.0, "bias": False}, "forget_bias has 1.0 but bias is False, expected"),
        ({"forget_bias": "1"}, "forget_bias has '1', expected a finite number or None"),
        ({"forget_bias": True}, "forget_bias has True, expected a finite number or None"),
        ({"forget_bias": float("nan")}, "forget_bias has nan, expected a finite number"),
    ],
)
def test_wrong_forget_bias_is_explained(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LSTM(3, 4, **arguments)


# --------------------------------------------------------------------------- choice of kernel


def test_kernel_is_read_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def spy(name: str) -> Callable:
        def run(*arguments: object, kernel: str = name) -> tuple[Tensor, tuple[Tensor, ...]]:
            calls.append(kernel)
            return reference.run(*arguments)

        return run

    monkeypatch.setattr(recurrent, "ROUTES", {name: spy(name) for name in recurrent.ROUTES})
    monkeypatch.setattr(kernels, "run", spy("native"))
    layer, x = GRU(3, 4), torch.zeros(2, 2, 3)
    monkeypatch.setenv("UNSPOOL_KERNEL", "torch")
    layer(x)  # straight to torch.nn
    layer(x, lengths=[2, 1])
    for name in ("reference", *levels.names()):
        monkeypatch.setenv("UNSPOOL_KERNEL", name)
        layer(x)
    assert calls == ["torch", "reference", *levels.names()]


def test_fastest_kernel_serves_unless_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fastest = levels.names()[-1] if levels.names() else "torch"
    monkeypatch.delenv("UNSPOOL_KERNEL", raising=False)
    assert kernel() == fastest
    monkeypatch.setenv("UNSPOOL_KERNEL", "")
    assert kernel() == fastest
    for name in (*recurrent.ROUTES, *levels.names()):
        monkeypatch.setenv("UNSPOOL_KERNEL", name)
        assert kernel() == name


def test_unknown_kernel_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNSPOOL_KERNEL", "gpu")
    known = ", ".join([*recurrent.ROUTES, *levels.names(), *levels.half_names()])
    with pytest.raises(
        ValueError, match=f"UNSPOOL_KERNEL has 'gpu', expected one of {known}; set one"
    ):
        LSTM(3, 4)(torch.zeros(2, 2, 3))


# ------------------------------------------------------------------------------------- errors


def wrong_calls() -> list[tuple]:
    x, h = torch.zeros(2, 5, 3), torch.zeros(1, 2, 4)
    return [
        ("features", torch.zeros(2, 5, 2)),
        ("dtype", x.double()),
        ("one dimension", torch.zeros(3)),
        ("four dimensions", torch.zeros(1, 2, 5, 3)),
        ("no steps", torch.zeros(2, 0, 3)),
        ("state of another batch", x, torch.zeros(1, 3, 4)),
        ("state of another size", x, torch.zeros(1, 2, 5)),
        ("state without batch", x, torch.zeros(1, 4)),
        ("batched state for one sequence", x[0], h),
        ("packed features", pack_padded_sequence(x[..., :2], [2, 1], batch_first=True)),
        ("packed state", pack_padded_sequence(x, [2, 1], batch_first=True), torch.zeros(1, 3, 4)),
    ]


@both
@pytest.mark.parametrize("case", wrong_calls(), ids=lambda case: case[0])
def test_calls_fail_as_in_torch(route: str, ours: type, theirs: type, case: tuple) -> None:
    name, x, *hx = case
    if ours is LSTM and hx:
        hx = [(hx[0], hx[0])]
    with pytest.raises((RuntimeError, ValueError)) as expected:
        theirs(3, 4, batch_first=True)(x, *hx)
    with pytest.raises(expected.type) as received:
        ours(3, 4, batch_first=True)(x, *hx)
    if not name.startswith("packed"):  # torch.nn.LSTM leaves these to the kernel's own message
        # Beyond its start, torch words the message differently from class to class.
        assert str(received.value)[:12] == str(expected.value)[:12]


@both
def test_lengths_that_cannot_be_are_explained(route: str, ours: type, theirs: type) -> None:
    layer, x = ours(3, 4, batch_first=True), torch.zeros(2, 5, 3)
    with pytest.raises(ValueError, match=r"lengths has shape \(3,\), expected \(2,\)"):
        layer(x, lengths=[1, 2, 3])
    with pytest.raises(ValueError, match="lengths has values from 1 to 6, expected 0 to T = 5"):
        layer(x, lengths=[1, 6])
    with pytest.raises(ValueError, match="lengths has been given with a PackedSequence"):
        layer(pack_padded_sequence(x, [5, 2], batch_first=True), lengths=[5, 2])
    with pytest.raises(ValueError, match=r"one sequence of shape \(5, 3\), expected a batch"):
        layer(x[0], lengths=[5])


@both
def test_wrong_steps_are_explained(route: str, ours: type, theirs: type) -> None:
    with pytest.raises(ValueError, match="backward direction starts at the end of the sequence"):
        ours(3, 4, bidirectional=True).step(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"x_t has shape \(2, 5, 3\), expected \(B, F\) or \(F,\)"):
        ours(3, 4).step(torch.zeros(2, 5, 3))


# ------------------------------------------------------------------------------------ dropout


@both
def test_dropout_is_drawn_in_training_only(route: str, ours: type, theirs: type) -> None:
    layer = ours(3, 8, 2, batch_first=True, dropout=0.5)
    x = torch.randn(4, 6, 3)
    for lengths in (None, [6, 2, 0, 3]):
        layer.train()
        drawn = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            drawn.append(layer(x, lengths=lengths)[0])
        assert torch.equal(drawn[0], drawn[1])
        assert not torch.equal(drawn[0], drawn[2])
        layer.eval()
        assert torch.equal(layer(x, lengths=lengths)[0], layer(x, lengths=lengths)[0])
        assert not torch.equal(layer(x, lengths=lengths)[0], drawn[0])


@both
def test_full_dropout_equals_torch(route: str, ours: type, theirs: type) -> None:
    layer, twin = (cls(3, 4, 3, dropout=1.0, bidirectional=True) for cls in (ours, theirs))
    layer.load_state_dict(twin.state_dict())
    x = torch.randn(5, 2, 3)
    expected, state = twin(x)
    for lengths in (None, [5, 5]):
        output, final = layer(x, lengths=lengths)
        torch.testing.assert_close(output, expected)
        torch.testing.assert_close(last(final), last(state))


# ---------------------------------------------------------------------------------- daily use


@both
def test_empty_batch(route: str, ours: type, theirs: type) -> None:
    layer = ours(3, 4, 2, batch_first=True, bidirectional=True)
    for lengths in (None, []):
        output, state = layer(torch.zeros(0, 5, 3), lengths=lengths)
        assert output.shape == (0, 5, 8)
        assert last(state).shape == (4, 0, 4)


@both
def test_batch_of_empty_sequences_trains(route: str, ours: type, theirs: type) -> None:
    layer = ours(3, 4, 2, batch_first=True)
    output, state = layer(torch.full((2, 5, 3), torch.nan), lengths=[0, 0])
    assert output.shape == (2, 5, 4)
    assert not output.any()
    assert not last(state).any()
    output.sum().backward()
    assert all(not parameter.grad.any() for parameter in layer.parameters())


@both
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_to_dtype(route: str, ours: type, theirs: type, dtype: torch.dtype) -> None:
    layer = ours(3, 4, 2, bidirectional=True).to(dtype)
    output, state = layer(torch.randn(5, 2, 3).to(dtype), lengths=torch.tensor([3, 0]))
    assert output.dtype == last(state).dtype == dtype


@both
def test_inference_mode(route: str, ours: type, theirs: type) -> None:
    layer, x = ours(3, 4), torch.randn(5, 2, 3)
    expected = layer(x, lengths=[0, 3])[0]
    with torch.inference_mode():
        output = layer(x, lengths=[0, 3])[0]
    assert output.is_inference()
    torch.testing.assert_close(output, expected.detach())


@both
def test_copies_and_pickles(route: str, ours: type, theirs: type) -> None:
    layer = ours(3, 4, 2, bidirectional=True)
    x = torch.randn(5, 2, 3)
    expected = layer(x, lengths=[5, 3])[0]
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(twin) == repr(layer)
        nn.init.zeros_(layer.weight_ih_l0)  # a copy shares nothing
        assert torch.equal(twin(x, lengths=[5, 3])[0], expected)


@both
@pytest.mark.parametrize("lengths", [None, [5, 3]])
def test_functional_call_uses_the_given_parameters(
    route: str, ours: type, theirs: type, lengths: list[int] | None
) -> None:
    layer, x = ours(3, 4), torch.randn(5, 2, 3)
    other = ours(3, 4)
    output, _ = functional_call(layer, dict(other.named_parameters()), (x,), {"lengths": lengths})
    torch.testing.assert_close(output, other(x, lengths=lengths)[0])
    output.sum().backward()
    assert layer.weight_ih_l0.grad is None
    assert other.weight_ih_l0.grad is not None
