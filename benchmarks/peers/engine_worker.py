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
from functools import cache

import numpy as np
import pandas as pd

warnings.simplefilter("ignore")
os.environ["RAPTORBT_NO_VERSION_CHECK"] = "1"
FEE, SLIPPAGE, CASH = 0.001, 0.0005, 100_000.0


def crossing(close):
    return close.rolling(240).mean() > close.rolling(1_440).mean()


def vectorbt_signals(bars, engine, stop):
    import vectorbt as vbt

    vbt.settings["engine"] = engine
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


def vectorbt_weights(bars, engine):
    import vectorbt as vbt

    vbt.settings["engine"] = engine
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


def backtesting_crossover(bars):
    """Whole units only, so that the purse is large; slippage is a commission there."""
    from backtesting import Backtest, Strategy, backtesting

    backtesting._tqdm = lambda items, **_: items  # no bar of progress
    held = crossing(pd.Series(bars["close"])).to_numpy()

    class Crossing(Strategy):
        def init(self):
            self.held = self.I(lambda: held.astype(float))

        def next(self):
            if self.held[-1] and not self.position:
                self.buy(size=0.9999)
            elif not self.held[-1] and self.position:
                self.position.close()

    columns = {name.title(): bars[name] for name in ("open", "high", "low", "close", "volume")}
    frame = pd.DataFrame(columns, index=pd.to_datetime(bars["ts"]))
    made = Backtest(frame, Crossing, cash=CASH * 1e6, commission=FEE + SLIPPAGE).run()
    return made["Return [%]"] / 100, 2 * int(made["# Trades"])


def bt_weights(bars):
    import bt

    index = pd.date_range("2024-01-01", periods=bars["closes"].shape[1], freq="h")
    close = pd.DataFrame(bars["closes"].T, index=index).add_prefix("M")
    weights = inverse_volatility(close).dropna()
    plan = bt.Strategy("plan", [bt.algos.WeighTarget(weights), bt.algos.Rebalance()])
    made = bt.Backtest(
        plan, close, initial_capital=CASH, integer_positions=False, progress_bar=False,
        commissions=lambda quantity, price: abs(quantity) * price * (FEE + SLIPPAGE),
    )  # fmt: skip
    made.run()
    worth = made.strategy.values
    return float(worth.iloc[-1] / CASH - 1), len(made.strategy.get_transactions())


def bare_loop(bars):
    """What a loop by hand takes that knows nothing else: no metrics, no checks, one purse."""
    total, orders = looped()(bars["open"], bars["close"], 240, 1_440, FEE, SLIPPAGE, CASH)
    return total, orders


@cache
def looped():
    from numba import njit

    @njit
    def loop(opened, close, fast, slow, fee, slippage, cash):
        equity = np.empty(close.size)
        one, other, held, purse, orders, wanted = 0.0, 0.0, 0.0, cash, 0, False
        for t in range(close.size):
            if wanted and held == 0.0:
                price = opened[t] * (1 + slippage)
                held, purse, orders = purse / (price * (1 + fee)), 0.0, orders + 1
            elif not wanted and held > 0.0:
                price = opened[t] * (1 - slippage)
                held, purse, orders = 0.0, held * price * (1 - fee), orders + 1
            equity[t] = purse + held * close[t]
            one += close[t] - (close[t - fast] if t >= fast else 0.0)
            other += close[t] - (close[t - slow] if t >= slow else 0.0)
            wanted = t >= slow - 1 and one * slow > other * fast
        return equity[-1] / cash - 1, orders

    return loop


CASES = {
    "vectorbt crossover": lambda bars: vectorbt_signals(bars, "rust", stop=False),
    "vectorbt stops": lambda bars: vectorbt_signals(bars, "rust", stop=True),
    "vectorbt weights": lambda bars: vectorbt_weights(bars, "rust"),
    "vectorbt numba crossover": lambda bars: vectorbt_signals(bars, "numba", stop=False),
    "vectorbt numba stops": lambda bars: vectorbt_signals(bars, "numba", stop=True),
    "vectorbt numba weights": lambda bars: vectorbt_weights(bars, "numba"),
    "backtesting.py crossover": backtesting_crossover,
    "bt weights": bt_weights,
    "bare loop crossover": bare_loop,
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
