"""The native kernels inside larger programs: operators, compilers, threads, processes, loaders."""

import copy
import io
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset

from unspool.nn import GRU, LSTM, RNN

OPERATORS = torch.ops.unspool
cells = pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
pytestmark = pytest.mark.filterwarnings(
    # Python 3.12 warns of what is tested here: a fork of a process that has threads.
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning",
)


def make_layer(cell: str, *arguments: int, **options) -> nn.RNNBase:
    torch.manual_seed(0)
    if cell.startswith("rnn"):
        options["nonlinearity"] = cell.removeprefix("rnn_")
    layer_class = {"lstm": LSTM, "gru": GRU}.get(cell, RNN)
    return layer_class(*arguments, **{"batch_first": True, **options})


class Reader(nn.Module):
    """What a program has around a layer."""

    def __init__(self, **options) -> None:
        super().__init__()
        self.layer = make_layer("lstm", 5, 7, 2, bidirectional=True, **options)
        self.out = nn.Linear(14, 2)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        output, (h_n, _) = self.layer(x, lengths=lengths)
        return self.out(output) + h_n.mean()


def values_and_gradients(module: Callable, parameters: Iterator[Tensor], *given) -> list[Tensor]:
    output = module(*given)
    return [output, *torch.autograd.grad(output.square().sum(), list(parameters))]


def assert_equal(received: list[Tensor], expected: list[Tensor]) -> None:
    """Bit for bit."""
    assert len(received) == len(expected)
    assert all(map(torch.equal, received, expected))


# ----------------------------------------------------------------------------------- operators


def operator_arguments(cell: str, native: str, lengths: Tensor | None, dropped: bool) -> tuple:
    layer = make_layer(cell, 5, 7, 2, bidirectional=True)
    h0 = torch.randn(4, 3, 7, requires_grad=True)
    c0 = torch.randn(4, 3, 7, requires_grad=True) if cell == "lstm" else None
    mask = torch.ones(1, 3, 4, 14, dtype=torch.uint8).bernoulli_(0.5) if dropped else None
    x = torch.randn(3, 4, 5, requires_grad=True)
    weights = list(layer.parameters())
    return (x, h0, c0, lengths, weights, mask, cell, 2, True, True, 2.0, True, native)


@cells
@pytest.mark.parametrize("dropped", [False, True])
def test_operator_keeps_the_rules(fastest: str, cell: str, dropped: bool) -> None:
    torch.library.opcheck(
        OPERATORS.recurrent.default, operator_arguments(cell, fastest, None, dropped)
    )


# The workspace is not initialised in the padding, so that no two of them are equal there.
WITHOUT_VALUES = ("test_schema", "test_autograd_registration", "test_faketensor")


@cells
def test_operator_with_lengths_keeps_the_rules(native: str, cell: str) -> None:
    torch.library.opcheck(
        OPERATORS.recurrent.default,
        operator_arguments(cell, native, torch.tensor([4, 0, 2]), True),
        test_utils=WITHOUT_VALUES,
    )


@cells
@pytest.mark.parametrize("lengths", [None, torch.tensor([4, 0, 2])], ids=["full", "ragged"])
def test_gradient_operator_keeps_the_rules(fastest: str, cell: str, lengths: Tensor | None) -> None:
    *before, save, name = operator_arguments(cell, fastest, lengths, True)
    with torch.no_grad():
        output, h_n, c_n, workspace = OPERATORS.recurrent(*before, save, name)
        *arguments, cell, layers, bidirectional, bias, scale = before
        torch.library.opcheck(
            OPERATORS.recurrent_backward.default,
            (
                *(torch.ones_like(output), torch.ones_like(h_n)),
                torch.ones_like(c_n) if cell == "lstm" else None,
                *(*arguments, output, workspace),
                *(cell, layers, bidirectional, bias, scale, name),
                [True, True, cell == "lstm"] + [True] * len(arguments[4]),
            ),
            # The operator is itself a derivative; the twin is asked for further ones.
            test_utils=("test_schema", "test_faketensor", "test_aot_dispatch_dynamic"),
        )


