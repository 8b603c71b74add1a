"""The native module: what it tells of the processor, and what is said where it is absent."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from unspool import native

LINUX_FLAGS = {
    "avx2": {"avx2", "fma"},
    "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
    "avx512_bf16": {"avx512_bf16"},
    "amx_bf16": {"amx_bf16", "amx_tile"},
    "neon": {"asimd"},
}


@pytest.fixture
def fresh_absence():
    native.absence.cache_clear()
    yield
    native.absence.cache_clear()


def test_instruction_sets_are_those_that_the_linux_kernel_names():
    if native.absence() is not None:
        pytest.skip(str(native.absence()))
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        pytest.skip("no /proc/cpuinfo on this system to compare with")
    fields = (line.partition(":") for line in cpuinfo.read_text().splitlines())
    flags = next(
        set(value.split()) for key, _, value in fields if key.strip() in {"flags", "Features"}
    )
    assert native.instruction_sets() == tuple(
        name for name, needed in LINUX_FLAGS.items() if needed <= flags
    )


def test_a_wider_set_implies_the_narrower_one():
    sets = native.instruction_sets()
    assert "amx_bf16" not in sets or "avx512_bf16" in sets
    assert "avx512_bf16" not in sets or "avx512" in sets
    assert "avx512" not in sets or "avx2" in sets


def test_there_is_a_kernel_for_every_set_of_single_precision():
    if native.absence() is not None:
        pytest.skip(str(native.absence()))
    sets = native.instruction_sets()
    names = {"avx2": "avx2", "avx512": "avx512", "amx_bf16": "amx", "neon": "neon"}
    assert native.kernels() == ("portable", *(names[each] for each in names if each in sets))


def test_bfloat16_is_fast_only_where_there_are_instructions_for_it():
    assert not native.fast_bf16() or "avx512_bf16" in native.instruction_sets()


@pytest.mark.skipif(
    platform.machine().lower() not in {"aarch64", "arm64"}, reason="needs a 64-bit Arm processor"
)
def test_every_64_bit_arm_processor_has_neon():
    assert native.absence() is not None or native.instruction_sets() == ("neon",)


@pytest.mark.usefixtures("fresh_absence")
def test_absence_is_explained_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "unspool._native", None)
    line = native.absence()
    assert line is not None
    assert line.startswith("native module absent: ")
    assert "reinstall" in line
    assert "\n" not in line
    assert native.instruction_sets() == native.kernels() == ()
    assert not native.fast_bf16()


@pytest.mark.usefixtures("fresh_absence")
def test_a_module_that_does_not_load_is_not_called_missing(monkeypatch):
    def refuse(name):
        raise ImportError(f"{name}: undefined symbol\nof a library")

    monkeypatch.setattr(native, "import_module", refuse)
    assert "does not load (unspool._native: undefined symbol of a library)" in str(native.absence())


def test_asking_does_not_import_torch():
    code = (
        "import sys; from unspool import native; native.absence(); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
