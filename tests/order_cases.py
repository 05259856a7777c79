"""Cases of the loop over bars, made from a seed, and how they are held against the slow engine."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import makers
import numpy as np
import pytest
import reference_orders as slow

from cq.backtest.account import Costs
from cq.backtest.costs import Rates
from cq.backtest.engine import simulate
from cq.backtest.market import LEVELS, Fine, Level, Market, Orders, Rules

HOUR = makers.HOUR
MOVES = [-0.2, -0.05, -0.02, -0.005, 0.0, 0.0, 0.004, 0.02, 0.05, 0.2]
WICKS = [0.0, 0.0, 0.001, 0.02, 0.06]


def bars_of(pick, symbol, size, fine):
    """Hourly bars with wicks, gaps in time, volumes that may be nothing, and perhaps finer bars.

    Prices are of a few ticks, of many, or below the first one.
    """
    hours = [pick([1, 1, 1, 1, 3]) for _ in range(size)]
    hour, price, found = pick(range(4)), pick([0.02613, 1.00713, 250.0331]), []
    for step in hours:
        hour += step
        pieces = []
        for _ in range(pick([2, 3]) if fine else 1):
            o = round(price * (1 + pick(MOVES) / (4 if pieces else 1)), 6)
            c = round(o * (1 + pick(MOVES)), 6)
            h = round(max(o, c) * (1 + pick(WICKS)), 6)
            low = round(min(o, c) * (1 - pick(WICKS)), 6)
            pieces.append((o, h, low, c))
            price = c
        volume = pick([0.0, 0.5, 3.0, 40.0, 1e6])
        found.append(
            slow.Bar(
                hour * HOUR,
                symbol,
                pieces[0][0],
                max(p[1] for p in pieces),
                min(p[2] for p in pieces),
                pieces[-1][3],
                volume,
                fine=pieces if fine else [],
            )
        )
    return found


def level(pick, none=True, kinds=("share", "share", "distance", "price")):
    """What is said of a price: the same at all bars, or each bar's own."""
    if none and pick([False, True]):
        return None
    kind = pick(kinds)
    if kind == "price":
        return kind, None
    value = pick([None, 0.01013, 0.03137, 0.10071])
    return kind, value


def case(seed, *, plain=False, fine=False, shorts=True, size=16):
    pick = random.Random(seed).choice
    symbols = pick([("A-B",), ("A-B", "C-D"), ("A-B", "C-D", "E-F")])
    bars = []
    for symbol in symbols:
        bars += bars_of(pick, symbol, pick(range(1, size + 1)), fine)
    unit = pick(["fraction", "fraction", "units", "notional"])
    scale = {"fraction": 1.0, "units": 5.0, "notional": 900.0}[unit]
    wishes = [None, 0.0, 0.0, 0.1, 0.3, 0.5, 0.5, 1.0, 1.0, 1.5, -0.4, -1.0]
    for bar in bars:
        want = pick(wishes)
        bar.target = None if want is None else want * scale
        bar.impact = pick([0.0, 0.001, 0.02])
        for name in LEVELS:
            share = pick([0.00517, 0.02071, 0.0823, math.nan])
            bar.said[name] = share
    entry = "market" if plain else pick(["market", "limit", "stop", "stop_limit"])
    gross = pick([0.5, 1.0, 2.0])
    near = ("share", "share", "distance")
    decimals = pick([None, 0, 2, 8])
    by_volume = pick([None, None, 0.1037, 0.5113])
    rules = slow.Rules(
        cash=pick([5.0137, 1_000.7713, 1e6 + 1 / 3]),
        fill=pick(["next_open", "next_open", "next_close"]),
        unit=unit,
        taker=pick([0.0, 0.00101, 0.00703]),
        maker=pick([0.0, 0.003]),
        minimum=pick([0.0, 0.0, 1.0]),
        later=pick([None, (8 * HOUR, 0.01, 0.002, 2.0)]),
        bps=pick([0.0, 5.13, 100.7]),
        half_ticks=pick([0.0, 0.5, 2.0]),
        tick=pick([None, 0.01, 0.25]),
        decimals=decimals,
        min_notional=pick([0.0, 1.0, 50.0]),
        max_position=pick([0.4173, 1.0]) * gross,
        max_gross=gross,
        band=pick([0.0, 0.0, 0.25]),
        latency=pick([0, 0, 1, 2]),
        short=shorts and pick([False, True]),
        borrow=pick([0.0, 20.0]),
        participation=by_volume,
        impact=by_volume is not None and pick([False, True]),
        entry=entry,
        limit=level(pick, False, near) if "limit" in entry else None,
        trigger=level(pick, False, near) if "stop" in entry else None,
        stop=None if plain else level(pick, kinds=near),
        take=None if plain else level(pick, kinds=near),
        trail=None if plain else level(pick, kinds=near),
        expires=pick([0, 1, 3]),
        max_bars=pick([0, 0, 1, 4]),
        cooldown=pick([0, 0, 2]),
        reentry=pick(["signal", "now"]),
        together=not plain and pick([False, True]),
    )
    if pick([False, True]):
        for bar in bars:
            bar.act = pick([False, False, True])
    return bars, rules


