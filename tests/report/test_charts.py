"""What is drawn of a run is what happened in it."""

from __future__ import annotations

import makers
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cq
from cq.backtest import Fill
from cq.backtest.rounds import round_trips
from cq.lake import Lake
from cq.report.candles import busiest, candles, marked
from cq.report.charts import _length, account, market_charts, spread_charts
from cq.report.conventions import conventions
from cq.report.figures import figure
from cq.report.symbols import shares

HOUR = makers.HOUR


def bars(symbol, count=400):
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(len(symbol)).normal(0, 0.01, count)))
    return makers.hourly(symbol, closes.tolist())


def result(*symbols, count=400, **settings):
    both = pl.concat([bars(one, count) for one in symbols])
    wanted = pl.Series(np.random.default_rng(4).uniform(0, 1, both.height) > 0.7).cast(float) / len(
        symbols
    )
    return cq.backtest(both.with_columns(target=wanted), min_notional=0, **settings)


def trips_of(one):
    return round_trips([Fill(*row) for row in one.trades.rows()])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(0, 100), st.integers(101, 400))
def test_candles_gather_all_bars_and_are_few(most, first, last):
    one = CANDLED
    start, end = first * HOUR, last * HOUR
    found = candles(one, "A-B", start, end, most)
    rows = bars("A-B").filter(pl.col("ts").is_between(start, end, closed="left"))
    assert 0 < found.height <= most
    assert found["open"][0] == rows["open"][0]
    assert found["close"][-1] == rows["close"][-1]
    ends = rows.select("open", "close")
    assert found["high"].max() == pytest.approx(max(ends["open"].max(), ends["close"].max()))
    assert found["low"].min() == pytest.approx(min(ends["open"].min(), ends["close"].min()))
    assert (found["ts"].diff().drop_nulls() > 0).all()


CANDLED = result("A-B", orders={})


def test_a_lake_gives_highs_and_lows(tmp_path):
    lake = Lake(tmp_path / "lake")
    rows = bars("BTC-BRL")
    lake.write("ohlcv", rows.with_columns(interval=pl.lit("1h")), source="x", now_ns=2 * 10**18)
    one = result("BTC-BRL")
    one.config["strategy"]["exchange"] = None
    found = candles(one, "BTC-BRL", 0, 400 * HOUR, 50, lake)
    assert found["high"].max() == rows["high"].max()
    assert found["low"].min() == rows["low"].min()
    elsewhere = candles(one, "BTC-BRL", 0, 400 * HOUR, 50, Lake(tmp_path / "none"))
    assert elsewhere["close"].to_list() == found["close"].to_list()


def test_each_trade_is_marked_in_its_candle():
    found = candles(CANDLED, "A-B", 0, 400 * HOUR, 50)
    where = marked(CANDLED.trades, found)
    assert where["fills"].sum() == CANDLED.trades.height
    assert where.height <= 2 * found.height
    width = found["ts"][1] - found["ts"][0]
    buys = CANDLED.trades.filter(side="buy")["ts"].to_numpy() // width * width
    assert set(where.filter(side="buy")["candle"]) == set(buys.tolist())


def test_the_most_traded_symbols_come_first():
    trades = pl.DataFrame({"symbol": ["B", "A", "A"], "qty": [1.0] * 3, "price": [5.0, 3.0, 3.0]})
    assert busiest(trades, ["A", "B", "C"], 2) == ["A", "B"]
    assert busiest(trades.clear(), ["A", "B", "C"], 2) == ["A", "B"]


def test_what_symbols_made_adds_up_to_what_the_run_made():
    one = result("A-B", "CC-D", "EEE-F", fees={"taker": 0.001}, fill="next_open")
    found = shares(one, trips_of(one))
    assert [share.symbol for share in found] == ["A-B", "CC-D", "EEE-F"]
    made = one.equity["equity"][-1] - one.cash
    assert sum(share.profit for share in found) == pytest.approx(made, abs=1e-6)
    assert sum(share.trades for share in found) == one.trades.height
    assert sum(share.fees for share in found) == pytest.approx(one.metrics["fees"])
    assert sum(share.round_trips for share in found) == one.metrics["round_trips"]


def test_each_chart_can_be_a_picture_and_one_symbol_has_no_equal_weight():
    one, three = CANDLED, result("A-B", "CC-D", "EEE-F", "GGGG-H")
    labels = [mark.label for mark in account(one).panels[0].marks]
    assert labels == ["buy and hold", "targets"]
    assert "equal weight" in [mark.label for mark in account(three).panels[0].marks]
    names = [chart.name for chart in market_charts(three)]
    assert names == ["candles_1", "candles_2", "candles_3", "candles_4"]
    for chart in (account(one), market_charts(one)[0], *spread_charts(one, trips_of(one))):
        assert len(figure(chart).axes) == len(chart.panels)


def test_all_returns_are_in_the_histograms():
    long = result("A-B", count=900)
    trips, days = spread_charts(long, trips_of(long))
    assert sum(mark.y.sum() for mark in trips.panels[0].marks) == len(trips_of(long))
    counted = [mark for mark in days.panels[0].marks if mark.kind == "bars"]
    assert sum(mark.y.sum() for mark in counted) == 38
    lost, won = trips.panels[0].marks
    assert (lost.more[0] <= 1e-9).all()
    assert (won.x >= -1e-9).all()


