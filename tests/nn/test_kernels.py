"""The native kernels by themselves: shapes, memory, dropout, derivatives, threads.

The comparison is the same layer in double precision, which torch's own kernels serve. Nothing here
forks or compiles, so that all of it can run under the address sanitizer; what does is in
test_kernels_in_programs.py.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp

from unspool import native as native_module
from unspool.nn import GRU, LSTM, RNN, kernel, kernels, levels, native_recurrent, reference
from unspool.nn.stack import GATES, Stack, Weights

CELLS = ["rnn_tanh", "rnn_relu", "lstm", "gru"]
cells = pytest.mark.parametrize("cell", CELLS)
Near = Callable[[object, object], None]
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def make_layer(cell: str, features: int, hidden: int, layers: int = 1, **options) -> nn.RNNBase:
    torch.manual_seed(0)
    if cell.startswith("rnn"):
        options["nonlinearity"] = cell.removeprefix("rnn_")
    layer_class = {"lstm": LSTM, "gru": GRU}.get(cell, RNN)
    return layer_class(features, hidden, layers, **{"batch_first": True, **options})


def make_state(layer: nn.RNNBase, batch: int) -> tuple[Tensor, ...]:
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    members = 2 if layer.mode == "LSTM" else 1
    return tuple(torch.randn(rows, batch, layer.hidden_size) for _ in range(members))


def results(layer: nn.RNNBase, x: Tensor, state: tuple[Tensor, ...] = (), lengths=None) -> list:
    """Output, h_n and an LSTM's c_n."""
    hx = (state if len(state) > 1 else state[0]) if state else None
    output, final = layer(x, hx, lengths=lengths)
    return [output, *(final if isinstance(final, tuple) else (final,))]


def cotangents(values: list[Tensor]) -> list[Tensor]:
    """The same numbers for every list of these shapes, whatever their precision."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(value.shape, generator=generator).to(value.dtype) for value in values]


def values_and_gradients(
    layer: nn.RNNBase, x: Tensor, state: tuple[Tensor, ...] = (), lengths=None
) -> list[Tensor]:
    """All results, and the gradients of input, state and every parameter."""
    x, *state = (tensor.detach().requires_grad_() for tensor in (x, *state))
    values = results(layer, x, tuple(state), lengths)
    sources = [x, *state, *layer.parameters()]
    return [*values, *torch.autograd.grad(values, sources, cotangents(values))]


def in_double(layer: nn.RNNBase, x: Tensor, state: tuple[Tensor, ...] = (), lengths=None) -> list:
    """The same values and gradients, computed in double precision."""
    twin = copy.deepcopy(layer).double()
    state = tuple(member.double() for member in state)
    return values_and_gradients(twin, x.double(), state, lengths)


def equal(received: list[Tensor], expected: list[Tensor]) -> bool:
    """Bit for bit."""
    return len(received) == len(expected) and all(map(torch.equal, received, expected))


# ------------------------------------------------------------------------------------- shapes


@dataclass(frozen=True)
class Case:
    """B, T, F, H; and what is not usual about the layer."""

    batch: int
    steps: int
    features: int
    hidden: int
    layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    batch_first: bool = True
    with_state: bool = False
    lengths: tuple[int, ...] | None = None

    def layer(self, cell: str) -> nn.RNNBase:
        return make_layer(
            cell,
            self.features,
            self.hidden,
            self.layers,
            bias=self.bias,
            batch_first=self.batch_first,
            bidirectional=self.bidirectional,
        )

    def given(self, layer: nn.RNNBase) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Input and initial state."""
        shape = (self.batch, self.steps) if self.batch_first else (self.steps, self.batch)
        state = make_state(layer, self.batch) if self.with_state else ()
        return torch.randn(*shape, self.features), state


