"""The memory allocator: what is kept, for whom it is left alone, and that steps take no faults."""

import os
import platform
import subprocess
import sys

import pytest

from unspool import allocator
from unspool.errors import UnspoolError

ON_GLIBC = platform.libc_ver()[0] == "glibc"
OURS = {"UNSPOOL_MALLOC", "GLIBC_TUNABLES"}

STEPS = """
import resource
import statistics
import sys
from unspool.allocator import keep_freed_memory
print(keep_freed_memory(), 'torch' in sys.modules)
import torch
model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh())
batch = torch.randn(140_000, 64)  # more than 32 MiB, which glibc by itself never keeps
faults = []
for _ in range(15):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    model.zero_grad()
    model(batch).sum().backward()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(statistics.median(faults[-9:]))  # now and then the heap grows
"""


def faults_of_a_step(**settings: str) -> tuple[str, int]:
    """Whether the allocator was set, and the minor page faults of a training step."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in OURS and not name.startswith("MALLOC_")
    }
    ended = subprocess.run(
        [sys.executable, "-c", STEPS],
        env={**environment, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    answer, faults = ended.stdout.splitlines()
    return answer, int(faults)


@pytest.mark.skipif(not ON_GLIBC, reason="needs glibc")
def test_a_training_step_takes_next_to_no_page_faults():
    asked = "import ctypes; print(ctypes.CDLL(None).mallopt(-3, 2**30))"
    if subprocess.check_output([sys.executable, "-c", asked], text=True) == "0\n":
        pytest.skip("this glibc cannot keep blocks of more than 32 MiB")
    default, many = faults_of_a_step(UNSPOOL_MALLOC="default")
    kept, few = faults_of_a_step()
    assert (default, kept) == ("False False", "True False")
    assert few < many / 20


@pytest.fixture
def no_mallopt(monkeypatch):
    """A C library that is not to be asked."""

    def refuse(name):
        raise AssertionError("the allocator was touched")

    for name in [*OURS, *allocator._OWN_SETTINGS]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(allocator.ctypes, "CDLL", refuse)


@pytest.mark.usefixtures("no_mallopt")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UNSPOOL_MALLOC", "default"),
        ("MALLOC_TRIM_THRESHOLD_", "131072"),
        ("MALLOC_MMAP_THRESHOLD_", "131072"),
        ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=131072"),
    ],
)
def test_what_the_user_has_set_stays(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert allocator.keep_freed_memory() is False


def test_another_c_library_is_left_alone(monkeypatch, no_mallopt):
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert allocator.keep_freed_memory() is False


def test_another_value_is_refused(monkeypatch):
    monkeypatch.setenv("UNSPOOL_MALLOC", "jemalloc")
    with pytest.raises(UnspoolError, match="UNSPOOL_MALLOC has 'jemalloc', expected 'default'"):
        allocator.keep_freed_memory()
