"""One step of a recurrent layer at a time: as it is, with weights kept packed, and torch's cells.

Decoders and streams call a layer for single steps. All contenders take turns in one process, so
that a machine whose speed drifts treats them alike; told are medians in microseconds.

    python benchmarks/steps.py --threads 1
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import nn

from unspool.nn import GRU, LSTM
from unspool.nn.keeping import keeping_packed

CELLS = {"gru": (GRU, nn.GRUCell), "lstm": (LSTM, nn.LSTMCell)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, default=576)
    parser.add_argument("--hidden", type=int, default=320)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 5, 12, 64])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{'cell':6}{'sequences':>10}{'outside':>12}{'kept':>8}{'torch':>8}   microseconds")
    for cell in CELLS:
        for batch in arguments.batches:
            found = _medians(cell, batch, arguments)
            print(f"{cell:6}{batch:10}{found[0]:12.0f}{found[1]:8.0f}{found[2]:8.0f}", flush=True)


def _medians(cell: str, batch: int, arguments: argparse.Namespace) -> list[float]:
    ours, theirs = CELLS[cell]
    layer = ours(arguments.features, arguments.hidden)
    single = theirs(arguments.features, arguments.hidden)
    x = torch.randn(batch, arguments.features)
    members = [torch.randn(batch, arguments.hidden) for _ in range(2 if cell == "lstm" else 1)]
    state = _state([member[None] for member in members])
    contenders: list[tuple[Callable[[], object], bool]] = [
        (lambda: layer.step(x, state), False),
        (lambda: layer.step(x, state), True),
        (lambda: single(x, _state(members)), False),
    ]
    times: list[list[float]] = [[] for _ in contenders]
    for _ in range(arguments.rounds):
        for (work, keeps), taken in zip(contenders, times, strict=True):
            with torch.inference_mode(), keeping_packed(layer) if keeps else nullcontext():
                taken.append(_seconds(work))
    return [1e6 * statistics.median(taken) for taken in times]


def _state(members: list[torch.Tensor]) -> object:
    return tuple(members) if len(members) > 1 else members[0]


def _seconds(work: Callable[[], object], times: int = 20) -> float:
    work()  # packs, where it is kept
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


if __name__ == "__main__":
    main()
