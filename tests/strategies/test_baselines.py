from __future__ import annotations

import makers
import numpy as np
import polars as pl
import pytest

import cq
from cq import signals
from cq.strategies import KINDS, Strategy


def market(size=200, seed=6):
    rng = np.random.default_rng(seed)
    return pl.concat(
        makers.hourly(
            name, np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.02, size))), 6).tolist()
        )
        for name in ("A-B", "C-D")
    )


def made(kind, **parameters):
    of = KINDS[kind]
    config = of.config(symbols=["A-B", "C-D"], interval="1h", **parameters)
    return Strategy(config, of.generate_signals, of.size_positions)


def test_what_is_bought_and_held_is_bought_once_in_equal_parts():
    free = {"fees": {"taker": 0}, "slippage": {"bps": 0}, "cash": 1_000}
    found = cq.backtest(market(), made("buy_and_hold"), **free)
    assert found.trades["symbol"].to_list() == ["A-B", "C-D"]
    worth = found.trades.select(pl.col("qty") * pl.col("price")).to_series().to_list()
    assert worth == pytest.approx([500, 500], rel=1e-6)


def test_weights_are_made_equal_again_every_so_many_bars():
    strategy = made("equal_weight", every=24)
    found = cq.backtest(market(), strategy, fees={"taker": 0}, slippage={"bps": 0}, min_notional=0)
    days = found.trades["ts"].unique().sort().to_numpy() // makers.HOUR
    assert [int(day) % 24 for day in days[1:]] == [1] * 8
    assert days[0] == 1


def test_equal_weights_do_not_depend_on_where_history_begins():
    bars = market(100)
    whole = signals.targets(bars.lazy(), made("equal_weight")).collect()
    late = signals.targets(
        bars.filter(pl.col("ts") > 60 * makers.HOUR).lazy(), made("equal_weight")
    )
    assert late.collect().equals(whole.filter(pl.col("ts") > 60 * makers.HOUR))


def test_equal_weights_without_costs_are_the_metric_of_that_name_whatever_the_start():
    """The symbol that comes later is cash until then, in both."""
    rng = np.random.default_rng(11)
    parts = []
    for name, size, first in (("A-B", 120, 0), ("C-D", 80, 40)):
        closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.05, size)))
        closes[1] = closes[0]  # what is decided at the first close is bought at the second open
        bars = makers.hourly(name, closes.tolist(), start=first * makers.HOUR)
        parts.append(bars.with_columns(pl.col("ts") * 24))
    config = KINDS["equal_weight"].config(symbols=["A-B", "C-D"], interval="1d", every=1)
    of = KINDS["equal_weight"]
    found = cq.backtest(
        pl.concat(parts), Strategy(config, of.generate_signals, of.size_positions),
        fees={"taker": 0}, slippage={"bps": 0}, min_notional=0, quantity_decimals=None,
    )  # fmt: skip
    assert found.metrics["total_return"] == pytest.approx(found.metrics["equal_weight"], rel=1e-9)
