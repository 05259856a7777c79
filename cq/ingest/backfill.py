"""Bars from an exchange into the lake: paged, resumable, closed bars only, gaps asked for again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final, NamedTuple

import polars as pl

from cq.errors import BarsNotKept, ExchangeError, LakeBusy
from cq.exchanges.market import MarketData, native
from cq.exchanges.pages import Pages, Range, buckets, settled
from cq.ingest import coverage
from cq.ingest.filled import PAGES_A_FILE, Filled, length
from cq.lake import Lake, WriteReport, collected
from cq.lake.datasets import COVERAGE, OHLCV
from cq.lake.known import apart
from cq.lake.resample import closing
from cq.utils.time import interval_ns, iso


@dataclass(frozen=True)
class Ingested(Filled):
    """What became of one symbol's bars; `empty_buckets` had no trade, by the exchange's word.

    `unkept` are ranges that the exchange keeps no longer: nobody knows whether they had bars, and
    they are not covered. `most_rows` is how many bars came in one reply.
    """

    symbol: str
    interval: str
    start_ns: int
    end_ns: int
    empty_buckets: int = 0
    unkept: tuple[Range, ...] = ()
    most_rows: int = 0

    @property
    def not_kept(self) -> BarsNotKept | None:
        """What to say of what the exchange keeps no longer; None where there is nothing to say."""
        if not self.unkept:
            return None
        first, last = self.unkept[0][0], self.unkept[-1][1]
        return BarsNotKept(self.symbol, self.interval, iso(first), iso(last))


Progress = Callable[[Ingested], None]


@dataclass(frozen=True)
class Newest:
    """What a poll brought: the reports, and the opening (ts, open) of bars still in progress.

    `clock_ns` is the time by which bars are closed or in progress: the exchange's clock, as far as
    the local one or its own bars bear it out. `failed` says why a symbol's bars are not all here:
    neither its newest one nor the one in progress is known.
    """

    reports: Sequence[Ingested]
    forming: Mapping[str, tuple[int, float]]
    clock_ns: int
    failed: Mapping[str, ExchangeError | LakeBusy]


@dataclass(frozen=True)
class Earlier:
    """What earlier looks at an exchange have shown; it saves requests, and reading the lake.

    `most_rows` is how many bars one reply has held. By symbol, `newest` is when a bar opened that
    the lake holds, and `kept_from` up to where the exchange keeps bars no longer.
    """

    most_rows: int = 0
    newest: Mapping[str, int] = field(default_factory=dict)
    kept_from: Mapping[str, int] = field(default_factory=dict)


NOTHING_YET: Final = Earlier()


class Reply(NamedTuple):
    """A page's rows that were not known yet, and the range that it proves, if any."""

    rows: pl.DataFrame
    proven: Range | None


def backfill(
    lake: Lake,
    market: MarketData,
    symbols: Sequence[str],
    interval: str,
    since_ns: int,
    until_ns: int | None = None,
    *,
    now_ns: int,
    page_bars: int = 1000,
    refetch: bool = False,
    on_progress: Progress | None = None,
    earlier: Earlier = NOTHING_YET,
) -> list[Ingested]:
    """Bring the closed bars that open in [since_ns, until_ns) into the lake; a report a symbol.

    What coverage says is known already is not asked for, unless `refetch`. Coverage is written
    after the bars it speaks of, so a run that is killed anywhere is completed by the next one.
    What has been answered lands even when a later request fails; the error follows.
    """
    native(interval, market.intervals, market.name)
    reports: list[Ingested] = []
    for symbol in symbols:
        end = min(now_ns if until_ns is None else until_ns, settled(now_ns, interval))
        target = (max(0, since_ns), max(0, since_ns, end))
        reach = now_ns if until_ns is None or until_ns >= now_ns else 0
        fill = _Fill(lake, market, symbol, interval, target, now_ns, on_progress, earlier)
        fill.run(fill.missing(refetch=refetch), page_bars, reach)
        reports.append(fill.report)
        earlier = replace(earlier, most_rows=fill.report.most_rows)
    return reports


def newest(
    market: MarketData,
    lake: Lake,
    symbols: Sequence[str],
    interval: str,
    now_ns: int,
    *,
    bars: int = 1000,
    page_bars: int = 1000,
    earlier: Earlier = NOTHING_YET,
) -> Newest:
    """Bring what is missing of the last `bars` closed bars into the lake; and the bars in progress.

    The live loop's poll: at least one request a symbol, each reaching to now. All replies are
    judged by one clock once all have come, so that a bar has closed for every symbol or for none:
    the clock is that of the beginning, and what was over by then is final in each of them. A symbol
    that fails keeps nothing from the others, and what it was answered before lands all the same.

    `now_ns` is the local clock's. Where it is late, that is known with the first answer at the
    latest: what has closed in between is then asked for as well. Where the exchange's clock says
    more than the local one, a bar has closed once one of its own bars has opened behind it.

    What the exchange keeps no longer, by what `earlier` looks have shown, is not asked for again.
    """
    native(interval, market.intervals, market.name)
    reach_ns = max(now_ns, market.time_ns(now_ns))
    found = _asked(market, lake, symbols, interval, now_ns, reach_ns, bars, page_bars, earlier)
    later_ns = market.time_ns(now_ns)
    if settled(later_ns, interval) <= settled(reach_ns, interval):
        return found
    return _asked(market, lake, symbols, interval, now_ns, later_ns, bars, page_bars, earlier)


