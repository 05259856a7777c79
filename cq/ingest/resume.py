"""Where a stream goes on: after the newest trade in the lake, with the holes before it filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from cq.errors import TradesMissing
from cq.exchanges.feed import Fill, Hole, Missing
from cq.exchanges.trade_pages import holes, ids_of, without
from cq.ingest import coverage
from cq.ingest.closing import INTERVAL, Closing
from cq.lake import Lake, WriteReport
from cq.lake.damage import collected
from cq.lake.datasets import OHLCV, TRADES
from cq.lake.resample import ceiling, floor
from cq.lake.source import rows_of
from cq.utils import log
from cq.utils.names import counted
from cq.utils.time import DAY

PIECE: Final = 10_000
"""Ids asked for and landed at a time, so that a kill loses little of a long catching up."""

LOOK_BACK_NS: Final = DAY
"""Bars that were never made are made from trades in the lake for so long before the newest."""

ID: Final = pl.col("trade_id").cast(pl.Int64, strict=False)


@dataclass(frozen=True)
class Resumed:
    """One market, ready to go on: `after` is the newest id in the lake, None where it has none.

    `filled` trades were missing before that; those in `left` still are.
    """

    symbol: str
    after: int | None
    closing: Closing
    filled: int = 0
    left: tuple[Hole, ...] = ()


def resumed(
    lake: Lake,
    market: Missing,
    exchange: str,
    symbol: str,
    *,
    most: int,
    now_ns: int,
    source: str,
    check: Callable[[], None] = lambda: None,
    on_landed: Callable[[pl.DataFrame, WriteReport], None] = lambda *_: None,
) -> Resumed:
    """Land the exchange's newest trades of `symbol`, and what lacks between them and the lake's.

    Only what no coverage speaks of is looked through, and at most the newest `most` ids of it. An
    id beyond the exchange's newest is not gone on from: what is newer comes again, and one that was
    mangled on its way would hide all that comes.
    `check` is called between requests, and may raise; `on_landed` is told what became of
    which rows.
    """

    def land(rows: pl.DataFrame) -> None:
        if rows.height:
            on_landed(rows, lake.write(TRADES.name, rows, source=source, now_ns=now_ns))

    check()
    newest = market.newest_trades(symbol)
    land(newest)
    known = coverage.covered(lake, TRADES.name, exchange, symbol, None)
    rows = _passed_over(trades_in(lake, exchange, symbol), newest, symbol, lake)
    tail = _Tail.of(lake, rows, known[-1][1] if known else None, most)
    filled, left = _filled(market, symbol, tail.holes, most, land, check)
    if filled:
        rows = trades_in(lake, exchange, symbol).filter(tail.newest >= ID)
        tail = _Tail.of(lake, rows, tail.covered_ns, most)
    if tail.cut is not None:
        left.insert(0, Hole(symbol, *tail.cut))
    closing = _closing(lake, exchange, symbol, rows, tail, left)
    return Resumed(symbol, tail.newest, closing, filled, tuple(left))


def _passed_over(rows: pl.LazyFrame, newest: pl.DataFrame, symbol: str, lake: Lake) -> pl.LazyFrame:
    """The rows without ids beyond the newest that the exchange has; older ones of them are told."""
    if newest.is_empty():
        return rows
    last_id, last_ns = newest.select(ID.max(), pl.col("ts").max()).row(0)
    wrong = collected(rows.filter(last_id < ID, pl.col("ts") < last_ns).select(pl.len()), lake.root)
    if count := wrong.item():
        rest = f"passed over: the exchange's newest trade, {last_id}, is younger than they"
        reason = f"{counted(count, 'id', 'ids')} in the lake {rest}"
        log.event("stream", "mangled", level="WARNING", symbol=symbol, reason=reason)
    return rows.filter(last_id >= ID)


def _filled(
    market: Missing,
    symbol: str,
    holes: Sequence[tuple[int, int]],
    most: int,
    land: Callable[[pl.DataFrame], None],
    check: Callable[[], None],
) -> tuple[int, list[Hole]]:
    """Fill holes, newest first and about `most` ids in all: how many trades came, what is left."""
    filled, left = 0, list[Hole]()
    for first, last in reversed(holes):
        if filled + last - first >= most:
            left.append(Hole(symbol, first, last))
            continue
        for start in range(first, last + 1, PIECE):
            check()
            rows, runs = _asked(market, symbol, start, min(last, start + PIECE - 1))
            land(rows)
            filled += rows.height
            left += [Hole(symbol, *run) for run in runs]
    return filled, sorted(left)


def begun_with(
    lake: Lake, exchange: str, one: Resumed, fetched: int | None, at_ns: int
) -> Fill | None:
    """What a recording of `one` begins with, so that a replay of it makes the same rows.

    Those are the trades from the lowest id that was `fetched` on, those that wait for their bar to
    close, and the one before them, which says that none is missing there.
    """
    held: int | None = one.closing.held.select(ID.min()).item()
    first = min([at for at in (fetched, held) if at is not None], default=one.after or 0)
    known = trades_in(lake, exchange, one.symbol).filter(ID.is_between(first - 1, one.after))
    rows = collected(known, lake.root).sort(ID)
    if rows.is_empty():
        return None
    there = rows.select(ID).to_series()
    low, high = int(there[0]), int(there[-1])
    lost = high - low + 1 > len(there)
    return Fill(at_ns, one.symbol, low, high, rows.select(*TRADES.schema), lost=lost)


def _asked(
    market: Missing, symbol: str, first: int, last: int
) -> tuple[pl.DataFrame, list[tuple[int, int]]]:
    """The trades of these ids, and the runs of them that the exchange does not give."""
    try:
        rows = market.missing_trades(symbol, first, last)
    except TradesMissing as missing:
        found = TRADES.empty() if missing.found is None else missing.found
        return found, list(missing.runs)
    return rows, without([(first, last)], ids_of(rows))


@dataclass(frozen=True)
class _Tail:
    """The newest ids of a market in the lake, from `base` on, which is the last one covered.

    `cut` are ids, more than are looked through, between that one and the first looked at; where
    nothing is covered, between the first looked at and the newest one before it.
    """

    newest: int | None
    base: int | None
    covered_ns: int | None
    ids: pl.Series
    cut: tuple[int, int] | None = None

    @property
    def holes(self) -> list[tuple[int, int]]:
        """Runs of ids that are not there."""
        return holes(self.ids)

    @classmethod
    def of(cls, lake: Lake, rows: pl.LazyFrame, covered_ns: int | None, most: int) -> _Tail:
        """Look it up in the market's `rows`."""
        before = pl.col("ts") < (covered_ns or 0)
        ends = collected(rows.select(newest=ID.max(), base=ID.filter(before).max()), lake.root)
        newest, base = ends.row(0)
        lowest = max(base or 0, (newest or 0) - most)
        ids = collected(rows.filter(lowest <= ID).select(ID.unique().sort()), lake.root).to_series()
        if base is None:
            known = rows.filter(lowest > ID).select(ID.max())
            begun: int | None = collected(known, lake.root).item()
        else:
            begun = base if lowest > base else None
        cut = None
        if begun is not None and len(ids) and begun + 1 < int(ids[0]):
            cut = (begun + 1, int(ids[0]) - 1)
        return cls(newest, base, covered_ns, ids, cut)


