"""The layers of :mod:`unspool.nn` beside those of torch.nn, Keras and JAX.

Every case is measured in a fresh process, in which the two contenders take turns: a machine whose
speed drifts treats both alike, and no case inherits the memory that another has left. What the
process does is in :mod:`unspool.benchmarking.worker`; here is what is measured, and what follows
from it. Shapes are written B,T,F,H,L: batch, steps, features, hidden size, layers.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from itertools import product
from typing import Any, NamedTuple

from unspool import native
from unspool.errors import UnspoolError

GATES = {"lstm": 4, "gru": 3}
PRECISIONS = ("fp32", "bf16")
MODES = ("forward", "training", "memory")
"""Inference; forward and backward pass with a dense gradient of the output, none of the input
asked for; growth of the peak resident size by training steps."""

MALLOC = {
    "default": {},
    "fault-free": {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)},
}
"""Settings of glibc's allocator: its own, and one that keeps freed memory, so that no step takes
page faults and kernels alone are compared."""

# Part of a setting, or known to slow one side down.
_NOT_PASSED_ON = ("GLIBC_TUNABLES", "MALLOC_", "OMP_WAIT_POLICY", "UNSPOOL_MALLOC")
_BUSY = 0.5  # load average
_PACKAGES = {"Keras": ("keras", "tensorflow"), "JAX": ("jax",)}


class Shape(NamedTuple):
    """Sizes of a case."""

    batch: int
    steps: int
    features: int
    hidden: int
    layers: int

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Read ``B,T,F,H,L``.

        Raises
        ------
        ValueError
            If these are not five positive numbers.
        """
        try:
            shape = cls(*map(int, text.split(",")))
        except (TypeError, ValueError):
            shape = None
        if shape is None or min(shape) < 1:
            raise ValueError(
                f"shape {text!r}, expected five positive numbers B,T,F,H,L as in 128,28,28,128,2"
            )
        return shape


SHAPES = (
    Shape(128, 28, 28, 128, 2),
    Shape(128, 28, 128, 128, 1),
    Shape(20, 35, 200, 200, 2),
    Shape(64, 20, 512, 512, 2),
    Shape(1, 28, 28, 128, 2),
)
RAGGED_SHAPES = (Shape(128, 100, 64, 256, 1),)


@dataclass(frozen=True)
class Case:
    """One layer, or stack of layers, and its input."""

    cell: str
    shape: Shape
    ragged: bool = False
    bidirectional: bool = False
    precision: str = "fp32"

    @property
    def directions(self) -> int:
        """1 or 2."""
        return 2 if self.bidirectional else 1

    def lengths(self) -> list[int]:
        """Return each sequence's number of steps: T, or uniform in 1..T, the same at every call."""
        batch, steps = self.shape[:2]
        draw = random.Random(batch * steps)
        return [draw.randint(1, steps) if self.ragged else steps for _ in range(batch)]

    def operations(self, mode: str) -> int:
        """Count the floating-point operations of the matrix products over valid steps."""
        _, _, features, hidden, layers = self.shape
        gates = GATES[self.cell] * hidden
        total = 0
        for layer in range(layers):
            inputs = features if layer == 0 else self.directions * hidden
            forward = backward = gates * (inputs + hidden)  # the latter for the weights' gradients
            backward += gates * (hidden if layer == 0 else inputs + hidden)
            total += forward if mode == "forward" else forward + backward
        return 2 * total * self.directions * sum(self.lengths())

    def __str__(self) -> str:
        words = [self.cell, ",".join(map(str, self.shape)), self.precision]
        words += ["ragged"] * self.ragged + ["both directions"] * self.bidirectional
        return " ".join(words)


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes
    ----------
    shapes : sequence of Shape
        Full batches in one direction.
    ragged_shapes : sequence of Shape
        Ragged batches, in one direction and in both.
    repeat : int
        Samples of each contender, of which the median counts.
    threads : int, optional
        For all contenders; torch's own choice if absent.
    """

    cells: Sequence[str] = tuple(GATES)
    shapes: Sequence[Shape] = SHAPES
    ragged_shapes: Sequence[Shape] = RAGGED_SHAPES
    precisions: Sequence[str] = PRECISIONS
    modes: Sequence[str] = ("forward", "training")
    malloc: Sequence[str] = tuple(MALLOC)
    repeat: int = 25
    threads: int | None = None


def measure(plan: Plan, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Measure all that a plan names.

    Parameters
    ----------
    plan : Plan
        What to measure.
    say : callable, optional
        Gets a line of progress before each measurement.

    Returns
    -------
    dict
        ``machine``, facts of the machine and the versions; ``repeat``; ``rows``, ours against
        torch.nn; ``others``, ours against Keras and JAX; ``left_out``, what could not be measured
        and why. Times are medians in milliseconds, memory is in MiB, and a ``ratio`` above 1 says
        that ours is the better.

    Raises
    ------
    UnspoolError
        If a contender fails, or ours computes something else than torch.nn.
    """
    plan, left_out = _possible(plan)
    load = os.getloadavg()[0]
    if load > _BUSY:
        say(f"this machine is busy (load average {load:.1f}): its figures will mean little")
    machine = _work("fault-free", kind="machine", threads=plan.threads)
    jobs = list(_jobs(plan, [name for name in _PACKAGES if _is_installed(name)]))
    rows: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for number, (malloc, case, contender) in enumerate(jobs, start=1):
        say(f"{number}/{len(jobs)} {case} against {contender}, malloc {malloc}")
        found = list(_rows(plan, malloc, case, contender, machine["peak_gflops"]))
        (rows if contender == "torch" else others).extend(found)
    return {
        "machine": machine,
        "repeat": plan.repeat,
        "rows": rows,
        "others": others,
        "left_out": left_out,
    }