def calm(seed):
    """Few decisions, no clock that ticks at every bar, and stops that follow prices."""
    bars, said = case(seed, size=40)
    pick = random.Random(seed).choice
    for bar in bars:
        bar.act = False
        if pick([True] * 7 + [False]):
            bar.target = None
    quiet = {"latency": 0, "max_bars": 0, "borrow": 0.0, "participation": None, "impact": False}
    trail = pick([("share", 0.03137), ("share", 0.10071), ("distance", 0.10071)])
    return bars, replace(said, **quiet, short=pick([False, True]), trail=trail)


def by_little(seed, fine=False):
    """Targets that rise and fall by little, so that what waits may come out on the other side.

    With finer bars there are stops too: either may be what they meet first.
    """
    bars, said = case(seed, size=30, fine=fine)
    pick = random.Random(seed).choice
    side = pick([1, 1, -1]) if said.short else 1
    for bar in bars:
        bar.target = side * pick([0.5, 0.505, 0.51, 0.53, 0.6])
    entry = pick(["stop", "stop", "stop_limit", "limit"])
    levels = {name: level(pick, False, ("share", "distance")) for name in ("limit", "trigger")}
    plain = {"unit": "fraction", "max_gross": 2.0, "max_position": 2.0, "max_bars": 0}
    plain |= {"band": 0.0, "min_notional": 0.0, "expires": 0, "stop": None, "trail": None}
    if fine:
        plain |= {"stop": ("share", pick([0.03137, 0.10071])), "trail": pick([None, said.trail])}
    return bars, replace(said, **plain, entry=entry, **levels)


def of_little_worth(seed):
    """Positions that a fall makes too small to be sold, though their time or another leg ends."""
    bars, said = case(seed, size=30)
    pick = random.Random(seed).choice
    wishes = [None, None, 0.0, 0.055, 0.055, 0.07, -0.055]
    for bar in bars:
        bar.target = pick(wishes)
    little = {"unit": "fraction", "cash": 1_000.7713, "min_notional": 50.0, "band": 0.0}
    little |= {"max_gross": 1.0, "max_position": 1.0, "minimum": 0.0, "later": None}
    return bars, replace(said, **little, max_bars=pick([0, 1, 2, 4]), entry="market")


def at_prices(seed):
    """Stops and targets that are prices, now and then on the wrong side."""
    bars, said = case(seed, shorts=True)
    pick = random.Random(seed).choice
    for bar in bars:
        for name in ("stop", "take"):
            near = round(bar.close * pick([0.9, 0.97, 0.995, 1.0, 1.004, 1.03, 1.1]), 6)
            bar.said[name] = pick([near, near, math.nan])
    levels = {name: pick([None, ("price", None), ("price", None)]) for name in ("stop", "take")}
    return bars, replace(said, **levels)


