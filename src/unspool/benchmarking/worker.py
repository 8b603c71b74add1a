"""The process that measures one case: reads a job as JSON from standard input, prints the result.

Jobs are sent by :mod:`unspool.benchmarking.layers`.
"""

from __future__ import annotations

import json
import math
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from unspool import __version__, native
from unspool.benchmarking import contenders
from unspool.benchmarking.contenders import Contender
from unspool.benchmarking.layers import Case, Shape
from unspool.errors import UnspoolError
from unspool.nn import levels

_SAMPLE_SECONDS = 0.005  # of several calls, where one is shorter
_WARM_UP_CALLS = 3
_MEMORY_STEPS = 5
_GEMM_SIZE = 2048
_TOLERANCES = {"fp32": 1e-4, "bf16": 5e-2}


def main() -> None:
    """Do the job that standard input holds."""
    job = json.load(sys.stdin)
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    print(json.dumps(_KINDS[job["kind"]](job)))


def _machine(_: dict[str, Any]) -> dict[str, Any]:
    dtypes = {"fp32": torch.float32}
    if native.fast_bf16():
        dtypes["bf16"] = torch.bfloat16
    return {
        "cpu": _cpu_name(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "unspool": __version__,
        "kernel": levels.kernel(),
        "gemm_gflops": {name: _gemm_gflops(dtype) for name, dtype in dtypes.items()},
        "peak_gflops": {name: _peak_gflops(name == "bf16") for name in dtypes},
    }


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _gemm_gflops(dtype: torch.dtype) -> float:
    """Measure what torch's product of two large matrices reaches, the best of several."""
    one, other = (torch.randn(_GEMM_SIZE, _GEMM_SIZE).to(dtype) for _ in range(2))
    best = min(_seconds(lambda: torch.mm(one, other), 1) for _ in range(8))
    return 2 * _GEMM_SIZE**3 / best / 1e9


def _peak_gflops(half: bool) -> float | None:
    """Measure the most that the processor can do in its registers; None without native kernels.

    In fp32 that is by multiply-adds, also where the layers go by way of AMX.
    """
    name = levels.serving(levels.kernel(), half)
    if name is None:
        return None
    name = levels.batch_invariant(name)
    from unspool import _native

    return _native.peak(name, torch.get_num_threads()) / 1e9


def _time(job: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Time ours and another's in turn; medians in milliseconds for each mode."""
    case = _case(job["case"])
    ours, theirs = contenders.build("unspool", case), contenders.build(job["contender"], case)
    if job["contender"] == "torch":
        _compare(ours, theirs, case)
    times = {}
    for mode in job["modes"]:
        in_use = mode == "forward"
        with ours.inference() if in_use else nullcontext():
            times[mode] = _interleaved(getattr(ours, mode), getattr(theirs, mode), job["repeat"])
    return times


def _compare(ours: Contender, theirs: Contender, case: Case) -> None:
    """Make sure that the same is computed; the weights are the same, drawn from the same seed."""
    got, expected = ours.forward().float(), theirs.forward()
    error = float((got - expected).abs().max() / expected.abs().max())
    if not error < _TOLERANCES[case.precision]:
        raise UnspoolError(
            f"{case}: our layer's output differs from torch.nn's by {error:.1e} of the largest "
            f"value, expected less than {_TOLERANCES[case.precision]:.0e}; its times mean nothing"
        )


def _interleaved(
    ours: Callable[[], object], theirs: Callable[[], object], repeat: int
) -> tuple[float, float]:
    calls = {}
    for run in (ours, theirs):
        _seconds(run, _WARM_UP_CALLS)
        calls[run] = max(1, math.ceil(_SAMPLE_SECONDS / _seconds(run, 1)))
    samples: dict[Callable[[], object], list[float]] = {ours: [], theirs: []}
    for i in range(repeat):
        for run in (ours, theirs) if i % 2 == 0 else (theirs, ours):
            samples[run].append(_seconds(run, calls[run]) / calls[run])
    return 1e3 * statistics.median(samples[ours]), 1e3 * statistics.median(samples[theirs])


def _seconds(run: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return time.perf_counter() - start


def _memory(job: dict[str, Any]) -> dict[str, float]:
    """Measure how far training steps raise the peak resident size, above the layer and its data."""
    case = _case(job["case"])
    small = Case(case.cell, Shape(2, 2, 2, 2, 1), precision=case.precision)
    contenders.build(job["contender"], small).training()  # what is loaded once is not counted
    contender = contenders.build(job["contender"], case)
    before = _peak_of(lambda: None)
    after = _peak_of(lambda: _seconds(contender.training, _MEMORY_STEPS))
    return {"mib": max(0, after - before) / 2**20}


def _peak_of(work: Callable[[], object]) -> int:
    """Return the peak resident size in bytes during some work.

    Outside Linux it is that since the process began.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to the present size
    work()
    lines = (line.split() for line in status.read_text().splitlines())
    return next(1024 * int(fields[1]) for fields in lines if fields[0] == "VmHWM:")


def _case(fields: dict[str, Any]) -> Case:
    return Case(**{**fields, "shape": Shape(*fields["shape"])})


_KINDS = {"machine": _machine, "time": _time, "memory": _memory}

if __name__ == "__main__":
    main()
