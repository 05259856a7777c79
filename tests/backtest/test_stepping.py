"""The loop over bars against a slow engine with every kind of order, and by what always holds."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import makers
import numpy as np
import pytest
import reference_orders as slow
from hypothesis import given, settings
from hypothesis import strategies as st

from cq.backtest import compiled, stepping
from cq.backtest.account import Costs
from cq.backtest.costs import Rates
from cq.backtest.engine import simulate
from cq.backtest.market import LEVELS, Fine, Level, Market, Orders, Rules

HOUR = makers.HOUR
SEEDS = st.integers(0, 2**63 - 1)
"""Cases are made from a seed: a thousand choices one by one would take Hypothesis minutes."""
MANY = settings(max_examples=350, deadline=None)
AGREES = settings(MANY, max_examples=600)
FEW = settings(MANY, max_examples=80)

MOVES = [-0.2, -0.05, -0.02, -0.005, 0.0, 0.0, 0.004, 0.02, 0.05, 0.2]
WICKS = [0.0, 0.0, 0.001, 0.02, 0.06]


def bars_of(pick, symbol, size, fine):
    """Hourly bars with wicks, gaps in time, volumes that may be nothing, and perhaps finer bars."""
    hours = [pick([1, 1, 1, 1, 3]) for _ in range(size)]
    hour, price, found = pick(range(4)), pick([1.00713, 250.0331]), []
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


@AGREES
@given(SEEDS)
def test_every_kind_of_order_is_that_of_the_slow_engine(seed):
    bars, said = case(seed)
    assert_agrees(bars, said)


@AGREES
@given(SEEDS)
def test_over_longer_histories_too(seed):
    bars, said = case(seed, size=30)
    assert_agrees(bars, said)


@AGREES
@given(SEEDS)
def test_over_quiet_stretches_too(seed):
    bars, said = calm(seed)
    assert_agrees(bars, said)


@AGREES
@given(SEEDS)
def test_levels_that_are_prices_are_those_of_the_slow_engine(seed):
    bars, said = at_prices(seed)
    assert_agrees(bars, said)


@pytest.mark.parametrize("name", ["A-B", "Z-B"])
def test_a_trailing_stop_is_not_lifted_by_its_own_bar_while_another_market_decides(name):
    prices = [(100, 100, 100, 100), (100, 101, 99, 100), (100, 101, 99, 100), (110, 120, 107, 115)]
    bars = [slow.Bar(n * HOUR, name, *map(float, one)) for n, one in enumerate(prices)]
    others = [slow.Bar(n * HOUR, "M-B", 50.0, 50.0, 50.0, 50.0) for n in range(len(prices))]
    for one in bars + others:
        one.said = dict.fromkeys(LEVELS, math.nan)
    bars[0].target, others[3].target = 0.4, 0.4  # decided in the bar whose low is 107
    said = slow.Rules(trail=("share", 0.1))
    made = assert_agrees(bars + others, said)
    assert [one.symbol for one in made.fills] == [name]


@AGREES
@given(SEEDS)
def test_market_orders_from_one_purse_are_those_of_the_slow_engine(seed):
    bars, said = case(seed, plain=True, size=30)
    assert_agrees(bars, said)


@AGREES
@given(SEEDS)
def test_finer_bars_say_what_came_first(seed):
    bars, said = case(seed, fine=True, size=8)
    assert_agrees(bars, said)


@MANY
@given(SEEDS)
def test_machine_code_is_python_to_the_last_bit(seed):
    bars, said = case(seed, size=24)
    markets, rules = markets_of(bars), rules_of(said)
    one = simulate(markets, rules, 0, by="python")
    other = simulate(markets, rules, 0, by="machine")
    assert one.fills == other.fills
    for name in ("equity", "cash", "exposure"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@pytest.mark.parametrize("by", ["events", "python", "machine"])
def test_more_lots_than_machine_code_can_count_are_bought_all_the_same(by):
    price = np.array([4e-5, 4e-5, 4e-5, 2e-5])
    ts = np.arange(4, dtype=np.int64) * HOUR
    cheap = Market("A-B", ts, price, price, np.array([0.3, 1.0, 1.0, 1.0]))
    costs = Costs(quantity_decimals=8)
    made = simulate([cheap], Rules(1e7, costs, "1h"), 0, by=by)
    assert [one.qty for one in made.fills] == pytest.approx([7.5e10, 1.75e11])
    assert made.equity.tolist() == pytest.approx([1e7, 1e7, 1e7, 5e6])


@MANY
@given(SEEDS)
def test_visiting_fills_is_the_loop_over_bars_to_the_last_bit(seed):
    bars, said = case(seed, plain=True, shorts=False)
    plain = {
        "unit": "fraction",
        "participation": None,
        "impact": False,
        "max_bars": 0,
        "cooldown": 0,
    }
    markets, rules = markets_of(bars), rules_of(replace(said, **plain))
    assert not rules.path_dependent
    one = simulate(markets, rules, 0, by="events")
    other = simulate(markets, rules, 0, by="python")
    assert one.fills == other.fills
    for name in ("equity", "cash", "exposure"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


def test_machine_code_that_is_not_there_yet_is_made_for_long_work_only(monkeypatch):
    asked = []
    monkeypatch.setattr(stepping, "kept", lambda: asked.append(1) or False)
    assert not stepping.is_worth_it(stepping.LONG - 1)
    assert not asked  # small work does not even look
    assert not stepping.is_worth_it(stepping.VERY_LONG - 1)
    assert stepping.is_worth_it(stepping.VERY_LONG)
    monkeypatch.setattr(stepping, "kept", lambda: True)
    assert stepping.is_worth_it(stepping.LONG)


def test_machine_code_is_found_on_disk_once_it_is_made():
    bars, said = case(1)
    simulate(markets_of(bars), rules_of(said), 0, by="machine")
    assert compiled.kept()


# ---- what always holds


def either(seed):
    """Short and long, of any orders; from whole numbers of cases."""
    return case(seed, fine=seed % 3 == 0, plain=seed % 5 == 0, shorts=seed % 2 == 0)


@FEW
@given(SEEDS)
def test_money_changes_by_prices_fees_slippage_and_borrowing_only(seed):
    bars, said = either(seed)
    said = replace(said, fill="next_open")  # fills at closes are stamped like the next bar's
    made = simulate(markets_of(bars), rules_of(said), 0, by="python")
    closes = {(bar.ts, bar.symbol): bar.close for bar in bars}
    symbols = {bar.symbol for bar in bars}
    held, last = dict.fromkeys(symbols, 0.0), dict.fromkeys(symbols, 0.0)
    spent, fees, fills, earned = 0.0, 0.0, list(made.fills), 0.0
    for ts, equity, cash in zip(
        *(x.tolist() for x in (made.ts, made.equity, made.cash)), strict=True
    ):
        now = {s: closes.get((ts, s), last[s]) for s in symbols}
        earned += sum(held[s] * (now[s] - last[s]) for s in symbols)
        while fills and fills[0].ts <= ts:
            one = fills.pop(0)
            signed = one.qty if one.side == "buy" else -one.qty
            reference = one.price - math.copysign(one.slippage / one.qty, signed)
            earned += signed * (now[one.symbol] - reference)
            held[one.symbol] += signed
            spent += one.slippage
            fees += one.fee
        scale = 1e-9 * (said.cash + sum(one.qty * one.price for one in made.fills))
        if not said.borrow:
            assert equity == pytest.approx(said.cash + earned - spent - fees, abs=scale)
        worth = sum(held[s] * now[s] for s in symbols)
        assert equity == pytest.approx(cash + worth, abs=scale)
        last = now
    assert made.equity[-1] == pytest.approx(
        said.cash + earned - spent - fees - made.borrowed, abs=scale
    )


@FEW
@given(SEEDS)
def test_without_shorts_neither_cash_nor_holdings_fall_below_zero(seed):
    bars, said = case(seed, shorts=False, fine=seed % 2 == 0)
    made = simulate(markets_of(bars), rules_of(said), 0, by="python")
    assert (made.cash >= 0).all()
    held = dict.fromkeys((bar.symbol for bar in bars), 0.0)
    for one in made.fills:
        held[one.symbol] += one.qty if one.side == "buy" else -one.qty
        assert held[one.symbol] >= -1e-9 * one.qty


@FEW
@given(SEEDS)
def test_the_order_in_which_markets_are_named_changes_nothing(seed):
    bars, said = either(seed)
    markets, rules = markets_of(bars), rules_of(said)
    one = simulate(markets, rules, 0, by="python")
    other = simulate(markets[::-1], rules, 0, by="python")
    assert one.fills == other.fills
    assert one.equity.tobytes() == other.equity.tobytes()


@FEW
@given(SEEDS)
def test_twice_the_money_makes_twice_the_profit_where_nothing_is_cut(seed):
    bars, said = either(seed)
    said = replace(
        said, minimum=0.0, later=None, min_notional=0.0, decimals=None, participation=None,
        impact=False, unit="fraction",
    )  # fmt: skip
    once = simulate(markets_of(bars), rules_of(said), 0, by="python")
    twice = simulate(markets_of(bars), rules_of(replace(said, cash=2 * said.cash)), 0, by="python")
    assert twice.equity == pytest.approx(2 * once.equity, rel=1e-9, abs=1e-9 * said.cash)


@MANY
@given(SEEDS)
def test_a_run_split_in_two_is_the_whole_run(seed):
    bars, said = either(seed)
    rules, moments = rules_of(said), sorted({bar.ts for bar in bars})
    whole = simulate(markets_of(bars), rules, 0, by="python")
    cut = moments[seed % len(moments)]
    early, late = [b for b in bars if b.ts < cut], [b for b in bars if b.ts >= cut]
    if {b.symbol for b in early} != {b.symbol for b in late}:
        return  # a market that is not there yet has nothing to carry
    first = simulate(markets_of(early), rules, 0, by="python")
    second = simulate(markets_of(late), rules, 0, first.carried, by="python")
    assert first.fills + second.fills == whole.fills
    assert np.concatenate((first.equity, second.equity)).tobytes() == whole.equity.tobytes()
    assert second.borrowed == whole.borrowed