def test_short_and_idle_runs_have_their_charts():
    bars_ = bars("A-B", 3).with_columns(target=pl.lit(0.0))
    for rows in (1, 3):
        one = cq.backtest(bars_.head(rows), interval="1h")
        assert len(account(one).panels) == 3
        assert len(market_charts(one)) == 1
        assert spread_charts(one, []) == []


def test_conventions_say_what_the_settings_say():
    config = CANDLED.config
    plain = " ".join(conventions(config))
    assert "filled at the next bar's open" in plain
    assert "grid" not in plain
    late = {**config, "backtest": {**config["backtest"], "fill": "next_close"}}
    assert "filled at the next bar's close;" in " ".join(conventions(late))
    other = {
        **config["backtest"], "fill": "next_close", "latency_bars": 2, "tick": 0.5,
        "profile": "vectorbt", "allow_short": True, "detail_interval": "1m",
        "slippage": {**config["backtest"]["slippage"], "kind": "square_root"},
    }  # fmt: skip
    orders = {"entry": "stop_limit", "stop_loss": 0.1, "max_bars": 5}
    said = " ".join(conventions({"backtest": other, "strategy": {"orders": orders}}))
    for words in (
        *("that very close, 2 bars later", "rules of vectorbt", "stop-limit orders"),
        *("stop loss, max bars", "bars of 1m say", "a grid of 0.5", "Shorts are allowed"),
        "more for large orders",
    ):
        assert words in said
    said = " ".join(conventions({"backtest": other, "strategy": {"orders": {"max_bars": 5}}}))
    assert "closed by max bars." in said
    assert "within a bar" not in said


@pytest.mark.parametrize(
    ("width", "said"),
    [(60, "one minute"), (300, "5 minutes"), (3_600, "one hour"), (86_400, "one day"),
     (1_087_200, "12.6 days"), (1, "1 seconds")],
)  # fmt: skip
def test_the_length_of_a_candle_is_said_in_words(width, said):
    assert _length(width * 10**9) == said


@pytest.mark.parametrize("fill", ["next_open", "next_close"])
def test_each_trade_is_marked_on_the_candle_that_it_was_made_in(fill):
    """Of hourly bars each with a candle of its own, the last one's as well."""
    count = 60
    rows = bars("A-B", count).with_columns(target=pl.int_range(pl.len()) % 2 * 1.0)
    one = cq.backtest(rows, min_notional=0, fill=fill)
    (chart,) = market_charts(one)
    marks = {mark.kind: mark for mark in chart.panels[0].marks if mark.kind in ("up", "down")}
    late = HOUR if fill == "next_close" else 0
    for kind, side in (("up", "buy"), ("down", "sell")):
        made = one.trades.filter(side=side)["ts"] - late
        assert marks[kind].x.tolist() == (made + HOUR // 2).to_list()
        assert marks[kind].label.endswith(f" {made.len()}×")
    assert one.trades["ts"].max() - late == rows["ts"].max()


def over(interval, starts, closes):
    """A run over bars of an interval that open then."""
    rows = pl.DataFrame({"ts": starts, "close": closes}, schema_overrides={"ts": pl.Int64})
    rows = rows.with_columns(
        *(pl.col("close").alias(name) for name in ("open", "high", "low")),
        symbol=pl.lit("A-B"), exchange=pl.lit("x"), volume=pl.lit(1.0),
        target=pl.int_range(pl.len()) % 2 * 1.0,
    )  # fmt: skip
    return cq.backtest(rows, interval=interval, min_notional=0)


def test_a_run_of_one_bar_has_charts_of_that_bar():
    one = over("1d", [0], [100.0])
    (chart,) = market_charts(one)
    assert chart.note == "1970-01-01 00:00 to 1970-01-02 00:00, a candle is one day"
    equity = account(one)
    assert equity.span == (0.0, 24.0 * HOUR)
    for panel in equity.panels:
        assert len(set(panel.labels)) == len(panel.ticks)
    falls = next(panel for panel in equity.panels if panel.title == "Drawdown")
    assert falls.reach == (-0.01, 0.0)


def test_candles_of_months_are_months_whatever_their_length():
    months = pl.datetime_range(
        pl.datetime(2019, 1, 1), pl.datetime(2034, 12, 1), "1mo", time_unit="ns", eager=True
    )
    ts = months.to_physical()
    rng = np.random.default_rng(1)
    few = over("1M", ts.head(46), 100 * np.exp(np.cumsum(rng.normal(0, 0.1, 46))))
    (chart,) = market_charts(few)
    assert chart.note == "2019-01-01 00:00 to 2022-11-01 00:00, a candle is 1 month"
    assert (
        candles(few, "A-B", int(ts[0]), int(ts[46]), 150)["ts"].to_list() == ts.head(46).to_list()
    )
    many = over("1M", ts, 100 * np.exp(np.cumsum(rng.normal(0, 0.1, ts.len()))))
    whole, _ = market_charts(many)
    assert whole.note.endswith("a candle is 2 months")
    (drawn, *_) = whole.panels[0].marks
    assert drawn.x.size == ts.len() // 2


def test_long_bars_are_counted_as_bars_in_captions():
    weeks = np.arange(0, 300) * 7 * 24 * HOUR
    one = over("1w", weeks, 100 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.1, 300))))
    assert "Sharpe ratio of 13 bars of 1w" in [panel.title for panel in account(one).panels]
    titles = [chart.title for chart in spread_charts(one, trips_of(one))]
    assert any(title.endswith(" bars of 1w that moved") for title in titles)
