"""Targets that were not traded as they stand, one line each kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from cq.backtest.hindsight import difference
from cq.utils.time import iso

if TYPE_CHECKING:
    from cq.backtest.engine import Simulation
    from cq.backtest.frames import Part
    from cq.backtest.intents import Floats, Ints
    from cq.backtest.market import Market, Rules
    from cq.strategies import Strategy

HAIR: Final = 1e-9
"""Sums of fractions differ by less."""
FEW: Final = 100_000
"""Targets of several markets that are looked at together."""


def doubts(
    bars: pl.LazyFrame,
    parts: Sequence[Part],
    markets: Sequence[Market],
    rules: Rules,
    strategy: Strategy,
    made: Simulation,
) -> list[str]:
    """What of the targets was cut, or not traded at all; of a user's own code, also what it cannot
    have known. Targets from before the run decide nothing in it."""
    found, where = [], str(strategy.code or strategy.name)
    within = (one.since(int(made.ts[0])) for one in markets)
    markets = [one for one in within if one.ts.size]
    if strategy.code is not None and (doubt := difference(bars.collect(), parts, strategy)):
        found.append(doubt)
    least = min((one.wanted.least for one in markets if one.wanted.least < 0), default=0.0)
    most = max((one.wanted.most for one in markets if one.wanted.most > 0), default=0.0)
    if least < 0 and not rules.allow_short:
        found.append(f"{where}: a signal of −1 holds nothing: spot markets know no shorts")
    found += _undecided(parts, strategy)
    if strategy.config.given and strategy.config.orders.ranges:
        found += [f"{where}: {one}" for one in _too_early(bars, parts, int(made.ts[0]))]
    if rules.unit != "fraction" or max(most, -least) > rules.max_position * (1 + HAIR):
        found += [f"{where}: {one}" for one in _cut(markets, rules, made)]
    found += [f"{where}: {one}" for one in _together(markets, rules, made)]
    beyond = _beyond(markets, rules) if rules.orders.entry == "market" else _at_once(made, rules)
    found += [f"{where}: {one}" for one in beyond]
    found += [f"{where}: {one}" for one in _untraded(markets, rules, made)]
    found += [f"{where}: {one}" for one in _stuck(markets, rules, made)]
    return found


def _undecided(parts: Sequence[Part], strategy: Strategy) -> list[str]:
    """Symbols that have bars, but no target at any of them."""
    silent = [one for one in parts if one.rows.height]
    silent = [one for one in silent if one.rows["target"].null_count() == one.rows.height]
    return [
        f"{one.symbol}: no target at any of its {one.rows.height} bars; {strategy.name} needs "
        f"{strategy.warmup} before it can decide"
        for one in silent
    ]


def _too_early(bars: pl.LazyFrame, parts: Sequence[Part], start: int) -> Iterator[str]:
    """Targets of a frame that decide nothing: the ranges that orders need are not there yet."""
    for one in parts:
        silent = one.rows.filter(pl.col("target").is_null() & (pl.col("ts") >= start))
        mine = (pl.col("symbol").cast(pl.String) == one.symbol) & (pl.col("target") != 0)
        lost = bars.filter(mine).join(silent.lazy(), on="ts", how="semi").collect()["ts"].sort()
        if lost.len():
            yield (
                f"{lost.len()} targets of {one.symbol} lie at bars before the average true range "
                f"that its orders need is there, first {iso(lost[0])}; they decide nothing"
            )


def _cut(markets: Sequence[Market], rules: Rules, made: Simulation) -> Iterator[str]:
    """Targets over the cap of one symbol."""
    most = rules.max_position
    for one in markets:
        fraction = _fractions(one, rules, made)
        over = np.abs(fraction) > most * (1 + HAIR)
        if over.any():
            first = int(over.argmax())
            yield (
                f"{int(over.sum())} targets of {one.symbol} lie over max_position {most:g} and "
                f"are cut to it, first {fraction[first]:g} at {iso(int(one.ts[first]))}"
            )


def _together(markets: Sequence[Market], rules: Rules, made: Simulation) -> Iterator[str]:
    """Targets over the cap of all symbols."""
    most, gross = rules.max_position, rules.costs.max_gross_exposure
    if rules.unit != "fraction" or len(markets) * most <= gross * (1 + HAIR):
        return
    if sum(_highest(one, rules) for one in markets) <= gross * (1 + HAIR):
        return
    at = _deciding(markets, made.ts)
    moments = made.ts[at]
    shared = all(one.ts is made.ts for one in markets)  # what they decide, they decide at these
    if shared and len(markets) * at.size <= FEW:
        together = _capped(_carried(np.array([one.target[at] for one in markets])), rules).sum(0)
    else:
        together = np.zeros(at.size)
        for one in markets:
            together += _wanted(one, at if shared else one.at_or_before(moments), rules)
    over = together > gross * (1 + HAIR)
    if over.any():
        first, lasts = int(over.argmax()), np.diff(at, append=made.ts.size)
        yield (
            f"targets of all symbols together lie over max_gross_exposure {gross:g} at "
            f"{int(lasts[over].sum())} moments, first {together[first]:g} at "
            f"{iso(int(moments[first]))}; what is bought last is cut"
        )


def _deciding(markets: Sequence[Market], ts: Ints) -> Ints:
    """The first of the moments `ts`, and all others at which some market has a target."""
    found = np.zeros(ts.size, dtype=bool)
    found[0] = True
    for one in markets:
        said = ~np.isnan(one.target)
        if one.ts is ts:
            found |= said
        else:
            found[np.searchsorted(ts, one.ts[said])] = True
    return np.flatnonzero(found)


def _fractions(market: Market, rules: Rules, made: Simulation) -> Floats:
    """Targets as fractions of equity; 0 where there is none, or nobody knows of what."""
    target = np.nan_to_num(market.target)
    if rules.unit == "fraction":
        return target
    rows = np.searchsorted(made.ts, market.ts)
    equity = np.where(rows < made.ts.size, made.equity[np.minimum(rows, made.ts.size - 1)], np.inf)
    worth = target * market.close if rules.unit == "units" else target
    return worth / np.where(equity > 0, equity, np.inf)


def _wanted(market: Market, rows: Ints, rules: Rules) -> Floats:
    """How much of equity is wanted at some bars, long or short, up to the cap of one symbol; −1 is
    before all bars."""
    said = np.flatnonzero(~np.isnan(market.target))
    known = np.searchsorted(said, rows, side="right")
    targets = np.concatenate(([0.0], market.target[said]))
    return _capped(targets[known], rules)


def _highest(market: Market, rules: Rules) -> float:
    """The most that is ever wanted."""
    return float(np.fmax.reduce(_capped(np.array(market.wanted[:2]), rules), initial=0.0))


def _capped(target: Floats, rules: Rules) -> Floats:
    low = -rules.max_position if rules.allow_short else 0.0
    return np.abs(np.clip(target, low, rules.max_position))


def _carried(target: Floats) -> Floats:
    """Each bar's target, or the last one before it; 0 before the first. A row a market."""
    rows = np.where(np.isnan(target), -1, np.arange(target.shape[-1]))
    rows = np.maximum.accumulate(rows, axis=-1)
    return np.where(rows >= 0, np.take_along_axis(target, np.maximum(rows, 0), -1), 0.0)


