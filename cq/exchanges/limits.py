"""Token buckets: how often an exchange may be asked, shared by everything in the process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from threading import Lock
from types import MappingProxyType
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
        return ceil(self.window_ns / steady)

    def take(self, now_ns: int) -> int:
        """Take the next token; the nanoseconds to wait before using it."""
        due = now_ns if self._due_ns is None else max(self._due_ns, now_ns)
        self._due_ns = due + self.spacing_ns
        return max(0, due - (self.burst - 1) * self.spacing_ns - now_ns)


@dataclass(frozen=True)
class Rate:
    """So many calls in any window of so many seconds."""

    calls: float
    seconds: float = 1.0


class Limits:
    """One bucket for all calls of an exchange, and one for each endpoint.

    `rates` holds the endpoints with a rate of their own; None there means that an endpoint counts
    against the limit of all calls only. Every other one gets `requests_per_second`.
    """

    def __init__(
        self,
        requests_per_minute: float,
        requests_per_second: float,
        rates: Mapping[str, Rate | None] = MappingProxyType({}),
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        burst = max(1, min(BURST, int(requests_per_minute // 2)))
        self._all = TokenBucket(requests_per_minute / EASE, MINUTE, burst)
        self._rates, self._default = dict(rates), Rate(requests_per_second)
        self._endpoints: dict[str, TokenBucket | None] = {}
        self._next: dict[str, int] = {}
        self._clock, self._sleep, self._lock = clock, sleep, Lock()

    def wait(
        self,
        endpoint: str,
        *,
        again: bool = False,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Return when `endpoint` may be called; a `sleep` that raises ends the wait."""
        for pause in self.turns(endpoint, again=again):
            (self._sleep or sleep or time.sleep)(pause)

    def hold(self, endpoint: str, seconds: float) -> None:
        """The exchange found calls of `endpoint` too many: none leaves for so long.

        The call that was told waits by itself, and has its turn with `again`.
        """
        with self._lock:
            until = self._clock() + round(seconds * SECOND)
            self._next[endpoint] = max(until, self._next.get(endpoint, until))

    def turns(self, endpoint: str, *, again: bool = False) -> Iterator[float]:
        """The seconds to sleep, one after the other, until `endpoint` may be called.

        The place in the line of all calls is taken once the endpoint's own wait is over, so that
        a long line at one endpoint neither blocks the others nor lets them overtake the limit.
        """
        with self._lock:
            now = self._clock()
            bucket = self._bucket(endpoint)
            pause = bucket.take(now) if bucket else 0
        if pause:
            yield pause / SECOND
        with self._lock:
            now = max(now + pause, self._clock())
            used = now + self._all.take(now)
            if not again:
                used = max(used, self._next.get(endpoint, used))
            if bucket:  # a line of all calls that grows shorter must not push its own together
                after = used + bucket.spacing_ns
                self._next[endpoint] = max(after, self._next.get(endpoint, after))
        if used > now:
            yield (used - now) / SECOND

    def _bucket(self, endpoint: str) -> TokenBucket | None:
        if endpoint not in self._endpoints:
            rate = self._rates.get(endpoint, self._default)
            window = round(rate.seconds * SECOND) if rate else 0
            self._endpoints[endpoint] = TokenBucket(rate.calls / EASE, window) if rate else None
        return self._endpoints[endpoint]


_SHARED: Final[dict[tuple[object, ...], Limits]] = {}
_SHARED_LOCK: Final = Lock()


def shared(
    host: str,
    requests_per_minute: float,
    requests_per_second: float,
    rates: Mapping[str, Rate | None] = MappingProxyType({}),
) -> Limits:
    """The process's one `Limits` for `host`, whoever asks, thread or event loop."""
    with _SHARED_LOCK:
        key = (host, requests_per_minute, requests_per_second, *sorted(rates.items(), key=str))
        if key not in _SHARED:
            _SHARED[key] = Limits(requests_per_minute, requests_per_second, rates)
        return _SHARED[key]