def markets_of(bars):
    found = []
    for symbol in sorted({bar.symbol for bar in bars}):
        mine = [bar for bar in bars if bar.symbol == symbol]

        def column(name, mine=mine):
            return np.array([getattr(bar, name) for bar in mine], dtype=float)

        pieces = [piece for bar in mine for piece in bar.fine]
        ends = np.cumsum([len(bar.fine) for bar in mine])
        begins = ends - [len(bar.fine) for bar in mine]
        fine = None
        if pieces:
            fine = Fine(begins, ends, *np.array(pieces).T)
        found.append(
            Market(
                symbol=symbol,
                ts=np.array([bar.ts for bar in mine], dtype=np.int64),
                open=column("open"),
                close=column("close"),
                target=np.array([math.nan if b.target is None else b.target for b in mine]),
                high=column("high"),
                low=column("low"),
                volume=column("volume"),
                impact=column("impact"),
                act=np.array([b.act for b in mine]) if any(b.act for b in bars) else None,
                levels={name: np.array([bar.said[name] for bar in mine]) for name in LEVELS},
                fine=fine,
            )
        )
    return found


def rules_of(said):
    levels = {}
    for name in LEVELS:
        value = getattr(said, name)
        levels[name] = None if value is None else Level(*value)
    orders = Orders(
        said.entry, **levels, expires=said.expires, max_bars=said.max_bars,
        cooldown=said.cooldown, reentry=said.reentry,
    )  # fmt: skip
    costs = Costs(
        taker=said.taker,
        maker=said.maker,
        minimum_fee=said.minimum,
        slippage_bps=said.bps,
        half_ticks=said.half_ticks if said.tick else None,
        tick=said.tick,
        quantity_decimals=said.decimals,
        min_notional=said.min_notional,
        max_gross_exposure=said.max_gross,
        participation=said.participation,
        impact=1.0 if said.impact else None,
        dated=(Rates(*said.later),) if said.later else None,
    )
    return Rules(
        said.cash, costs, "1h", said.fill, said.max_position, said.band, said.unit,
        said.latency, said.short, said.borrow if said.short else 0.0, orders,
        said.together,
    )  # fmt: skip


def assert_agrees(bars, said, by="python"):
    if not said.short:
        said.borrow = 0.0
    expected = slow.Engine(bars, said).run()
    made = simulate(markets_of(bars), rules_of(said), 0, by=by)
    found, known = made.fills, expected.fills
    for key in ("ts", "symbol", "side", "reason"):
        ours = [getattr(one, key) for one in found]
        assert ours == [one[key] for one in known], key
    for key in ("qty", "price", "fee", "slippage"):
        ours = [getattr(one, key) for one in found]
        theirs = [one[key] for one in known]
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9), key
    scale = 1e-9 * (said.cash + sum(one["qty"] * one["price"] for one in expected.fills))
    assert made.ts.tolist() == [one[0] for one in expected.curve]
    assert made.equity.tolist() == pytest.approx([one[1] for one in expected.curve], abs=scale)
    assert made.cash.tolist() == pytest.approx([one[2] for one in expected.curve], abs=scale)
    assert made.borrowed == pytest.approx(expected.borrowed, rel=1e-9, abs=1e-12)
    return made


def by_hand(rows, symbol="A-B"):
    """Hourly bars of (open, high, low, close, volume, target), numbered from 0."""
    found = []
    for n, (*prices, volume, target) in enumerate(rows):
        said = dict.fromkeys(LEVELS, math.nan)
        bar = slow.Bar(n * HOUR, symbol, *map(float, prices), float(volume), target, said=said)
        found.append(bar)
    return found


def traded(bars, **said):
    """(bar, side, quantity, price, reason) of every fill, with which the slow engine agrees."""
    made = assert_agrees(bars, slow.Rules(**said))
    return [
        (one.ts // HOUR, one.side, round(one.qty, 6), round(one.price, 6), one.reason)
        for one in made.fills
    ]
