"""A simulated exchange as one value: market, clock, manners and faults; no socket yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from cq.sim.clock import SimClock
from cq.sim.faults import Faults
from cq.sim.limits import Limits
from cq.sim.status import Status
from cq.sim.switches import Switches
from cq.sim.tape import Tape
from cq.utils.time import SECOND, iso


class Private(Protocol):
    """The private side of the exchange: accounts, orders and the routes to them."""

    def routes(self, sim: Simulation) -> list[web.RouteDef]:
        """Its routes below /api/v4, each named for its limit (`place_order`, `balances`, …)."""
        ...

    def expire_tokens(self) -> None:
        """From now on no token that was handed out is active."""
        ...


@dataclass
class Simulation:
    """Everything that answers; `create_app` puts it on the wire."""

    tape: Tape
    clock: SimClock
    switches: Switches = field(default_factory=Switches)
    faults: Faults = field(default_factory=Faults)
    limits: Limits | None = None
    exchange: Private | None = None
    limited: bool = True
    status: Status = field(default_factory=Status)

    def __post_init__(self) -> None:
        if self.limits is None and self.limited:
            self.limits = Limits(self.switches, self._limit_s)
        self.faults.count = self.status.faults
        self.faults.elapsed_s = self.clock.elapsed_s

    def _limit_s(self) -> float:
        if self.switches.limit_time == "exchange":
            return self.clock.now_ns() / SECOND
        return self.clock.elapsed_s()

    def now_ns(self) -> int:
        """Exchange time: what matters for orders and trades."""
        return self.clock.now_ns()

    def told_ns(self) -> int:
        """The time that the exchange says it is; differs while a fault skews its clock."""
        return self.clock.now_ns() + self.faults.skew_ns()

    def shown(self) -> dict[str, Any]:
        """What `/_sim/status` answers."""
        now = self.clock.now_ns()
        return {
            "source": self.tape.source,
            "seed": self.tape.seed,
            "now": iso(now),
            "now_ns": now,
            "speed": self.clock.speed,
            "symbols": list(self.tape.listings),
            **self.status.shown(),
        }