def _asked(
    market: MarketData,
    lake: Lake,
    symbols: Sequence[str],
    interval: str,
    now_ns: int,
    reach_ns: int,
    bars: int,
    page_bars: int,
    earlier: Earlier,
) -> Newest:
    """What the exchange has of `symbols` until `reach_ns`, judged by its clock at `now_ns`."""
    end = settled(reach_ns, interval)
    start = max(0, end - bars * interval_ns(interval))
    starts = {one: min(end, max(start, earlier.kept_from.get(one, 0))) for one in symbols}
    fills = [
        _Fill(lake, market, one, interval, (starts[one], end), now_ns, None, earlier)
        for one in symbols
    ]
    asked = [(fill, fill.missing() or [(end, reach_ns + 1)]) for fill in fills]
    held: list[tuple[_Fill, Reply]] = []
    failed: dict[str, ExchangeError | LakeBusy] = {}
    try:
        for fill, ranges in asked:
            try:
                for reply in fill.replies(ranges, page_bars, reach_ns + 1):
                    held.append((fill, reply))
            except ExchangeError as error:
                failed[fill.report.symbol] = error
    finally:
        clock_ns = min(market.time_ns(now_ns), max([now_ns, *_opened(held)]))
        failed = _land_all(held, clock_ns) | failed
    for fill, ranges in asked:
        fill.leave_out_the_young(ranges, clock_ns)
    forming = {
        one.report.symbol: found
        for one in fills
        if (found := one.forming) is not None and one.report.symbol not in failed
    }
    return Newest([fill.report for fill in fills], forming, clock_ns, failed)


def _opened(held: Sequence[tuple[_Fill, Reply]]) -> Iterator[int]:
    """When bars opened that the exchange sent: it was no earlier then."""
    return (int(reply.rows["ts"].max()) for _, reply in held if reply.rows.height)  # type: ignore[arg-type]


def _land_all(
    held: Sequence[tuple[_Fill, Reply]], clock_ns: int
) -> dict[str, ExchangeError | LakeBusy]:
    """Land each symbol's replies; what another process kept from landing, by symbol."""
    busy: dict[str, ExchangeError | LakeBusy] = {}
    for fill in dict.fromkeys(fill for fill, _ in held):
        try:
            for reply in (reply for one, reply in held if one is fill):
                fill.take(reply, clock_ns)
            fill.land()
        except LakeBusy as error:
            busy[fill.report.symbol] = error
    return busy


