"""Finer bars take the place of a bar only where they are all there."""

from __future__ import annotations

import makers
import polars as pl
import pytest

import cq
from cq import Lake

FREE = {"fees": {"taker": 0, "maker": 0}, "slippage": {"bps": 0}, "min_notional": 0, "cash": 1_000}
NOW = 2 * 10**18
QUARTER = 15 * 60 * 10**9
FLAT = (100, 101, 99, 100)


def lake(folder, hours, quarters):
    """Hourly bars, and those of the quarters of the last one that are named."""
    last = (len(hours) - 1) * makers.HOUR
    fine = [(last + n * QUARTER, *prices) for n, prices in quarters.items()]
    made = Lake(folder)
    for rows, interval in (
        ([(i * makers.HOUR, *prices) for i, prices in enumerate(hours)], "1h"),
        (fine, "15m"),
    ):
        bars = [(ts, *map(float, prices), 1.0, "A-BRL", "test") for ts, *prices in rows]
        frame = pl.DataFrame(bars, schema=makers.BAR_SCHEMA, orient="row")
        frame = frame.with_columns(interval=pl.lit(interval))
        made.write("ohlcv", frame, source="test", now_ns=NOW)
    return made


def traded(folder, orders, hours, quarters, **settings):
    """(side, price) of every fill of a strategy that always wants to hold."""
    folder.mkdir(exist_ok=True)
    path = folder / "hold.yaml"
    path.write_text(f"kind: buy_and_hold\nsymbols: [A]\ninterval: 1h\norders: {orders}\n")
    made = cq.backtest(lake(folder / "lake", hours, quarters), path, **FREE, **settings)
    return made.trades.select("side", "price").rows()


FIRST, LAST = (80, 96, 80, 95), (111, 111, 92, 100)
MIDDLE = {1: (95, 112, 80, 111), 2: (111, 111, 111, 111)}


@pytest.mark.parametrize(
    ("quarters", "price"),
    [({0: FIRST} | MIDDLE | {3: LAST}, 80.0), (MIDDLE | {3: LAST}, 80.0)],
)
def test_a_stop_is_left_at_the_open_that_gaps_through_it_though_its_finer_bar_is_missing(
    quarters, price, tmp_path
):
    hours = [FLAT, FLAT, (80, 112, 80, 100)]
    found = traded(tmp_path, "{stop_loss: 0.1}", hours, quarters, detail_interval="15m")
    assert found == [("buy", 100.0), ("sell", price)]


def test_an_entry_pays_the_open_that_gaps_through_it_though_its_finer_bar_is_missing(tmp_path):
    quarters = {1: (104, 110, 104, 109), 3: (109, 121, 109, 110)}
    orders, hours = "{entry: stop, offset: 0.05}", [FLAT, (120, 121, 104, 110)]
    said = []
    found = traded(tmp_path, orders, hours, quarters, detail_interval="15m", say=said.append)
    assert found == [("buy", 120.0)]
    assert said == [
        "warning: A-BRL: its 15m bars make none of its own up (open, high, low and close): the "
        "worse order of events is taken"
    ]


def test_finer_bars_that_end_before_their_bar_does_are_not_taken(tmp_path):
    """The last quarter, in which it rose to its close, is missing: the target was reached there."""
    orders, hours = "{entry: limit, offset: 0.02, take_profit: 0.1}", [FLAT, (100, 112, 90, 111)]
    quarters = {0: (100, 112, 100, 110), 1: (110, 110, 90, 95)}
    found = traded(tmp_path, orders, hours, quarters, detail_interval="15m")
    assert found == [("buy", 98.0), ("sell", pytest.approx(107.8))]


@pytest.mark.parametrize("orders", ["{}", "{max_bars: 1, cooldown_bars: 1}"])
def test_finer_bars_that_nothing_is_asked_of_are_said_not_to_be_read(orders, tmp_path):
    quarters = dict.fromkeys(range(4), FLAT)
    said = []
    hours = [FLAT, FLAT, FLAT]
    found = traded(tmp_path, orders, hours, quarters, detail_interval="15m", say=said.append)
    assert found == traded(tmp_path / "without", orders, hours, quarters)
    (warning,) = [one for one in said if "detail_interval" in one]
    assert warning == (
        "warning: hold: all its orders are at market, and no stop_loss, take_profit or "
        "trailing_stop can be met within a bar: bars of 15m (detail_interval) would say nothing, "
        "and were not read"
    )


@pytest.mark.parametrize(
    "orders", ["{stop_loss: 0.5}", "{take_profit: 0.5}", "{trailing_stop: 0.5}",
               "{entry: limit, offset: 0.01}"],
)  # fmt: skip
def test_where_a_level_could_be_met_within_a_bar_finer_bars_are_read(orders, tmp_path):
    quarters = dict.fromkeys(range(4), FLAT)
    said = []
    traded(tmp_path, orders, [FLAT] * 3, quarters, detail_interval="15m", say=said.append)
    assert not any("detail_interval" in one for one in said)