def _closing(
    lake: Lake, exchange: str, symbol: str, rows: pl.LazyFrame, tail: _Tail, left: list[Hole]
) -> Closing:
    """Bars and coverage go on where the lake's stop, or begin behind the last hole of `rows`."""
    if tail.newest is None:
        return Closing(symbol, exchange)
    if tail.covered_ns is not None and tail.base is not None and not left:
        known_from = tail.covered_ns
        edge = _edge(lake, exchange, symbol, known_from)
    else:
        behind = max((hole.last_id for hole in left), default=-1)
        first = collected(
            rows.filter(behind < ID, tail.ids[0] <= ID).select(pl.col("ts").min()), lake.root
        )
        known_from = int(first.item()) + 1
        edge = ceiling(known_from, INTERVAL)
    held = collected(rows.filter(pl.col("ts") >= min(edge, known_from)), lake.root).sort("ts", ID)
    return Closing(
        symbol,
        exchange,
        known_from=known_from,
        edge=edge,
        tail=held.select(*TRADES.schema),
        counted=held.filter(pl.col("ts") >= known_from).height,
    )


def _edge(lake: Lake, exchange: str, symbol: str, covered_ns: int) -> int:
    """Where the next bar opens, when every trade before `covered_ns` is known."""
    begun = coverage.covered(lake, TRADES.name, exchange, symbol, None)[-1][0]
    known = coverage.covered(lake, OHLCV.name, exchange, symbol, INTERVAL)
    told = known[-1][1] if known else 0
    newest = floor(covered_ns, INTERVAL)
    since = told if told > newest - LOOK_BACK_NS else newest
    return max(ceiling(begun, INTERVAL), ceiling(since, INTERVAL))


def before(lake: Lake, exchange: str, hole: Hole) -> int | None:
    """When the newest trade before a hole was; a back-fill from there on brings what lacks."""
    rows = trades_in(lake, exchange, hole.symbol).filter(hole.first_id > ID)
    found: int | None = collected(rows.select(pl.col("ts").sort_by(ID).last()), lake.root).item()
    return found


def trades_in(
    lake: Lake, exchange: str, symbol: str, span: tuple[int, int] | None = None
) -> pl.LazyFrame:
    """The trades of one market that have landed, in no order; those of [start, end) of a `span`."""
    owner = {"exchange": exchange, "symbol": symbol}
    rows = rows_of(lake.root, lake.layouts[TRADES.name], TRADES, owner, *(span or ()))
    if span is not None:
        rows = rows.filter(pl.col("ts").is_between(*span, closed="left"))
    return rows.filter(pl.col("exchange") == exchange, pl.col("symbol") == symbol)
