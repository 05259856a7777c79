"""Candles and trades: the endpoints with a past."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

import numpy as np
from aiohttp import web

from cq.sim.answers import answer, eight, refused
from cq.sim.arrays import BarArrays, TradeArrays
from cq.sim.simulation import Simulation
from cq.utils.time import DAY, SECOND, interval_ns

MOST: Final = 1000
RESOLUTIONS: Final = ("1m", "15m", "1h", "3h", "1d", "1w", "1M")
UNDOCUMENTED: Final = {"30m": True, "5m": False, "4h": False}
"""Resolutions that are taken without being documented, and whether they give any bar."""
_THREADED_NS: Final = 3 * DAY
_FAR: Final = 9_000_000_000  # seconds; beyond it nanoseconds leave 64 bits


class History:
    """Handlers over one simulation."""

    def __init__(self, sim: Simulation) -> None:
        self.sim, self.tape, self.switches = sim, sim.tape, sim.switches

    async def candles(self, request: web.Request) -> web.Response:
        """Bars that open in [from, to]; the one in progress is among them, empty ones are not."""
        query = request.query
        symbol, interval = query.get("symbol", ""), query.get("resolution", "")
        where = "PUBLIC_DATA|LIST_CANDLES|"
        if symbol not in self.tape.listings:
            return refused(400, f"{where}SYMBOL_IS_INVALID", "The param {symbol} is invalid")
        if interval not in RESOLUTIONS and interval not in UNDOCUMENTED:
            said = "The param {resolution} must be one of 1m, 15m, 1h, 3h, 1d, 1w, 1M(for months)"
            return refused(400, f"{where}RESOLUTION_IS_INVALID", said)
        numbers = {name: _whole(query.get(name)) for name in ("from", "to", "countback")}
        to, since, count = numbers["to"], numbers["from"], numbers["countback"]
        for name in ("to", "from", "countback"):
            value = numbers[name]
            if (name in query or name == "to") and (value is None or value < 0):
                said = f"The param {{{name}}} must not be a valid Unix timestamp (UTC)"
                return refused(400, f"{where}{name.upper()}_IS_INVALID", said)
        if not UNDOCUMENTED.get(interval, True):
            return answer(_columns(BarArrays.joined([]), 1))
        bars = await self._bars(symbol, interval, min(to or 0, _FAR), since or 0, count)
        return answer(_columns(bars, self.tape.listings[symbol].scale))

    async def _bars(
        self, symbol: str, interval: str, to: int, since: int, count: int | None
    ) -> BarArrays:
        now = self.sim.now_ns()
        start, end = since * SECOND, to * SECOND + 1
        if count is not None:
            back = interval_ns(interval) * max(count, 1)
            start = max(min(end, now) - back - DAY, 0)
        if interval == "1m" and self.switches.minute_history_days:
            start = max(start, now - int(self.switches.minute_history_days * DAY))
        while True:
            bars = await self._made(symbol, interval, start, end, now)
            if count is None or len(bars) >= count or start <= self.tape.begin_ns:
                break
            start = max(start - 2 * (end - start), 0)  # empty buckets were left out: look further
        bars = bars[-count:] if count else bars[:0] if count == 0 else bars
        most = self.switches.max_candles
        if most is not None and len(bars) > most:
            bars = bars[-most:] if self.switches.candles_kept == "newest" else bars[:most]
        return bars

    async def _made(self, symbol: str, interval: str, start: int, end: int, now: int) -> BarArrays:
        """Long stretches are made beside the loop, which goes on answering."""
        if min(end, now) - max(start, self.tape.begin_ns) < _THREADED_NS:
            return self.tape.candles(symbol, interval, start, end, now)
        return await asyncio.to_thread(self.tape.candles, symbol, interval, start, end, now)

    async def trades(self, request: web.Request) -> web.Response:
        """At most 1000 trades; which ones and in what order depends on the parameters."""
        symbol, query = request.match_info["symbol"], request.query
        where = "PUBLIC_DATA|LIST_TRADES|"
        if symbol not in self.tape.listings:
            return refused(
                400, f"{where}INVALID_BASE_QUOTE", "This BASE-QUOTE is invalid or not found"
            )
        names = ("tid", "since", "from", "to", "limit")
        numbers = {name: _whole(query[name]) for name in names if name in query}
        for name, value in numbers.items():
            if value is None or value < 0:
                said = f"The param {{{name}}} is invalid"
                return refused(400, f"{where}{name.upper()}_IS_INVALID", said)
        given = {name: value for name, value in numbers.items() if value is not None}
        limit = given.pop("limit", None)
        if limit is not None and limit > MOST:
            return refused(400, f"{where}LIMIT_MAX_ALLOWED", "Max limit allowed is 1000.")
        if ("from" in given) != ("to" in given) and self.switches.trades_half_window == "refused":
            missing = "to" if "from" in given else "from"
            said = f"The param {{{missing}}} must not be empty"
            return refused(400, f"{where}{missing.upper()}_IS_REQUIRED", said)
        most = limit if limit else MOST
        trades = await asyncio.to_thread(self._selected, symbol, given, most)
        trades = trades.between(self._oldest_ns(), 2**63 - 1)
        newest_first = limit is not None and not given
        if self.switches.trades_order != "by_parameters":
            newest_first = self.switches.trades_order == "descending"
        shown = trades[::-1] if newest_first else trades
        return answer(_rows(shown, self.tape.listings[symbol].scale))

    def _oldest_ns(self) -> int:
        days = self.switches.trades_history_days
        return 0 if days is None else self.sim.now_ns() - int(days * DAY)

    def _selected(self, symbol: str, given: dict[str, int], most: int) -> TradeArrays:
        now, tape = self.sim.now_ns(), self.tape
        last = tape.last_tid(symbol, now)
        if "from" in given or "to" in given:
            start = given.get("from", 0) * SECOND
            upto = min(given.get("to", _FAR), _FAR)
            end = (upto + (self.switches.trades_to == "inclusive")) * SECOND
            return self._window(symbol, start, min(end, now + 1), most)
        for name, rule in (("since", self.switches.since), ("tid", self.switches.tid)):
            if name in given and rule != "ignored":
                first = given[name] + (rule == "after")
                upto = first if rule == "exact" else first + most - 1
                return tape.trades_by_id(symbol, first, upto, now)
        return tape.trades_by_id(symbol, last - most + 1, last, now)

    def _window(self, symbol: str, start: int, end: int, most: int) -> TradeArrays:
        """The trades of a window, cut at one end: found by id, so no long window is ever made."""
        tape = self.tape
        first, last = tape.last_tid(symbol, start - 1) + 1, tape.last_tid(symbol, end - 1)
        first = max(first, tape.first_tid(symbol))
        if last - first + 1 > most:
            if self.switches.trades_kept == "newest":
                first = last - most + 1
            else:
                last = first + most - 1
        return tape.trades_by_id(symbol, first, last, self.sim.now_ns())


def _columns(bars: BarArrays, scale: int) -> dict[str, list[Any]]:
    prices = {
        name[0]: [eight(one) for one in (getattr(bars, name) * scale).tolist()]
        for name in ("open", "high", "low", "close")
    }
    volumes = [eight(one) for one in bars.volume.tolist()]
    return {"t": (bars.ts // SECOND).tolist(), **prices, "v": volumes}


def _rows(trades: TradeArrays, scale: int) -> list[dict[str, Any]]:
    columns = zip(
        trades.tid.tolist(),
        (trades.ts // SECOND).tolist(),
        (trades.price * scale).tolist(),
        trades.size.tolist(),
        np.where(trades.side > 0, "buy", "sell").tolist(),
        strict=True,
    )
    return [
        {"tid": tid, "date": date, "type": side, "price": eight(price), "amount": eight(size)}
        for tid, date, price, size, side in columns
    ]


def _whole(text: str | None) -> int | None:
    """A whole number of at most 18 digits; None for anything else."""
    return int(text) if text and re.fullmatch(r"-?\d{1,18}", text, re.ASCII) else None
