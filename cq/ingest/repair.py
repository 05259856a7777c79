"""Bars mended: missing ones made of trades that are here, else fetched; spoilt ones put right.

Nothing is guessed and nothing is noted beside the lake: what to do follows from the view `gaps`
each time, so a repair that is stopped anywhere is completed by the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl

from cq.errors import CqError, Refused
from cq.exchanges.market import MarketData
from cq.exchanges.pages import Range
from cq.ingest.backfill import Earlier, Progress, backfill
from cq.ingest.built_bars import bars_of
from cq.ingest.resume import trades_in
from cq.ingest.spoilt import corrected, spoilt
from cq.lake import Lake, collected
from cq.lake.datasets import OHLCV
from cq.lake.gaps import LOST, NEVER_FETCHED
from cq.lake.places import is_remote
from cq.utils.time import DAY, interval_ns

OURS: Final = (NEVER_FETCHED, LOST)
"""Classes that can be mended; the others say how the market was."""

STRETCH_NS: Final = 30 * DAY
"""Trades are read, and bars of theirs land, in pieces of about this length."""

FROM_TRADES: Final = "trades_make_it"
"""The reason, in the view `gaps`, of a bar whose trades are here, all of them."""


@dataclass(frozen=True)
class Repaired:
    """What a repair did: runs of missing bars `before` and `after`, as the view `gaps` has them.

    `error` ended the fetching; the same repair goes on from there.
    """

    before: pl.DataFrame = field(repr=False)
    after: pl.DataFrame = field(repr=False)
    rebuilt: int = 0
    fetched: int = 0
    requests: int = 0
    refused: tuple[str, ...] = ()
    error: CqError | None = None
    corrected: int = 0
    """Bars of ours that did not fit their trades and do now."""
    disagreeing: int = 0
    """Bars that differ from their trades and are not ours to change, or lie on storage."""


def repair(
    lake: Lake,
    market: MarketData | None,
    symbols: Sequence[str] | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
    *,
    now_ns: int,
    page_bars: int = 1000,
    exclusions: Sequence[str] = (),
    on_progress: Progress | None = None,
) -> Repaired:
    """Mend what can be mended of the missing bars; without a `market` from stored trades only.

    Bars that nobody fetched, or that are lost, are made of trades where coverage has every trade
    of theirs, and fetched otherwise, where `market` is their exchange and serves their interval;
    of symbols among `exclusions` nothing is fetched, which counts as refused.
    Bars that cq made and that differ from what all of their trades make are replaced by that.
    """

    def missing(*, ours: bool) -> pl.DataFrame:
        classes = OURS if ours else None
        return lake.gaps(symbols, None, since_ns, until_ns, classes=classes, now_ns=now_ns)

    before = missing(ours=False)
    wrong = spoilt(lake, symbols, since_ns, until_ns)
    if is_remote(lake.root):  # storage replaces no rows
        wrong = wrong.with_columns(ours=pl.lit(value=False))
    done = Repaired(
        before,
        before,
        rebuilt=rebuilt(lake, before, now_ns),
        corrected=corrected(lake, wrong, now_ns),
        disagreeing=wrong.filter(~pl.col("ours")).height,
    )
    if market is not None:
        runs = missing(ours=True) if done.rebuilt else before.filter(pl.col("class").is_in(OURS))
        most_rows = 0
        for symbol, interval, stretch in to_fetch(runs, market, page_bars):
            if symbol in exclusions:
                told = f"{symbol} is among the `exclusions` of the settings: not fetched"
                if told not in done.refused:
                    done = replace(done, refused=(*done.refused, told))
                continue
            try:
                (report,) = backfill(
                    lake,
                    market,
                    [symbol],
                    interval,
                    *stretch,
                    now_ns=now_ns,
                    page_bars=page_bars,
                    refetch=True,
                    on_progress=on_progress,
                    earlier=Earlier(most_rows),
                )
            except Refused as refusal:
                done = replace(done, refused=(*done.refused, f"{symbol}: {refusal}"))
                continue
            except CqError as error:
                done = replace(done, error=error)
                break
            most_rows = report.most_rows
            if report.not_kept:
                done = replace(done, refused=(*done.refused, str(report.not_kept)))
            done = replace(
                done,
                fetched=done.fetched + report.landed,
                requests=done.requests + report.requests,
            )
    idle = not (done.rebuilt or done.requests)
    return done if idle else replace(done, after=missing(ours=False))


def rebuilt(lake: Lake, runs: pl.DataFrame, now_ns: int) -> int:
    """Make the bars of `runs` whose trades are all here; how many landed."""
    count = 0
    mine = runs.filter(pl.col("reason") == FROM_TRADES)
    for (exchange, symbol, interval), some in mine.group_by(
        "exchange", "symbol", "interval", maintain_order=True
    ):
        trades = trades_in(lake, str(exchange), str(symbol))
        ranges = some.select("ts", "end_ts").sort("ts")
        for start, end in joined(ranges.rows(), STRETCH_NS):
            inside = trades.filter(pl.col("ts").is_between(start, end, closed="left"))
            bars = _within(bars_of(collected(inside, lake.root), str(interval)), ranges)
            written = lake.write(
                OHLCV.name,
                bars,
                source=f"{exchange} trades, repair",
                now_ns=now_ns,
                asked=(start, end),
            )
            count += written.landed
    return count


def _within(bars: pl.DataFrame, ranges: pl.DataFrame) -> pl.DataFrame:
    """The bars that open in one of the ranges, which are apart and oldest first."""
    opened = ranges.rename({"ts": "opened"})
    return (
        bars.sort("ts")
        .join_asof(opened, left_on="ts", right_on="opened")
        .filter(pl.col("ts") < pl.col("end_ts"))
        .drop("opened", "end_ts", strict=False)
    )


def to_fetch(
    runs: pl.DataFrame, market: MarketData, page_bars: int
) -> Iterator[tuple[str, str, Range]]:
    """What to ask `market` for: symbol, interval and stretch; near ones as one, a page apart."""
    served = runs.filter(
        pl.col("exchange") == market.name, pl.col("interval").is_in(market.intervals)
    )
    for (symbol, interval), some in served.group_by("symbol", "interval", maintain_order=True):
        near = page_bars * interval_ns(str(interval))
        for stretch in joined(some.select("ts", "end_ts").rows(), near):
            yield str(symbol), str(interval), stretch


def joined(stretches: Sequence[tuple[int, ...]], near_ns: int) -> list[Range]:
    """Stretches as fewer ones: those whose hull is at most `near_ns` long, or that touch."""
    found: list[Range] = []
    for start, end in sorted(stretches):
        if found and (start == found[-1][1] or end - found[-1][0] <= near_ns):
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
