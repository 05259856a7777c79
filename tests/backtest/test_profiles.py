"""Under another engine's habits its trades and money, as `benchmarks/peers` recorded them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cq
from cq.backtest.account import Costs
from cq.backtest.costs import Rates
from cq.backtest.engine import simulate
from cq.backtest.market import Level, Market, Orders, Rules
from cq.backtest.profiles import as_in
from cq.report.conventions import conventions

ROOT = Path(__file__).parents[2]
HOUR = 3_600_000_000_000


def recording(name):
    return json.loads((ROOT / "tests" / "recordings" / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def bars():
    """The generator that the recordings were made with."""
    path = ROOT / "benchmarks" / "peers" / "vectorbt_cases.py"
    spec = importlib.util.spec_from_file_location("vectorbt_cases", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.bars


def market(bars, seed, said=None):
    """Signals as targets: an entry wants all, an exit nothing, other bars decide nothing."""
    opened, high, low, close, entries, exits = bars(seed)
    target = np.where(entries, 1.0, np.where(exits, 0.0, np.nan))
    levels = {}
    if said is not None:  # backtesting.py looks from the second bar on
        target[0] = np.nan
        levels = {
            "stop": close * (1 - (said["stop"] or 0)),
            "take": close * (1 + (said["take"] or 0)),
        }
    ts = np.arange(close.size, dtype=np.int64) * HOUR
    return Market("A-B", ts, opened, close, target, high, low, levels=levels)


def test_vectorbts_orders_and_equity_are_found_in_all_cases(bars):
    cases = recording("vectorbt_cases")
    assert len(cases) >= 200
    stopped = 0
    for case in cases:
        said = case["rules"]
        stop = said["stop"] and Level("share", said["stop"])
        orders = Orders(
            stop=None if said["trail"] else stop,
            trail=stop if said["trail"] else None,
            take=said["take"] and Level("share", said["take"]),
            reentry="now",
        )
        costs = Costs(taker=said["fee"], slippage_bps=said["slippage"] * 1e4)
        rules = as_in("vectorbt", Rules(1_000.0, costs, "1h", orders=orders))
        made = simulate([market(bars, case["seed"])], rules, 0, by="python")
        stopped += sum(one.reason != "signal" for one in made.fills)
        # vectorbt says at which bar; a fill at a close is stamped with the bar's end
        at_close = [one.reason == "signal" for one in made.fills]
        index = [one.ts // HOUR - late for one, late in zip(made.fills, at_close, strict=True)]
        found = [(i, int(one.side == "sell")) for i, one in zip(index, made.fills, strict=True)]
        assert found == [(one[0], one[1]) for one in case["orders"]], case["seed"]
        for place, name in ((2, "qty"), (3, "price"), (4, "fee")):
            ours = [getattr(one, name) for one in made.fills]
            assert ours == pytest.approx([one[place] for one in case["orders"]], rel=1e-9), name
        assert made.equity[9::10] == pytest.approx(case["equity"], rel=1e-9)
    assert stopped > 500


def test_backtesting_pys_trades_and_equity_are_found_in_all_cases(bars):
    cases = recording("backtesting_cases")
    assert len(cases) >= 100
    count = 0
    for case in cases:
        said = case["rules"]
        orders = Orders(
            stop=Level("price") if said["stop"] else None,
            take=Level("price") if said["take"] else None,
            reentry="now",
        )
        rules = Rules(said["cash"], Costs(taker=said["fee"]), "1h", orders=orders)
        made = simulate(
            [market(bars, case["seed"], said)], as_in("backtesting_py", rules), 0, by="python"
        )
        buys = [one for one in made.fills if one.side == "buy"]
        sells = [one for one in made.fills if one.side == "sell"]
        trades = [
            [a.ts // HOUR, b.ts // HOUR, a.qty, a.price, b.price]
            for a, b in zip(buys, sells, strict=False)
        ]
        theirs = sorted(case["trades"])
        count += len(theirs)
        assert [one[:3] for one in trades] == [one[:3] for one in theirs], case["seed"]
        for place in (3, 4):
            ours = [one[place] for one in trades]
            assert ours == pytest.approx([one[place] for one in theirs], rel=1e-9), case["seed"]
        still = [[one.ts // HOUR, one.qty] for one in buys[len(sells) :]]
        assert still == [one[:2] for one in case["open"]], case["seed"]
        assert made.equity[9::10] == pytest.approx(case["equity"], rel=1e-9)
    assert count > 1_000


def test_without_a_profile_rules_are_our_own():
    rules = Rules(1.0, Costs(maker=0.1), "1h")
    assert as_in(None, rules) is rules
    assert as_in("freqtrade", rules).costs == Costs()
    assert not as_in("freqtrade", rules).habits.stop_slips


@pytest.mark.parametrize("fill", ["next_open", "next_close"])
@pytest.mark.parametrize(
    ("profile", "ts", "price"),
    [("vectorbt", HOUR, 100.0), ("backtesting_py", HOUR, 101.0), ("freqtrade", HOUR, 101.0)],
)
def test_where_a_profile_fills_wins_over_what_the_settings_say(profile, fill, ts, price):
    """The close of bar 0 is at the hour at which bar 1 opens."""
    bars = pl.DataFrame(
        {
            "ts": [0, HOUR, 2 * HOUR], "symbol": ["A-B"] * 3, "open": [99.0, 101.0, 103.0],
            "close": [100.0, 102.0, 104.0], "target": [1.0, 1.0, 1.0],
        }
    )  # fmt: skip
    found = cq.backtest(bars, profile=profile, fill=fill, slippage={"bps": 0})
    assert found.trades.select("ts", "price").row(0) == (ts, price)
    said = conventions(found.config)
    where = "that very close" if profile == "vectorbt" else "the next bar's open"
    assert f"filled at {where};" in said[0]
    assert any("less than 0 is not sent" in one for one in said) == (profile != "freqtrade")


@pytest.mark.parametrize("profile", ["vectorbt", "backtesting_py", "freqtrade"])
def test_no_profile_knows_a_makers_fee_whatever_the_day(profile):
    ts = np.arange(4, dtype=np.int64) * HOUR
    flat, high = np.full(4, 100.0), np.array([100.0, 100.0, 120.0, 100.0])
    target = np.array([1.0, np.nan, np.nan, np.nan])
    orders = Orders(take=Level("share", 0.1), reentry="now")
    later = (Rates(-HOUR, taker=0.01, maker=0.0, minimum=0.0),)
    for dated in (None, later):
        costs = Costs(taker=0.01, maker=0.0, dated=dated)
        rules = as_in(profile, Rules(1_000.0, costs, "1h", orders=orders))
        made = simulate([Market("A-B", ts, flat, flat, target, high, flat)], rules, 0, by="python")
        assert [one.reason for one in made.fills] == ["signal", "take_profit"]
        for one in made.fills:
            assert one.fee == pytest.approx(one.qty * one.price * 0.01)


@pytest.mark.parametrize("latency", [0, 1, 2])
def test_vectorbts_fills_are_late_by_so_many_bars_too(latency):
    ts, price = np.arange(8, dtype=np.int64) * HOUR, np.arange(100.0, 108.0)
    target = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    rules = as_in("vectorbt", Rules(1_000.0, Costs(), "1h", latency=latency))
    made = simulate([Market("A-B", ts, price, price, target)], rules, 0, by="python")
    closes = [(one.ts // HOUR - 1, one.side, one.price) for one in made.fills]
    assert closes == [
        (bar + latency, side, 100.0 + bar + latency)
        for bar, side in ((0, "buy"), (2, "sell"), (4, "buy"))
    ]


@pytest.mark.parametrize("profile", ["vectorbt", "freqtrade"])
def test_a_stop_without_slippage_gets_a_price_on_the_grid_all_the_same(profile):
    price = np.array([100.0, 100.0, 87.337])
    one = Market("A-B", np.arange(3, dtype=np.int64) * HOUR, price, price, np.ones(3), price, price)
    orders = Orders(stop=Level("share", 0.1))
    rules = as_in(profile, Rules(1_000.0, Costs(tick=0.25), "1h", orders=orders))
    made = simulate([one], rules, 0, by="python")
    assert [fill.price for fill in made.fills] == [100.0, 87.25]


def spans(target, profile, **orders):
    """How many bars each of the fills comes after the one before."""
    price = np.arange(100.0, 100.0 + len(target))
    ts = np.arange(price.size, dtype=np.int64) * HOUR
    one = Market("A-B", ts, price, price, np.array(target))
    rules = as_in(profile, Rules(1_000.0, Costs(), "1h", orders=Orders(**orders)))
    made = simulate([one], rules, 0, by="python")
    return (np.diff(made.fills.ts) // HOUR).tolist()


@pytest.mark.parametrize("profile", [None, "vectorbt", "backtesting_py", "freqtrade"])
@pytest.mark.parametrize("bars", [1, 2, 3])
def test_a_position_lasts_so_many_bars_and_so_many_more_go_by_before_the_next(profile, bars):
    assert spans([1.0] * 8, profile, max_bars=bars) == [bars]
    again = [1.0, 0.0, *[1.0] * 7]
    (held, usual), (_, pause) = (spans(again, profile, cooldown=n) for n in (0, bars))
    assert (held, usual, pause) == (1, 1, 1 + bars)
