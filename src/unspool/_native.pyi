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
def peak(kernel: str, threads: int) -> float: ...
