"""The exchange's clock: it starts where it is told and runs as fast as it is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from threading import Lock
from typing import Final

from cq.utils.time import SECOND, parse_time

END_NS: Final = parse_time("2200-01-01")
"""Where the clock stops: stamps after it would soon not fit into 64 bits any more."""


@dataclass
class SimClock:
    """Exchange time from `start_ns` on, `speed` times as fast as real time.

    `speed` 0 stands still until `advance` moves it, which is how tests step through time. Reading
    and moving are safe from any thread; time never runs backwards, nor beyond END_NS.
    """

    start_ns: int
    speed: float = 1.0
    real_ns: Callable[[], int] = time.monotonic_ns
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        check_pace(self.speed)
        self._began_real_ns = self._anchor_real_ns = self.real_ns()
        self._anchor_ns = self.start_ns

    def now_ns(self) -> int:
        """What the exchange's clock says."""
        with self._lock:
            return self._now_ns()

    def _now_ns(self) -> int:
        passed = (self.real_ns() - self._anchor_real_ns) * self.speed
        return self._anchor_ns + int(min(passed, END_NS - self._anchor_ns))

    def advance(self, ns: int) -> int:
        """Jump `ns` nanoseconds ahead; returns the new time."""
        if ns < 0:
            raise ValueError(f"time runs forward only; asked for {ns} ns")
        with self._lock:
            if self._now_ns() + ns > END_NS:
                raise ValueError(f"time ends in 2200; asked for {ns} ns more")
            self._anchor_ns += ns
            return self._now_ns()

    def run_at(self, speed: float) -> None:
        """Go on from the present moment at another speed."""
        check_pace(speed)
        with self._lock:
            self._anchor_ns = self._now_ns()
            self._anchor_real_ns = self.real_ns()
            self.speed = speed

    def real_s(self, sim_ns: int) -> float:
        """How many real seconds `sim_ns` of exchange time take; infinite while it stands still."""
        return sim_ns / SECOND / self.speed if self.speed else float("inf")

    def elapsed_s(self) -> float:
        """Real seconds since the clock was made, which the schedule of faults goes by."""
        return (self.real_ns() - self._began_real_ns) / SECOND


def check_pace(speed: float) -> None:
    """ValueError unless a clock can run so fast."""
    if not (isfinite(speed) and speed >= 0):
        raise ValueError(f"time runs forward only, and not at once; asked for {speed}×")
