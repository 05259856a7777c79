"""`cq.backtest(…)`, and whole runs with orders, finer bars and bad input."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import makers
import polars as pl
import pytest

import cq
from cq.cli.main import run as command
from cq.errors import DataError, StrategyError, UsageError
from cq.execution.plan import Terms
from cq.lake import Lake
from cq.lake.quality import run_checks
from cq.lake.quality_reports import write_report
from cq.project import create
from cq.strategies import KINDS, Strategy, StrategyConfig, load
from cq.utils.config import defaults
from cq.utils.resources import resource_root

PROJECT = Path(__file__).parents[2]
FREE = {"fees": {"taker": 0, "maker": 0}, "slippage": {"bps": 0}, "min_notional": 0, "cash": 1_000}
NOW = 2 * 10**18
MINUTE = 60 * 10**9


def frame(rows, symbol="A-B", step=makers.HOUR):
    columns = ("open", "high", "low", "close", "volume", "target")
    made = pl.DataFrame(rows, schema=columns, orient="row").cast(pl.Float64)
    ts = pl.int_range(0, made.height, dtype=pl.Int64) * step
    return made.with_columns(ts=ts, symbol=pl.lit(symbol))


STOPPED = [(100, 100, 100, 100, 1, 1), (100, 105, 95, 100, 1, 1), (80, 85, 75, 84, 1, 1)]


def test_a_frame_with_targets_is_traded_as_it_stands():
    result = cq.backtest(frame(STOPPED), orders={"stop_loss": 0.1}, **FREE)
    found = result.trades.select("side", "qty", "price", "reason").rows()
    assert found == [("buy", 10.0, 100.0, "signal"), ("sell", 10.0, 80.0, "stop_loss")]
    assert result.equity["equity"].to_list() == [1_000, 1_000, 800]
    assert result.interval == "1h"
    assert result.data.rows == 3


def test_several_symbols_share_one_purse_whatever_the_order_of_rows():
    both = pl.concat([frame(STOPPED), frame(STOPPED, "C-D")])
    both = both.with_columns(target=pl.col("target") / 2)
    one = cq.backtest(both.lazy(), **FREE)
    other = cq.backtest(both.sample(fraction=1.0, shuffle=True, seed=1), **FREE)
    assert one.trades.equals(other.trades)
    assert one.trades["qty"].to_list() == [5.0, 5.0]


@pytest.mark.parametrize(
    ("bars", "options", "said"),
    [
        (frame(STOPPED).drop("target"), {}, "no column `target`"),
        (frame(STOPPED).drop("close"), {}, "lacks close"),
        (frame(STOPPED).drop("high"), {"orders": {"stop_loss": 0.1}}, "lacks high"),
        (frame(STOPPED), {"cush": 1}, "no setting 'cush'"),
        (frame(STOPPED), {"cash": -1}, "greater than 0"),
        (frame(STOPPED[:1]), {}, "length of a bar"),
        (frame([]), {"interval": "1h"}, "no bars"),
    ],
)
def test_what_cannot_be_traded_is_said_in_a_line(bars, options, said):
    with pytest.raises((UsageError, DataError)) as refused:
        cq.backtest(bars, **options)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_target_that_is_no_number_is_refused_with_its_place():
    with pytest.raises(StrategyError, match="A-B at 1970-01-01T01:00:00Z is inf"):
        cq.backtest(frame([STOPPED[0], (100, 105, 95, 100, 1, math.inf)]))


def test_a_bar_without_a_price_is_left_out_and_said():
    rows = [*STOPPED[:2], (0, 0, 0, 0, 0, 0), (100, 100, 100, 100, 1, 0), (90, 90, 90, 90, 1, 0)]
    said = []
    result = cq.backtest(frame(rows), say=said.append, **FREE)
    assert result.equity.height == 4
    assert result.trades["price"].to_list() == [100, 90]
    assert "1 bars have no price above zero" in said[0]
    assert any("1 bar is missing while it was held" in one for one in said)
    assert result.config["warnings"] == [one.removeprefix("warning: ") for one in said]


def test_a_symbol_that_ends_while_it_is_held_is_said():
    both = pl.concat([frame(STOPPED[:2]), frame(STOPPED, "C-D").with_columns(target=0.0)])
    warnings = cq.backtest(both, **FREE).config["warnings"]
    assert warnings == [
        "A-B: has no bar after 1970-01-01T01:00:00Z and is still held; it is worth its last close"
    ]


def test_a_symbol_that_ended_before_the_period_is_said():
    both = pl.concat([frame(STOPPED[:2]), frame(STOPPED, "C-D")])
    warnings = cq.backtest(both, start=2 * makers.HOUR, **FREE).config["warnings"]
    assert "A-B: no bars from 1970-01-01T02:00:00Z, so that it was never traded" in warnings


def test_that_hardly_anything_is_left_is_said():
    fall = [(100 * 0.3**i,) * 4 + (1, 1) for i in range(7)]
    (said,) = cq.backtest(frame(fall), **FREE).config["warnings"]
    assert "less than 1% of the cash is left from 1970-01-01T05:00:00Z on" in said
    assert cq.backtest(frame(fall[:4]), **FREE).config["warnings"] == []


def test_fills_where_nobody_traded_are_said():
    silent = frame([(100, 100, 100, 100, 1, 1), (100, 100, 100, 100, 0, 1)] * 2)
    orders = {"stop_loss": {"column": "at"}}  # so that all of a bar is read
    found = cq.backtest(silent.with_columns(at=None), orders=orders, **FREE)
    (said,) = found.config["warnings"]
    assert said.startswith("A-B: 1 fill lies in bars without volume, first 1970-01-01T01:00:00Z")


def test_that_shorts_lost_more_than_there_was_is_said():
    rise = frame([(100 * 2.0**i,) * 4 + (1, -1) for i in range(5)])
    found = cq.backtest(rise, allow_short=True, **FREE)
    (said,) = found.config["warnings"]
    assert "more than everything was lost by 1970-01-01T02:00:00Z" in said
    assert found.metrics["sharpe"] < 0
    assert found.metrics["annualized_return"] == -1


def test_a_fee_that_takes_all_that_is_left_is_no_loss_of_a_short():
    rows = [(100, 100, 100, 100, 1, 1)] * 2 + [(100, 100, 100, 100, 1, 0)] * 3
    found = cq.backtest(frame(rows), **(FREE | {"cash": 20, "fees": {"minimum": 10}}))
    assert found.equity["equity"][-1] == 0
    (said,) = found.config["warnings"]
    assert "less than 1% of the cash is left from 1970-01-01T03:00:00Z on" in said


def test_targets_over_the_cap_are_cut_and_said():
    result = cq.backtest(frame(STOPPED), max_position=0.5, **FREE)
    assert result.trades["qty"].to_list() == [5.0]
    assert "3 targets of A-B lie over max_position 0.5" in result.config["warnings"][0]


def test_shorts_are_traded_where_they_are_allowed_and_said_where_not():
    bars = frame(STOPPED).with_columns(target=-pl.col("target"))
    assert cq.backtest(bars, allow_short=True, **FREE).trades["side"].to_list() == ["sell"]
    result = cq.backtest(bars, **FREE)
    assert result.trades.is_empty()
    assert "spot markets know no shorts" in result.config["warnings"][0]


# ---- from a lake

MARKET = ("orders.stop_loss=null", "orders.take_profit=null")
STRATEGY = """
kind: crossover
symbols: [BTC-BRL]
interval: 1h
fast: 2
slow: 4
orders: {stop_loss: {atr: 0.3, window: 2}, take_profit: 0.02}
backtest: {detail_interval: 5m}
"""


@pytest.fixture
def project(tmp_path):
    """A lake with hours, and five minutes of all but the last of them."""
    create(tmp_path)
    hours, fine, price = [], [], 100.0
    chance = random.Random(7)
    for hour in range(160):
        moves = [chance.gauss(0.0002, 0.008) for _ in range(12)]
        pieces = []
        for i, move in enumerate(moves):
            close = round(price * (1 + move), 2)
            piece = (price, max(price, close), min(price, close), close, 1.0)
            pieces.append((hour * makers.HOUR + i * 5 * MINUTE, *piece, "BTC-BRL", "test"))
            price = close
        fine += pieces
        high, low = max(one[2] for one in pieces), min(one[3] for one in pieces)
        hours.append((hour * makers.HOUR, pieces[0][1], high, low, price, 12.0, "BTC-BRL", "test"))
    lake = Lake(tmp_path / "lake")
    for rows, interval in ((hours, "1h"), (fine[:-12], "5m")):
        made = pl.DataFrame(rows, schema=makers.BAR_SCHEMA, orient="row")
        made = made.with_columns(interval=pl.lit(interval))
        lake.write("ohlcv", made, source="test", now_ns=NOW)
    (tmp_path / "own.yaml").write_text(STRATEGY)
    return tmp_path


def test_a_strategys_file_names_stops_and_finer_bars(project):
    lake = Lake(project / "lake")
    result = cq.backtest(lake, project / "own.yaml", **FREE)
    reasons = set(result.trades["reason"])
    assert {"signal", "stop_loss", "take_profit"} <= reasons
    assert result.config["detail"]["rows"] == 159 * 12
    without = load(project / "own.yaml", ["backtest.detail_interval=null"])
    assert not cq.backtest(lake, without, **FREE).trades.equals(result.trades)


def test_keywords_win_over_the_strategys_file(project):
    lake, said = Lake(project / "lake"), {"detail_interval": None, "slippage": {"bps": 1}}
    text = (project / "own.yaml").read_text().replace("5m}", "5m, cash: 7, slippage: {bps: 9}}")
    (project / "own.yaml").write_text(text)
    plain = cq.backtest(lake, project / "own.yaml")
    assert plain.config["backtest"]["cash"] == 7
    for strategy in (project / "own.yaml", load(project / "own.yaml")):
        found = cq.backtest(lake, strategy, cash=50_000, **said).config["backtest"]
        assert (found["cash"], found["detail_interval"]) == (50_000, None)
        assert (found["slippage"]["bps"], found["slippage"]["kind"]) == (1, "fixed_bps")
        swept = cq.sweep(lake, strategy, {"fast": [2, 3]}, cash=50_000, **said)
        assert swept.config["backtest"] == found


def test_finer_bars_have_to_divide_and_their_absence_is_said(project):
    lake, said = Lake(project / "lake"), []
    strategy = load(project / "own.yaml", ["backtest.detail_interval=7m"])
    with pytest.raises(UsageError, match="7m does not divide 1h"):
        cq.backtest(lake, strategy, **FREE)
    strategy = load(project / "own.yaml", ["backtest.detail_interval=1m"])
    cq.backtest(lake, strategy, say=said.append, **FREE)
    assert "no 1m bars within its own" in said[0]


def test_paper_refuses_what_only_a_backtest_can_do(project):
    settings = defaults(PROJECT).backtest
    with pytest.raises(StrategyError, match="orders is for backtests only"):
        Terms.of(load(project / "own.yaml"), settings)
    for extra in ("latency_bars=1", "allow_short=true", "slippage.kind=participation"):
        strategy = load(project / "own.yaml", [*MARKET, f"backtest.{extra}"])
        with pytest.raises(StrategyError, match="is for backtests only"):
            Terms.of(strategy, strategy.backtest(settings))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("orders.stoploss=0.1", "did you mean stop_loss?"),
        ("orders.stop_loss=2", "expected a fraction above 0, below 1"),
        ("orders.entry=limit", "needs an offset"),
        ("orders.offset=0.1", "takes no offset"),
        ("orders.max_bars=-1", "greater than or equal to 0"),
        ("orders.expires_bars=3", "does not wait"),
    ],
)
def test_orders_that_make_no_sense_are_one_line(project, override, said):
    with pytest.raises(StrategyError) as refused:
        load(project / "own.yaml", [override])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.fixture
def faulty(project):
    """A lake with bars of 200 hours and one between two hours, and the report of that."""
    lake = Lake(project / "lake")
    off = makers.hourly("BTC-BRL", [100.0], start=200 * makers.HOUR + 60 * MINUTE // 2)
    lake.write("ohlcv", off.with_columns(interval=pl.lit("1h")), source="test", now_ns=NOW)
    write_report(run_checks(lake, now_ns=NOW), NOW)
    return lake


def warned(lake, **options):
    file = lake.root.parent / "own.yaml"
    return cq.backtest(lake, file, **options, **FREE).config["warnings"]


def test_faults_that_a_report_knows_are_warned_of_and_strict_refuses_them(
    faulty, project, monkeypatch, capsys
):
    assert any("off_grid_ts) at 1970-01-09T08:30:00Z" in one for one in warned(faulty))
    monkeypatch.chdir(project)
    assert command(["backtest", "own.yaml", "--no-report", "--strict"]) == 3
    said = capsys.readouterr().err
    assert "break rules: " in said
    assert "off_grid_ts (1)" in said
    with pytest.raises(DataError, match=r"break rules: .*off_grid_ts"):
        warned(faulty, strict=True)


def test_a_later_report_that_looked_at_less_hides_no_fault(faulty):
    later = NOW + 24 * makers.HOUR
    write_report(run_checks(faulty, ["BTC-BRL"], 300 * makers.HOUR, now_ns=later), later)
    assert any("off_grid_ts) at 1970-01-09T08:30:00Z" in one for one in warned(faulty))


def test_faults_outside_the_period_concern_nobody(faulty):
    """Neither the bar off the grid nor the hole before it, which begins where the period ends."""
    said = warned(faulty, end=160 * makers.HOUR, strict=True)
    assert not any("rows at fault" in one for one in said)


def test_faults_of_other_bars_of_the_symbol_concern_nobody(project):
    lake = Lake(project / "lake")
    off = makers.hourly("BTC-BRL", [100.0], start=60 * MINUTE // 2)
    lake.write("ohlcv", off.with_columns(interval=pl.lit("4h")), source="test", now_ns=NOW)
    write_report(run_checks(lake, now_ns=NOW), NOW)
    assert not any("off_grid_ts" in one for one in warned(lake, strict=True))


def test_bars_that_the_lake_refused_in_the_period_are_told_of(project):
    lake = Lake(project / "lake")
    bad = makers.hourly("BTC-BRL", [100.0], start=300 * makers.HOUR)
    bad = bad.with_columns(interval=pl.lit("1h"), low=pl.lit(-1.0))
    lake.write("ohlcv", bad, source="test", now_ns=NOW)
    assert any("1 bars of the period were refused when they came" in one for one in warned(lake))
    assert not any("refused" in one for one in warned(lake, end=300 * makers.HOUR))


def test_short_runs_load_no_compiler_whatever_their_orders(project):
    """A cold `cq backtest` of a year of hours must not pay for one."""
    code = (
        "import sys; from cq.cli.main import run; "
        "assert run(['backtest', 'own.yaml', '--no-report']) == 0; "
        "assert run(['backtest', 'own.yaml', '--no-report', *sys.argv[1:]]) == 0; "
        "sys.exit('numba' in sys.modules)"
    )
    plain = [part for one in MARKET for part in ("--set", one)]
    made = subprocess.run(
        [sys.executable, "-c", code, *plain], cwd=project, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr


def test_a_frame_that_acts_is_traded_although_its_targets_stay():
    rows = [(100, 100, 100, 100, 1, 0.5), (100, 100, 100, 100, 1, 0.5), (50, 50, 50, 50, 1, 0.5)]
    act = pl.Series([False, True, None])
    held = cq.backtest(frame(rows), **FREE)
    made = cq.backtest(frame(rows).with_columns(act=act), **FREE)
    assert held.trades["qty"].to_list() == [5.0]
    assert made.trades["qty"].to_list() == [5.0, 2.5]
    unsaid = frame(rows).with_columns(act=pl.lit(math.nan))
    assert cq.backtest(unsaid, **FREE).trades.equals(held.trades)


@pytest.mark.parametrize(
    ("kind", "said", "lacks"),
    [
        ("crossover", {"fast": 1, "slow": 2, "liquidity": {"window": 2}}, "volume"),
        ("bollinger", {"window": 2, "max_bars": 2, "entry": "touch"}, "low"),
    ],
)
def test_a_frame_without_what_a_strategy_reads_is_refused_in_a_line(kind, said, lacks):
    of = KINDS[kind]
    config = of.config(symbols=["A-B"], interval="1h", **said)
    strategy = Strategy(config, of.generate_signals, of.size_positions)
    bare = frame(STOPPED).select("ts", "symbol", "open", "close")
    with pytest.raises(DataError, match=f"needs {lacks}; the frame has ts, symbol"):
        cq.backtest(bare, strategy)


def test_a_stop_of_one_leg_closes_both():
    flat = [(100, 100, 100, 100, 1, 0.5)] * 5
    fallen = [*flat[:2], (100, 100, 80, 100, 1, 0.5), *flat[:2]]
    legs = pl.concat(
        [frame(fallen, "A-B"), frame(flat, "C-D").with_columns(target=-pl.col("target"))]
    )

    class Pair(StrategyConfig):
        together: ClassVar[bool] = True
        warmup: ClassVar[int] = 1

    config = Pair(symbols=["A-B", "C-D"], interval="1h", orders={"stop_loss": 0.1})
    signal = pl.col("target").sign().cast(pl.Int8)
    strategy = Strategy(
        config, lambda bars, _: bars.with_columns(signal=signal), lambda bars, _: bars
    )
    found = cq.backtest(legs, strategy, allow_short=True, **FREE).trades
    hours = (pl.col("ts") // makers.HOUR).alias("hour")
    assert found.select(hours, "symbol", "side", "qty", "price", "reason").rows() == [
        (1, "C-D", "sell", 5.0, 100.0, "signal"),
        (1, "A-B", "buy", 5.0, 100.0, "signal"),
        (2, "A-B", "sell", 5.0, 90.0, "stop_loss"),
        (3, "C-D", "buy", 5.0, 100.0, "other_leg"),
    ]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            {"slippage": {"participation": 0.1}},
            "slippage of the kind fixed_bps does n",
        ),
        ({"slippage": {"spread_ticks": 5}, "tick": 1}, r"expected bps, or kind: half_spread$"),
        (
            {"slippage": {"kind": "half_spread", "bps": 5}},
            "slippage of the kind half_spread doe",
        ),
        ({"borrow_rate": 0.5}, "borrow_rate: nothing is borrowed without allow_short"),
        ({"detail_interval": "banana"}, "detail_interval: 'banana' is not an interval; expected a"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(said, problem):
    bars = makers.hourly("A-B", [100.0] * 4).with_columns(target=1.0)
    with pytest.raises(UsageError, match=problem):
        cq.backtest(bars, **said)
    strategy = KINDS["crossover"].config(symbols="A-B", interval="1h", fast=1, slow=2)
    with pytest.raises(UsageError, match=problem):
        cq.backtest(bars, strategy, **said)
    with pytest.raises(UsageError, match=problem):
        cq.sweep(
            bars, Strategy(strategy, KINDS["crossover"].generate_signals), {"slow": [2]}, **said
        )


def test_settings_that_are_handed_over_as_a_whole_are_none_of_them_asked_for():
    bars = makers.hourly("A-B", [100.0] * 4).with_columns(target=1.0)
    whole = defaults(resource_root()).backtest
    one = cq.backtest(bars, slippage=whole.slippage)
    assert one.trades.equals(cq.backtest(bars, **whole.model_dump()).trades)
