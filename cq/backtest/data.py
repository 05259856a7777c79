"""What was read, as the engine takes it: arrays market by market, and a fingerprint of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from cq.backtest.bars import ALL
from cq.backtest.columns import (
    OF_BARS,
    PRICES,
    Arrays,
    are_prices,
    are_sound,
    arrays_of,
    of_part,
    wanted_of,
)
from cq.backtest.frames import Ordered, Part
from cq.backtest.intents import Ints
from cq.backtest.market import LEVELS, Bounds, Market
from cq.errors import DataError, StrategyError
from cq.lake.evidence import BARS, Question, blocks_of, described
from cq.lake.fingerprint import Fingerprint, Owner
from cq.strategies import Strategy
from cq.utils.time import iso

if TYPE_CHECKING:
    from cq.lake import Lake

SAID: Final = {
    "limit": "price of a limit order", "trigger": "price of a stop order", "stop": "stop_loss",
    "take": "take_profit",
}  # fmt: skip
"""What a strategy's file calls the prices of orders."""


def markets_of(
    parts: Sequence[Part], strategy: Strategy, say: Callable[[str], None]
) -> list[Market]:
    """Each symbol's rows as arrays; a target, or an order's price, that is no number is refused.

    The parts are of one frame. A bar without prices above zero is none: it is left out, and `say`
    is told.
    """
    found: list[Market] = []
    whole = arrays_of(parts[0].whole, parts[0].each) if parts else {}
    sound = bool(whole) and (parts[0].sound or are_sound(whole))
    lie_between = wanted_of(parts, whole["target"]) if parts else []
    _check_targets(parts, lie_between, strategy)
    for part, wanted in zip(parts, lie_between, strict=True):
        columns = of_part(whole, part)
        _check_levels(part, strategy)
        kept = part if sound else _priced(part, columns, say)
        if kept is not part:
            columns = arrays_of(kept.whole, kept.each)
        if not columns["ts"].size:
            continue
        market = _market(kept, columns, found[-1].ts if found else None, say)
        found.append(market.knowing(steps=part.steps, wanted=wanted) if kept is part else market)
        _check_moments(market)
    if not found:
        names = ", ".join(part.symbol for part in parts)
        raise DataError(f"no bar of {names} has a price above zero; look with `cq lake quality`")
    return found


def _market(part: Part, columns: Arrays, before: Ints | None, say: Callable[[str], None]) -> Market:
    """The market of a part; with the moments of the one before where they are the same."""
    ts = columns["ts"]
    if before is not None and np.array_equal(ts, before):
        ts = before  # one for all: whoever compares moments sees that they are the same
    own = {name: columns[name] for name in (*OF_BARS, "target") if name in columns}
    if "volume" in own:
        own["volume"] = _volume(part.symbol, own["volume"], say)
    levels = {name: columns[f"order_{name}"] for name in LEVELS if f"order_{name}" in columns}
    return Market(part.symbol, ts, **own, levels=levels)


def _check_moments(market: Market) -> None:
    if market.steps[0] <= 0:
        ts = market.ts
        twice = iso(int(ts[1:][ts[1:] <= ts[:-1]][0]))
        raise DataError(
            f"bars of {market.symbol} repeat, first {twice}; leave one of each moment (of a lake "
            "`cq lake quality` says which)"
        )


def with_prices(bars: Ordered, names: Sequence[str], say: Callable[[str], None]) -> Ordered:
    """The bars whose prices, of those among the columns `names`, are ordinary numbers above zero.

    `say` is told of the others; DataError where there are no more.
    """
    good = _are_prices(name for name in PRICES if name in names)
    kept, lost = bars.rows.filter(good), Ordered.of(bars.rows.filter(~good))
    for symbol, (begin, end) in zip(lost.names, pairwise(lost.edges), strict=True):
        _left_out(symbol, lost.rows[begin:end], say)
    if kept.is_empty():
        raise DataError(f"no bar of {', '.join(bars.names)} has a price above zero")
    return Ordered.of(kept)


def _are_prices(names: Iterable[str]) -> pl.Expr:
    good = pl.all_horizontal((pl.col(name) > 0) & pl.col(name).is_finite() for name in names)
    return good.fill_null(False)


def _left_out(symbol: str, lost: pl.DataFrame, say: Callable[[str], None]) -> None:
    _told(symbol, lost, "have no price above zero and are left out", say)


def _priced(part: Part, columns: Arrays, say: Callable[[str], None]) -> Part:
    """The rows whose prices are ordinary numbers above zero."""
    there = [name for name in PRICES if name in columns]
    if not are_prices(*(columns[name] for name in there)):
        good = _are_prices(there)
        kept, lost = part.rows.filter(good), part.rows.filter(~good)
        _left_out(part.symbol, lost, say)
        part = Part.alone(part.symbol, kept, part.each)
    if len(there) == len(PRICES):
        _check_wicks(part, say)
    return part


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


def _check_targets(parts: Sequence[Part], found: Sequence[Bounds], strategy: Strategy) -> None:
    """StrategyError where a target is no number."""
    for part, one in zip(parts, found, strict=True):
        finite = math.isfinite(one.least) and math.isfinite(one.most)
        if finite and not one.missing:
            continue
        said = part.rows["target"]
        if one.missing == said.null_count() and (finite or one.missing == said.len()):
            continue
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