# Sizes below, at and above one vector and one panel of vectors; sums of fewer and more steps than
# are packed at a time; batches of fewer and more sequences than a tile has rows.
CASES = [
    Case(1, 1, 1, 1),
    Case(1, 1, 3, 130, with_state=True),
    Case(1, 6, 1, 7, layers=2, bidirectional=True, bias=False),
    Case(2, 3, 5, 15, layers=3, with_state=True),
    Case(3, 4, 16, 16, bidirectional=True, batch_first=False),
    Case(7, 5, 2, 17, layers=2, batch_first=False, bias=False, with_state=True),
    Case(9, 3, 33, 33, layers=2, bidirectional=True, with_state=True, lengths=(3,) * 9),
    Case(11, 2, 70, 40, layers=2),
    Case(26, 12, 3, 5, layers=2, bidirectional=True, with_state=True),
    Case(17, 20, 9, 8, lengths=tuple(range(17))),
    Case(5, 7, 4, 33, bidirectional=True, with_state=True, lengths=(7, 0, 3, 1, 7)),
    Case(4, 6, 3, 15, layers=3, bidirectional=True, batch_first=False, lengths=(0, 2, 6, 5)),
    Case(3, 5, 2, 7, layers=2, bias=False, with_state=True, lengths=(0, 0, 4)),
    Case(2, 3, 1, 16, layers=2, bidirectional=True, with_state=True, lengths=(0, 0)),
    Case(10, 4, 3, 130, layers=2, with_state=True, lengths=(1, 4, 0, 2, 3, 3, 1, 4, 4, 2)),
]


@cells
@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_double_precision(native: str, assert_near: Near, cell: str, case: Case) -> None:
    layer = case.layer(cell)
    x, state = case.given(layer)
    received = values_and_gradients(layer, x, state, case.lengths)
    assert_near(received, in_double(layer, x, state, case.lengths))


@cells
def test_extreme_numbers_saturate_as_in_torch(native: str, assert_near: Near, cell: str) -> None:
    layer = make_layer(cell, 3, 17, 2)
    x = torch.tensor([1e-30, 1e-4, 30.0, -30.0, 1e4, -1e4, 0.0, -0.0]).reshape(1, 8, 1)
    x = x * torch.tensor([1.0, -1.0, 0.5])
    received = values_and_gradients(layer, x)
    assert all(value.isfinite().all() for value in received)
    expected = in_double(layer, x)
    values = 3 if cell == "lstm" else 2
    assert_near(received[:values], expected[:values])


@cells
def test_nan_stays_in_its_own_sequence(native: str, cell: str) -> None:
    layer, x = make_layer(cell, 3, 17, 2), torch.randn(3, 5, 3)
    clean = results(layer, x)
    x[1, 2] = torch.nan
    output, h_n, *_ = results(layer, x)
    assert output[1, 2:].isnan().all()
    assert h_n[:, 1].isnan().all()
    assert torch.equal(output[[0, 2]], clean[0][[0, 2]])
    assert torch.equal(output[1, :2], clean[0][1, :2])


# --------------------------------------------------------------------------- strides and storage


def strided(x: Tensor) -> Iterator[Tensor]:
    """The numbers of x (B, T, F) in other orders in memory."""
    yield x.transpose(0, 1).contiguous().transpose(0, 1)
    yield x.transpose(1, 2).contiguous().transpose(1, 2)
    yield x.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    yield torch.stack([x, x + 1], dim=3)[..., 0]  # every other number
    yield torch.cat([x, x + 1], dim=2)[..., : x.size(2)]
    yield torch.stack([x, x + 1], dim=1)[:, 0]


@cells
@pytest.mark.parametrize("features", [1, 5])
def test_strides_of_the_input_change_nothing(native: str, cell: str, features: int) -> None:
    layer, x = make_layer(cell, features, 17, 2), torch.randn(3, 4, features)
    expected = values_and_gradients(layer, x)
    for other in strided(x):
        assert equal(values_and_gradients(layer, other), expected)


@cells
def test_expanded_inputs_are_read(native: str, cell: str) -> None:
    layer = make_layer(cell, 5, 17)
    x, state = torch.randn(1, 1, 5), make_state(layer, 1)
    expanded = x.expand(3, 4, 5), tuple(member.expand(-1, 3, -1) for member in state)
    copied = expanded[0].clone(), tuple(member.clone() for member in expanded[1])
    assert equal(results(layer, *expanded), results(layer, *copied))


@cells
def test_strides_of_states_and_lengths_change_nothing(native: str, cell: str) -> None:
    layer, x, lengths = make_layer(cell, 5, 17, 2), torch.randn(3, 4, 5), torch.tensor([4, 0, 2])
    state = make_state(layer, 3)
    expected = values_and_gradients(layer, x, state, lengths)
    other = tuple(member.transpose(0, 2).contiguous().transpose(0, 2) for member in state)
    spread = torch.stack([lengths, lengths + 9], dim=1)[:, 0]
    assert equal(values_and_gradients(layer, x, other, spread), expected)


