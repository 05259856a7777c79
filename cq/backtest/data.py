"""What was read, as the engine takes it: arrays market by market, and a fingerprint of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from cq.backtest.bars import ALL
from cq.backtest.frames import Part
from cq.backtest.intents import Floats
from cq.backtest.market import LEVELS, Bounds, Market, bounds_of
from cq.errors import DataError, StrategyError
from cq.lake.evidence import BARS, Question, blocks_of, described
from cq.lake.fingerprint import Fingerprint, Owner
from cq.strategies import Strategy
from cq.utils.time import iso

if TYPE_CHECKING:
    from cq.lake import Lake

PRICES: Final = ("open", "high", "low", "close")
SAID: Final = {
    "limit": "price of a limit order", "trigger": "price of a stop order", "stop": "stop_loss",
    "take": "take_profit",
}  # fmt: skip
"""What a strategy's file calls the prices of orders."""
LONG: Final = 50_000
"""Rows from which Polars puts NaN into gaps faster than the way to numpy does; and that are looked
at together."""
COLUMNS: Final = (*PRICES, "volume", "act")


def markets_of(
    parts: Sequence[Part], strategy: Strategy, say: Callable[[str], None]
) -> list[Market]:
    """Each symbol's rows as arrays; a target, or an order's price, that is no number is refused.

    A bar without prices above zero is none: it is left out, and `say` is told.
    """
    found: list[Market] = []
    for part in parts:
        target = _array(part.rows["target"])
        wanted = _checked(part, target, strategy)
        _check_levels(part, strategy)
        rows = _priced(part, say)
        ts = rows["ts"].to_numpy()
        if found and np.array_equal(ts, found[-1].ts):
            ts = found[-1].ts  # one for all: whoever compares moments sees that they are the same
        columns: dict[str, Any] = {
            name: _array(rows[name]) for name in COLUMNS if name in rows.columns
        }
        whole = rows is part.rows
        columns["target"] = target if whole else _array(rows["target"])
        if "volume" in columns:
            columns["volume"] = _volume(part.symbol, columns["volume"], say)
        levels = {
            name: _array(rows[f"order_{name}"])
            for name in LEVELS
            if f"order_{name}" in rows.columns
        }
        if ts.size:
            market = Market(symbol=part.symbol, ts=ts, **columns, levels=levels)
            found.append(market.knowing(steps=part.steps, wanted=wanted) if whole else market)
            _check_moments(market)
    if not found:
        names = ", ".join(part.symbol for part in parts)
        raise DataError(f"no bar of {names} has a price above zero; look with `cq lake quality`")
    return found


def _check_moments(market: Market) -> None:
    if market.steps[0] <= 0:
        ts = market.ts
        twice = iso(int(ts[1:][ts[1:] <= ts[:-1]][0]))
        raise DataError(
            f"bars of {market.symbol} repeat, first {twice}; look with `cq lake quality`"
        )


def _priced(part: Part, say: Callable[[str], None]) -> pl.DataFrame:
    """The rows whose prices are ordinary numbers above zero."""
    there = [name for name in PRICES if name in part.rows.columns]
    columns = [part.rows[name].to_numpy() for name in there]
    if len(there) == len(PRICES) and _are_sound(*columns):
        return part.rows
    if not all(one.size == 0 or 0 < one.min() <= one.max() < math.inf for one in columns):
        good = pl.all_horizontal((pl.col(name) > 0) & pl.col(name).is_finite() for name in there)
        good = good.fill_null(False)
        kept, lost = part.rows.filter(good), part.rows.filter(~good)
        _told(part.symbol, lost, "have no price above zero and are left out", say)
        part = Part(part.symbol, kept)
    if len(there) == len(PRICES):
        _check_wicks(part, say)
    return part.rows


def _are_sound(o: Floats, h: Floats, low: Floats, c: Floats) -> bool:
    """Whether all prices are ordinary numbers above zero, between their lows and highs."""
    for at in range(0, o.size, LONG):
        block = slice(at, at + LONG)
        first, last, least, most = o[block], c[block], low[block], h[block]
        within = (least <= first) & (least <= last) & (first <= most) & (last <= most)
        if not (within.all() and least.min() > 0 and most.max() < math.inf):
            return False
    return True


