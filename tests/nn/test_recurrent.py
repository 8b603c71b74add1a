"""Values and gradients of the layers: against torch.nn, and whatever stands in the padding.

Every property holds on every route. Native kernels serve single precision only; there torch.nn
computes the comparison in double precision, and what is said to change nothing changes no bit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from unspool.nn import GRU, LSTM, RNN, levels

SETTINGS = settings(
    deadline=None,
    max_examples=40,
    derandomize=True,
    # The fixture `route` sets the same environment variable for all examples.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


@dataclass(frozen=True)
class Case:
    cell: str
    num_layers: int
    bidirectional: bool
    batch_first: bool
    bias: bool
    hidden_size: int
    proj_size: int
    lengths: tuple[int, ...]
    steps: int
    with_state: bool
    seed: int
    dtype: torch.dtype = torch.float64

    def on(self, route: str) -> "Case":
        """Return the case as the native kernels serve it, if the route is one of them."""
        if route not in levels.names():
            return self
        return replace(self, proj_size=0, dtype=torch.float32)

    @property
    def arguments(self) -> dict[str, object]:
        arguments = {
            "input_size": 3,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "bias": self.bias,
            "batch_first": self.batch_first,
            "bidirectional": self.bidirectional,
            "dtype": self.dtype,
        }
        if self.cell in ("tanh", "relu"):
            arguments["nonlinearity"] = self.cell
        if self.cell == "lstm":
            arguments["proj_size"] = self.proj_size
        return arguments

    @property
    def pair(self) -> tuple[nn.RNNBase, nn.RNNBase]:
        """Our layer and torch's, with equal weights; torch's in double precision."""
        ours, theirs = {"lstm": (LSTM, nn.LSTM), "gru": (GRU, nn.GRU)}.get(self.cell, (RNN, nn.RNN))
        torch.manual_seed(self.seed)
        layer, twin = ours(**self.arguments), theirs(**self.arguments)
        layer.load_state_dict(twin.state_dict())
        return layer, twin.double()

    def input(self, *, batched: bool = True) -> Tensor:
        """A padded batch, or the first sequence of it."""
        shape = (len(self.lengths), self.steps, 3)
        x = torch.randn(shape, dtype=self.dtype)
        if not batched:
            return x[0].requires_grad_()
        return (x if self.batch_first else x.transpose(0, 1)).contiguous().requires_grad_()

    def state(self, *, batched: bool = True) -> tuple[Tensor, ...]:
        """Initial states that require gradients; none for a case without."""
        if not self.with_state:
            return ()
        rows = self.num_layers * (2 if self.bidirectional else 1)
        batch = (len(self.lengths),) if batched else ()
        sizes = [self.proj_size or self.hidden_size, self.hidden_size]
        return tuple(
            torch.randn(rows, *batch, size, dtype=self.dtype).requires_grad_()
            for size in sizes[: 2 if self.cell == "lstm" else 1]
        )


@st.composite
def cases(
    draw: st.DrawFn, *, shortest: int = 1, directions: tuple[bool, ...] = (False, True)
) -> Case:
    cell = draw(st.sampled_from(["tanh", "relu", "lstm", "gru"]))
    hidden_size = draw(st.integers(1, 4))
    lengths = draw(st.lists(st.integers(shortest, 5), min_size=1, max_size=4))
    return Case(
        cell=cell,
        num_layers=draw(st.integers(1, 3)),
        bidirectional=draw(st.sampled_from(directions)),
        batch_first=draw(st.booleans()),
        bias=draw(st.booleans()),
        hidden_size=hidden_size,
        proj_size=draw(st.integers(0, hidden_size - 1)) if cell == "lstm" else 0,
        lengths=tuple(lengths),
        steps=max(1, *lengths) + draw(st.integers(0, 2)),
        with_state=draw(st.booleans()),
        seed=draw(st.integers(0, 999)),
    )


def hidden(state: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...] | None:
    """The form in which the layers take a state."""
    return (state if len(state) > 1 else state[0]) if state else None


def tensors(result: object) -> Iterator[Tensor]:
    """All floating-point tensors of an output and a state."""
    if isinstance(result, PackedSequence):
        yield result.data
    elif isinstance(result, Tensor):
        yield result
    else:
        for member in result:
            yield from tensors(member)


def gradients(results: list[Tensor], sources: list[Tensor]) -> tuple[Tensor, ...]:
    """Gradients of a fixed random linear function of the results."""
    return torch.autograd.grad(results, sources, [cotangent(result) for result in results])


def cotangent(result: Tensor) -> Tensor:
    """The same numbers for every tensor of a shape, whatever its precision."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(result.shape, generator=generator).to(result.dtype)


