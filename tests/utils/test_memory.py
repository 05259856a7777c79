import os
import platform
import subprocess
import sys

import pytest

from cq.utils import memory

RUNS = """
import resource
import numpy as np
from cq.utils.memory import keep_freed_memory
print(keep_freed_memory())
def run():
    columns = [np.ones(2_000_000) for _ in range(8)]
    return sum(one[-1] for one in columns)
run()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    run()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
SMALL_PAGES = {"NUMPY_MADVISE_HUGEPAGE": "0"}


def ran(**said):
    """Whether memory is kept, and pages asked for by later runs; the environment says no more."""
    plain = {k: v for k, v in os.environ.items() if k not in (*memory.SAID, memory.TUNABLES)}
    done = subprocess.run(
        [sys.executable, "-c", RUNS],
        env=plain | SMALL_PAGES | said, capture_output=True, text=True, check=True,
    )  # fmt: skip
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="memory is kept with glibc alone")
def test_pages_of_one_run_serve_the_next():
    kept, faults = ran()
    again, as_ever = ran(MALLOC_TRIM_THRESHOLD_="131072")
    assert (kept, again) == (True, False)
    assert faults < as_ever / 20


@pytest.mark.parametrize(
    "said",
    [
        {"MALLOC_TRIM_THRESHOLD_": "1000000"},
        {"MALLOC_MMAP_THRESHOLD_": "1000000"},
        {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1000000"},
    ],
)
def test_what_the_environment_says_of_memory_stands(said):
    assert not ran(**said)[0]