def _check_wicks(part: Part, say: Callable[[str], None]) -> None:
    o, h, low, c = (pl.col(name) for name in PRICES)
    odd = (low > o) | (low > c) | (h < o) | (h < c)
    if part.rows.select(odd.any()).item():
        _told(
            part.symbol, part.rows.filter(odd),
            "have an open or close beyond their high or low, so that nobody knows what prices "
            "came within", say,
        )  # fmt: skip


def _told(symbol: str, rows: pl.DataFrame, what: str, say: Callable[[str], None]) -> None:
    if rows.height:
        say(f"{symbol}: {rows.height} bars {what}, first {iso(rows.item(0, 'ts'))}")


def _volume(symbol: str, volume: Any, say: Callable[[str], None]) -> Any:
    """Volumes; one that is no number, or below zero, counts as none."""
    good = np.isfinite(volume) & (volume >= 0)
    if bool(good.all()):
        return volume
    say(f"{symbol}: {int((~good).sum())} bars have no volume that is a number; it counts as 0")
    return np.where(good, volume, 0.0)


def _array(column: pl.Series) -> Any:
    """The column, not copied where it need not be; NaN where a float is not there."""
    missing = column.null_count()
    if not missing or column.len() < LONG or column.dtype != pl.Float64:
        return column.to_numpy()
    rest = column.slice(missing)
    if rest.null_count():
        return column.fill_null(math.nan).to_numpy()
    found = np.empty(column.len())  # numpy's memory comes in large pages
    found[:missing], found[missing:] = np.nan, rest.to_numpy()
    return found


def _checked(part: Part, target: Floats, strategy: Strategy) -> Bounds:
    """What the targets lie between; StrategyError where one of them is no number."""
    said, found = part.rows["target"], bounds_of(target)
    finite = math.isfinite(found.least) and math.isfinite(found.most)
    if found.missing == said.null_count() and (finite or found.missing == target.size):
        return found
    ts, target = part.rows.filter(~said.is_finite()).select("ts", "target").row(0)
    raise StrategyError(
        str(strategy.code or strategy.name),
        f"the target of {part.symbol} at {iso(ts)} is {target}; "
        "expected a fraction of equity, or null",
    )


def _check_levels(part: Part, strategy: Strategy) -> None:
    """StrategyError where a column that orders name holds what is no price."""
    for name, (kind, _) in strategy.config.orders.levels().items():
        column = f"order_{name}"
        if kind != "price" or column not in part.rows.columns:
            continue
        good = part.rows[column].is_finite() & (part.rows[column] > 0)
        if not good.all():  # nulls aside
            ts, found = part.rows.filter(~good).select("ts", column).row(0)
            raise StrategyError(
                str(strategy.code or strategy.name),
                f"the {SAID[name]} of {part.symbol} at {iso(ts)} is {found}; expected a price "
                "above zero, or null for none",
            )


def fingerprint(
    lake: Lake,
    parts: Sequence[Part],
    interval: str,
    exchange: str | None,
    start: int | None,
) -> Fingerprint:
    """What was read: the files, and digests of the rows, whatever files they came from.

    Of a period with a `start` it reaches back to each symbol's first bar, the warm-up's; without
    one, to wherever the lake begins.
    """
    held = [one for one in parts if one.rows.height]
    firsts = {one.symbol: int(one.rows["ts"][0]) for one in held}
    last = max(int(one.rows["ts"][-1]) for one in held)
    earliest = 0 if start is None else min(firsts.values())
    later = {} if start is None else {s: ts for s, ts in firsts.items() if ts > earliest}
    columns = tuple(one for one in ALL if one in held[0].rows.columns)
    symbols = tuple(sorted(firsts))
    asked = Question(BARS, symbols, interval, exchange, earliest, last + 1, since=later)
    owners = {one.symbol: one.exchange for one in lake.series(symbols, interval, exchange)}
    blocks = {
        Owner(owners[one.symbol], one.symbol, interval): blocks_of(one.rows, columns, "month")
        for one in held
    }
    first = min(firsts.values())
    files = described(
        lake.root, lambda: lake.files(symbols, interval, first, last + 1, exchange=exchange)
    )
    return Fingerprint(BARS, asked.filter, columns, "month", blocks, files)
