"""The crossover of benchmarks/backtest.py in raptorbt: Parquet in, results on disk, one process.

Arguments: Parquet file, symbol, output folder, fast, slow, fee, slippage.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

os.environ["RAPTORBT_NO_VERSION_CHECK"] = "1"
import raptorbt


def main() -> None:
    file, symbol, out = sys.argv[1:4]
    fast, slow = int(sys.argv[4]), int(sys.argv[5])
    fee, slippage = float(sys.argv[6]), float(sys.argv[7])
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["ts", "open", "high", "low", "close", "volume"]
    rows = pq.read_table(file, columns=columns, filters=[("symbol", "==", symbol)])
    bars = [np.ascontiguousarray(rows[name].to_numpy()) for name in columns]
    bars[0] = bars[0].astype(np.int64)
    close = bars[4]
    held = np.nan_to_num(raptorbt.sma(close, fast)) > np.nan_to_num(raptorbt.sma(close, slow))
    held[: slow - 1] = False
    before = np.concatenate(([False], held[:-1]))
    config = raptorbt.BacktestConfig(
        initial_capital=100_000.0, fees=fee, slippage=slippage, fill_timing="next_bar_open"
    )
    made = raptorbt.run_single_backtest(*bars, held & ~before, ~held & before, config=config)
    with (folder / "trades.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        for one in made.trades():
            writer.writerow(
                (one.entry_time, one.exit_time, one.entry_price, one.exit_price, one.size, one.pnl)
            )
    equity = pa.table({"equity": np.asarray(made.equity_curve())})
    pq.write_table(equity, folder / "equity.parquet")
    found = {
        "total_return": made.metrics.total_return_pct / 100,
        "sharpe": made.metrics.sharpe_ratio,
        "max_dd": -made.metrics.max_drawdown_pct / 100,
        "trades": 2 * made.metrics.total_trades,
    }
    (folder / "metrics.json").write_text(json.dumps(found))


main()
