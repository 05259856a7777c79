"""The documented rate limits, as the exchange counts them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cq.sim.switches import Switches

ALL: Final = "all"
DOCUMENTED: Final[Mapping[str, tuple[int, float]]] = {
    ALL: (500, 60.0),
    **dict.fromkeys(
        ("symbols", "tickers", "orderbook", "trades", "candles", "asset_fees", "asset_networks"),
        (1, 1.0),
    ),
    "list_market_orders": (10, 1.0),
    "list_all_orders": (3, 1.0),
    "place_order": (3, 1.0),
    "cancel_order": (3, 1.0),
    "balances": (3, 1.0),
    "get_order": (1, 1.0),
    "positions": (1, 1.0),
    "cancel_all_orders": (1, 60.0),
}
"""Endpoint → (requests, seconds); the names are those of the routes."""


@dataclass
class Window:
    """`count` requests in any `period_s`; one that comes up to `slack_s` early is let in.

    An early one is booked for the moment at which it was due, so the rate in the long run holds.
    """

    count: int
    period_s: float
    slack_s: float
    _taken: deque[float] = field(default_factory=deque)

    def wait_s(self, now_s: float) -> float:
        """0 where a request is let in now, else how long it would have to wait."""
        while self._taken and self._taken[0] + self.period_s <= now_s:
            self._taken.popleft()
        if len(self._taken) < self.count:
            return 0.0
        due = self._taken[-self.count] + self.period_s
        return 0.0 if due - now_s <= self.slack_s else due - now_s

    def take(self, now_s: float) -> None:
        """Count one request."""
        due = self._taken[-self.count] + self.period_s if len(self._taken) >= self.count else now_s
        self._taken.append(max(now_s, due))


@dataclass
class Limits:
    """All limits together; `wait_s` counts a request and says whether it came too soon."""

    switches: Switches
    clock_s: Callable[[], float]
    documented: Mapping[str, tuple[int, float]] | None = field(default_factory=lambda: DOCUMENTED)
    _windows: dict[tuple[str, str], Window] = field(default_factory=dict)

    def wait_s(self, endpoint: str, symbol: str = "") -> float:
        """0 where the request is let in (and counted), else the seconds until it would be."""
        if self.documented is None:
            return 0.0
        now_s = self.clock_s()
        scope = symbol if self.switches.limit_scope == "symbol" else ""
        windows = [
            window
            for window in (self._window(ALL, ""), self._window(endpoint, scope))
            if window is not None
        ]
        wait = max((window.wait_s(now_s) for window in windows), default=0.0)
        if not wait:
            for window in windows:
                window.take(now_s)
        return wait

    def _window(self, name: str, scope: str) -> Window | None:
        if (name, scope) in self._windows:
            return self._windows[name, scope]
        stated = (self.documented or {}).get(name)
        if stated is None:
            if self.switches.unstated_per_second is None:
                return None
            stated = (1, 1 / self.switches.unstated_per_second)
        count, period_s = stated
        period_s /= self.switches.limit_factor
        slack_s = self.switches.limit_slack_ms / 1000 if count < 100 else 0.0
        return self._windows.setdefault((name, scope), Window(count, period_s, slack_s))
