"""The tape: everything that happens on the simulated exchange, a function of market and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, Self

import numpy as np

from cq.errors import UnknownSymbol
from cq.sim.arrays import BarArrays, TradeArrays, bars_of, bucket, coarser
from cq.sim.books import Around, Book, BookArrays, book_of, in_decimals
from cq.sim.endless import Endless
from cq.sim.listing import Listing
from cq.sim.strips import GeneratedStrip, Strip, chunks
from cq.utils.time import DAY, MINUTE, bar_end, interval_ns, parse_time

BEGINS: Final = parse_time("2023-01-01")
"""The first trade of a generated market is on this day, whenever the clock starts."""


@dataclass(frozen=True)
class Ticker:
    """The last 24 hours in ticks and units of 1e-8; `last_ns` is 0 where nobody ever traded."""

    high: int
    low: int
    open: int
    last: int
    volume: int
    bid: int
    ask: int
    last_ns: int


@dataclass(frozen=True)
class Tape:
    """Trades, bars, books and tickers of every listed market, at any moment.

    Nothing is random here: the same tape gives the same answer to the same question, in whatever
    order and pieces it is asked. `notes` say what had to be concluded about the data of a lake.
    """

    listings: Mapping[str, Listing]
    strips: Mapping[str, Strip]
    seed: int = 0
    week_starts: str = "monday"
    source: str = "generated"
    notes: tuple[str, ...] = ()
    _wires: dict[str, Listing] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        wires = {listing.wire: listing for listing in self.listings.values()}
        object.__setattr__(self, "_wires", wires)

    @classmethod
    def generated(
        cls, seed: int = 0, trades_per_minute: float = 4.0, begin_ns: int = BEGINS
    ) -> Self:
        """The generated exchange; every seed is another one."""
        market = Endless(seed, trades_per_minute)
        strips = {
            coin.symbol: GeneratedStrip(market, coin.symbol, begin_ns) for coin in market.coins
        }
        return cls(market.listings, strips, seed)

    def with_weeks(self, starts: str) -> Self:
        """The same tape with other weeks."""
        return replace(self, week_starts=starts)

    @property
    def begin_ns(self) -> int:
        """When the first trade of all may be."""
        return min((strip.begin_ns for strip in self.strips.values()), default=0)

    @property
    def end_ns(self) -> int:
        """When the last trade of all has been."""
        return max((strip.end_ns for strip in self.strips.values()), default=0)

    def by_wire(self, name: str) -> Listing | None:
        """The market that the WebSocket calls `name`, such as BRLBTC."""
        return self._wires.get(name)

    def listing(self, symbol: str) -> Listing:
        """The terms of a market; UnknownSymbol where it is not listed."""
        try:
            return self.listings[symbol]
        except KeyError:
            raise UnknownSymbol(symbol, self.listings, "ask for one of those") from None

    def trades(self, symbol: str, start_ns: int, end_ns: int) -> TradeArrays:
        """The trades with start ≤ ts < end, oldest first."""
        strip = self._strip(symbol)
        return TradeArrays.joined([] if strip is None else list(chunks(strip, start_ns, end_ns)))

    def trades_by_id(self, symbol: str, first_tid: int, last_tid: int, now_ns: int) -> TradeArrays:
        """The trades with first ≤ tid ≤ last that have happened by now."""
        strip = self._strip(symbol)
        last_tid = min(last_tid, self.last_tid(symbol, now_ns))
        first_tid = max(first_tid, self.first_tid(symbol))
        if strip is None or last_tid < first_tid:
            return TradeArrays.joined([])
        first, last = (strip.chunk_of(tid, now_ns) for tid in (first_tid, last_tid))
        if first is None or last is None:
            return TradeArrays.joined([])
        parts = []
        for chunk in range(first, last + 1):
            trades = strip.trades(chunk)
            ends = np.searchsorted(trades.tid, [first_tid, last_tid + 1])
            parts.append(trades[ends[0] : ends[1]])
        return TradeArrays.joined(parts)

    def first_tid(self, symbol: str) -> int:
        """The id of the market's first trade."""
        strip = self._strip(symbol)
        if strip is None or isinstance(strip, GeneratedStrip):
            return 1
        trades = strip.trades(0)
        return int(trades.tid[0]) if len(trades) else 1

    def last_tid(self, symbol: str, now_ns: int) -> int:
        """The id of the newest trade that has happened by now; 0 where none has."""
        newest = self._newest(symbol, now_ns)
        return 0 if newest is None else int(newest.tid[-1])

    def last_price(self, symbol: str, now_ns: int) -> Decimal:
        """The price of the newest trade; 0 where nobody ever traded."""
        newest = self._newest(symbol, now_ns)
        return Decimal(0) if newest is None else self.listing(symbol).price(newest.price[-1])

    def price_band(self, symbol: str, now_ns: int) -> tuple[Decimal, Decimal]:
        """The lowest and highest limit price that is taken; it moves with the last trade."""
        last = self.last_price(symbol, now_ns)
        step = min(Decimal("0.000001"), self.listing(symbol).tick)  # else cheap coins have none
        return (last * Decimal("0.471")).quantize(step), (last * Decimal("3.2")).quantize(step)

    def candles(
        self, symbol: str, interval: str, start_ns: int, end_ns: int, now_ns: int
    ) -> BarArrays:
        """The bars that open in [start, end), the one in progress at `now_ns` included.

        Whole bars of the strip's own length are known already and equal what its trades add up to;
        anything finer, and the end that is not whole yet, is made of the trades themselves.
        """
        strip = self._strip(symbol)
        end_ns = min(end_ns, now_ns + 1)
        if strip is None or end_ns <= start_ns:
            return BarArrays.joined([])
        last = int(bucket(np.array([end_ns - 1]), interval, self.week_starts)[0])
        until = min(bar_end(last, interval), now_ns + 1)
        base = strip.base_ns
        fits = base is not None and interval != "1M" and interval_ns(interval) % base == 0
        if base is None or not (fits or (interval == "1M" and DAY % base == 0)):
            made = self.trades(symbol, start_ns, until)
            found = bars_of(made, bucket(made.ts, interval, self.week_starts))
        else:
            whole = until // base * base
            tail = self.trades(symbol, max(whole, start_ns), until)
            parts = [strip.bars(start_ns, whole), bars_of(tail, tail.ts // base * base)]
            bars = BarArrays.joined(parts)
            found = coarser(bars, bucket(bars.ts, interval, self.week_starts))
        return found[found.ts >= start_ns]

    def book(self, symbol: str, now_ns: int, depth: int) -> Book:
        """The resting orders; empty where nobody ever traded."""
        listing = self.listing(symbol)
        return in_decimals(listing, self.book_arrays(symbol, now_ns, depth))

    def book_arrays(self, symbol: str, now_ns: int, depth: int) -> BookArrays:
        """The same in ticks and units of 1e-8."""
        strip, newest = self._strip(symbol), self._newest(symbol, now_ns)
        if strip is None or newest is None:
            none = np.empty(0, np.int64)
            return BookArrays(none, none, none, none, now_ns)
        last = newest[-1:]
        around = Around(
            int(last.tid[0]), int(last.price[0]), int(last.side[0]), strip.typical_size()
        )
        return book_of(strip.listing, around, self.seed, now_ns, depth)

    def ticker(self, symbol: str, now_ns: int) -> Ticker:
        """The rolling 24 hours, to the minute at their beginning."""
        day = self.candles(symbol, "1m", (now_ns - DAY) // MINUTE * MINUTE, now_ns + 1, now_ns)
        newest, book = self._newest(symbol, now_ns), self.book_arrays(symbol, now_ns, 1)
        bid = int(book.bid[0]) if len(book.bid) else 0
        ask = int(book.ask[0]) if len(book.ask) else 0
        last_ns = 0 if newest is None else int(newest.ts[-1])
        if not len(day):
            return Ticker(0, 0, 0, 0, 0, bid, ask, last_ns)
        volume = int(day.volume.sum())
        high, low = int(day.high.max()), int(day.low.min())
        return Ticker(high, low, int(day.open[0]), int(day.close[-1]), volume, bid, ask, last_ns)

    def _strip(self, symbol: str) -> Strip | None:
        self.listing(symbol)
        return self.strips.get(symbol)

    def _newest(self, symbol: str, now_ns: int) -> TradeArrays | None:
        """The trades of the chunk of the newest one, up to it."""
        strip = self._strip(symbol)
        if strip is None or now_ns < strip.begin_ns:
            return None
        chunk = strip.chunk_at(now_ns)
        while chunk >= 0:
            if strip.starts(chunk) is not None:
                found = strip.trades(chunk).between(0, now_ns + 1)
                if len(found):
                    return found
            chunk -= 1
        return None