def _beyond(markets: Sequence[Market], rules: Rules) -> Iterator[str]:
    """Stops and targets on the wrong side of the close at which their position was decided."""
    lowest = -np.inf if rules.allow_short else 0.0
    for name, level, side in (
        ("stop_loss", rules.orders.stop, 1.0), ("take_profit", rules.orders.take, -1.0),
    ):  # fmt: skip
        if level is None or level.kind != "price":
            continue
        for one in markets:
            price = one.levels["stop" if side > 0 else "take"]
            wanted = np.sign(np.clip(_carried(one.target), lowest, np.inf))
            enters = (wanted != 0) & (np.concatenate(([0.0], wanted[:-1])) != wanted)
            with np.errstate(invalid="ignore"):
                wrong = enters & ((price - one.close) * wanted * side >= 0)
            if wrong.any():
                first = int(wrong.argmax())
                yield (
                    f"{int(wrong.sum())} times the {name} of {one.symbol} lay on the wrong side of "
                    f"the close at which a position was decided, first {price[first]:g} with a "
                    f"close of {one.close[first]:g} at {iso(int(one.ts[first]))}; such a position "
                    "ends where it begins"
                )


def _at_once(made: Simulation, rules: Rules) -> Iterator[str]:
    """Positions of entries that waited, ended where they began: a level lay beyond that price."""
    fills = made.fills
    paid = np.sign(fills.signed) * fills.slippage / np.abs(fills.signed)
    came = fills.price - paid
    for name, level in (("stop_loss", rules.orders.stop), ("take_profit", rules.orders.take)):
        if level is None or level.kind != "price" or name not in fills.reasons:
            continue
        for symbol in fills.symbols:
            rows = fills.rows_of(symbol)
            entry, exit_ = rows[:-1], rows[1:]
            same = np.isclose(came[entry], came[exit_], rtol=HAIR, atol=0.0)
            same &= fills.ts[entry] == fills.ts[exit_]
            same &= fills.why[exit_] == fills.reasons.index(name)
            if same.any():
                first = int(entry[same.argmax()])
                yield (
                    f"{int(same.sum())} times the {name} of {symbol} lay on the wrong side of the "
                    f"price at which an entry was filled, first of {came[first]:g} at "
                    f"{iso(int(fills.ts[first]))}; such a position ends where it begins"
                )


