"""The exchange's clock: it starts where it is told and runs as fast as it is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from cq.utils.time import SECOND


@dataclass
class SimClock:
    """Exchange time from `start_ns` on, `speed` times as fast as real time.

    `speed` 0 stands still until `advance` moves it, which is how tests step through time. Reading
    and moving are safe from any thread; time never runs backwards.
    """

    start_ns: int
    speed: float = 1.0
    real_ns: Callable[[], int] = time.monotonic_ns
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        self._began_real_ns = self._anchor_real_ns = self.real_ns()
        self._anchor_ns = self.start_ns

    def now_ns(self) -> int:
        """What the exchange's clock says."""
        with self._lock:
            return self._now_ns()

    def _now_ns(self) -> int:
        return self._anchor_ns + int((self.real_ns() - self._anchor_real_ns) * self.speed)

    def advance(self, ns: int) -> int:
        """Jump `ns` nanoseconds ahead; returns the new time."""
        if ns < 0:
            raise ValueError(f"time runs forward only; asked for {ns} ns")
        with self._lock:
            self._anchor_ns += ns
            return self._now_ns()

    def run_at(self, speed: float) -> None:
        """Go on from the present moment at another speed."""
        if speed < 0:
            raise ValueError(f"time runs forward only; asked for {speed}×")
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
