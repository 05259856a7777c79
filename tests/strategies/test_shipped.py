"""What ships decides alike on any engine, from any source, with any threads, and live."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from gated_strategy import TEXT

from cq import signals
from cq.backtest.gating import with_gate
from cq.execution.windows import Windows
from cq.features.gate import save
from cq.lake import Lake
from cq.strategies import load

PROJECT = Path(__file__).parents[2]
SHIPPED = sorted((PROJECT / "configs/strategies").glob("*.yaml"))
NAMES = [*(file.stem for file in SHIPPED), "gated"]
ALWAYS = ("hold_btc", "equal_weight_majors")
"""What is always held."""
SYMBOLS = ["BTC-USDT", "ETH-USDT", "SOL-USDT"]

PROGRAM = """
import sys
from pathlib import Path

import polars as pl

from cq import signals
from cq.backtest.gating import with_gate
from cq.lake import Lake
from cq.strategies import load

folder, names = Path(sys.argv[1]), sys.argv[2:]
lake = Lake(folder / "lake")
memory = pl.read_parquet(folder / "bars.parquet")
sources = {
    "memory": memory.lazy,
    "shuffled memory": lambda: memory.sample(fraction=1.0, shuffle=True, seed=1).lazy(),
    "Parquet": lambda: pl.scan_parquet(folder / "bars.parquet"),
    "lake": lambda: lake.bars(memory["symbol"].unique().to_list(), "1h"),
    "view": lambda: lake.scan("bars").filter(pl.col("interval") == "1h"),
}
for name in names:
    strategy = with_gate(load(folder / f"{name}.yaml"), None)
    expected = pl.read_parquet(folder / f"{name}.parquet")
    for source, bars in sources.items():
        for engine in ("streaming", "in-memory"):
            found = signals.targets(bars(), strategy).collect(engine=engine).sort("symbol", "ts")
            case = f"{name}: {source}, {engine}, {pl.thread_pool_size()} threads"
            assert found.drop("target").equals(expected.drop("target")), case
            apart = (found["target"] - expected["target"]).abs().max()
            assert apart is None or apart <= 1e-9, case
            assert found["target"].is_null().equals(expected["target"].is_null()), case
            print(case)
"""


@pytest.fixture(scope="module")
def folder(shared, tmp_path_factory):
    """A lake, a file and the strategies, with what each decides in memory at full length."""
    folder = tmp_path_factory.mktemp("shipped")
    bars = (
        pl.read_parquet(shared / "market/ohlcv/hourly_binance_usdt_12.parquet")
        .with_columns(symbol=pl.col("symbol").str.replace("USDT$", "-USDT"))
        .filter(pl.col("symbol").is_in(SYMBOLS), pl.col("ts") >= 1_600_000_000 * 10**9)
        .sort("symbol", "ts")
    )
    bars.write_parquet(folder / "bars.parquet", row_group_size=7_000)
    Lake(folder / "lake").write(
        "ohlcv", bars.with_columns(interval=pl.lit("1h")), source="test", now_ns=2 * 10**18
    )
    for file in SHIPPED:
        (folder / file.name).write_text(file.read_text())
    (folder / "gated.yaml").write_text(TEXT)
    gated = with_gate(load(folder / "gated.yaml"), bars)
    save(gated.gate, folder / "gate.joblib")
    (folder / "gated.yaml").write_text(TEXT + f"  trained: {folder / 'gate.joblib'}\n")
    for name in NAMES:
        strategy = with_gate(load(folder / f"{name}.yaml"), None)
        found = signals.targets(bars.lazy(), strategy).collect(engine="in-memory")
        found.write_parquet(folder / f"{name}.parquet")
    return folder


@pytest.mark.parametrize("threads", [1, 2])
def test_signals_are_the_same_bits_from_any_source_on_any_engine(folder, threads):
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(folder), *NAMES],
        env=os.environ | {"POLARS_MAX_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert len(ran.stdout.splitlines()) == len(NAMES) * 5 * 2
    assert f", {threads} threads" in ran.stdout


@pytest.mark.parametrize("name", NAMES)
def test_live_decides_at_each_bar_what_all_of_history_says(folder, name):
    strategy = with_gate(load(folder / f"{name}.yaml"), None)
    whole = pl.read_parquet(folder / f"{name}.parquet")
    windows = Windows(strategy, pl.read_parquet(folder / "bars.parquet"))
    changed = whole.filter(pl.col("signal") != pl.col("signal").shift(1).over("symbol"))
    assert changed.height > 50 or name in ALWAYS
    moments = whole["ts"].unique().sort()
    turns = changed["ts"].unique().sort()
    turns = turns.gather_every(max(1, turns.len() // 25))
    seen = moments.gather_every(2_111).append(turns).append(moments.tail(1)).unique()
    decided = 0
    for (ts,), rows in whole.filter(pl.col("ts").is_in(seen.implode())).group_by("ts"):
        wishes = windows.wishes(ts, SYMBOLS)
        for symbol, signal, target in rows.select("symbol", "signal", "target").rows():
            assert wishes[symbol].signal == signal
            assert (wishes[symbol].target is None) == (target is None)
            assert target is None or abs(wishes[symbol].target - max(target, 0.0)) <= 1e-9
            decided += target is not None
    assert decided > 25 if name in ALWAYS else decided > 60


def test_the_moments_that_are_compared_have_both_answers(folder):
    for name in set(NAMES) - set(ALWAYS):
        found = pl.read_parquet(folder / f"{name}.parquet")["signal"].drop_nulls()
        assert 0.05 < np.mean(found.to_numpy() == 1) < 0.95, name
