"""Pairs of `benchmarks/sweep.py` in vectorbt and raptorbt: waits for a case's name, says its time.

Arguments: the .npz of bars, and the pairs as JSON. The answer to a line is the seconds it took, the
returns and the numbers of orders. Means are part of the time, each distinct one made once.
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


def held_of(bars, pairs):
    """A column a pair: whether the account is to be in, one bar later."""
    close = pd.Series(bars["close"])
    means = {window: close.rolling(window).mean() for window in {w for pair in pairs for w in pair}}
    held = [(means[fast] > means[slow]).to_numpy() for fast, slow in pairs]
    return np.column_stack(held)


def vectorbt(bars, pairs, engine):
    import vectorbt as vbt

    vbt.settings["engine"] = engine
    held = np.vstack((np.zeros((1, len(pairs)), dtype=bool), held_of(bars, pairs)[:-1]))
    before = np.vstack((np.zeros((1, len(pairs)), dtype=bool), held[:-1]))
    made = vbt.Portfolio.from_signals(
        pd.Series(bars["close"]), held & ~before, ~held & before, price=pd.Series(bars["open"]),
        fees=FEE, slippage=SLIPPAGE, init_cash=CASH, freq="1min",
    )  # fmt: skip
    made.sharpe_ratio()
    made.max_drawdown()
    return made.total_return().tolist(), made.orders.count().tolist()


def raptorbt(bars, pairs):
    import raptorbt as rb

    config = rb.BacktestConfig(
        initial_capital=CASH, fees=FEE, slippage=SLIPPAGE, fill_timing="next_bar_open"
    )
    close, volume = bars["close"], np.ones(len(bars["close"]))
    high, low = np.maximum(bars["open"], close), np.minimum(bars["open"], close)
    held, items = held_of(bars, pairs), []
    for column, pair in enumerate(pairs):
        now = np.ascontiguousarray(held[:, column])
        before = np.concatenate(([False], now[:-1]))
        items.append(rb.BatchSingleItem(str(pair), now & ~before, ~now & before))
    columns = (bars["ts"], bars["open"], high, low, close, volume)
    made = [one.metrics for _, one in rb.batch_single_backtest(*columns, items, config=config)]
    return [one.total_return_pct / 100 for one in made], [2 * one.total_trades for one in made]


CASES = {
    "vectorbt rust": lambda bars, pairs: vectorbt(bars, pairs, "rust"),
    "vectorbt numba": lambda bars, pairs: vectorbt(bars, pairs, "numba"),
    "raptorbt": raptorbt,
}


def main() -> None:
    bars, pairs = dict(np.load(sys.argv[1])), [tuple(pair) for pair in json.loads(sys.argv[2])]
    for line in sys.stdin:
        began = time.perf_counter()
        found = CASES[line.strip()](bars, pairs)
        print(json.dumps([time.perf_counter() - began, *found]), flush=True)


main()
