"""Tokens a second in training a language model: ours, and the same written plainly in torch.

The sizes are those of ``ptb-small``: 2 layers of 200, 10,000 words, 20 streams, segments of 20
steps, stochastic gradient descent with a bound on the gradient's norm. The plain twin has the form
that many examples have: nn.Embedding, nn.LSTM or nn.GRU, nn.Linear, cross_entropy, clip_grad_norm_,
SGD. Ours is what ``unspool train`` runs a step. Both learn from the same random tokens, a step of
each in turn, so that a machine whose speed drifts treats both alike; a process for each cell,
precision and setting of the allocator, and one a side for the peak of its memory.

    python benchmarks/language_model.py --threads 2
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

VOCABULARY, SIZE, LAYERS, STREAMS, STEPS = 10_000, 200, 2, 20, 20
RATE, CLIP, RANGE = 20.0, 0.25, 0.1

_KEPT = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
"""With these glibc keeps freed memory, and a step takes no page faults."""

Step = Callable[[], object]


def main() -> None:
    arguments = _arguments()
    if arguments.worker:
        print(json.dumps(_work(arguments)))
        return
    print("cell  precision  freed memory  ours tok/s  torch tok/s  ratio  MiB ours / torch")
    for cell in arguments.cells:
        for precision in arguments.precisions:
            for freed in ("given back", "kept"):
                case = ["--cells", cell, "--precisions", precision]
                speed = _run(arguments, freed, case, ["unspool", "torch"])
                memory = [
                    _run(arguments, freed, case, [side])["memory"] for side in ("unspool", "torch")
                ]
                ours, plain = speed["unspool"], speed["torch"]
                print(
                    f"{cell:5} {precision:10} {freed:12} {ours:11,.0f} {plain:12,.0f} "
                    f"{ours / plain:6.2f}  {memory[0]:.0f} / {memory[1]:.0f}",
                    flush=True,
                )


def _run(
    arguments: argparse.Namespace, freed: str, case: list[str], sides: list[str]
) -> dict[str, float]:
    """Time some sides in a process of their own."""
    own = {"UNSPOOL_MALLOC": "default"} | (_KEPT if freed == "kept" else {})
    command = [sys.executable, __file__, "--worker", *sides, *case]
    command += ["--threads", str(arguments.threads), "--rounds", str(arguments.rounds)]
    output = subprocess.run(command, env=os.environ | own, check=True, capture_output=True)
    found: dict[str, float] = json.loads(output.stdout)
    return found


def _work(arguments: argparse.Namespace) -> dict[str, float]:
    torch.set_num_threads(arguments.threads)
    cell, bf16 = arguments.cells[0], arguments.precisions[0] == "bf16"
    makers = {"unspool": _ours, "torch": _plain}
    steps = {side: makers[side](cell, bf16) for side in arguments.worker}
    seconds: dict[str, list[float]] = {side: [] for side in steps}
    for _ in range(3):
        for step in steps.values():
            step()
    for _ in range(arguments.rounds):
        for side, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[side].append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tokens = STREAMS * STEPS
    speeds = {side: tokens / statistics.median(times) for side, times in seconds.items()}
    return {**speeds, "memory": peak}


def _segments() -> Iterator[tuple[Tensor, Tensor]]:
    """Random tokens and those that follow them, each ``(STREAMS, STEPS)``, without end."""
    random = np.random.default_rng(0)
    while True:
        text = torch.from_numpy(random.zipf(1.3, (STREAMS, STEPS + 1)) % VOCABULARY)
        yield text[:, :-1].contiguous(), text[:, 1:].contiguous()


# --- the two sides -------------------------------------------------------------------------


def _ours(cell: str, bf16: bool) -> Step:
    from unspool.data.corpus import Corpus
    from unspool.data.streams import Segment
    from unspool.data.text_source import TextDivision
    from unspool.data.vocabulary import Vocabulary
    from unspool.models.language_model import LanguageModelSettings
    from unspool.tasks.predict.predictor import TextPredictor
    from unspool.tasks.predict.training import Predict
    from unspool.training.optimization import OptimizerSettings, clip_gradients
    from unspool.training.precision import Precision, computing_in

    vocabulary = Vocabulary.of_tokens("word", ["<unk>", *map(str, range(VOCABULARY - 1))])
    sizes: dict[str, Any] = {"cell": cell, "hidden_size": SIZE, "num_layers": LAYERS}
    settings = LanguageModelSettings(**sizes, init=RANGE)
    nothing, one = Corpus.from_texts([], vocabulary), Corpus.from_texts(["1"], vocabulary)
    predictor = TextPredictor.untrained(vocabulary, settings, seed=1)
    task = Predict(predictor, TextDivision(one, nothing, nothing, vocabulary), steps=STEPS)
    optimizer = OptimizerSettings(name="sgd", lr=RATE).build(task.model)
    segments = _segments()
    precision: Precision = "bf16" if bf16 else "fp32"
    never, always = torch.zeros(STREAMS, STEPS, dtype=torch.bool), torch.ones(STREAMS, STEPS) > 0

    def step() -> None:
        tokens, targets = next(segments)
        optimizer.zero_grad(set_to_none=True)
        with computing_in(precision, task.device):
            totals = task.loss(Segment(tokens, targets, never, always))
        totals.objective.backward()  # type: ignore[no-untyped-call]
        norm = clip_gradients(list(task.model.parameters()), CLIP)
        assert math.isfinite(norm)
        assert math.isfinite(float(totals.loss.detach()))
        optimizer.step()

    return step


class _Plain(nn.Module):
    def __init__(self, cell: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, SIZE)
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.recurrent = kind(SIZE, SIZE, LAYERS, batch_first=True)
        self.head = nn.Linear(SIZE, VOCABULARY)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -RANGE, RANGE)

    def forward(
        self, tokens: Tensor, state: Tensor | tuple[Tensor, ...] | None
    ) -> tuple[Tensor, Any]:
        output, state = self.recurrent(self.embedding(tokens), state)
        return self.head(output), state


def _plain(cell: str, bf16: bool) -> Step:
    torch.manual_seed(1)
    model = _Plain(cell)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    segments, state = _segments(), None

    def step() -> None:
        nonlocal state
        tokens, targets = next(segments)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits, after = model(tokens, state)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        state = tuple(h.detach() for h in after) if cell == "lstm" else after.detach()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        float(loss.detach())

    return step


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=60, help="timed steps of each side")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
