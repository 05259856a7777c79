"""Frames that are handed over: forms that are taken, and what is refused in a line."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import makers
import polars as pl
import pytest

import cq
from cq.errors import CqError, DataError, StrategyError, UsageError
from cq.strategies import KINDS, Strategy, by_sizing

FREE = {"fees": {"taker": 0, "maker": 0}, "slippage": {"bps": 0}, "min_notional": 0, "cash": 1_000}
BARS = makers.hourly("A-B", [100.0, 110.0, 105.0, 95.0, 100.0]).drop("exchange")
HELD = BARS.with_columns(target=pl.lit(1.0))
STOP = {"stop_loss": {"column": "sl"}}
OWN = """
from typing import ClassVar
import polars as pl
from cq.strategies import StrategyConfig

class Config(StrategyConfig):
    warmup: ClassVar[int] = 2

def generate_signals(bars, config):
    rises = pl.col("close") > pl.col("close").shift(1).over("symbol")
    return bars.with_columns(signal=rises.cast(pl.Int8))
"""


def at(row, value):
    """`value` at one row, what is there at the others."""
    return lambda name: (
        pl.when(pl.int_range(pl.len()) == row).then(pl.lit(value)).otherwise(name).alias(name)
    )


@pytest.mark.parametrize(
    "same",
    [
        HELD.with_columns(pl.from_epoch("ts", "ns")),
        HELD.with_columns(pl.from_epoch("ts", "ns").dt.cast_time_unit("ms")),
        HELD.with_columns(pl.from_epoch("ts", "ns").dt.replace_time_zone("UTC")),
        HELD.with_columns(pl.col("symbol").cast(pl.Categorical)),
        HELD.with_columns(pl.col("open", "high", "low", "close").cast(pl.Decimal(18, 4))),
        HELD.with_columns(pl.col("open", "high", "low", "close").cast(pl.Int64)),
        HELD.with_columns(target=pl.lit(True)),
        HELD.with_columns(target=pl.lit(1)),
        HELD.reverse(),
        HELD.lazy(),
    ],
)
def test_moments_and_numbers_may_come_in_any_type(same):
    expected = cq.backtest(HELD, orders={"stop_loss": 0.02}, **FREE)
    found = cq.backtest(same, orders={"stop_loss": 0.02}, **FREE)
    assert found.trades.equals(expected.trades)
    assert found.equity.equals(expected.equity)


@pytest.mark.parametrize(
    ("bars", "options", "said"),
    [
        ([1, 2], {}, "found list, expected a Lake or a Polars frame"),
        (HELD.drop("symbol"), {}, "the frame lacks symbol"),
        (HELD.clear(), {}, "the frame holds no bars"),
        (HELD.with_columns(ts=at(1, None)("ts")), {}, "1 of 5 rows of the frame have no ts"),
        (HELD.with_columns(at(1, None)("symbol")), {}, "1 of 5 rows of the frame have no symbol"),
        (HELD.with_columns(ts=pl.lit(date(9999, 1, 1))), {}, "5 of 5 ts lie before 1677 or after"),
        (HELD.with_columns(ts=pl.lit(datetime(1500, 1, 1))), {}, "5 of 5 ts lie before 1677 or a"),
        (HELD.with_columns(ts=pl.lit("now")), {}, "ts is of type String; expected whole nano"),
        (HELD.with_columns(symbol=pl.lit(1)), {}, "symbol is of type Int32; expected text"),
        (HELD.with_columns(open=pl.lit("x")), {}, "open is of type String; expected numbers"),
        (HELD.with_columns(target=pl.lit("x")), {}, "target is of type String; expected numbers"),
        (HELD.with_columns(target=pl.lit(None)), {}, "`target` is null on every bar"),
        (HELD.with_columns(pl.col("ts") // 10**6), {}, "ts is counted in nanoseconds"),
        (HELD.with_columns(pl.col("ts") // 10**6), {"interval": "1h"}, "closer than the 1h"),
        (HELD, {"interval": "7x"}, "interval: '7x' is not an interval"),
        (HELD, {"start": "2030-01-01"}, "no bars of the frame from 2030-01-01"),
        (HELD, {"start": "2030-01-01", "end": "2029-01-01"}, "is not before the end"),
        (HELD, {"fees": 0.01}, "fees: found 0.01"),
        (HELD, {"cash": math.nan}, "cash: found nan"),
        (HELD, {"orders": {"stoploss": 0.1}}, "did you mean stop_loss?"),
        (HELD, {"orders": {"stop_loss": 5}}, "expected a fraction above 0, below 1"),
        (HELD, {"orders": STOP}, "prices of a column 'sl', which its frame lacks"),
        (HELD, {"orders": {"stop_loss": 0.1}, "detail_interval": "1m"}, "read from a lake"),
        (HELD.with_columns(pl.col("open", "close") * 0), {}, "no bar of A-B has a price above"),
        (pl.concat([HELD, HELD[1:2]]), {}, "bars of A-B repeat, first 1970-01-01T01:00:00Z"),
    ],
)
def test_what_is_no_bars_is_refused_in_a_line(bars, options, said):
    with pytest.raises(CqError) as refused:
        cq.backtest(bars, **options)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "pydantic" not in str(refused.value)


@pytest.mark.parametrize("price", [math.nan, math.inf, 0.0, -1.0])
def test_the_price_of_an_order_that_is_none_is_refused_with_its_place(price):
    bars = HELD.with_columns(sl=pl.lit(90.0)).with_columns(at(2, price)("sl"))
    with pytest.raises(StrategyError, match="the stop_loss of A-B at 1970-01-01T02:00:00Z is "):
        cq.backtest(bars, orders=STOP)


def test_no_price_is_no_stop():
    bars = HELD.with_columns(sl=pl.lit(None))
    assert cq.backtest(bars, orders=STOP, **FREE).trades.height == 1


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
def test_a_price_of_zero_is_no_price_wherever_it_is_looked_at(name):
    """A low of 0 would fire any stop."""
    bars = HELD.with_columns(at(2, 0.0)(name))
    result = cq.backtest(bars, orders={"stop_loss": 0.5}, **FREE)
    assert result.trades.height == 1
    assert result.equity.height == 4
    assert "A-B: 1 bars have no price above zero and are left out" in result.config["warnings"][0]


WALK = makers.hourly("A-B", [100 + 9 * math.sin(k / 3) + k % 7 for k in range(90)])
NO_PRICES = [None, math.nan, math.inf, 0.0, -1.0]
SIZED = [
    {"fraction": 0.5},
    {"kind": "kelly", "window": 8},
    {"kind": "volatility_target", "window": 8},
]


@pytest.mark.parametrize("value", NO_PRICES)
@pytest.mark.parametrize("sizing", SIZED)
def test_signals_and_sizes_do_not_see_a_bar_without_a_price(value, sizing):
    strategy = crossover(average="ema", fast=2, slow=5, sizing=sizing)
    missing = cq.backtest(WALK.filter(pl.int_range(pl.len()) != 40), strategy, **FREE)
    found = cq.backtest(WALK.with_columns(at(40, value)("close")), strategy, **FREE)
    assert missing.trades["ts"][-1] > WALK["ts"][60]
    assert found.trades.equals(missing.trades)
    assert found.equity.equals(missing.equity)
    assert "A-B: 1 bars have no price above zero and are left out" in found.config["warnings"][0]


@pytest.mark.parametrize("value", NO_PRICES)
def test_stops_and_other_symbols_do_not_see_a_bar_without_a_price(value):
    kind = KINDS["crossover"]
    config = kind.config(
        symbols=["A-B", "C-D"],
        interval="1h",
        fast=2,
        slow=5,
        orders={"stop_loss": {"atr": 1, "window": 2}},
        sizing={"kind": "inverse_volatility", "window": 8},
    )
    other = makers.hourly("C-D", [50 + 5 * math.cos(k / 4) for k in range(90)])
    bars = pl.concat([WALK, other])
    missing = cq.backtest(bars.filter(pl.int_range(pl.len()) != 40), config, **FREE)
    found = cq.backtest(bars.with_columns(at(40, value)("low")), config, **FREE)
    assert missing.trades.height > 20
    assert found.trades.equals(missing.trades)


def test_nor_do_trials_of_a_sweep_and_it_is_said():
    said = []
    bars = WALK.with_columns(at(40, math.nan)("close"))
    swept = cq.sweep(bars, crossover(fast=2, slow=5), {"fast": [2, 3]}, say=said.append, **FREE)
    for trial in swept.trials.iter_rows(named=True):
        alone = cq.backtest(bars, crossover(fast=trial["fast"], slow=5), **FREE)
        assert trial["total_return"] == alone.metrics["total_return"]
    assert said[0].startswith("warning: A-B: 1 bars have no price above zero and are left out")


@pytest.mark.parametrize("start", [None, 40 * 3_600_000_000_000])
def test_a_frame_without_any_price_above_zero_is_refused(start):
    bars = WALK.with_columns(close=pl.lit(0.0))
    if start is not None:
        bars = pl.concat([WALK.filter(pl.col("ts") < start), bars.filter(pl.col("ts") >= start)])
    with pytest.raises(DataError, match=r"no bar .* has a price above zero"):
        cq.backtest(bars, crossover(fast=2, slow=5), start=start, **FREE)


def test_a_strategy_of_ones_own_needs_no_columns_that_it_does_not_read(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "own.yaml").write_text("python: own.py\nsymbols: [A-B]\ninterval: 1h\n")
    whole = cq.backtest(WALK, tmp_path / "own.yaml", **FREE)
    found = cq.backtest(WALK.select("ts", "symbol", "open", "close"), tmp_path / "own.yaml", **FREE)
    assert found.trades.height > 5
    assert found.trades.equals(whole.trades)


def test_prices_that_contradict_each_other_are_said():
    bars = HELD.with_columns(at(2, 200.0)("low"))
    (said,) = cq.backtest(bars, orders={"stop_loss": 0.5}, **FREE).config["warnings"]
    assert "A-B: 1 bars have an open or close beyond their high or low" in said


@pytest.mark.parametrize("volume", [None, math.nan, math.inf, -1.0])
def test_volume_that_is_no_number_fills_nothing(volume):
    bars = HELD.with_columns(volume=pl.lit(volume, pl.Float64))
    result = cq.backtest(bars, slippage={"kind": "participation"}, cash=1_000)
    assert result.trades.is_empty()
    assert "5 bars have no volume that is a number" in result.config["warnings"][0]


def crossover(**said):
    kind = KINDS["crossover"]
    config = kind.config(symbols=["A-B"], interval="1h", **said)
    return Strategy(config, kind.generate_signals, kind.size_positions)


def test_a_frame_that_is_shorter_than_the_warmup_is_refused_with_what_is_needed():
    with pytest.raises(DataError, match="needs 30 bars of 1h before it can decide; the period has"):
        cq.backtest(BARS, crossover(fast=10, slow=30))


@pytest.mark.parametrize(
    ("bars", "said"),
    [
        (BARS, "trades A-B and C-D together, and the period has bars of A-B only"),
        (pl.concat([BARS, BARS.head(2).with_columns(symbol=pl.lit("C-D"))]), "the period has 2;"),
    ],
)
def test_legs_that_are_not_there_are_refused_with_what_is_needed(bars, said):
    kind = KINDS["pairs"]
    config = kind.config(symbols=["A-B", "C-D"], interval="1h", window=10, max_bars=2)
    with pytest.raises(DataError, match=said):
        cq.backtest(bars, Strategy(config, kind.generate_signals, kind.size_positions))


def test_finer_bars_than_the_strategys_are_refused():
    with pytest.raises(DataError, match="bars of the frame lie 3,600 s apart, closer than the 1d"):
        cq.backtest(BARS, crossover(fast=1, slow=2).config.model_copy(update={"interval": "1d"}))


LONGER = [(4, "14,400 s apart or more, further than the 1h"), (2, "7,200 s apart or more")]


@pytest.mark.parametrize(("every", "said"), LONGER)
def test_longer_bars_than_the_strategys_are_refused(every, said):
    long = makers.hourly("A-B", [100.0 + k for k in range(80)]).gather_every(every)
    for bars in (long, long.filter(pl.col("ts") != long["ts"][3])):
        with pytest.raises(DataError, match=said):
            cq.backtest(bars, crossover(fast=1, slow=2))


def test_bars_of_months_are_those_of_a_strategy_of_months_only():
    ts = [datetime(2020 + k // 12, 1 + k % 12, 1) for k in range(24)]
    months = makers.hourly("A-B", [100.0 + k for k in range(24)]).with_columns(pl.Series("ts", ts))
    strategy = crossover(fast=1, slow=2)

    def of(interval, bars):
        return cq.backtest(bars, strategy.config.model_copy(update={"interval": interval}), **FREE)

    assert of("1M", months).trades.height == 1
    for interval, bars in (("1M", months.gather_every(3)), ("1d", months.gather_every(12))):
        with pytest.raises(DataError, match=f"or more, further than the {interval}"):
            of(interval, bars)


def test_bars_of_a_market_that_seldom_trades_are_not_longer_ones():
    bars = makers.hourly("A-B", [100.0 + k for k in range(60)])
    seldom = bars.filter((pl.col("ts") // makers.HOUR % 5).is_in([0, 2]))  # 2 or 3 hours apart
    assert cq.backtest(seldom, crossover(fast=1, slow=2), **FREE).trades.height == 1


MANY = pl.concat(makers.hourly(name, [100.0, 110.0, 120.0, 130.0]) for name in ("A-B", "C-D"))


def of(*symbols):
    return crossover(fast=1, slow=2).config.model_copy(update={"symbols": symbols})


def test_symbols_of_a_frame_that_the_strategy_does_not_name_are_not_traded():
    found = cq.backtest(MANY, of("C-D"), **FREE)
    assert found.symbols == ("C-D",)
    alone = cq.backtest(MANY.filter(symbol="C-D"), of("C-D"), **FREE)
    assert found.trades.equals(alone.trades)
    assert found.equity.equals(alone.equity)


def test_a_symbol_that_the_frame_lacks_is_said():
    told = []
    found = cq.backtest(MANY, of("X-Y", "A-B"), say=told.append, **FREE)
    assert found.symbols == ("A-B",)
    assert "warning: X-Y: no bars at all, so that it was never traded" in told


def test_a_frame_without_any_of_the_strategys_symbols_is_refused_in_a_line():
    with pytest.raises(DataError) as refused:
        cq.backtest(MANY, of("X-Y"), **FREE)
    assert str(refused.value).startswith("crossover trades X-Y, and the frame has A-B, C-D; name")


def test_a_base_alone_is_looked_for_in_the_frame_as_in_a_lake():
    told = []
    found = cq.backtest(MANY, of("A"), say=told.append, **FREE)
    assert (found.symbols, told[0]) == (("A-B",), "A: the frame has no A-BRL, taking A-B")
    assert cq.backtest(MANY, of("C"), quote="D", **FREE).symbols == ("C-D",)
    for both in (("A", "A-B"), ("C-D", "A-B", "A")):
        with pytest.raises(UsageError, match="are one market, A-B; name it once"):
            cq.backtest(MANY, of(*both), **FREE)
    two = pl.concat([MANY, MANY.filter(symbol="A-B").with_columns(symbol=pl.lit("A-C"))])
    with pytest.raises(DataError, match="trades A, and the frame has A-B and A-C; say which"):
        cq.backtest(two, of("A"), **FREE)


def test_trials_of_a_sweep_over_a_frame_trade_their_own_symbols_only():
    kind = KINDS["crossover"]
    strategy = Strategy(of("A-B"), kind.generate_signals, kind.size_positions)
    bars = pl.concat([MANY, makers.hourly("E-F", [9.0, 8.0, 9.0, 5.0])])
    swept = cq.sweep(bars, strategy, {"symbols": ["A-B", "E-F"]}, **FREE)
    for trial in swept.trials.iter_rows(named=True):
        alone = cq.backtest(bars.filter(symbol=trial["symbols"]), of(trial["symbols"]), **FREE)
        assert trial["total_return"] == alone.metrics["total_return"]


def test_a_configuration_is_a_strategy():
    """And is not passed over for a column `target`."""
    strategy = crossover(fast=1, slow=2)
    found = cq.backtest(HELD, strategy.config, **FREE)
    assert found.trades.equals(cq.backtest(BARS, strategy, **FREE).trades)
    assert found.trades.height == 2


@pytest.mark.parametrize("day", [date(1970, 1, 1), datetime(1970, 1, 1), "1970-01-01", 0])
def test_a_period_begins_at_a_moment_in_any_form(day):
    found = cq.backtest(HELD, start=day, end=date(1970, 1, 2), **FREE)
    assert found.trades.equals(cq.backtest(HELD, **FREE).trades)


@pytest.mark.parametrize("odd", [1.5, True, [1]])
def test_what_is_no_moment_is_refused_in_a_line(odd):
    with pytest.raises(UsageError, match="is no moment; expected a date, a datetime, nanoseco"):
        cq.backtest(HELD, start=odd)


def test_a_strategy_sees_symbols_as_text_though_they_came_as_categories():
    def of_a(frame, _):
        return frame.with_columns(signal=pl.col("symbol").str.starts_with("A").cast(pl.Int8))

    made = crossover(fast=1, slow=2)
    strategy = Strategy(made.config, of_a, made.size_positions)
    kind = pl.col("symbol").cast(pl.Enum(["A-B"]))
    found = cq.backtest(BARS.with_columns(kind), strategy, **FREE)
    assert found.trades.height == 1
    assert found.trades.equals(cq.backtest(BARS, strategy, **FREE).trades)


@pytest.mark.parametrize("keywords", [{"orders": {"stop_loss": 0.1}}, {"interval": "1d"}])
def test_what_only_a_frame_with_targets_takes_is_not_passed_over(keywords):
    with pytest.raises(UsageError, match="orders and interval are those of crossover"):
        cq.backtest(BARS, crossover(fast=1, slow=2), **keywords)


def test_what_is_no_strategy_is_refused():
    with pytest.raises(UsageError, match="found dict, expected the path of a strategy's file"):
        cq.backtest(BARS, {"kind": "crossover"})


@pytest.mark.parametrize("sizing", [{"fraction": 0.3}, {"kind": "units", "units": 2.5}])
@pytest.mark.parametrize("symbols", ["A-B", "A-B,C-D"])
@pytest.mark.parametrize("shorts", [False, True])
def test_signals_that_become_targets_in_the_engine_trade_to_the_bit_as_targets_do(
    sizing, symbols, shorts
):
    prices = [100.0 + 9 * math.sin(k / 3) + k % 7 for k in range(90)]
    bars = pl.concat(
        makers.hourly(name, prices[k:]).drop("exchange")
        for k, name in enumerate(symbols.split(","))
    )
    kind = KINDS["crossover"]
    config = kind.config(
        symbols=symbols, interval="1h", fast=3, slow=8, shorts=shorts, sizing=sizing
    )
    later = Strategy(config, kind.generate_signals)
    at_once = Strategy(config, kind.generate_signals, lambda *given: by_sizing(*given))
    assert (later.each, at_once.each) == (config.sizing.each, None)
    one, other = (cq.backtest(bars, said, allow_short=shorts, **FREE) for said in (later, at_once))
    assert len(one.trades) >= 10
    assert one.trades.equals(other.trades)
    assert one.equity.equals(other.equity)
    assert one.metrics == other.metrics


@pytest.mark.parametrize(
    ("days", "interval"),
    [
        ([date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1), date(2024, 5, 1)], "1M"),
        ([date(2023, 2, 1), date(2023, 3, 1)], "1M"),
        ([date(2023, 2, 1), date(2023, 3, 1), date(2023, 3, 29)], "28d"),
        ([date(2024, 1, 1), date(2024, 4, 1), date(2024, 7, 1)], "91d"),
        ([date(2024, 1, 1), date(2024, 2, 1), date(2024, 2, 2)], "1d"),
        ([date(2023, 1, 31), date(2023, 2, 28), date(2023, 3, 31), date(2023, 4, 30)], "1M"),
        ([date(2023, 1, 31), date(2023, 2, 28), date(2023, 3, 30), date(2023, 4, 30)], "28d"),
    ],
)
def test_bars_that_are_calendar_months_apart_are_months(days, interval):
    bars = makers.hourly("A-B", [100.0] * len(days)).with_columns(
        pl.Series("ts", days), target=pl.lit(1.0)
    )
    assert cq.backtest(bars, **FREE).interval == interval


def test_months_in_another_zone_are_months_too():
    ts = pl.Series("ts", [datetime(2024, month, 1, 3) for month in range(1, 7)])
    bars = makers.hourly("A-B", [100.0] * 6).with_columns(ts, target=pl.lit(1.0))
    found = cq.backtest(bars, **FREE)
    assert found.interval == "1M"


@pytest.mark.parametrize(
    "asked",
    [
        "sizing: {kind: volatility_target, window: 5}",
        "orders: {stop_loss: {atr: 1, window: 2}}",
        "liquidity: {min_turnover: 1, window: 2}",
    ],
)
def test_a_frame_of_ones_own_with_other_prices_is_refused_where_they_are_looked_at(asked, tmp_path):
    """Sizes and stops were measured on what was left in the columns, a logarithm here."""
    helper = OWN.replace("pl.Int8))", "pl.Int8), close=pl.col('close').log())")
    (tmp_path / "own.py").write_text(helper)
    (tmp_path / "own.yaml").write_text(f"python: own.py\nsymbols: [A-B]\ninterval: 1h\n{asked}\n")
    said = r"own\.py: its frame has 4\.60517 for the close of A-B at 1970-01-01T00:00:00Z, where"
    with pytest.raises(StrategyError, match=said):
        cq.backtest(WALK, tmp_path / "own.yaml", **FREE)
    (tmp_path / "own.py").write_text(OWN)
    assert cq.backtest(WALK, tmp_path / "own.yaml", **FREE).trades.height > 1


def test_elsewhere_a_frame_of_ones_own_may_have_what_it_likes_in_their_place(tmp_path):
    for name, code in (("own", OWN), ("other", OWN.replace("pl.Int8))", "pl.Int8), close=1.0)"))):
        (tmp_path / f"{name}.py").write_text(code)
        (tmp_path / f"{name}.yaml").write_text(f"python: {name}.py\nsymbols: A-B\ninterval: 1h\n")
    one, other = (cq.backtest(WALK, tmp_path / f"{name}.yaml", **FREE) for name in ("own", "other"))
    assert one.trades.equals(other.trades)
    assert one.equity.equals(other.equity)


def places(zone, dates):
    """Bars that open at midnight of the place."""
    ts = [datetime.combine(one, datetime.min.time(), ZoneInfo(zone)) for one in dates]
    ts = pl.Series("ts", [one.astimezone(UTC) for one in ts])
    return makers.hourly("A-B", [100.0] * len(dates)).with_columns(ts, target=pl.lit(1.0))


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Europe/London", "Europe/Berlin", "UTC"])
@pytest.mark.parametrize(("every", "interval"), [(1, "1d"), (7, "7d")])
def test_days_of_a_place_with_summer_time_are_days(zone, every, interval):
    """One of them has 23 hours."""
    dates = [date(2018, 6, 1) + timedelta(days=every * k) for k in range(300)]
    bars = places(zone, dates)
    found = cq.backtest(bars, fill="next_close", **FREE)
    assert found.interval == interval
    end = bars["ts"].cast(pl.Datetime("ns")).to_physical()[1] + every * 24 * makers.HOUR
    assert found.trades["ts"][0] == end


@pytest.mark.parametrize(
    "zone", ["America/Sao_Paulo", "Europe/London", "Europe/Berlin", "Asia/Tokyo", "UTC"]
)
def test_months_of_a_place_with_summer_time_are_months(zone):
    bars = places(zone, [date(2018 + k // 12, k % 12 + 1, 1) for k in range(30)])
    found = cq.backtest(bars, fill="next_close", **FREE)
    assert found.interval == "1M"
    ends = bars["ts"].cast(pl.Datetime("ns")).to_physical()
    assert abs(found.trades["ts"][0] - ends[2]) <= makers.HOUR


def test_bars_of_23_hours_are_of_23_hours():
    ts = [k * 23 * makers.HOUR for k in range(50) if k % 9]
    bars = makers.hourly("A-B", [100.0] * len(ts)).with_columns(ts=pl.Series(ts), target=1.0)
    assert cq.backtest(bars, **FREE).interval == "23h"
