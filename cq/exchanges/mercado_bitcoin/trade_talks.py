"""Talks about trades: neutral plans (`cq.exchanges.trade_pages`) in the words of this wire."""

from __future__ import annotations

from typing import Final

import polars as pl

from cq.errors import TradesMissing
from cq.exchanges.mercado_bitcoin import trades as wire
from cq.exchanges.mercado_bitcoin.question import Question
from cq.exchanges.mercado_bitcoin.talks import Talk
from cq.exchanges.trade_pages import After, Ask, Between, Hunt, Plan, ids_of
from cq.exchanges.trade_walk import Walk, in_words

PARAMETERS: Final = ("since", "tid")
"""What may mean `the trades after this id` (`none`: neither does)."""


def question_of(ask: Ask, symbol: str, parameter: str) -> Question[pl.DataFrame]:
    """The request that a plan's wish stands for."""
    if isinstance(ask, After):
        return wire.after(symbol, ask.trade_id, parameter)
    if isinstance(ask, Between):
        return wire.between(symbol, ask.start_ns, ask.end_ns)
    return wire.newest(symbol)


def following(plan: Plan, symbol: str, parameter: str) -> Talk[None]:
    """Ask what a plan wishes to know, to its end."""
    try:
        ask = next(plan)
        while True:
            ask = plan.send((yield question_of(ask, symbol, parameter)))
    except StopIteration:
        return


def whole(symbol: str, start_ns: int, end_ns: int, parameter: str) -> Talk[pl.DataFrame]:
    """Every trade of [start_ns, end_ns); TradesMissing, with those found, where some may lack."""
    walk = Walk(start_ns, end_ns, wire.LIMIT, by_id=parameter in PARAMETERS)
    yield from following(walk.steps(), symbol, parameter)
    rows, _ = walk.drain()
    found = in_order(pl.concat(rows) if rows else pl.DataFrame(), symbol)
    if walk.lost or walk.unkept:
        raise TradesMissing(symbol, walk.lost, found, in_words(walk.unkept))
    return found


def between(symbol: str, start_ns: int, end_ns: int) -> Talk[pl.DataFrame]:
    """What one reply holds of the trades of [start_ns, end_ns)."""
    rows: pl.DataFrame = yield wire.between(symbol, start_ns, end_ns)
    return rows.filter(pl.col("ts").is_between(start_ns, end_ns - 1))


def missing(symbol: str, first_id: int, last_id: int, parameter: str) -> Talk[pl.DataFrame]:
    """Every trade of [first_id, last_id]; TradesMissing, with those found, where some lack."""
    hunt = Hunt(first_id, last_id, wire.LIMIT, by_id=parameter in PARAMETERS)
    yield from following(hunt.steps(), symbol, parameter)
    rows = in_order(hunt.rows, symbol)
    if hunt.missing:
        raise TradesMissing(symbol, hunt.missing, rows)
    return rows


def after(symbol: str, trade_id: int, parameter: str) -> Talk[pl.DataFrame]:
    """The trades right after `trade_id`, by rising id, without a hole as far as they go."""
    if parameter in PARAMETERS:
        # the id itself is asked for too: a reply that holds it shows that it was understood
        page: pl.DataFrame = yield wire.after(symbol, max(0, trade_id - 1), parameter)
        rows = page.filter(ids_of(page) > trade_id)
        understood = bool((ids_of(page) == trade_id).any()) or trade_id < 1
        if rows.height and ids_of(rows)[0] == trade_id + 1:
            return unbroken(rows)
        if rows.is_empty() and understood:
            return rows
    newest: pl.DataFrame = yield wire.newest(symbol)
    ids = ids_of(newest)
    if newest.is_empty() or ids[-1] <= trade_id:
        return newest.clear()
    if ids[0] <= trade_id + 1:
        return unbroken(newest.filter(ids > trade_id))
    reach = min(ids[-1], trade_id + wire.LIMIT)
    found = yield from missing(symbol, trade_id + 1, reach, parameter)
    return found


def unbroken(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows up to the first hole in their ids."""
    ids = ids_of(rows)
    return rows.filter(ids - ids[0] == pl.int_range(rows.height, eager=True))


def in_order(rows: pl.DataFrame, symbol: str) -> pl.DataFrame:
    """Each trade once, by rising id; the usual columns where there is none."""
    if rows.is_empty():
        return wire.trades_from("[]", symbol)
    return rows.with_columns(id=ids_of(rows)).unique("id", keep="first").sort("id").drop("id")
