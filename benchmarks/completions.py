"""Completed digits, read by a classifier that knows nothing of how they came about.

The first rows of test pictures are given to a network that draws, which goes on with each of them;
a classifier reads what came of it. Told is the share that it reads as the true class, among the
pictures that it reads rightly where they are whole; as they are in the data, since the classifier
learned from those. Beside it what the nearest neighbour in the training part makes of the same
rows: the picture whose first rows are the least far away (L2) lends its other rows. It is sought
among pictures in black and white, as the network sees them, and among grey ones, which tell more
than the network is told.

    python benchmarks/completions.py runs/mnist-draw runs/mnist-best --count 1000
"""

from __future__ import annotations

import argparse
import json
import math
import time

import numpy as np
from numpy.typing import NDArray

from unspool.allocator import keep_freed_memory
from unspool.data import pictures
from unspool.data.binarisation import binarise
from unspool.data.sequences import Sequences
from unspool.tasks import model_folder
from unspool.tasks.classify.predictor import LabelPredictor
from unspool.tasks.draw.predictor import DrawingPredictor

Grey = NDArray[np.uint8]

_OTHER_SEED = 2**32  # for the training part: by the test part's its noise would be the same


def nearest(training: Grey, given: Grey, rows: int) -> Grey:
    """Go on with each picture as its nearest neighbour goes on, seen by the first rows alone."""
    tops = training[:, :rows].reshape(len(training), -1).astype(np.float32)
    lengths = (tops**2).sum(1)
    completed = given.copy()
    for start in range(0, len(given), 200):
        part = slice(start, start + 200)
        own = given[part, :rows].reshape(len(given[part]), -1).astype(np.float32)
        closest = (lengths - 2 * own @ tops.T).argmin(1)
        completed[part, rows:] = training[closest, rows:]
    return completed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("drawer", help="a run or model folder of task draw")
    parser.add_argument("classifier", help="one of task classify, of the same data")
    parser.add_argument("--rows", type=int, help="rows that are given; half of them if left out")
    parser.add_argument("--count", type=int, default=1000, help="test pictures")
    parser.add_argument("--samples", type=int, default=1, help="completions of each")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    keep_freed_memory()
    drawer, reader = (model_folder.load(path) for path in (arguments.drawer, arguments.classifier))
    if not isinstance(drawer, DrawingPredictor) or drawer.data is None:
        parser.error(f"{arguments.drawer} is no model of task draw with data of its own")
    if not isinstance(reader, LabelPredictor):
        parser.error(f"{arguments.classifier} is no model of task classify")
    if drawer.classes is not None:
        parser.error(f"{arguments.drawer} is told the class, which is to be read")

    parts = pictures.load(drawer.data, white=drawer.white)
    chosen = parts.test.take(range(min(arguments.count, len(parts.test))))
    rows = drawer.size[0] // 2 if arguments.rows is None else arguments.rows
    true = reader.targets(Sequences.from_array(chosen.grey, chosen.labels), "test part")

    def read(grey: Grey) -> NDArray[np.bool_]:
        """Which pictures are read as their true class."""
        values = grey if drawer.white == 255 else grey.astype(np.float32) / 255 * drawer.white
        right: NDArray[np.bool_]
        right = reader.probabilities(Sequences.from_array(values)).argmax(1) == true
        return right

    readable = read(chosen.grey)

    def judged(completed: Grey) -> dict[str, float]:
        right = read(completed)[readable]
        share = float(right.mean())
        return {"share": share, "error": math.sqrt(share * (1 - share) / len(right))}

    values = drawer.values(chosen.grey)
    start = time.perf_counter()
    drawn = drawer.complete(
        values, rows, arguments.samples, temperature=arguments.temperature, seed=arguments.seed
    )
    seconds = time.perf_counter() - start
    each = [judged(drawer.grey(drawn[:, sample])) for sample in range(arguments.samples)]
    found = {
        "whole, as the network sees it": judged(drawer.grey(values)),
        "drawn by the network": {
            "share": float(np.mean([one["share"] for one in each])),
            "error": each[0]["error"],
        },
        "nearest neighbour, grey": judged(nearest(parts.training.grey, chosen.grey, rows)),
    }
    if drawer.model.settings.pixels == "binary":
        learned = binarise(
            parts.training.grey,
            drawer.binarisation.model_copy(update={"seed": drawer.binarisation.seed + _OTHER_SEED}),
        )
        found["nearest neighbour, black and white"] = judged(
            drawer.grey(nearest(learned, values, rows))
        )
    if arguments.json:
        told = {"rows": rows, "count": len(chosen), "readable": int(readable.sum())}
        print(json.dumps({**told, "seconds": seconds, **found}))
        return
    print(f"{readable.sum()} of {len(chosen)} test pictures are read rightly where they are whole;")
    print(f"of those, completed from {rows} rows:")
    for name, figure in found.items():
        print(f"  {name:38} {figure['share']:7.2%} ± {figure['error']:.2%}")
    print(f"{len(chosen) * arguments.samples} completions in {seconds:.1f} s")


if __name__ == "__main__":
    main()