def _possible(plan: Plan) -> tuple[Plan, list[str]]:
    """Return the part of a plan that this machine can measure, and why the rest is left out."""
    left_out = [f"{name}: not installed" for name in _PACKAGES if not _is_installed(name)]
    precisions, malloc = list(plan.precisions), list(plan.malloc)
    if "bf16" in precisions and not native.fast_bf16():
        precisions.remove("bf16")
        left_out.append("bf16: " + (native.absence() or "this processor is not faster at it"))
    if "fault-free" in malloc and platform.libc_ver()[0] != "glibc":
        malloc = ["default"]
        left_out.append("malloc fault-free: the C library is not glibc")
    return replace(plan, precisions=precisions, malloc=malloc), left_out


def _is_installed(contender: str) -> bool:
    return all(find_spec(package) for package in _PACKAGES[contender])


def _jobs(plan: Plan, others: Sequence[str]) -> Iterator[tuple[str, Case, str]]:
    """Yield allocator, case and contender of every process to start."""
    batches = [(shape, False, False) for shape in plan.shapes]
    batches += [(shape, True, both) for shape in plan.ragged_shapes for both in (False, True)]
    for malloc, precision, cell, batch in product(
        plan.malloc, plan.precisions, plan.cells, batches
    ):
        case = Case(cell, *batch, precision)
        yield malloc, case, "torch"
        if precision == "fp32" and not case.ragged:  # which is all that the others are measured at
            for other in others:
                yield malloc, case, other


def _rows(
    plan: Plan, malloc: str, case: Case, contender: str, peak_gflops: dict[str, float | None]
) -> Iterator[dict[str, Any]]:
    theirs = contender.lower()
    about = {
        "cell": case.cell,
        "shape": list(case.shape),
        "lengths": "ragged" if case.ragged else "full",
        "bidirectional": case.bidirectional,
        "precision": case.precision,
        "malloc": malloc,
    }
    job = {"case": asdict(case), "threads": plan.threads}
    timed = [mode for mode in plan.modes if mode != "memory"]
    if timed:
        times = _work(
            malloc, kind="time", contender=contender, modes=timed, repeat=plan.repeat, **job
        )
        for mode in timed:
            ours, other = times[mode]
            gflops, peak = case.operations(mode) / ours / 1e6, peak_gflops[case.precision]
            yield {
                **about,
                "mode": mode,
                "ours_ms": ours,
                f"{theirs}_ms": other,
                "ratio": other / ours,
                "gflops": gflops,
                "share_of_peak": None if peak is None else gflops / peak,
            }
    if "memory" in plan.modes and contender == "torch":
        ours, other = (
            _work(malloc, kind="memory", contender=name, **job)["mib"]
            for name in ("unspool", "torch")
        )
        yield {
            **about,
            "mode": "memory",
            "ours_mib": ours,
            "torch_mib": other,
            "ratio": other / ours if ours else None,
        }


def _work(malloc: str, **job: Any) -> dict[str, Any]:
    """Have a fresh process do a job, see :mod:`unspool.benchmarking.worker`."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)
    }
    ended = subprocess.run(
        [sys.executable, "-m", "unspool.benchmarking.worker"],
        input=json.dumps(job),
        env={**environment, **MALLOC[malloc]},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        reason = (ended.stderr.strip().splitlines() or ["no output"])[-1]
        raise UnspoolError(
            f"the measuring process ended with status {ended.returncode}: {reason}; "
            f"its job was {json.dumps(job)}"
        )
    result: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return result