@cells
def test_strides_of_weights_change_nothing(native: str, cell: str) -> None:
    layer, x = make_layer(cell, 5, 17, 2, bidirectional=True), torch.randn(3, 4, 5)
    expected = values_and_gradients(layer, x)
    for name, weight in list(layer.named_parameters()):
        every_other = torch.stack([weight.detach(), weight.detach() + 1], dim=-1)[..., 0]
        setattr(layer, name, nn.Parameter(every_other))
    assert not layer.weight_hh_l1.is_contiguous()
    assert equal(values_and_gradients(layer, x), expected)


@cells
def test_strides_of_gradients_change_nothing(native: str, cell: str) -> None:
    layer, x = make_layer(cell, 5, 17, 2, bidirectional=True), torch.randn(3, 4, 5)
    values = results(layer, x)
    ones = [torch.ones_like(value) for value in values]
    transposed = [one.T.contiguous().T if one.dim() == 2 else one for one in ones]
    transposed[0] = ones[0].permute(2, 1, 0).contiguous().permute(2, 1, 0)
    expanded = [torch.ones(()).expand(value.shape) for value in values]
    expected, *others = (
        torch.autograd.grad(values, list(layer.parameters()), given, retain_graph=True)
        for given in (ones, transposed, expanded)
    )
    assert all(equal(other, expected) for other in others)


# ------------------------------------------------------------------------- wanted gradients


@cells
@pytest.mark.parametrize("frozen", ["weight", "bias", "_ih_", "_hh_", "_l0", "_l1", "reverse"])
def test_frozen_parameters_change_no_other_gradient(native: str, cell: str, frozen: str) -> None:
    layer = make_layer(cell, 5, 17, 2, bidirectional=True)
    x, lengths = torch.randn(3, 4, 5), [4, 0, 2]
    results(layer, x, lengths=lengths)[0].sum().backward()
    expected = {name: weight.grad for name, weight in layer.named_parameters()}
    layer.zero_grad()
    for name, weight in layer.named_parameters():
        weight.requires_grad_(frozen not in name)
    results(layer, x, lengths=lengths)[0].sum().backward()
    for name, weight in layer.named_parameters():
        if frozen in name:
            assert weight.grad is None
        else:
            assert torch.equal(weight.grad, expected[name])


@cells
def test_gradients_of_input_and_state_alone(native: str, cell: str) -> None:
    layer, x = make_layer(cell, 5, 17, 2, bidirectional=True), torch.randn(3, 4, 5)
    state = make_state(layer, 3)
    expected = values_and_gradients(layer, x, state)[len(state) + 1 :]
    layer.requires_grad_(False)
    given = (x, *state)
    for i, wanted in enumerate(given):
        wanted.requires_grad_()
        values = results(layer, x, state)
        (gradient,) = torch.autograd.grad(values, wanted, cotangents(values))
        assert torch.equal(gradient, expected[i])
        wanted.requires_grad_(False)


@cells
@pytest.mark.parametrize("lengths", [None, (4, 0, 2)])
def test_gradients_from_a_single_result(
    native: str, assert_near: Near, cell: str, lengths: tuple[int, ...] | None
) -> None:
    layer, x = make_layer(cell, 5, 17, 2, bidirectional=True), torch.randn(3, 4, 5)
    twin = copy.deepcopy(layer).double()
    ours, theirs = (
        results(module, given, lengths=lengths)
        for module, given in ((layer, x), (twin, x.double()))
    )
    for one, other in zip(ours, theirs, strict=True):
        assert_near(
            torch.autograd.grad(
                one, list(layer.parameters()), cotangents([one])[0], retain_graph=True
            ),
            torch.autograd.grad(
                other, list(twin.parameters()), cotangents([other])[0], retain_graph=True
            ),
        )


@cells
def test_second_backward_pass_repeats_the_first(native: str, cell: str) -> None:
    layer, x = make_layer(cell, 5, 17, 2, bidirectional=True, dropout=0.5), torch.randn(3, 4, 5)
    values, parameters = results(layer, x, lengths=[4, 0, 2]), list(layer.parameters())
    runs = [
        torch.autograd.grad(values, parameters, cotangents(values), retain_graph=again)
        for again in (True, False)
    ]
    assert equal(*runs)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(values, parameters, cotangents(values))


