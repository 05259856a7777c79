"""Decisions in a frame of their own are traded as those in a column of the bars are."""

from __future__ import annotations

import makers
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cq
from cq.errors import CqError
from cq.lake import Lake

FREE = {"fees": {"taker": 0.001, "maker": 0}, "slippage": {"bps": 5}, "min_notional": 0}
PRICES = [100.0, 110.0, 105.0, 95.0, 100.0, 104.0, 99.0]
BARS = pl.concat([
    makers.hourly("C-D", PRICES[::-1]), makers.hourly("A-B", PRICES[2:], start=2 * makers.HOUR),
]).drop("exchange")  # fmt: skip
TARGETS = BARS.filter(pl.col("ts") == 3 * makers.HOUR).select("ts", "symbol", target=pl.lit(0.5))


@settings(max_examples=60)
@given(st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.2, 0.5])), min_size=12, max_size=12),
       st.randoms(use_true_random=False), st.booleans())  # fmt: skip
def test_targets_beside_the_bars_trade_as_a_column_of_them(said, random, as_categories):
    if all(one is None for one in said):
        said[0] = 0.5
    whole = BARS.with_columns(target=pl.Series(said, dtype=pl.Float64))
    expected = cq.backtest(whole, interval="1h", **FREE)
    rows = random.sample(range(12), 12)
    few = whole.select("ts", "symbol", "target")[rows].filter(pl.col("target").is_not_null())
    bars = BARS
    if as_categories:
        bars = bars.with_columns(pl.col("symbol").cast(pl.Enum(["C-D", "A-B"])))
    found = cq.backtest(bars, targets=few.lazy(), interval="1h", **FREE)
    assert found.trades.equals(expected.trades)
    assert found.equity.equals(expected.equity)


def test_a_decision_says_the_prices_of_its_orders():
    orders = {"stop_loss": {"column": "floor"}}
    floor = pl.when(pl.col("target").is_not_null()).then(pl.lit(97.0))
    whole = BARS.join(TARGETS, on=["ts", "symbol"], how="left").with_columns(floor=floor)
    expected = cq.backtest(whole, orders=orders, interval="1h", **FREE)
    few = TARGETS.with_columns(floor=pl.lit(97))
    found = cq.backtest(BARS, targets=few, orders=orders, interval="1h", **FREE)
    assert "stop_loss" in found.trades["reason"].to_list()
    assert found.trades.equals(expected.trades)


def test_columns_of_any_type_may_stand_beside_the_decisions():
    none = pl.lit(None)
    more = TARGETS.with_columns(
        note=none, tags=pl.lit(["x"]), both=pl.struct("ts"), act=none, floor=none
    )
    expected = cq.backtest(BARS, targets=TARGETS, interval="1h", **FREE)
    orders = {"stop_loss": {"column": "floor"}}
    found = cq.backtest(BARS, targets=more, orders=orders, interval="1h", **FREE)
    assert found.trades.equals(expected.trades)
    tags = TARGETS.with_columns(note=pl.lit([1.0]))
    with pytest.raises(CqError, match="note is of type List"):
        cq.backtest(BARS, targets=tags, orders={"stop_loss": {"column": "note"}}, **FREE)


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ([1], "found list, expected a Polars frame of targets"),
        (TARGETS.drop("target"), "the frame of targets lacks target; it has ts, symbol"),
        (TARGETS.clear(), "the frame of targets holds no targets"),
        (TARGETS.with_columns(target=pl.lit("x")), "the frame of targets: target is of type Strin"),
        (TARGETS.with_columns(ts=pl.lit("x")), "the frame of targets: ts is of type String"),
        (TARGETS.with_columns(act=pl.lit("yes")), "act is of type String; expected true or false"),
        (TARGETS.with_columns(act=pl.lit([True])), "act is of type List(Boolean); expected true"),
        (TARGETS.with_columns(ts=pl.lit(2**64 - 1, pl.UInt64)), "2 of 2 ts lie before 1677 or af"),
        (TARGETS.with_columns(ts=pl.lit(None, pl.Int64)), "2 of 2 rows of the frame of targets"),
        (TARGETS.with_columns(symbol=pl.lit("E-F")), "two of E-F at 1970-01-01T03:00:00Z"),
        (TARGETS[:1].with_columns(symbol=pl.lit("E-F")), "there are targets of E-F, and no bars"),
        (TARGETS.with_columns(pl.col("ts") + 1), "1 targets of A-B lie at no bar, first 1970-01"),
        (TARGETS.with_columns(pl.col("ts") * 9), "1 targets of A-B lie at no bar, first 1970-01"),
        (TARGETS.with_columns(ts=pl.lit(0)), "1 targets of A-B lie at no bar, first 1970-01-01T00"),
        (TARGETS.with_columns(close=pl.lit(1.0)), "a column close, and so has the frame of targ"),
        (TARGETS.with_columns(target=pl.lit(None)), "`target` is null on every bar"),
        (TARGETS.with_columns(target=pl.lit(float("nan"))), "the target of A-B at 1970-01-01T03"),
    ],
)
def test_what_is_no_decision_at_a_bar_is_refused_in_a_line(targets, said):
    with pytest.raises(CqError) as refused:
        cq.backtest(BARS, targets=targets, **FREE)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_bars_that_have_targets_of_their_own_take_no_others():
    with pytest.raises(CqError, match="the bars have a column target, and so has the frame of"):
        cq.backtest(BARS.with_columns(target=pl.lit(0.1)), targets=TARGETS)


def test_targets_take_no_strategy_and_no_lake(tmp_path):
    for source, strategy in ((Lake(tmp_path), None), (BARS, "x.yaml")):
        with pytest.raises(CqError, match=r"traded over a frame of bars without a strategy"):
            cq.backtest(source, strategy, targets=TARGETS)
