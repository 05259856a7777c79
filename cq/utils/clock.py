"""The one place that reads the clock; everything else takes `now_ns` as an argument."""

from __future__ import annotations

import time


def now_ns() -> int:
    """Nanoseconds since the epoch, UTC."""
    return time.time_ns()
