"""Keeping freed memory, so that the next run need not ask the system for it again."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Final

KEPT_BYTES: Final = 512 * 1024**2
"""Free memory at the heap's end that is kept; what is above goes back to the system."""
COLUMN_BYTES: Final = 256 * 1024**2
"""Arrays above this are the system's again as soon as they are freed, as glibc has it."""
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""What glibc's <malloc.h> calls M_TRIM_THRESHOLD and M_MMAP_THRESHOLD."""
SAID: Final = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
TUNABLES: Final = "GLIBC_TUNABLES"
"""Variables by which a user may have decided already."""


@cache
def keep_freed_memory() -> bool:
    """Let glibc keep up to KEPT_BYTES of freed memory for this process; whether it does.

    A run over millions of bars frees as many megabytes as it took. Given back, each page of them is
    cleared and mapped again by the next run, which on virtual machines takes longer than the run.
    Elsewhere than with glibc, and where the environment says how memory is kept, nothing changes.
    """
    if any(name in os.environ for name in SAID) or "malloc" in os.environ.get(TUNABLES, ""):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT_BYTES) and mallopt(MMAP_THRESHOLD, COLUMN_BYTES))
