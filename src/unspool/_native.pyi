from collections.abc import Sequence

_Rows = tuple[int, int, int]

def instruction_sets() -> list[str]: ...
def kernels() -> list[str]: ...
def half_kernels() -> list[str]: ...
def fast_bf16() -> bool: ...
def borrow_threads() -> bool: ...
def workspace_size(kernel: str, cell: str, sizes: Sequence[int], has_mask: bool) -> int: ...
def forward(
    kernel: str,
    cell: str,
    sizes: Sequence[int],
    input: _Rows,
    lengths: int,
    h0: int,
    c0: int,
    weights: Sequence[int],
    mask: int,
    scale: float,
    output: _Rows,
    workspace: int,
    threads: int,
    h_n: int,
    c_n: int,
    packed: int = 0,
) -> None: ...
def packed_size(kernel: str, cell: str, sizes: Sequence[int]) -> int: ...
def pack(
    kernel: str, cell: str, sizes: Sequence[int], weights: Sequence[int], packed: int, threads: int
) -> None: ...
def backward(
    kernel: str,
    cell: str,
    sizes: Sequence[int],
    input: _Rows,
    lengths: int,
    h0: int,
    c0: int,
    weights: Sequence[int],
    mask: int,
    scale: float,
    output: _Rows,
    workspace: int,
    threads: int,
    d_output: _Rows,
    d_h_n: int,
    d_c_n: int,
    d_input: _Rows,
    d_h0: int,
    d_c0: int,
    d_weights: Sequence[int],
    overwrites: bool,
) -> None: ...
def cross_entropy(
    kernel: str,
    sizes: tuple[int, int, int],
    arguments: tuple[int, int, int],
    targets: int,
    smoothing: float,
    scale: float,
    gradients: tuple[int, ...],
    threads: int,
) -> float: ...
def gates_saved(kernel: str, cell: str, hidden_size: int) -> int: ...
def gates(
    kernel: str, cell: str, sizes: tuple[int, int], arrays: tuple[int, ...], threads: int
) -> None: ...
def gate_gradients(
    kernel: str,
    cell: str,
    sizes: tuple[int, int],
    arrays: tuple[int, ...],
    gradients: tuple[int, ...],
    threads: int,
) -> None: ...
def additive_scores(
    kernel: str,
    sizes: tuple[int, int, int, int],
    arguments: tuple[int, int, int],
    scores: int,
    threads: int,
) -> None: ...
def additive_gradients(
    kernel: str,
    sizes: tuple[int, int, int, int],
    arguments: tuple[int, int, int],
    d_scores: int,
    gradients: tuple[int, int, int],
    threads: int,
) -> None: ...
def product_panels(kernel: str, depth: int, columns: int) -> int: ...
def pack_product(
    kernel: str,
    sizes: tuple[int, int],
    weight: tuple[int, int],
    transpose: bool,
    panels: int,
    threads: int,
) -> None: ...
def multiply(
    kernel: str,
    sizes: tuple[int, int, int],
    panels: int,
    input: tuple[int, int],
    added: tuple[int, int],
    output: tuple[int, int],
    threads: int,
) -> None: ...
def weight_gradient(
    kernel: str,
    sizes: tuple[int, int],
    gradients: tuple[int, int],
    steps: Sequence[int],
    rows: Sequence[int],
    d_weight: int,
    threads: int,
) -> None: ...
def draw_kept(key: int, count: int, dropped: int, kept: int, threads: int) -> None: ...
def best_sums(
    sizes: tuple[int, int, int, int, int],
    values: int,
    offsets: int,
    sums: int,
    rows: int,
    columns: int,
    threads: int,
) -> None: ...
def best(
    sizes: tuple[int, int, int],
    doubles: bool,
    values: int,
    best_values: int,
    best_columns: int,
    threads: int,
) -> None: ...
def peak(kernel: str, threads: int) -> float: ...

class Decoder:
    def __init__(
        self,
        kernel: str,
        cell: str,
        attention: str,
        feeds: bool,
        has_readout: bool,
        sizes: tuple[int, ...],
        layers: Sequence[int],
        dense: Sequence[int],
        embedding: int,
        energy: int,
        threads: int,
    ) -> None: ...
    def step(
        self,
        sizes: tuple[int, int, int],
        tokens: int,
        h: Sequence[int],
        c: Sequence[int],
        seen: int,
        memory: tuple[int, ...],
        h_after: Sequence[int],
        c_after: Sequence[int],
        seen_after: int,
        attention: int,
        log_probabilities: int,
        threads: int,
    ) -> None: ...
    def go_on(
        self,
        sizes: tuple[int, int, int],
        most: int,
        end: int,
        excluded: Sequence[int],
        tokens: int,
        h: Sequence[int],
        c: Sequence[int],
        seen: int,
        memory: tuple[int, ...],
        chosen: int,
        gains: int,
        attention: int,
        h_after: Sequence[int],
        c_after: Sequence[int],
        seen_after: int,
        threads: int,
    ) -> int: ...
