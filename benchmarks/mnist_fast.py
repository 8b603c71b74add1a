"""How long the recipe mnist-fast takes with our layers, and with torch.nn's in their place.

Each training is a process of its own, the two contenders in turn for every seed, so that a machine
whose speed drifts treats both alike. Prints a row a training, the median seconds (reading the data
and writing the run included) and the mean accuracy; needs MNIST (``unspool data fetch mnist``) and
nothing else running.

Memory is allocated as glibc does by itself; with ``--fault-free`` it keeps what was freed, as
``unspool train`` has it do. ``--recipe`` names another classifier of sequences of equal lengths.

    python benchmarks/mnist_fast.py --seeds 1 2 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

_THRESHOLDS = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
"""With these glibc keeps freed memory, and a step takes no page faults."""


def main() -> None:
    arguments = _arguments()
    if arguments.worker:
        print(json.dumps(_train(arguments.recipe, arguments.worker, arguments.seeds[0])))
        return
    environment = os.environ | (_THRESHOLDS if arguments.fault_free else {})
    rows = []
    for seed in arguments.seeds:
        for layers in ("unspool", "torch"):
            command = [sys.executable, __file__, "--worker", layers, "--seeds", str(seed)]
            command += ["--recipe", arguments.recipe]
            output = subprocess.run(command, env=environment, check=True, capture_output=True)
            rows.append(json.loads(output.stdout))
            print(json.dumps(rows[-1]), flush=True)
    for layers in ("unspool", "torch"):
        chosen = [row for row in rows if row["layers"] == layers]
        seconds = statistics.median(row["seconds"] for row in chosen)
        accuracy = statistics.mean(row["test_accuracy"] for row in chosen)
        print(f"{layers:8} median {seconds:6.1f} s, mean test accuracy {accuracy:.2%}")


def _train(recipe: str, layers: str, seed: int) -> dict[str, Any]:
    """Train and judge once; the seconds are those of the run, without the judging."""
    from unspool import reports, runs
    from unspool.recipes.recipe import load
    from unspool.tasks import model_folder

    if layers == "torch":
        _use_torch_layers()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        start = time.perf_counter()
        runs.train(load(recipe, [f"seed={seed}"]), run)
        seconds = time.perf_counter() - start
        predictor = model_folder.load(run)
        evaluation = predictor.evaluate(*reports.part_of_its_data(predictor, "test"))
    return {
        "layers": layers,
        "seed": seed,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 2),
        "test_accuracy": evaluation.metrics["accuracy"],
    }


def _use_torch_layers() -> None:
    """Put torch.nn's layers in the place of ours; all sequences have the same length here."""
    from unspool.models import cells

    def without_lengths(cls: type[torch.nn.RNNBase]) -> type[torch.nn.RNNBase]:
        class Plain(cls):  # type: ignore[misc, valid-type]
            def __init__(self, *args: Any, forget_bias: float | None = None, **kwargs: Any) -> None:
                assert forget_bias is None
                super().__init__(*args, **kwargs)

            def forward(self, x: Any, lengths: Any = None) -> Any:
                return super().forward(x)

        return Plain

    plain = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    cells.CELLS.update({name: without_lengths(cls) for name, cls in plain.items()})  # type: ignore[misc]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="mnist-fast")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--fault-free", action="store_true", help="let glibc keep freed memory, for both"
    )
    parser.add_argument("--worker", choices=("unspool", "torch"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
