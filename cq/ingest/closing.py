"""One market's bars, made of its trades as soon as no trade of theirs can be missing any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from cq.exchanges.feed import Hole
from cq.ingest import coverage
from cq.ingest.built_bars import bars_of
from cq.lake.datasets import COVERAGE, OHLCV, TRADES
from cq.lake.resample import ceiling, floor
from cq.utils import log
from cq.utils.time import MINUTE, SECOND, iso

INTERVAL: Final = "1m"
"""Of the bars that a stream writes; the lake makes coarser ones of them."""

Covered = tuple[int, int, int]
"""From, up to (exclusive), and how many rows."""


class Closing:
    """Trades of one market in, in order of their ids; closed bars and covered ranges out.

    A bar is made once, from all of its trades or not at all: not where the record begins in the
    middle of it, and not beside a hole that nobody could fill. What comes `late`, after its bar was
    made, is told loudly, and that minute is not covered. `known_from` is the instant from
    which every trade is known, None before the first one; `edge` is where the next bar opens. Of
    the trades in `tail`, which the lake has already, `counted` are at or after `known_from`.
    """

    def __init__(
        self,
        symbol: str,
        exchange: str,
        *,
        known_from: int | None = None,
        edge: int | None = None,
        tail: pl.DataFrame | None = None,
        counted: int = 0,
    ) -> None:
        self.symbol, self.exchange, self.late = symbol, exchange, 0
        self._begin(known_from, edge, counted)
        self._torn = False
        self._tail = TRADES.empty() if tail is None else tail
        self._told: dict[str, list[Covered]] = {TRADES.name: [], OHLCV.name: []}

    @property
    def held(self) -> pl.DataFrame:
        """Trades that wait for their bar to close."""
        return self._tail

    def _begin(self, known_from: int | None, edge: int | None = None, counted: int = 0) -> None:
        self._first, self._from, self._until = known_from, known_from, known_from
        self._counted = counted
        self._edge = ceiling(known_from, INTERVAL) if known_from is not None and not edge else edge
        self._bars_from, self._opens = self._edge, pl.Series("ts", [], pl.Int64)
        self._spoilt: set[int] = set()

    def take(
        self, trades: pl.DataFrame | None, seen_ns: int, lost: Sequence[Hole] = ()
    ) -> pl.DataFrame:
        """The bars that have closed with these trades; none is missing before `seen_ns`."""
        rest = TRADES.empty() if trades is None else trades
        number, bars = pl.col("trade_id").cast(pl.Int64, strict=False), []
        for hole in sorted(lost):
            bars.append(self._more(rest.filter(number < hole.first_id)))
            bars.append(self._break())
            rest = rest.filter(number > hole.last_id)
        bars.append(self._more(rest))
        bars.append(self._seen(seen_ns - seen_ns % SECOND))
        return pl.concat(bars)

    def covered(self, asked_ns: int, source: str) -> pl.DataFrame:
        """Rows of coverage for what has become known since the last time."""
        self._tell()
        told, self._told = self._told, {TRADES.name: [], OHLCV.name: []}
        rows = [
            coverage.rows_of(
                ranges,
                dataset=dataset,
                exchange=self.exchange,
                symbol=self.symbol,
                interval=INTERVAL if dataset == OHLCV.name else None,
                asked_ns=asked_ns,
                source=source,
            ).select(*COVERAGE.schema)
            for dataset, ranges in told.items()
        ]
        return pl.concat(rows)

    def _more(self, trades: pl.DataFrame) -> pl.DataFrame:
        """Hold trades until their bars close."""
        if trades.height:
            if self._from is None:
                first: int = trades["ts"].min()  # type: ignore[assignment]
                self._begin(first + 1)  # others of that instant may have come before
            since = self._from or 0
            self._counted += trades.filter(pl.col("ts") >= since).height
            self._note_late(trades)
            self._tail = pl.concat([self._tail, trades.select(*TRADES.schema)])
        return OHLCV.empty()

    def _note_late(self, trades: pl.DataFrame) -> None:
        """Trades whose bar has been made: it is not right, so it is not to count as known."""
        closed = min(self._edge or 0, self._until or 0)
        late = trades.filter(pl.col("ts").is_between(self._first or 0, closed, closed="left"))
        if late.is_empty():
            return
        self.late += late.height
        minutes = late.select(pl.col("ts") // MINUTE * MINUTE).to_series().unique().sort()
        self._spoilt.update(minutes)
        spoilt = f"{late.height} trades came after their bar was made; without them is the bar of "
        log.event(
            "stream", "late", level="ERROR", symbol=self.symbol, reason=spoilt + iso(minutes[0])
        )

    def _seen(self, until: int) -> pl.DataFrame:
        """Close what ends by `until`; an empty market is known from there on."""
        if self._from is None:
            if until > 0 and not self._torn:
                self._begin(until)
            return OHLCV.empty()
        if self._until is None or until <= self._until or self._edge is None:
            return OHLCV.empty()
        self._until = until
        edge = max(self._edge, floor(until, INTERVAL))
        ts = pl.col("ts")
        closed = self._tail.filter(ts.is_between(self._edge, edge, closed="left"))
        self._tail = self._tail.filter(ts >= min(edge, floor(until, INTERVAL)))
        self._edge = edge
        bars = bars_of(closed, INTERVAL).select(*OHLCV.schema) if closed.height else OHLCV.empty()
        self._opens = pl.concat([self._opens, bars["ts"]])
        return bars

    def _break(self) -> pl.DataFrame:
        """A hole follows: what is before the newest trade is known, and nothing from there on."""
        newest = self._tail["ts"].max()
        bars = self._seen(newest) if isinstance(newest, int) else OHLCV.empty()
        self._tell()
        self._begin(None)
        self._tail, self._torn = TRADES.empty(), True
        return bars

    def _tell(self) -> None:
        """Note what is known beyond what was told before."""
        if self._from is not None and self._until is not None and self._until > self._from:
            left = self._tail.filter(pl.col("ts") >= self._until).height
            self._told[TRADES.name].append((self._from, self._until, self._counted - left))
            self._from, self._counted = self._until, left
        if self._edge is not None and self._bars_from is not None and self._edge > self._bars_from:
            start, opens = self._bars_from, self._opens
            for minute in [*sorted(one for one in self._spoilt if one >= start), self._edge]:
                if minute > start:
                    count = int(opens.is_between(start, minute, closed="left").sum())
                    self._told[OHLCV.name].append((start, minute, count))
                start = minute + MINUTE
            self._bars_from, self._opens = self._edge, opens.clear()
            self._spoilt.clear()
