"""Measurements as tables, one for each contender, precision and setting of the allocator."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

_OTHERS = {"torch": "torch.nn", "keras": "Keras", "jax": "JAX"}


@dataclass(frozen=True)
class Table:
    """A title, column heads, and rows of texts; the first three columns are words."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def caption(result: dict[str, Any]) -> str:
    """Say on what machine, by what versions and how a result was measured.

    Parameters
    ----------
    result : dict
        What :func:`unspool.benchmarking.layers.measure` returns.
    """
    machine = result["machine"]
    peaks = {name: rate for name, rate in machine["peak_gflops"].items() if rate is not None}
    peak = f" The processor's peak is {_rates(peaks)} GFLOP/s." if peaks else ""
    return (
        f"{machine['cpu']}, {machine['threads']} threads, torch {machine['torch']}, "
        f"kernel {machine['kernel']}; medians of {result['repeat']}. "
        f"A large matrix product of torch's reaches {_rates(machine['gemm_gflops'])} GFLOP/s.{peak}"
    )


def _rates(gflops: dict[str, float]) -> str:
    return ", ".join(f"{rate:.0f} in {name}" for name, rate in gflops.items())


def tables(result: dict[str, Any]) -> list[Table]:
    """Arrange a result's rows.

    Parameters
    ----------
    result : dict
        What :func:`unspool.benchmarking.layers.measure` returns.
    """
    groups = groupby(
        sorted([*result["rows"], *result["others"]], key=_key),  # a stable sort
        key=_key,
    )
    return [_table(*key, list(rows)) for key, rows in groups]


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    other = next(name for name in reversed(_OTHERS) if {f"{name}_ms", f"{name}_mib"} & row.keys())
    return other, row["malloc"], row["precision"]


def _table(other: str, malloc: str, precision: str, rows: list[dict[str, Any]]) -> Table:
    name = _OTHERS[other]
    beside = name if precision == "fp32" else f"{name} in fp32"
    return Table(
        f"Unspool in {precision} beside {beside}, malloc {malloc}",
        ("cell", "B,T,F,H,L", "mode", "unspool", name, "ratio", "GFLOP/s"),
        [_cells(other, row) for row in rows],
    )


def _cells(other: str, row: dict[str, Any]) -> tuple[str, ...]:
    shape = ",".join(map(str, row["shape"]))
    if row["lengths"] == "ragged":
        shape += " ragged"
    if row["bidirectional"]:
        shape += " both ways"
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
    if row["mode"] == "memory":
        amounts = (f"{row['ours_mib']:.1f} MiB", f"{row[f'{other}_mib']:.1f} MiB")
        speed = ""
    else:
        amounts = (f"{row['ours_ms']:.2f} ms", f"{row[f'{other}_ms']:.2f} ms")
        share = row["share_of_peak"]
        speed = f"{row['gflops']:.0f}" + ("" if share is None else f" ({share:.0%} of peak)")
    return row["cell"], shape, row["mode"], *amounts, ratio, speed
