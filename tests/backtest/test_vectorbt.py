"""The same trades and the same equity as vectorbt under the same rules, on real hourly bars."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cq import backtest
from cq.lake import Lake
from cq.strategies import load
from cq.utils.config import defaults

PROJECT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("vectorbt_crossover.py")


@pytest.fixture(scope="module")
def python() -> str:
    named = os.environ.get("CQ_PEERS_PYTHON")
    if named:
        return named
    if importlib.util.find_spec("vectorbt"):
        return sys.executable
    pytest.skip("vectorbt is not installed; CQ_PEERS_PYTHON may name a Python that has it")


CASES = (
    ("BTC-USDT", 72, 480, "next_open", 0.007, 5.0),
    ("ETH-USDT", 5, 30, "next_open", 0.001, 2.0),
    ("DOGE-USDT", 24, 168, "next_close", 0.0, 0.0),
)


def test_trades_and_equity_are_vectorbts(python, shared, tmp_path):
    results = [ours(shared, tmp_path / case[0], *case) for case in CASES]
    folders = [str(tmp_path / case[0]) for case in CASES]
    ran = subprocess.run(
        [python, "-W", "ignore", str(PROGRAM), *folders], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    for case, result in zip(CASES, results, strict=True):
        assert_agrees(result, tmp_path / case[0], fill=case[3])


def ours(shared, folder, symbol, fast, slow, fill, taker, bps):
    """Our run of one case; its bars and rules are written for vectorbt."""
    bars = pl.read_parquet(shared / "market/ohlcv/hourly_binance_usdt_12.parquet").filter(
        pl.col("symbol") == symbol.replace("-", "")
    )
    lake = Lake(folder / "lake")
    named = bars.with_columns(symbol=pl.lit(symbol), interval=pl.lit("1h"))
    lake.write("ohlcv", named, source="test", now_ns=2 * 10**18)
    overrides = {
        "symbols": symbol, "fast": fast, "slow": slow, "backtest.fill": fill,
        "backtest.fees.taker": taker, "backtest.slippage.bps": bps,
        "backtest.quantity_decimals": "null", "backtest.min_notional": 0,
    }  # fmt: skip
    strategy = load(
        PROJECT / "configs/strategies/crossover_btc.yaml",
        [f"{key}={value}" for key, value in overrides.items()],
    )
    result = backtest.run(lake, strategy, defaults(PROJECT).backtest)
    bars.select("ts", "open", "close").write_csv(folder / "bars.csv")
    rules = {
        "fast": fast, "slow": slow, "price": fill.removeprefix("next_"), "fee": taker,
        "slippage": bps / 1e4, "cash": result.cash,
    }  # fmt: skip
    (folder / "rules.json").write_text(json.dumps(rules))
    return result


def assert_agrees(result, folder, *, fill):
    orders = pl.read_csv(folder / "orders.csv", infer_schema_length=None)
    equity = pl.read_csv(folder / "equity.csv", infer_schema_length=None)
    found = result.trades
    if fill == "next_close":  # vectorbt says when the bar opened, we say when it was filled
        found = found.with_columns(pl.col("ts") - 3_600_000_000_000)
    assert found.height > 100
    assert_frame_equal(found.select("ts", "side"), orders.select("ts", "side"))
    numbers = ["qty", "price", "fee"]
    assert_frame_equal(
        found.select(numbers),
        orders.select(pl.col(numbers).cast(pl.Float64)),
        rel_tol=1e-9,
        abs_tol=1e-12,
    )
    assert_frame_equal(result.equity.select("equity"), equity.cast(pl.Float64), rel_tol=1e-9)
