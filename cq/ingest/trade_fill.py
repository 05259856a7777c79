"""Trades from an exchange into the lake: paged, resumable, each once, with the proof of it.

Trades land first, then what they cover, so a run that is killed anywhere is completed by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl

from cq.exchanges.market import TradeHistory
from cq.exchanges.pages import Range
from cq.exchanges.trade_pages import Ids
from cq.exchanges.trade_walk import Walk
from cq.ingest import coverage
from cq.ingest.built_bars import Comparison
from cq.ingest.candle_check import compare
from cq.ingest.filled import PAGES_A_FILE, Filled, length
from cq.ingest.resume import ID, trades_in
from cq.lake import Lake, WriteReport
from cq.lake.damage import collected
from cq.lake.datasets import COVERAGE, TRADES
from cq.utils.settings import Stream
from cq.utils.time import HOUR, SECOND

SETTLING_NS: Final = round(Stream().settle_seconds * SECOND)
"""Trades younger than this may still be on their way, so the newest seconds are never covered."""

LOOK_BACK_NS: Final = HOUR
"""How much of the lake is read first for its last trade before a range; then ever more."""


@dataclass(frozen=True)
class FilledTrades(Filled):
    """What became of the trades of one symbol.

    `lost` are ids (first, last) whose trades the exchange does not give. `unkept` are ranges
    before all trades that it gives, where nothing tells whether there was any.
    """

    symbol: str
    start_ns: int
    end_ns: int
    lost: tuple[Ids, ...] = ()
    unkept: tuple[Range, ...] = ()
    comparison: Comparison | None = field(default=None, repr=False)

    @property
    def missing(self) -> int:
        """How many trades there were, by their ids, that did not come."""
        return sum(last - first + 1 for first, last in self.lost)


Progress = Callable[[FilledTrades], None]


def fill_trades(
    lake: Lake,
    market: TradeHistory,
    symbols: Sequence[str],
    since_ns: int,
    until_ns: int | None = None,
    *,
    now_ns: int,
    refetch: bool = False,
    settle_ns: int = SETTLING_NS,
    on_progress: Progress | None = None,
) -> list[FilledTrades]:
    """Bring the trades of [since_ns, until_ns) into the lake; a report a symbol.

    What coverage says is known already is not asked for, unless `refetch`. Bars made of the trades
    are compared with the candles that the lake has of the same range.
    """
    reports = []
    for symbol in symbols:
        end = now_ns - settle_ns if until_ns is None else min(until_ns, now_ns - settle_ns)
        target = (max(0, since_ns), max(0, since_ns, end))
        fill = _Fill(lake, market, symbol, target, now_ns, settle_ns, on_progress)
        fill.run(refetch=refetch)
        found = compare(lake, market.name, symbol, target)
        reports.append(replace(fill.report, comparison=found))
    return reports


class _Fill:
    """One symbol's way into the lake."""

    def __init__(
        self,
        lake: Lake,
        market: TradeHistory,
        symbol: str,
        target: Range,
        now_ns: int,
        settle_ns: int,
        on_progress: Progress | None,
    ) -> None:
        self.lake, self.market, self.on_progress = lake, market, on_progress
        self.now_ns, self.settle_ns = now_ns, settle_ns
        self.report = FilledTrades(symbol, *target)
        self.source = f"{market.name} trades"
        self._frames: list[pl.DataFrame] = []
        self._proven: list[Range] = []
        self._pages = 0

    def run(self, *, refetch: bool) -> None:
        """Ask for what is missing and land the answers; on the way out too, whatever the reason."""
        one = self.report
        known = coverage.covered(self.lake, TRADES.name, self.market.name, one.symbol, None)
        ranges = coverage.gaps((one.start_ns, one.end_ns), [] if refetch else known)
        self.report = replace(one, asked_ns=length(ranges))
        try:
            for start, end in ranges:
                self._walk(start, end, self._last_before(start, known))
            self._leave_out_the_young(ranges)
        finally:
            self._land()

    def _leave_out_the_young(self, ranges: Sequence[Range]) -> None:
        """What is too young by the exchange's clock was not asked for in the end."""
        youngest = min(self.now_ns, self.market.time_ns(self.now_ns)) - self.settle_ns
        if ranges and youngest < self.report.end_ns:
            end = max(self.report.start_ns, youngest)
            unkept = [(low, min(high, end)) for low, high in self.report.unkept if low < end]
            self.report = replace(
                self.report, end_ns=end, asked_ns=length(ranges, end), unkept=tuple(unkept)
            )

    def _last_before(self, start: int, known: Sequence[Range]) -> tuple[int, int] | None:
        """The lake's last trade before `start`, its id and when it was.

        None unless coverage has every trade from there up to `start`.
        """
        begun = [low for low, high in known if low < start <= high]
        since, length = start, LOOK_BACK_NS
        while begun and since > begun[0]:
            until, since = since, max(begun[0], since - length)
            found = last_in(self.lake, self.market.name, self.report.symbol, since, until)
            if found is not None:
                return found
            length *= 8
        return None

    def _walk(self, start: int, end: int, known: tuple[int, int] | None) -> None:
        market = self.market
        walk = Walk(start, end, market.trade_cap, by_id=market.trades_by_id, known=known)
        plan = walk.steps()
        try:
            ask = next(plan)
            while True:
                ask = plan.send(self.market.trade_page(self.report.symbol, ask))
                self._take(walk)
        except StopIteration:
            self._take(walk)
            one = self.report
            self.report = replace(
                one, lost=(*one.lost, *walk.lost), unkept=(*one.unkept, *walk.unkept)
            )

    def _take(self, walk: Walk) -> None:
        """Keep what a step brought until it lands; nothing is proven that is too young."""
        frames, proven = walk.drain()
        youngest = min(self.now_ns, self.market.time_ns(self.now_ns)) - self.settle_ns
        settled = [(start, min(end, youngest)) for start, end in proven if start < youngest]
        self._frames += [one for one in frames if one.height]
        self._proven += settled
        self._pages += 1
        self.report = replace(
            self.report,
            requests=self.report.requests + 1,
            answered_ns=self.report.answered_ns + sum(end - start for start, end in settled),
        )
        if self._pages >= PAGES_A_FILE:
            self._land()
        self._tell()

    def _land(self) -> None:
        """Write the trades, then what they cover: never the other way round."""
        frames, proven = self._frames, self._proven
        self._frames, self._proven, self._pages = [], [], 0
        trades = _each_once(frames)
        if trades.height:
            written = self._write(TRADES.name, trades, proven)
            self.report = replace(self.report, fetched=self.report.fetched + trades.height).plus(
                written
            )
        if proven:
            stamps = trades["ts"].sort()
            rows = coverage.rows_of(
                [(start, end, _between(stamps, start, end)) for start, end in proven],
                dataset=TRADES.name,
                exchange=self.market.name,
                symbol=self.report.symbol,
                interval=None,
                asked_ns=self.now_ns,
                source=self.source,
            )
            self._write(COVERAGE.name, rows, proven)
        if frames or proven:
            self._tell()

    def _write(self, dataset: str, rows: pl.DataFrame, proven: Sequence[Range]) -> WriteReport:
        return self.lake.write(
            dataset, rows, source=self.source, now_ns=self.now_ns, asked=coverage.hull(proven)
        )

    def _tell(self) -> None:
        if self.on_progress is not None:
            self.on_progress(self.report)


def last_in(
    lake: Lake, exchange: str, symbol: str, since_ns: int, until_ns: int
) -> tuple[int, int] | None:
    """The highest id among the stored trades of [since_ns, until_ns), and when that trade was."""
    rows = trades_in(lake, exchange, symbol, (since_ns, until_ns))
    last = rows.select(id=ID.max(), ts=pl.col("ts").get(ID.arg_max()))
    found: tuple[int | None, int] = collected(last, lake.root).row(0)
    return None if found[0] is None else (found[0], found[1])


def _each_once(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    if not frames:
        return TRADES.empty()
    return pl.concat(frames).unique("trade_id", keep="first", maintain_order=True)


def _between(stamps: pl.Series, start: int, end: int) -> int:
    return int(stamps.search_sorted(end)) - int(stamps.search_sorted(start))
