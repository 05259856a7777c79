"""The crossover of benchmarks/backtest.py in vectorbt: Parquet in, results on disk, one process.

Written to be quick: numbered rows (a DatetimeIndex makes vectorbt several times slower), records
read as they are.

Arguments: Parquet file, symbol, output folder, engine (rust or numba), fast, slow, fee, slippage.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import pandas as pd  # noqa: E402
import vectorbt as vbt  # noqa: E402


def main() -> None:
    file, symbol, out, engine = sys.argv[1:5]
    fast, slow = int(sys.argv[5]), int(sys.argv[6])
    fee, slippage = float(sys.argv[7]), float(sys.argv[8])
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    if "engine" in vbt.settings:
        vbt.settings["engine"] = engine
    bars = pd.read_parquet(
        file, columns=["ts", "open", "close"], filters=[("symbol", "==", symbol)]
    )
    close, opened = bars["close"].reset_index(drop=True), bars["open"].reset_index(drop=True)
    above = close.rolling(fast).mean() > close.rolling(slow).mean()
    held = above.shift(1, fill_value=False)  # decided at the close, filled at the next open
    before = held.shift(1, fill_value=False)
    portfolio = vbt.Portfolio.from_signals(
        close, held & ~before, ~held & before, price=opened, fees=fee, slippage=slippage,
        init_cash=100_000, freq="1min",
    )  # fmt: skip
    equity = portfolio.value()
    portfolio.orders.records_readable.to_csv(folder / "trades.csv", index=False)
    equity.to_frame("equity").to_parquet(folder / "equity.parquet")
    found = {
        "total_return": float(portfolio.total_return()),
        "sharpe": float(portfolio.sharpe_ratio()),
        "max_dd": float(portfolio.max_drawdown()),
        "hit_rate": float(portfolio.trades.win_rate()),
        "fees": float(portfolio.orders.records["fees"].sum()),
        "trades": len(portfolio.orders.records),
    }
    (folder / "metrics.json").write_text(json.dumps(found))


main()