def _untraded(markets: Sequence[Market], rules: Rules, made: Simulation) -> Iterator[str]:
    """Symbols of which something was wanted and nothing traded."""
    untraded = [one for one in markets if not made.fills.rows_of(one.symbol).size]
    idle = [one.symbol for one in untraded if _asks(one, rules, rules.latency)]
    late = [one.symbol for one in untraded if one.symbol not in idle and _asks(one, rules, 0)]
    if late:
        yield (
            f"nothing of {', '.join(late)} was traded, though targets asked for it: with "
            f"latency_bars {rules.latency} no bar was left to fill it at"
        )
    if not idle:
        return
    costs = rules.costs
    has = {
        f"be worth min_notional {costs.min_notional:g}": costs.min_notional > 0,
        f"be a lot of 1e-{costs.quantity_decimals}": costs.quantity_decimals is not None,
        "be paid for, fee included, within max_gross_exposure": True,
        "find volume": costs.participation is not None,
        "have its price reached": rules.orders.entry != "market",
    }
    yield (
        f"nothing of {', '.join(idle)} was traded, though targets asked for it; an order has to "
        + ", ".join(what for what, asked in has.items() if asked)
    )


def _stuck(markets: Sequence[Market], rules: Rules, made: Simulation) -> Iterator[str]:
    """Positions that are worth less in the end than an order has to be, or were to be closed."""
    least = rules.costs.min_notional
    for one in markets:
        worth = abs(made.account.held(one.symbol)) * float(one.close[-1])
        if 0 < worth < least:
            yield (
                f"what is held of {one.symbol} in the end is worth {worth:g}, less than "
                f"min_notional {least:g}: no order can close it, be it asked for by a target or "
                "by a stop"
            )
        elif worth and not _asked_last(one, rules):
            yield (
                f"{one.symbol} is still held in the end, though its target is zero: an order that "
                "closes it could not be sent, or waits for volume"
            )


def _asks(market: Market, rules: Rules, latency: int) -> bool:
    """Whether a target asks for a position, with bars left to fill it at so many bars late."""
    timely = _timely(market, latency)
    return bool((timely > 0).any() or (rules.allow_short and (timely < 0).any()))


def _asked_last(market: Market, rules: Rules) -> bool:
    """Whether the last of those targets does; none says nothing against a position."""
    newest = _timely(market, rules.latency)[::-1]
    last = newest[int(np.isnan(newest).argmin())] if newest.size else math.nan
    return bool(last != 0 and (rules.allow_short or not last < 0))


def _timely(market: Market, latency: int) -> Floats:
    """Targets with bars left to fill them at so many bars late."""
    return market.target[: -1 - latency]
