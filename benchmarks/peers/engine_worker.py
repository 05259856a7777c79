"""Runs of `benchmarks/engine.py` in vectorbt and raptorbt: waits for a case's name, says its time.

Arguments: the .npz of bars and weights. Each line of the input is `engine case`; the answer is the
seconds it took and what it came to (return, number of orders).
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings

import numpy as np
import pandas as pd

warnings.simplefilter("ignore")
os.environ["RAPTORBT_NO_VERSION_CHECK"] = "1"
FEE, SLIPPAGE, CASH = 0.001, 0.0005, 100_000.0


def crossing(close):
    return close.rolling(240).mean() > close.rolling(1_440).mean()


def vectorbt_signals(bars, stop):
    import vectorbt as vbt

    vbt.settings["engine"] = "rust"
    close = pd.Series(bars["close"])
    held = crossing(close)
    options = {"price": pd.Series(bars["open"])}
    if stop:
        options = {
            "open": pd.Series(bars["open"]), "high": pd.Series(bars["high"]),
            "low": pd.Series(bars["low"]), "sl_stop": 0.008, "sl_trail": True,
        }  # fmt: skip
    else:
        held = held.shift(1, fill_value=False)
    before = held.shift(1, fill_value=False)
    made = vbt.Portfolio.from_signals(
        close, held & ~before, ~held & before, fees=FEE, slippage=SLIPPAGE, init_cash=CASH,
        freq="1min", **options,
    )  # fmt: skip
    made.value()
    made.sharpe_ratio()
    made.max_drawdown()
    return float(made.total_return()), len(made.orders.records)


def vectorbt_weights(bars):
    import vectorbt as vbt

    vbt.settings["engine"] = "rust"
    close = pd.DataFrame(bars["closes"].T)
    weights = inverse_volatility(close)
    made = vbt.Portfolio.from_orders(
        close, weights, size_type="targetpercent", group_by=True, cash_sharing=True,
        call_seq="auto", fees=FEE, slippage=SLIPPAGE, init_cash=CASH, freq="1h",
    )  # fmt: skip
    made.value()
    made.sharpe_ratio()
    made.max_drawdown()
    return float(made.total_return()), len(made.orders.records)


def inverse_volatility(close):
    """Every 24 hours, from the deviation of a week's returns; no order between."""
    inverse = 1 / close.pct_change().rolling(168).std()
    weights = inverse.div(inverse.sum(axis=1), axis=0)
    weights[np.arange(len(close)) % 24 != 0] = np.nan
    return weights


def raptorbt_signals(bars, stop):
    import raptorbt

    close = bars["close"]
    held = np.nan_to_num(raptorbt.sma(close, 240)) > np.nan_to_num(raptorbt.sma(close, 1_440))
    held[:1_439] = False
    before = np.concatenate(([False], held[:-1]))
    config = raptorbt.BacktestConfig(
        initial_capital=CASH, fees=FEE, slippage=SLIPPAGE, fill_timing="next_bar_open"
    )
    if stop:
        config.set_trailing_stop(0.008)
    columns = (bars["open"], bars["high"], bars["low"], close, bars["volume"])
    made = raptorbt.run_single_backtest(
        bars["ts"], *columns, held & ~before, ~held & before, config=config
    )
    made.equity_curve()
    return made.metrics.total_return_pct / 100, 2 * made.metrics.total_trades


CASES = {
    "vectorbt crossover": lambda bars: vectorbt_signals(bars, stop=False),
    "vectorbt stops": lambda bars: vectorbt_signals(bars, stop=True),
    "vectorbt weights": vectorbt_weights,
    "raptorbt crossover": lambda bars: raptorbt_signals(bars, stop=False),
    "raptorbt stops": lambda bars: raptorbt_signals(bars, stop=True),
}


def main() -> None:
    bars = dict(np.load(sys.argv[1]))
    for line in sys.stdin:
        began = time.perf_counter()
        found = CASES[line.strip()](bars)
        print(json.dumps([time.perf_counter() - began, *found]), flush=True)


main()