def in_double(given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The same numbers in double precision, to differentiate by."""
    return tuple(tensor.detach().double().requires_grad_() for tensor in given)


def assert_same(route: str, received: list[Tensor], expected: list[Tensor]) -> None:
    """Equal to the last bit from a native kernel, to 1e-10 from the others."""
    if route in levels.names():
        assert all(map(torch.equal, received, expected))
    torch.testing.assert_close(received, expected, rtol=1e-10, atol=1e-10)


Near = Callable[[list[Tensor], list[Tensor]], None]
Call = Callable[[nn.RNNBase, Tensor, tuple[Tensor, ...]], object]


def assert_equals_torch(
    near: Near, case: Case, call: Call, twin_call: Call, *, batched: bool = True
) -> None:
    """Values and every gradient of our layer are those of torch's."""
    layer, twin = case.pair
    given = (case.input(batched=batched), *case.state(batched=batched))
    twin_given = in_double(given)
    received = list(tensors(call(layer, given[0], given[1:])))
    expected = list(tensors(twin_call(twin, twin_given[0], twin_given[1:])))
    near(received, expected)
    near(
        gradients(received, [*given, *layer.parameters()]),
        gradients(expected, [*twin_given, *twin.parameters()]),
    )


@SETTINGS
@given(case=cases(), batched=st.booleans())
def test_equals_torch_on_tensors(route: str, assert_near: Near, case: Case, batched: bool) -> None:
    def call(layer: nn.RNNBase, x: Tensor, state: tuple[Tensor, ...]) -> object:
        return layer(x, hidden(state))

    assert_equals_torch(assert_near, case.on(route), call, call, batched=batched)


@SETTINGS
@given(case=cases(), is_sorted=st.booleans())
def test_equals_torch_on_packed_sequences(
    route: str, assert_near: Near, case: Case, is_sorted: bool
) -> None:
    lengths = torch.tensor(sorted(case.lengths, reverse=True) if is_sorted else case.lengths)
    results = []

    def call(layer: nn.RNNBase, x: Tensor, state: tuple[Tensor, ...]) -> object:
        packed = pack_padded_sequence(x, lengths, case.batch_first, enforce_sorted=is_sorted)
        results.append(layer(packed, hidden(state)))
        return results[-1]

    assert_equals_torch(assert_near, case.on(route), call, call)
    (ours, _), (theirs, _) = results
    for received, expected in zip(ours[1:], theirs[1:], strict=True):  # all but the data
        assert received is expected is None or torch.equal(received, expected)


@SETTINGS
@given(case=cases())
def test_lengths_equal_torch_on_packed_sequences(route: str, assert_near: Near, case: Case) -> None:
    lengths = torch.tensor(case.lengths)

    def call(layer: nn.RNNBase, x: Tensor, state: tuple[Tensor, ...]) -> object:
        return layer(x, hidden(state), lengths=lengths)

    def twin_call(twin: nn.RNNBase, x: Tensor, state: tuple[Tensor, ...]) -> object:
        packed = pack_padded_sequence(x, lengths, case.batch_first, enforce_sorted=False)
        output, final = twin(packed, hidden(state))
        padded, _ = pad_packed_sequence(output, case.batch_first, total_length=case.steps)
        return padded, final

    assert_equals_torch(assert_near, case.on(route), call, twin_call)


@SETTINGS
@given(case=cases(directions=(False,)), batched=st.booleans(), gradients=st.booleans())
def test_steps_equal_forward(route: str, case: Case, batched: bool, gradients: bool) -> None:
    case = case.on(route)
    layer, _ = case.pair
    x, state = case.input(batched=batched), hidden(case.state(batched=batched))
    step_dim = 1 if batched and case.batch_first else 0
    outputs = []
    # In training amx has an order of sums of its own.
    with torch.set_grad_enabled(gradients and route != "amx"):
        expected, final = layer(x, state)
        for x_t in x.unbind(step_dim):
            output, state = layer.step(x_t, state)
            outputs.append(output)
    received = [torch.stack(outputs, step_dim), *tensors(state)]
    assert_same(route, received, [expected, *tensors(final)])


@SETTINGS
@given(case=cases(shortest=0))
def test_batch_equals_each_sequence_alone(route: str, case: Case) -> None:
    case = case.on(route)
    layer, _ = case.pair
    x, state = case.input(), case.state()
    batch_dim = 0 if case.batch_first else 1
    output, final = layer(x, hidden(state), lengths=case.lengths)
    (gradient,) = gradients([output], [x])
    for b, length in enumerate(case.lengths):
        h_0 = tuple(member[:, b] for member in state)
        if length == 0:
            assert not output.select(batch_dim, b).any()
            initial = h_0 or tuple(torch.zeros_like(m[:, b]) for m in tensors(final))
            assert all(map(torch.equal, (m[:, b] for m in tensors(final)), initial))
            continue
        alone = x.select(batch_dim, b)[:length].detach().requires_grad_()
        expected = layer(alone, hidden(h_0))
        received = [output.select(batch_dim, b)[:length], *(m[:, b] for m in tensors(final))]
        assert_same(route, received, list(tensors(expected)))
        its_cotangent = cotangent(output).select(batch_dim, b)[:length]
        expected_gradient = torch.autograd.grad(expected[0], alone, its_cotangent)
        assert_same(route, [gradient.select(batch_dim, b)[:length]], list(expected_gradient))


@SETTINGS
@given(
    case=cases(shortest=0),
    filling=st.sampled_from([float("nan"), float("inf"), float("-inf"), 1e30]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_padding_changes_nothing(
    route: str, case: Case, filling: float, dtype: torch.dtype
) -> None:
    layer = case.pair[0].to(dtype)
    padding = torch.arange(case.steps) >= torch.tensor(case.lengths).unsqueeze(1)  # (B, T)
    padding = (padding if case.batch_first else padding.T).unsqueeze(2)
    x = case.input().detach().to(dtype)
    state = tuple(member.detach().to(dtype).requires_grad_() for member in case.state())
    runs = []
    for value in (filling, 0.0):
        filled = x.masked_fill(padding, value).requires_grad_()
        results = list(tensors(layer(filled, hidden(state), lengths=case.lengths)))
        runs.append((*results, *gradients(results, [filled, *state, *layer.parameters()])))
        output, gradient = results[0], runs[-1][len(results)]
        assert not output.masked_select(padding).any()
        assert not gradient.masked_select(padding).any()
    for received, expected in zip(*runs, strict=True):
        assert torch.equal(received, expected)
        assert received.isfinite().all()


@SETTINGS
@given(case=cases(), data=st.data())
def test_order_of_the_batch_changes_nothing(route: str, case: Case, data: st.DataObject) -> None:
    case = case.on(route)
    layer, _ = case.pair
    order = data.draw(st.permutations(range(len(case.lengths))))
    x, state = case.input(), case.state()
    batch_dim = 0 if case.batch_first else 1
    output, final = layer(x, hidden(state), lengths=case.lengths)
    expected = [output.index_select(batch_dim, torch.tensor(order))]
    expected += [member[:, order] for member in tensors(final)]
    received = layer(
        x.index_select(batch_dim, torch.tensor(order)),
        hidden(tuple(member[:, order] for member in state)),
        lengths=[case.lengths[b] for b in order],
    )
    assert_same(route, list(tensors(received)), expected)


@SETTINGS
@given(case=cases())
def test_full_lengths_are_no_lengths(route: str, case: Case) -> None:
    case = case.on(route)
    layer, _ = case.pair
    x, state = case.input(), hidden(case.state())
    full = torch.full((len(case.lengths),), case.steps)
    with_lengths, without = layer(x, state, lengths=full), layer(x, state)
    assert all(map(torch.equal, tensors(with_lengths), tensors(without)))


def test_backward_direction_starts_at_the_end_of_each_sequence(route: str) -> None:
    # With all weights 1, no bias and inputs of 0 or more, a rectifier network adds up its inputs.
    layer = RNN(1, 1, nonlinearity="relu", bias=False, batch_first=True, bidirectional=True)
    for weight in layer.parameters():
        nn.init.ones_(weight)
    x = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 100.0], [100.0, 100.0, 100.0]]).unsqueeze(2)
    output, h = layer(x, lengths=[3, 2, 0])
    forward, backward = output.unbind(2)
    assert forward.tolist() == [[1.0, 3.0, 6.0], [1.0, 3.0, 0.0], [0.0, 0.0, 0.0]]
    assert backward.tolist() == [[6.0, 5.0, 3.0], [3.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    assert h.squeeze(2).tolist() == [[6.0, 3.0, 0.0], [6.0, 3.0, 0.0]]
