"""What part of a training step the recurrent kernels take, and what all else does.

Trains a shipped recipe for some steps, by the loop that ``unspool train`` runs, and times each call
of the kernels in it. What is *outside* is the rest of a step: data, optimiser, autograd and Python.
Steps are those within an epoch; told are medians. Freed memory is kept, as the command line does.

    python benchmarks/step_shares.py digits mnist-fast mnist --steps 150
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from unspool.allocator import keep_freed_memory

keep_freed_memory()  # before torch is imported

import torch  # noqa: E402

from unspool import _native  # noqa: E402
from unspool.recipes.recipe import load  # noqa: E402
from unspool.tasks.task import Totals  # noqa: E402
from unspool.training.loop import train  # noqa: E402
from unspool.training.report import Observer  # noqa: E402
from unspool.training.state import TrainingState  # noqa: E402

_WARMUP = 10  # steps
_KERNELS = ("forward", "backward")


def main() -> None:
    arguments = _arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(f"{'recipe':14} {'step':>8} {'kernels':>8} {'outside':>8}   milliseconds")
    for recipe in arguments.recipes:
        step, kernels = _measure(recipe, arguments.steps, arguments.settings)
        outside = step - kernels
        share = f"{outside / step:6.1%} of the step"
        print(f"{recipe:14} {step:8.2f} {kernels:8.2f} {outside:8.2f}   {share}", flush=True)


class _EnoughError(Exception):
    """Steps have been seen."""


class _Stopwatch(Observer):
    """Tells steps apart, and the seconds that kernels took in each."""

    def __init__(self, steps: int) -> None:
        self.steps: list[tuple[float, float]] = []
        self._wanted = steps
        self._kernels = 0.0
        self._since: float | None = None

    def timed(self, kernel: Callable[..., Any]) -> Callable[..., Any]:
        """The same, its time being added up."""

        def run(*arguments: Any) -> Any:
            start = time.perf_counter()
            result = kernel(*arguments)
            self._kernels += time.perf_counter() - start
            return result

        return run

    def stepped(self, state: TrainingState, totals: Totals) -> None:
        now = time.perf_counter()
        if self._since is not None:
            self.steps.append((now - self._since, self._kernels))
        if len(self.steps) == self._wanted + _WARMUP:
            raise _EnoughError
        self._since, self._kernels = now, 0.0

    def epoch_ended(self, state: TrainingState, improved: bool) -> None:
        self._since = None


def _measure(recipe: str, steps: int, settings: list[str]) -> tuple[float, float]:
    """Milliseconds of a step, and of the kernels in it."""
    named = load(recipe, settings).recipe
    task = named.build(named.seed)
    state = TrainingState.start(task, named.training)
    watch = _Stopwatch(steps)
    kernels = {name: getattr(_native, name) for name in _KERNELS}
    for name, kernel in kernels.items():
        setattr(_native, name, watch.timed(kernel))
    try:
        with suppress(_EnoughError):
            train(state, named.training, named.seed, [watch])
    finally:
        for name, kernel in kernels.items():
            setattr(_native, name, kernel)
    found = watch.steps[_WARMUP:]
    if not found:
        raise SystemExit(
            f"{recipe} has no {_WARMUP + 1} steps in a run, expected more; name another"
        )
    whole, inside = (1e3 * statistics.median(column) for column in zip(*found, strict=True))
    return whole, inside


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--threads", type=int, help="torch's own number when not given")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
