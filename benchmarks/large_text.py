"""Peak memory of training on a text larger than one would keep in memory.

Writes a text of random words by a seed, trains a small network on it with ``unspool train``, from
the fitting of its vocabulary to the last batch, and says the process's peak of resident memory.
Pages of the tokenised file that are mapped count as resident, although the system may take them
back at any time.

    python benchmarks/large_text.py --megabytes 1000
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WORDS, WORDS_A_LINE, LINES_AT_A_TIME = 50_000, 20, 50_000

RECIPE = """task = "predict"
seed = 1
view = "streams"
steps = 128

[data]
path = "{path}"
validation = 0.001
test = 0.001

[data.vocabulary]
unit = "word"
size = 1000

[model]
hidden_size = 16

[training]
epochs = 1
batch_size = 256
precision = "bf16"

[training.optimizer]
name = "sgd"
lr = 1.0
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder / "text.txt", arguments.megabytes * 1_000_000)
        (folder / "large.toml").write_text(RECIPE.format(path=folder / "text.txt"))
        command = [sys.executable, "-m", "unspool", "train", str(folder / "large.toml")]
        start = time.perf_counter()
        subprocess.run(
            [*command, "--out", str(folder / "run"), "--quiet"],
            env=os.environ | {"UNSPOOL_CACHE": str(folder / "cache")},
            check=True,
        )
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{arguments.megabytes} MB of text: {seconds:.0f} s, peak resident {peak:.0f} MiB")


def _write(path: Path, size: int) -> None:
    """Words of two to nine letters, as frequent as Zipf's law says, in lines."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(
        ["".join(random.choice(letters, random.integers(2, 10))) for _ in range(WORDS)], object
    )
    written = 0
    with path.open("w") as file:
        while written < size:
            chosen = words[random.zipf(1.2, (LINES_AT_A_TIME, WORDS_A_LINE)) % WORDS]
            written += file.write("".join(" ".join(line) + "\n" for line in chosen))


if __name__ == "__main__":
    main()