# ----------------------------------------------------------------------------------- compilers


@pytest.fixture
def compiled(fastest: str) -> Iterator[Callable]:
    """Compile a module as one graph; torch leaves every kind of nn.LSTM out unless it is told."""
    torch.compiler.reset()
    with torch._dynamo.config.patch(allow_rnn=True):
        yield lambda module: torch.compile(module, backend="aot_eager", fullgraph=True)
    torch.compiler.reset()


def test_compiled_module_changes_no_bit(compiled: Callable) -> None:
    module, x = Reader(), torch.randn(3, 4, 5)
    program = compiled(module)
    for lengths in (None, torch.tensor([4, 0, 2]), torch.tensor([1, 3, 4])):
        assert_equal(
            values_and_gradients(program, module.parameters(), x, lengths),
            values_and_gradients(module, module.parameters(), x, lengths),
        )


def test_compiled_module_takes_other_sizes(compiled: Callable) -> None:
    module = Reader()
    program = compiled(module)
    for batch, steps in ((3, 4), (5, 6), (1, 1)):
        x, lengths = torch.randn(batch, steps, 5), torch.randint(0, steps + 1, (batch,))
        assert torch.equal(program(x, lengths), module(x, lengths))


def test_compiled_module_draws_the_same_dropout(compiled: Callable) -> None:
    module, x = Reader(dropout=0.5), torch.randn(3, 4, 5)
    program = compiled(module)
    runs = []
    for module_or_program in (module, program):
        torch.manual_seed(1)
        runs.append(values_and_gradients(module_or_program, module.parameters(), x))
    assert_equal(*runs)


def test_compiled_module_explains_wrong_lengths(compiled: Callable) -> None:
    program = compiled(Reader())
    program(torch.randn(3, 4, 5), torch.tensor([4, 0, 2]))
    with pytest.raises(ValueError, match="lengths has the value 5, expected 0 to T = 4"):
        program(torch.randn(3, 4, 5), torch.tensor([4, 5, 2]))


def test_compiled_step_changes_no_bit(compiled: Callable) -> None:
    layer, x = make_layer("gru", 5, 7, 2), torch.randn(3, 5)
    for received, expected in zip(compiled(layer.step)(x), layer.step(x), strict=True):
        assert torch.equal(received, expected)


def export(module: nn.Module, *given: Tensor, strict: bool = False) -> ExportedProgram:
    batch, steps = Dim("batch", min=1), Dim("steps", min=1)
    shapes = ({0: batch, 1: steps}, {0: batch})[: len(given)]
    return torch.export.export(
        module, given, strict=strict, dynamic_shapes=shapes if len(given) == 2 else None
    )


@pytest.mark.parametrize("strict", [False, True])
def test_exported_module_changes_no_bit(fastest: str, strict: bool) -> None:
    module = Reader()
    program = export(module, torch.randn(3, 4, 5), torch.tensor([4, 0, 2]), strict=strict)
    assert "unspool.recurrent" in str(program.graph)
    x, lengths = torch.randn(2, 6, 5), torch.tensor([0, 6])
    assert torch.equal(program.module()(x, lengths), module(x, lengths))


def test_exported_program_is_stored_and_loaded(fastest: str) -> None:
    module, x, file = Reader().eval(), torch.randn(3, 4, 5), io.BytesIO()
    torch.export.save(export(module, x), file)
    file.seek(0)
    assert torch.equal(torch.export.load(file).module()(x), module(x))


def test_program_exported_without_gradients_trains(fastest: str) -> None:
    module, x = Reader(), torch.randn(3, 4, 5)
    with torch.no_grad():
        program = export(module, x).module()
    received = values_and_gradients(program, program.parameters(), x)
    torch.testing.assert_close(received, values_and_gradients(module, module.parameters(), x))


