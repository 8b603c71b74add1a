"""Draws the test accuracy against the rows read, of several runs side by side.

Each run must have been judged with ``unspool evaluate RUN --by-step`` before.

    python benchmarks/accuracy_by_rows.py --out docs/accuracy-by-rows.png \
        "learned at every row=runs/mnist-every-step" "learned at the end=runs/mnist"
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="LABEL=RUN")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for run in arguments.runs:
        label, _, folder = run.partition("=")
        report = Path(folder) / "evaluation-test" / "report.json"
        found = json.loads(report.read_text()) if report.is_file() else {}
        accuracies = found.get("accuracy_by_step")
        if not folder or accuracies is None:
            parser.error(f"{run}: expected LABEL=RUN, judged by: unspool evaluate RUN --by-step")
        axes.plot(range(1, len(accuracies) + 1), accuracies, marker="o", ms=3, label=label)
    axes.set(xlabel="rows read", ylabel="test accuracy", ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center")
    figure.savefig(arguments.out, dpi=100)


if __name__ == "__main__":
    main()
