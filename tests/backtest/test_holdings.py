"""Positions are told at each bar's close, and come to equity together with cash."""

from __future__ import annotations

import random

import makers
import polars as pl
import pytest

import cq

ROUGH = {"cash": 10_000, "fees": {"taker": 0.01}, "slippage": {"bps": 10}}


def wandering(symbol, count, seed, start=0):
    chance = random.Random(seed)
    closes = [100.0]
    for _ in range(count - 1):
        closes.append(closes[-1] * (1 + chance.gauss(0, 0.02)))
    wants = [chance.choice([0.0, 0.3, 0.45, None]) for _ in closes]
    made = makers.hourly(symbol, closes, start=start).drop("exchange")
    made = made.with_columns(target=pl.Series(wants, dtype=pl.Float64), volume=pl.lit(5.0))
    return made.filter(pl.int_range(pl.len()) % 11 != 7)  # holes


BOTH = pl.concat([wandering("A-B", 120, 1), wandering("C-D", 90, 2, 13 * makers.HOUR)])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"fill": "next_close"},
        {"fill": "next_close", "quantity_decimals": None},
        {"profile": "vectorbt"},
        {"fill": "next_close", "slippage": {"kind": "participation"}, "latency_bars": 2,
         "orders": {"stop_loss": 0.02, "entry": "limit", "offset": 0.005}},
        {"slippage": {"kind": "participation"}, "orders": {"trailing_stop": 0.02, "max_bars": 5}},
    ],
)  # fmt: skip
def test_cash_and_positions_are_equity_at_every_close(settings):
    result = cq.backtest(BOTH, **(ROUGH | settings))
    assert result.trades.height > 20
    worth = result.positions.group_by("ts").agg(pl.col("worth").sum())
    joined = result.equity.join(worth, on="ts", how="left").fill_null(0.0)
    assert (joined["cash"] + joined["worth"] - joined["equity"]).abs().max() < 1e-6
    weights = result.positions.group_by("ts").agg(pl.col("weight").abs().sum())
    joined = result.equity.join(weights, on="ts", how="left").fill_null(0.0)
    assert (joined["exposure"] - joined["weight"]).abs().max() < 1e-9


def test_a_symbol_without_a_bar_is_held_at_its_last_close_and_marked():
    held = BOTH.with_columns(target=pl.lit(0.4))
    positions = cq.backtest(held, **ROUGH).positions
    assert positions.columns == ["ts", "symbol", "qty", "close", "worth", "weight", "stale"]
    with_bar = held.select("ts", "symbol", real=pl.col("close"))
    joined = positions.join(with_bar, on=["ts", "symbol"], how="left")
    assert (joined["real"].is_null() == joined["stale"]).all()
    assert joined["stale"].any()
    before = joined.with_columns(pl.col("real").forward_fill().over("symbol"))
    assert (before["real"] == before["close"]).all()


def test_where_nothing_was_traded_nothing_is_held():
    result = cq.backtest(BOTH.with_columns(target=pl.lit(0.0)), **ROUGH)
    assert result.positions.is_empty()
    assert result.positions.schema == pl.Schema(
        dict.fromkeys(("ts", "symbol", "qty", "close", "worth", "weight"), pl.Float64)
        | {"ts": pl.Int64, "symbol": pl.String, "stale": pl.Boolean}
    )
