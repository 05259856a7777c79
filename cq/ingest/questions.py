"""What a stream asks of REST, question by question, and what the answers say to it."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from cq.errors import CqError, NoSuchMarket, TradesMissing, Transient, UsageError
from cq.exchanges.feed import Fill, Hole, Missing
from cq.lake.datasets import dataset
from cq.utils.time import SECOND


def looked_at(
    market: Missing,
    symbol: str,
    last: int | None,
    clock: Callable[[], int],
    settle_ns: int,
    begun_ns: int,
) -> Fill | None:
    """What happened after the id `last`; without one, in a market that brought nothing yet, since
    `begun_ns` of the exchange's time, when the stream began.

    Only an empty answer says how far the market is known: a full one may have been cut.
    """
    asked_ns = clock()
    if last is None:
        newest = market.newest_trades(symbol)
        if newest.is_empty():
            return None
        rows = newest.filter(pl.col("ts") >= begun_ns - begun_ns % SECOND)
        last = _newest_id(newest) if rows.is_empty() else _lowest_id(rows) - 1
    else:
        rows = market.trades_after(symbol, last)
    seen_ns = 0 if len(rows) else market.time_ns(asked_ns) - settle_ns
    newest_id = max(last, _newest_id(rows)) if len(rows) else last
    return Fill(clock(), symbol, last + 1, newest_id, rows, seen_ns=seen_ns)


def filled(
    market: Missing,
    hole: Hole,
    upto: int,
    clock: Callable[[], int],
    give_up: bool = False,
    *,
    at_any_price: bool = False,
) -> Fill:
    """The trades of a hole up to the id `upto`, which may lie behind more holes beyond it.

    The exchange's error where it cannot give them. With `give_up` they are lost then; unless
    the exchange does not know the trade after the hole either, which then was none. An answer that
    stays away counts as lost only with `at_any_price`.
    """
    symbol, first = hole.symbol, hole.first_id
    last = min(hole.last_id, upto)
    try:
        rows = market.missing_trades(symbol, first, upto)
    except Transient:
        if not at_any_price:
            raise
        return Fill(clock(), symbol, first, last, _no_trades(), lost=True)
    except (UsageError, NoSuchMarket):
        raise
    except CqError as refused:
        if not give_up:
            raise
        known = market.newest_trades(symbol)
        newest = _newest_id(known) if len(known) else first - 1
        found = refused.found if isinstance(refused, TradesMissing) else None
        parts = [known] if found is None else [found, known]
        rows = pl.concat(parts).unique("trade_id", keep="first", maintain_order=True)
        if newest <= hole.last_id:
            inside = _inside(rows, first, newest)
            return Fill(clock(), symbol, first, first - 1, inside, newest=max(newest, first - 1))
        return Fill(clock(), symbol, first, last, _inside(rows, first, last), lost=True)
    return Fill(clock(), symbol, first, upto, rows)


def _newest_id(rows: pl.DataFrame) -> int:
    return int(rows["trade_id"].cast(pl.Int64).max())  # type: ignore[arg-type]


def _lowest_id(rows: pl.DataFrame) -> int:
    return int(rows["trade_id"].cast(pl.Int64).min())  # type: ignore[arg-type]


def _inside(rows: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    return rows.filter(pl.col("trade_id").cast(pl.Int64).is_between(first, last))


def _no_trades() -> pl.DataFrame:
    return dataset("trades").empty()