# ------------------------------------------------------------------------------------ autograd


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_changes_no_bit(fastest: str, reentrant: bool) -> None:
    module, x = Reader(dropout=0.5), torch.randn(3, 4, 5, requires_grad=True)
    runs = []
    for run in (module, lambda x: checkpoint(module, x, use_reentrant=reentrant)):
        module.zero_grad()
        torch.manual_seed(1)
        run(x).sum().backward()
        runs.append([parameter.grad for parameter in module.parameters()])
    assert_equal(*runs)


def test_saved_tensors_may_be_moved(fastest: str) -> None:
    module, x = Reader(), torch.randn(3, 4, 5)
    expected = values_and_gradients(module, module.parameters(), x)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        received = values_and_gradients(module, module.parameters(), x)
    assert_equal(received, expected)


def test_copies_share_nothing(fastest: str) -> None:
    module, x = Reader(), torch.randn(3, 4, 5)
    twin, expected = copy.deepcopy(module), module(x)
    nn.init.zeros_(module.layer.weight_hh_l0)
    assert torch.equal(twin(x), expected)
    module.load_state_dict(twin.state_dict())
    assert torch.equal(module(x), expected)


# ------------------------------------------------------------------------ threads and processes


class Large:
    """A layer, and batches that are worth several threads."""

    def __init__(self, count: int) -> None:
        self.layer = make_layer("lstm", 16, 32, 2, bidirectional=True)
        self.batches = [
            (torch.randn(64, 20, 16), torch.randint(0, 21, (64,))) for _ in range(count)
        ]

    def results(self, x: Tensor, lengths: Tensor) -> list[Tensor]:
        output, state = self.layer(x, lengths=lengths)
        return [output, *state]

    def gradients(self, x: Tensor, lengths: Tensor) -> list[Tensor]:
        output, *_ = self.results(x, lengths)
        return list(torch.autograd.grad(output.square().sum(), list(self.layer.parameters())))


def test_calls_from_several_threads(native: str, threads: Callable[[int], None]) -> None:
    large = Large(8)
    expected = [large.gradients(*batch) for batch in large.batches]

    def work(batch: tuple[Tensor, Tensor]) -> list[Tensor]:
        torch.set_num_threads(2)
        return large.gradients(*batch)

    with ThreadPoolExecutor(4) as pool:
        received = list(pool.map(work, large.batches))
    for one, other in zip(received, expected, strict=True):
        assert_equal(one, other)


def in_child(work: Callable[[], list[Tensor]]) -> list[Tensor]:
    """What the work gives in a forked process, which must not wait for threads it has not got."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send([value.numpy() for value in work()]))
    child.start()
    try:
        assert receiver.poll(60), "the child gives no answer"
        return [torch.from_numpy(value) for value in receiver.recv()]
    finally:
        child.kill()
        child.join()


@pytest.mark.parametrize("count", [1, 2])
def test_forked_process_computes_the_same(
    native: str, threads: Callable[[int], None], count: int
) -> None:
    large = Large(1)
    threads(count)

    def work() -> list[Tensor]:
        with torch.no_grad():
            return large.results(*large.batches[0])

    expected = work()  # the parent's threads have worked before the fork
    assert_equal(in_child(work), expected)
    assert_equal(work(), expected)


class Encoded(Dataset):
    """Sequences as the last state of a layer."""

    def __init__(self, layer: nn.RNNBase, x: Tensor) -> None:
        self.layer, self.x = layer, x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Tensor:
        with torch.no_grad():
            return self.layer(self.x[index])[1]


def test_data_loader_workers_run_a_layer(fastest: str, threads: Callable[[int], None]) -> None:
    threads(2)
    layer, x = make_layer("gru", 5, 7), torch.randn(8, 20, 5)
    expected = torch.cat(list(DataLoader(Encoded(layer, x))))
    loader = DataLoader(
        Encoded(layer, x), num_workers=2, multiprocessing_context="fork", timeout=60
    )
    assert torch.equal(torch.cat(list(loader)), expected)
