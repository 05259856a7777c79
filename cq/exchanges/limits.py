"""Token buckets: how often an exchange may be asked, shared by everything in the process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from cq.utils.time import MINUTE, SECOND

EASE: Final = 1.05
"""Requests bunch up on their way, so they leave this much further apart than they must arrive."""

BURST: Final = 10
"""Calls that may leave together before the limit a minute spaces them out."""


@dataclass
class TokenBucket:
    """At most `limit` tokens in any window of `window_ns`, `burst` of them at once.

    It reads no clock: `take` is told the time and says how long to wait.
    """

    limit: float
    window_ns: int
    burst: int = 1
    _due_ns: int | None = field(default=None, init=False, repr=False)

    @property
    def spacing_ns(self) -> int:
        """One new token every so many nanoseconds."""
        steady = max(self.limit - self.burst + 1, min(self.limit, 1.0))
        return round(self.window_ns / steady)

    def take(self, now_ns: int) -> int:
        """Take the next token; the nanoseconds to wait before using it."""
        due = now_ns if self._due_ns is None else max(self._due_ns, now_ns)
        self._due_ns = due + self.spacing_ns
        return max(0, due - (self.burst - 1) * self.spacing_ns - now_ns)


class Limits:
    """One bucket for all calls of an exchange, and one for each public endpoint."""

    def __init__(
        self,
        requests_per_minute: float,
        requests_per_second: float,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        burst = max(1, min(BURST, int(requests_per_minute // 2)))
        self._all = TokenBucket(requests_per_minute / EASE, MINUTE, burst)
        self._per_second = requests_per_second / EASE
        self._endpoints: dict[str, TokenBucket] = {}
        self._clock, self._sleep, self._lock = clock, sleep, Lock()

    def wait(self, endpoint: str) -> None:
        """Return when `endpoint` may be called."""
        with self._lock:
            now = self._clock()
            bucket = self._endpoints.setdefault(endpoint, TokenBucket(self._per_second, SECOND))
            pause = max(bucket.take(now), self._all.take(now))
        if pause:
            self._sleep(pause / SECOND)


_SHARED: Final[dict[tuple[str, float, float], Limits]] = {}
_SHARED_LOCK: Final = Lock()


def shared(host: str, requests_per_minute: float, requests_per_second: float) -> Limits:
    """The process's one `Limits` for `host`, whoever asks."""
    with _SHARED_LOCK:
        key = (host, requests_per_minute, requests_per_second)
        if key not in _SHARED:
            _SHARED[key] = Limits(requests_per_minute, requests_per_second)
        return _SHARED[key]
