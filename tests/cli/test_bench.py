"""``unspool bench layers``: what it prints. No time is asserted."""

import json
import re

import pytest

from unspool import native
from unspool.benchmarking import contenders
from unspool.benchmarking.layers import Case, Shape

TINY = ("--shape", "3,4,5,6,2", "--repeat", 2, "--cell", "gru")


def test_one_json_object_with_a_row_for_each_case(command):
    status, out, err = command(
        "bench", "layers", *TINY, "--malloc", "default", "--precision", "fp32", "--json"
    )
    assert status == 0
    result = json.loads(out)
    machine = result["machine"]
    assert {"cpu", "threads", "torch", "kernel", "gemm_gflops", "peak_gflops"} <= machine.keys()
    assert result["repeat"] == 2
    assert [row["mode"] for row in result["rows"]] == ["forward", "training"]
    for row in result["rows"]:
        assert row["ours_ms"] > 0
        assert (row["share_of_peak"] is None) == (native.absence() is not None)
        assert row["ratio"] == row["torch_ms"] / row["ours_ms"]
        assert (row["cell"], row["shape"]) == ("gru", [3, 4, 5, 6, 2])
        assert (row["precision"], row["malloc"], row["lengths"]) == ("fp32", "default", "full")
    assert "1/1 gru 3,4,5,6,2 fp32 against torch, malloc default" in err


def test_ragged_batches_in_both_directions_and_memory(command):
    status, out, _ = command(
        "bench", "layers", *TINY, "--quick", "--ragged", "--mode", "memory", "--json"
    )
    assert status == 0
    rows = json.loads(out)["rows"]
    assert [row["bidirectional"] for row in rows] == [False, True]
    for row in rows:
        assert (row["mode"], row["lengths"]) == ("memory", "ragged")
        assert min(row["ours_mib"], row["torch_mib"]) >= 0


def test_a_table_for_people(command):
    status, out, _ = command("bench", "layers", *TINY, "--quick", "--mode", "forward")
    assert status == 0
    assert "torch.nn" in out
    assert re.search(r"gru +3,4,5,6,2 +forward +[\d.]+ ms +[\d.]+ ms +[\d.]+ ", out)


def test_bf16_is_measured_or_the_reason_given(command):
    _, out, _ = command(
        "bench", "layers", *TINY, "--quick", "--precision", "bf16", "--mode", "forward", "--json"
    )
    result = json.loads(out)
    assert [row["precision"] for row in result["rows"]] == ["bf16"] * native.fast_bf16()
    assert any(line.startswith("bf16: ") for line in result["left_out"]) is not native.fast_bf16()


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,0", "a,b,c,d,e", "1,2,3,4,5,6"])
def test_a_wrong_shape_is_wrong_usage(command, text):
    status, out, err = command("bench", "layers", "--shape", text)
    assert (status, out) == (2, "")
    assert "expected five positive numbers B,T,F,H,L" in " ".join(re.sub("[│]", "", err).split())


def test_operations_are_those_of_the_matrix_products():
    # Two layers of a GRU, both directions: 2 · 3H · (inputs + H) a step and direction, forwards.
    case = Case("gru", Shape(2, 3, 5, 7, 2), bidirectional=True)
    steps = 2 * 3
    forward = 2 * 21 * ((5 + 7) + (14 + 7)) * 2 * steps
    assert case.operations("forward") == forward
    # The backward pass costs the same twice, but for the first layer's input gradient.
    assert case.operations("training") == 3 * forward - 2 * 21 * 5 * 2 * steps


def test_ragged_lengths_are_always_the_same_and_in_range():
    case = Case("lstm", Shape(50, 9, 1, 1, 1), ragged=True)
    assert case.lengths() == case.lengths()
    assert set(case.lengths()) == set(range(1, 10))


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_contenders_compute_the_same(cell, ragged):
    case = Case(cell, Shape(3, 4, 5, 6, 2), ragged=ragged, bidirectional=True)
    ours, theirs = contenders.build("unspool", case), contenders.build("torch", case)
    assert (ours.forward() - theirs.forward()).abs().max() < 1e-6
    ours.training()
    theirs.training()


@pytest.mark.parametrize("name", ["Keras", "JAX"])
def test_other_contenders_run_where_they_are_installed(name):
    for package in {"Keras": ("keras", "tensorflow"), "JAX": ("jax",)}[name]:
        pytest.importorskip(package)
    for cell in ("lstm", "gru"):
        contender = contenders.build(name, Case(cell, Shape(3, 4, 5, 6, 2)))
        assert contender.forward().shape in {(3, 4, 6), (4, 3, 6)}
        contender.training()
