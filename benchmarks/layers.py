"""The layers beside torch.nn's (and Keras's and JAX's, where installed): table and plot.

Measures what ``unspool bench layers`` does, or takes what it printed with ``--json``, and writes
``layers.json``, ``layers.md`` and ``layers.png`` into a folder. Nothing else should be running.

    python benchmarks/layers.py --out build/layers
    python benchmarks/layers.py --out docs --measured layers.json
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from unspool.benchmarking.layers import Plan, measure
from unspool.benchmarking.table import caption, tables

_MODES = ("forward", "training")
_CELLS = {"lstm": "LSTM", "gru": "GRU"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--measured", type=Path, help="draw these figures; measure nothing")
    arguments = parser.parse_args()
    if arguments.measured:
        result = json.loads(arguments.measured.read_text(encoding="utf-8"))
    else:
        plan = Plan(modes=(*_MODES, "memory"))
        result = measure(plan, say=lambda line: print(line, file=sys.stderr))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "layers.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    (arguments.out / "layers.md").write_text(in_markdown(result), encoding="utf-8")
    plot(result).savefig(arguments.out / "layers.png", dpi=100)


def in_markdown(result: dict[str, Any]) -> str:
    lines = [caption(result)]
    for table in tables(result):
        heads = " | ".join(table.columns)
        lines += ["", table.title, "", f"| {heads} |", "|---" * len(table.columns) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in table.rows]
    return "\n".join(lines) + "\n"


def plot(result: dict[str, Any]) -> Figure:
    """Draw the ratios to torch.nn, a panel for each cell and mode, a bar for each shape."""
    malloc = "fault-free" if any(r["malloc"] == "fault-free" for r in result["rows"]) else "default"
    rows = [row for row in result["rows"] if row["malloc"] == malloc]
    names = list(dict.fromkeys(map(_name, rows)))
    precisions = list(dict.fromkeys(row["precision"] for row in rows))
    figure = Figure(figsize=(9, 2 + 0.5 * len(names)), layout="constrained")
    panels = figure.subplots(len(_MODES), len(_CELLS), sharex=True, sharey=True)
    height = 0.8 / len(precisions)
    for axes, (mode, cell) in zip(panels.flat, product(_MODES, _CELLS), strict=True):
        for i, precision in enumerate(precisions):
            chosen = [
                row
                for row in rows
                if (row["cell"], row["mode"], row["precision"]) == (cell, mode, precision)
            ]
            places = [names.index(_name(row)) + i * height for row in chosen]
            bars = axes.barh(places, [row["ratio"] for row in chosen], height, label=precision)
            axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=7)
        axes.axvline(1, color="black", lw=0.8)
        axes.set_title(f"{_CELLS[cell]}, {mode}", fontsize=10)
        axes.set_yticks([y + height * (len(precisions) - 1) / 2 for y in range(len(names))], names)
        axes.tick_params(labelsize=8)
        axes.margins(x=0.12)
    panels[0, 0].invert_yaxis()
    figure.supxlabel("time of torch.nn in fp32 / time of Unspool", fontsize=9)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def _name(row: dict[str, Any]) -> str:
    ragged = "\nragged" if row["lengths"] == "ragged" else ""
    return (
        ",".join(map(str, row["shape"])) + ragged + (", both ways" if row["bidirectional"] else "")
    )


if __name__ == "__main__":
    main()