@cells
def test_a_backward_pass_that_was_broken_off_is_not_repeated(
    fastest: str, cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the forward pass saved may be overwritten by then."""
    layer, x = make_layer(cell, 5, 17), torch.randn(3, 4, 5)
    output = layer(x)[0].sum()

    def break_off(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(native_recurrent, "backward", break_off)
        with pytest.raises(MemoryError):
            output.backward()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.backward()


def test_who_keeps_what_was_saved_is_told_that_it_changes(fastest: str) -> None:
    layer, kept = make_layer("lstm", 5, 17), []

    def keep(tensor: Tensor) -> Tensor:
        kept.append((tensor, tensor._version, tensor.detach().clone()))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = layer(torch.randn(9, 4, 5))[0].sum()
    output.backward()
    for tensor, version, before in kept:
        assert tensor._version != version or torch.equal(tensor, before)
    assert any(tensor._version != version for tensor, version, _ in kept)


@cells
def test_infinite_inputs_are_not_hidden(native: str, cell: str) -> None:
    """What they touch need not be infinite, as gates saturate; but gradients say that they were."""
    layer, x = make_layer(cell, 5, 17), torch.randn(9, 4, 5)
    x[3, 1, 2] = torch.inf
    output = layer(x)[0]
    output.sum().backward()
    assert not all(parameter.grad.isfinite().all() for parameter in layer.parameters())
    others = [row for row in range(9) if row != 3]
    assert output[others].isfinite().all()


@pytest.mark.parametrize("steps", [1, 3])
def test_empty_batches_with_more_threads_than_units(
    native: str, threads: Callable[[int], None], steps: int
) -> None:
    layer = make_layer("lstm", 7, 100, 2)
    threads(16)
    for context in (torch.no_grad(), torch.enable_grad()):
        with context:
            assert layer(torch.randn(0, steps, 7))[0].shape == (0, steps, 100)


@cells
def test_gradients_do_not_change_what_is_computed(native: str, cell: str) -> None:
    layer, x = make_layer(cell, 5, 17, 3, bidirectional=True), torch.randn(3, 4, 5)
    expected = results(layer, x, lengths=[4, 0, 2])
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            received = results(layer, x, lengths=[4, 0, 2])
        assert not any(value.requires_grad for value in received)
        if native == "amx":  # which leaves this to another one
            torch.testing.assert_close(received, expected, rtol=1e-5, atol=1e-6)
        else:
            assert equal(received, expected)


# ---------------------------------------------------------------------------------------- dropout


def operator_arguments(
    cell: str, *, p: float = 0.0, lengths: Tensor | None = None, layers: int = 2
) -> tuple:
    """Arguments of the operator `recurrent`, up to `save`: B = 3, T = 4, F = 5, H = 7, D = 2."""
    layer = make_layer(cell, 5, 7, layers, bidirectional=True)
    h0, c0 = (*make_state(layer, 3), None)[:2]
    keep = torch.full((layers - 1, 3, 4, 14), 1 - p)
    mask = torch.bernoulli(keep).to(torch.uint8) if p > 0 else None
    x = torch.randn(3, 4, 5, requires_grad=True)
    weights = list(layer.parameters())
    return (x, h0, c0, lengths, weights, mask, cell, layers, True, True, 1 / (1 - p))


def twin_of_operator(
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    lengths: Tensor | None,
    weights: list[Tensor],
    mask: Tensor | None,
    cell: str,
    num_layers: int,
    bidirectional: bool,
    bias: bool,
    scale: float,
) -> list[Tensor]:
    """What the operator computes, by the plain-torch twin."""
    output, final = reference.run(
        Stack(cell, num_layers, bidirectional),
        x,
        (h0,) if c0 is None else (h0, c0),
        lengths,
        [Weights(*weights[i : i + 4]) for i in range(0, len(weights), 4)],
        masks=None if mask is None else [layer.to(x.dtype) * scale for layer in mask],
    )
    return [output, *final]


def doubled(argument: object) -> object:
    """The same argument in double precision, to differentiate by."""
    if isinstance(argument, list):
        return [doubled(member) for member in argument]
    if isinstance(argument, Tensor) and argument.is_floating_point():
        return argument.detach().double().requires_grad_(argument.requires_grad)
    return argument


@cells
@pytest.mark.parametrize("lengths", [None, torch.tensor([4, 0, 2])], ids=["full", "ragged"])
@pytest.mark.parametrize("p", [0.0, 0.4])
def test_operator_equals_twin_with_the_same_mask(
    native: str, assert_near: Near, cell: str, lengths: Tensor | None, p: float
) -> None:
    arguments = operator_arguments(cell, p=p, lengths=lengths, layers=3)
    twin_arguments = doubled(list(arguments))
    values = list(torch.ops.unspool.recurrent(*arguments, True, native))
    values = values[: 3 if cell == "lstm" else 2]
    expected = twin_of_operator(*twin_arguments)
    assert_near(values, expected)
    assert_near(
        torch.autograd.grad(values, [arguments[0], *arguments[4]], cotangents(values)),
        torch.autograd.grad(
            expected, [twin_arguments[0], *twin_arguments[4]], cotangents(expected)
        ),
    )


def identity_layer(size: int, dropout: float) -> nn.RNNBase:
    """Two layers that pass on inputs of 0 or more, so that the output shows the dropout between."""
    layer = make_layer("rnn_relu", size, size, 2, bias=False, dropout=dropout)
    for name, weight in layer.named_parameters():
        nn.init.eye_(weight) if name.startswith("weight_ih") else nn.init.zeros_(weight)
    return layer


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_keeps_the_expected_value(native: str, p: float) -> None:
    size = 32
    output, _ = identity_layer(size, p)(torch.ones(16, 32, size))
    kept = output[output != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - p)))
    deviation = (p * (1 - p) / output.numel()) ** 0.5
    assert abs((output == 0).double().mean() - p) < 4 * deviation
    assert abs(output.double().mean() - 1) < 4 * deviation / (1 - p)


def test_dropout_draws_every_output_by_itself(native: str) -> None:
    kept = identity_layer(8, 0.5)(torch.ones(8, 8, 8))[0] != 0
    for dim in range(3):
        parts = list(kept.unbind(dim))
        assert not any(torch.equal(one, other) for one, other in pairwise(parts))


def test_dropout_is_drawn_from_the_global_generator(native: str) -> None:
    layer, x = make_layer("gru", 3, 8, 2, dropout=0.5), torch.randn(4, 6, 3)
    before = torch.get_rng_state()
    with torch.no_grad():
        first = results(layer, x)
        assert not torch.equal(torch.get_rng_state(), before)
        torch.set_rng_state(before)
        assert equal(results(layer, x), first)
        torch.set_rng_state(before)
        layer.eval()
        results(layer, x)
        assert torch.equal(torch.get_rng_state(), before)


def test_dropout_does_not_reach_a_single_layer(native: str) -> None:
    layer, x = make_layer("gru", 3, 8), torch.randn(4, 6, 3)
    expected = results(layer, x)
    layer.dropout = 0.5
    before = torch.get_rng_state()
    assert equal(results(layer, x), expected)
    assert torch.equal(torch.get_rng_state(), before)


# ----------------------------------------------------------------------------- second derivatives


def second_derivatives(values: list[Tensor], sources: list[Tensor]) -> tuple[Tensor, ...]:
    """Gradients of a fixed linear function of the gradients."""
    first = torch.autograd.grad(values, sources, cotangents(values), create_graph=True)
    return torch.autograd.grad(first, sources, cotangents(list(first)), materialize_grads=True)


@cells
@pytest.mark.parametrize("lengths", [None, torch.tensor([4, 0, 2])], ids=["full", "ragged"])
@pytest.mark.parametrize("p", [0.0, 0.4])
def test_second_derivatives_equal_the_twins(
    fastest: str, assert_near: Near, cell: str, lengths: Tensor | None, p: float
) -> None:
    arguments = operator_arguments(cell, p=p, lengths=lengths)
    twin_arguments = doubled(list(arguments))
    values = list(torch.ops.unspool.recurrent(*arguments, True, fastest))
    values = values[: 3 if cell == "lstm" else 2]
    received = second_derivatives(values, [arguments[0], *arguments[4]])
    expected = second_derivatives(
        twin_of_operator(*twin_arguments), [twin_arguments[0], *twin_arguments[4]]
    )
    assert_near(received, expected)


def test_gradient_is_the_same_when_it_can_be_differentiated(
    fastest: str, assert_near: Near
) -> None:
    # Arguments that depend on each other, or are one and the same, count once each.
    layer = make_layer("lstm", 5, 5, 2)
    layer.weight_hh_l1 = layer.weight_hh_l0
    x = torch.randn(3, 4, 5, requires_grad=True)
    state = x.mean(dim=1).expand(2, 3, 5)
    values = results(layer, x, (state, state))
    sources = [x, *layer.parameters()]
    once, again = (
        torch.autograd.grad(
            values, sources, cotangents(values), retain_graph=True, create_graph=differentiable
        )
        for differentiable in (False, True)
    )
    assert_near(once, [gradient.double() for gradient in again])


def test_second_derivatives_do_not_ask_for_the_default_dtype(fastest: str) -> None:
    layer = make_layer("gru", 3, 4, 2, dropout=0.5)
    values = results(layer, torch.randn(2, 5, 3))
    torch.set_default_dtype(torch.float64)
    try:
        found = torch.autograd.grad(values[0].sum(), layer.weight_ih_l0, create_graph=True)[0]
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == torch.float32


@cells
def test_gradients_where_nothing_was_saved(fastest: str, assert_near: Near, cell: str) -> None:
    # A program that was exported without gradients may be differentiated all the same.
    arguments = operator_arguments(cell, lengths=torch.tensor([4, 0, 2]))
    saved, unsaved = (
        torch.autograd.grad(
            torch.ops.unspool.recurrent(*arguments, save, fastest)[0].sum(),
            [arguments[0], *arguments[4]],
        )
        for save in (True, False)
    )
    assert_near(saved, [gradient.double() for gradient in unsaved])


# --------------------------------------------------------------------------------- repeatable


@cells
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(("batch", "size"), [(24, 48), (2, 160), (1, 250), (9, 250)])
def test_threads_and_repetition_change_no_bit(
    native: str, threads: Callable[[int], None], cell: str, ragged: bool, batch: int, size: int
) -> None:
    layer = make_layer(cell, 40, size, 2, bidirectional=True, dropout=0.3)
    x, state = torch.randn(batch, 12, 40), make_state(layer, batch)
    lengths = torch.randint(0, 13, (batch,)) if ragged else None
    runs = []
    for count in (1, 1, 2, 3):
        threads(count)
        torch.manual_seed(2)
        runs.append(values_and_gradients(layer, x, state, lengths))
    assert all(equal(run, runs[0]) for run in runs[1:])


@cells
@pytest.mark.parametrize(("batch", "count"), [(13, 2), (20, 3), (25, 4)])
def test_threads_have_room_for_unequal_parts(
    native: str, threads: Callable[[int], None], cell: str, batch: int, count: int
) -> None:
    layer = make_layer(cell, 8, 128)  # where a part has up to six sequences, sums of all steps
    x = torch.randn(batch, 100, 8)
    threads(1)
    expected, _ = layer(x)
    threads(count)
    assert torch.equal(layer(x)[0], expected)


# ------------------------------------------------------------------------------------- memory

MARGIN = 17  # odd, so that what lies inside is not aligned either


def buffer_of(tensor: Tensor) -> Tensor:
    """Room for a tensor between two margins: NaN, or a number that no index or mask has."""
    filling = torch.nan if tensor.is_floating_point() else 99
    return torch.full((tensor.numel() + 2 * MARGIN,), filling, dtype=tensor.dtype)


def inside(buffer: Tensor, tensor: Tensor) -> Tensor:
    """The part of the buffer between the margins, shaped like the tensor."""
    return torch.as_strided(buffer, tensor.size(), tensor.stride(), MARGIN)


def guarded(tensor: Tensor) -> Tensor:
    """A copy between two margins, whose numbers would show in a result that they went into."""
    return inside(buffer_of(tensor), tensor).copy_(tensor.detach())


def test_margins_are_told_apart() -> None:
    tensor = torch.zeros(2, 3)
    buffer = buffer_of(tensor)
    inside(buffer, tensor).zero_()
    assert buffer.isnan().sum() == 2 * MARGIN


MEMORY_CASES = [
    Case(1, 1, 1, 1),
    Case(3, 4, 5, 7, layers=2, bidirectional=True, with_state=True),
    Case(3, 4, 17, 33, layers=3, bidirectional=True, batch_first=False, lengths=(4, 0, 2)),
    Case(9, 3, 16, 16, layers=2, with_state=True, bias=False),
    Case(8, 40, 3, 65, layers=1, with_state=True, lengths=(40, 40, 39, 1, 0, 40, 40, 40)),
]


@cells
@pytest.mark.parametrize("case", MEMORY_CASES, ids=str)
def test_nothing_beside_the_arguments_is_read(native: str, cell: str, case: Case) -> None:
    layer = case.layer(cell)
    x, state = case.given(layer)
    lengths = None if case.lengths is None else torch.tensor(case.lengths)
    expected = values_and_gradients(layer, x, state, lengths)
    for name, weight in list(layer.named_parameters()):
        setattr(layer, name, nn.Parameter(guarded(weight)))
    received = values_and_gradients(
        layer,
        guarded(x),
        tuple(map(guarded, state)),
        None if lengths is None else guarded(lengths),
    )
    assert all(value.isfinite().all() for value in received)
    assert equal(received, expected)


@cells
@pytest.mark.parametrize("case", MEMORY_CASES, ids=str)
def test_nothing_beside_the_results_is_written(
    native: str, monkeypatch: pytest.MonkeyPatch, cell: str, case: Case
) -> None:
    layer = case.layer(cell)
    x, state = case.given(layer)
    expected = values_and_gradients(layer, x, state, case.lengths)
    buffers = []

    def with_margins(allocate: Callable) -> Callable:
        def allocated(*arguments: object) -> list[Tensor | None]:
            guarded_ones = []
            for tensor in allocate(*arguments):
                if tensor is not None:
                    buffers.append(buffer_of(tensor))
                    tensor = inside(buffers[-1], tensor)
                guarded_ones.append(tensor)
            return guarded_ones

        return allocated

    monkeypatch.setattr(native_recurrent, "results", with_margins(native_recurrent.results))
    gradients_of = with_margins(native_recurrent.gradients_of)
    monkeypatch.setattr(native_recurrent, "gradients_of", gradients_of)
    received = values_and_gradients(layer, x, state, case.lengths)
    assert equal(received, expected)
    assert len(buffers) > 4
    for buffer in buffers:
        assert buffer[:MARGIN].isnan().all()
        assert buffer[-MARGIN:].isnan().all()


@cells
def test_arguments_stay_as_they_are(native: str, cell: str) -> None:
    arguments = operator_arguments(cell, p=0.4, lengths=torch.tensor([4, 0, 2]))
    tensors = [*arguments[:4], *arguments[4], arguments[5]]
    before = [None if tensor is None else tensor.detach().clone() for tensor in tensors]
    output, *_ = torch.ops.unspool.recurrent(*arguments, True, native)
    kept = output.detach().clone()
    output.sum().backward()
    assert torch.equal(output, kept)
    for tensor, copied in zip(tensors, before, strict=True):
        assert tensor is copied is None or torch.equal(tensor, copied)


def test_wrong_shapes_of_weights_are_not_read(native: str) -> None:
    layer = make_layer("gru", 3, 4)
    layer.weight_ih_l0 = nn.Parameter(torch.zeros(2, 3))
    with pytest.raises(
        RuntimeError, match=r"weights have shapes \[\(2, 3\), .* expected \[\(12, 3"
    ):
        layer(torch.zeros(2, 5, 3))


# ---------------------------------------------------------------------------- what others serve


def spy_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the native kernels that run from now on."""
    calls = []
    run = kernels.run

    def spy(*arguments: object, kernel: str) -> object:
        calls.append(kernel)
        return run(*arguments, kernel=kernel)

    monkeypatch.setattr(kernels, "run", spy)
    return calls


@cells
def test_named_kernel_serves(native: str, monkeypatch: pytest.MonkeyPatch, cell: str) -> None:
    calls = spy_on(monkeypatch)
    layer, x = make_layer(cell, 3, 4), torch.randn(2, 5, 3)
    layer(x)
    layer(x, lengths=[5, 0])
    make_layer(cell, 3, 4, bidirectional=True)(x)
    layer.step(x[:, 0])
    assert calls == [native] * 4


@pytest.mark.parametrize(
    ("dtype", "options"),
    [(torch.float64, {}), (torch.bfloat16, {}), (torch.float32, {"proj_size": 2})],
)
def test_torch_serves_what_kernels_do_not(
    fastest: str, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, options: dict
) -> None:
    calls = spy_on(monkeypatch)
    layer = make_layer("lstm", 3, 4, dtype=dtype, **options)
    twin = nn.LSTM(3, 4, batch_first=True, dtype=dtype, **options)
    twin.load_state_dict(layer.state_dict())
    x = torch.randn(2, 5, 3, dtype=dtype)
    assert torch.equal(layer(x)[0], twin(x)[0])
    assert not calls


def test_autocast_computes_near_single_precision(native: str) -> None:
    layer, x = make_layer("lstm", 3, 4, 2), torch.randn(2, 5, 3)
    expected = results(layer, x, lengths=[5, 2])
    with torch.autocast("cpu", torch.bfloat16):
        received = results(layer, x, lengths=[5, 2])
    for one, other in zip(received, expected, strict=True):
        assert not torch.equal(one.float(), other)
        torch.testing.assert_close(one.float(), other, rtol=0.03, atol=0.01)


def test_mixed_precision_is_refused_as_in_torch(fastest: str) -> None:
    layer = make_layer("gru", 3, 4)
    layer.weight_hh_l0 = nn.Parameter(layer.weight_hh_l0.double())
    with pytest.raises(RuntimeError, match="dtype"):
        layer(torch.zeros(2, 5, 3))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # used by torch's own jvp
def test_functional_derivatives_equal_torch(fastest: str) -> None:
    layer, twin = make_layer("gru", 3, 4), nn.GRU(3, 4, batch_first=True)
    twin.load_state_dict(layer.state_dict())
    x = torch.randn(2, 5, 3)

    def forwards(module: nn.RNNBase) -> Tensor:
        return jvp(lambda x: module(x)[0], (x,), (torch.ones_like(x),))[1]

    def backwards(module: nn.RNNBase) -> dict[str, Tensor]:
        parameters = dict(module.named_parameters())
        return grad(lambda weights: functional_call(module, weights, (x,))[0].sum())(parameters)

    torch.testing.assert_close(forwards(layer), forwards(twin))
    torch.testing.assert_close(backwards(layer), backwards(twin))


@cells
@pytest.mark.filterwarnings("ignore:`torch.jit.trace", "ignore:Converting a tensor")
@pytest.mark.parametrize("gradients", [True, False])
def test_a_trace_computes_anew(fastest: str, cell: str, gradients: bool) -> None:
    layer = make_layer(cell, 3, 4, 2).eval()
    with torch.set_grad_enabled(gradients):
        traced = torch.jit.trace(layer, (torch.randn(2, 5, 3),))
        x = torch.randn(2, 5, 3)
        torch.testing.assert_close(traced(x), layer(x))


@pytest.fixture
def fresh_names() -> Iterator[None]:
    caches = (levels.names, levels.half_names)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.mark.usefixtures("fresh_names")
def test_torch_serves_where_the_module_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSPOOL_KERNEL", raising=False)
    monkeypatch.setattr(native_module, "absence", lambda: "native module absent: a reason")
    assert levels.names() == ()
    assert kernel() == "torch"
    layer, twin = make_layer("gru", 3, 4), nn.GRU(3, 4, batch_first=True)
    twin.load_state_dict(layer.state_dict())
    x = torch.randn(2, 5, 3)
    assert torch.equal(layer(x)[0], twin(x)[0])
    monkeypatch.setenv("UNSPOOL_KERNEL", "portable")
    with pytest.raises(ValueError, match="has 'portable', expected one of torch, reference; set"):
        layer(x)


def test_torch_serves_where_its_threads_are_not_found(
    fastest: str, fresh_names: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unspool import _native

    monkeypatch.setattr(_native, "borrow_threads", lambda: False)
    with pytest.warns(RuntimeWarning, match="torch's OpenMP runtime was not found"):
        assert kernel() == "torch"
    make_layer("gru", 3, 4)(torch.zeros(2, 5, 3))  # a second warning would be an error here


@cells
def test_wrong_lengths_are_found_by_the_kernel_itself(native: str, cell: str) -> None:
    for wrong in (-1, 5):
        arguments = operator_arguments(cell, lengths=torch.tensor([4, wrong, 2]))
        message = f"lengths has the value {wrong}, expected 0 to T = 4"
        with pytest.raises(ValueError, match=message):
            torch.ops.unspool.recurrent(*arguments, True, native)


def test_unknown_kernel_of_the_operator_is_explained(fastest: str) -> None:
    for save in (True, False):
        with pytest.raises(ValueError, match="this processor has no kernel gpu"):
            torch.ops.unspool.recurrent(*operator_arguments("gru"), save, "gpu")


def test_gates_are_counted_as_in_torch() -> None:
    counts = {cell: make_layer(cell, 3, 4).weight_hh_l0.size(0) // 4 for cell in CELLS}
    assert counts == GATES
