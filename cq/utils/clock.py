"""The one place that reads the clock; everything else takes `now_ns` as an argument."""

from __future__ import annotations

import time
from collections.abc import Callable


def now_ns() -> int:
    """Nanoseconds since the epoch, UTC."""
    return time.time_ns()


def stopwatch() -> Callable[[], float]:
    """Says, whenever it is called, how many milliseconds have passed since it was made."""
    begun = time.perf_counter_ns()
    return lambda: (time.perf_counter_ns() - begun) / 1e6