class _Fill:
    """One symbol's way into the lake."""

    def __init__(
        self,
        lake: Lake,
        market: MarketData,
        symbol: str,
        interval: str,
        target: Range,
        now_ns: int,
        on_progress: Progress | None,
        earlier: Earlier,
    ) -> None:
        self.lake, self.market, self.now_ns, self.on_progress = lake, market, now_ns, on_progress
        self.report = Ingested(symbol, interval, *target, most_rows=earlier.most_rows)
        self._newest = earlier.newest.get(symbol)
        self._known: Sequence[Range] = ()
        self._next: tuple[int, float | None] | None = None
        self.source = f"{market.name} candles"
        self._frames: list[pl.DataFrame] = []
        self._answered: list[tuple[int, int, int]] = []
        self._pages = 0

    @property
    def forming(self) -> tuple[int, float] | None:
        """The bar in progress that comes next; None while its open is no price to fill at."""
        ts, opened = self._next or (0, None)
        return None if opened is None or not 0 < opened < inf else (ts, opened)

    def missing(self, *, refetch: bool = False) -> list[Range]:
        """What of the target has never been answered."""
        one = self.report
        target = (one.start_ns, one.end_ns)
        series = (self.market.name, one.symbol, one.interval)
        self._known = coverage.covered(self.lake, OHLCV.name, *series)
        return coverage.gaps(target, [] if refetch else self._known)

    def _bar_before(self, start: int) -> int | None:
        """When a bar before `start` opens, if all from it on to there was answered.

        A bar of such a range came from the exchange: it must come again when it is asked for.
        """
        one, exchange = self.report, self.market.name
        begun = next((low for low, high in self._known if low < start <= high), None)
        if begun is None:
            return None
        if self._newest is not None and begun <= self._newest < start:
            return self._newest
        if (exchange, one.symbol, one.interval) not in self.lake.stored().rows():
            return None
        bars = self.lake.bars_before(one.symbol, one.interval, start, 1, exchange=exchange)
        stamps = collected(bars.select("ts"), self.lake.root)["ts"]
        return next((ts for ts in stamps if ts >= begun), None)

    def run(self, ranges: Sequence[Range], page_bars: int, reach_ns: int) -> None:
        """Ask for `ranges` and land the answers; on the way out too, whatever the reason."""
        try:
            for reply in self.replies(ranges, page_bars, reach_ns):
                self.leave_out_the_young(ranges, self._clock_ns())
                self.take(reply, self._clock_ns())
        finally:
            self.land()

    def replies(self, ranges: Sequence[Range], page_bars: int, reach_ns: int) -> Iterator[Reply]:
        """The exchange's answers to `ranges`, page by page, as long as the report ends later."""
        one = self.report
        self.report = replace(one, asked_ns=length(ranges))
        anchors = {
            start: ts
            for start, _ in ranges
            if start < one.end_ns and (ts := self._bar_before(start)) is not None
        }
        pages = Pages(one.interval, ranges, page_bars, reach_ns, anchors, one.most_rows)
        while (asked := pages.next()) is not None:
            rows = self.market.candles(one.symbol, one.interval, *asked)
            known_until = pages.parts[0].start
            proven = pages.answer(asked, rows["ts"])
            yield Reply(rows.filter(pl.col("ts") >= known_until), proven)
            pages.end_at(self.report.end_ns)
            unkept = tuple(apart(pages.unkept))
            self.report = replace(self.report, unkept=unkept, most_rows=pages.most_rows)

    def _clock_ns(self) -> int:
        """The exchange's clock when the run began; better known after each request."""
        return min(self.now_ns, self.market.time_ns(self.now_ns))

    def leave_out_the_young(self, ranges: Sequence[Range], clock_ns: int) -> None:
        """What is not over yet by the exchange's clock is not asked for, or was not in the end."""
        one = self.report
        end = max(one.start_ns, settled(clock_ns, one.interval))
        if ranges and end < one.end_ns:
            self.report = replace(one, end_ns=end, asked_ns=length(ranges, end))

    def take(self, reply: Reply, clock_ns: int) -> None:
        """Keep the bars of a reply that are closed, and the range that it proves, until they land.

        Of those in progress the earliest is the one that comes next: where the clock lags, the
        one after it may be there as well.
        """
        rows, proven = reply
        interval = self.report.interval
        closed = closing(pl.col("ts"), interval) <= clock_ns
        open_bars = rows.filter(~closed).sort("ts")
        limit = settled(clock_ns, interval)
        if open_bars.height:
            found = (open_bars.item(0, "ts"), open_bars.item(0, "open"))
            limit = min(limit, found[0])
            self._next = min(found, self._next or found)
        bars = rows.filter(closed)
        self._frames.append(bars)
        if proven is not None and proven[0] < min(proven[1], limit):
            self._cover(proven[0], min(proven[1], limit), bars)
        self._pages += 1
        self.report = replace(
            self.report,
            requests=self.report.requests + 1,
            fetched=self.report.fetched + bars.height,
        )
        if self._pages >= PAGES_A_FILE:
            self.land()
        self._tell()

    def _cover(self, start: int, end: int, bars: pl.DataFrame) -> None:
        stamps = set(bars["ts"].filter(bars["ts"].is_between(start, end - 1)))
        self._answered.append((start, end, len(stamps)))
        empty = buckets(start, end, self.report.interval, min(stamps, default=0)) - len(stamps)
        self.report = replace(
            self.report,
            answered_ns=self.report.answered_ns + end - start,
            empty_buckets=self.report.empty_buckets + max(0, empty),
        )

    def land(self) -> None:
        """Write the bars, then what they cover: never the other way round."""
        frames, answered = self._frames, self._answered
        self._frames, self._answered, self._pages = [], [], 0
        bars = pl.concat(frames) if frames else pl.DataFrame()
        if bars.height:
            written = self._write(OHLCV.name, bars, answered)
            self.report = self.report.plus(written)
        if answered:
            rows = coverage.rows_of(
                answered,
                dataset=OHLCV.name,
                exchange=self.market.name,
                symbol=self.report.symbol,
                interval=self.report.interval,
                asked_ns=self.now_ns,
                source=self.source,
            )
            self._write(COVERAGE.name, rows, answered)
        if frames or answered:
            self._tell()

    def _write(
        self, dataset: str, rows: pl.DataFrame, answered: Sequence[tuple[int, int, int]]
    ) -> WriteReport:
        return self.lake.write(
            dataset,
            rows,
            source=self.source,
            now_ns=self.now_ns,
            asked=coverage.hull(answered),
        )

    def _tell(self) -> None:
        if self.on_progress is not None:
            self.on_progress(self.report)
