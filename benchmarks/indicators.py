"""Indicators over 10 M rows, in one symbol and in 50, against TA-Lib, pandas and polars-talib.

All in one process, in turn, each the best of so many rounds: what counts are the ratios. The
market is a seeded random walk. `python benchmarks/indicators.py [ROWS] [ROUNDS] [--cpu]`;
--cpu counts the processor's time of all threads, which a busy machine disturbs less.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import talib

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from talib_twins import TWINS

from cq.indicators import (
    atr,
    bollinger,
    ema,
    in_time_order,
    macd,
    rolling_vwap,
    rsi,
    sma,
    with_indicators,
)

OPEN, H, L, C, V = "open", "high", "low", "close", "volume"
Run = Callable[[], object]
CLOCK = time.process_time if "--cpu" in sys.argv else time.perf_counter

SEVEN = {
    "sma": lambda: {"sma": sma(C, 20)},
    "ema": lambda: {"ema": ema(C, 20)},
    "rsi": lambda: {"rsi": rsi(C, 14)},
    "atr": lambda: {"atr": atr(H, L, C, 14)},
    "macd": lambda: macd(C),
    "bollinger": lambda: bollinger(C, 20, 2.0),
    "vwap": lambda: {"vwap": rolling_vwap(H, L, C, V, 60)},
}
"""The indicators of the specification."""


def market(rows: int) -> pl.DataFrame:
    random = np.random.default_rng(1)
    close = np.round(30_000 * np.exp(np.cumsum(random.normal(0, 1e-3, rows))), 2)
    wick = np.round(random.uniform(0, 10, (2, rows)), 2)
    return pl.DataFrame(
        {
            "ts": np.arange(rows),
            OPEN: np.concatenate([close[:1], close[:-1]]),
            H: close + wick[0],
            L: close - wick[1],
            C: close,
            V: np.round(random.uniform(0, 5, rows), 3),
        }
    )


def theirs(bars: pl.DataFrame) -> dict[str, Run]:
    h, low, c, _ = (bars[name].to_numpy() for name in (H, L, C, V))
    return {
        "sma": lambda: talib.SMA(c, 20),
        "ema": lambda: talib.EMA(c, 20),
        "rsi": lambda: talib.RSI(c, 14),
        "atr": lambda: talib.ATR(h, low, c, 14),
        "macd": lambda: talib.MACD(c),
        "bollinger": lambda: talib.BBANDS(c, 20, 2.0, 2.0),
    }


def in_pandas(bars: pl.DataFrame) -> dict[str, Run]:
    if importlib.util.find_spec("pandas") is None:
        return {}
    import pandas as pd

    h, low, c, v = (pd.Series(bars[name].to_numpy()) for name in (H, L, C, V))

    def mean(x: pd.Series, n: int, alpha: float | None = None) -> pd.Series:
        return x.ewm(alpha=alpha or 2 / (n + 1), adjust=False).mean()

    def strength() -> pd.Series:
        moved = c.diff()
        up, down = moved.clip(lower=0), -moved.clip(upper=0)
        return 100 - 100 / (1 + mean(up, 14, 1 / 14) / mean(down, 14, 1 / 14))

    def span() -> pd.Series:
        before = c.shift()
        return mean(np.maximum(h, before) - np.minimum(low, before), 14, 1 / 14)

    def crossing() -> tuple[pd.Series, ...]:
        line = mean(c, 12) - mean(c, 26)
        signal = mean(line, 9)
        return line, signal, line - signal

    def bands() -> tuple[pd.Series, ...]:
        window = c.rolling(20)
        mid, band = window.mean(), 2 * window.std(ddof=0)
        return mid, mid + band, mid - band

    def traded() -> pd.Series:
        return ((h + low + c) / 3 * v).rolling(60).sum() / v.rolling(60).sum()

    return {
        "sma": lambda: c.rolling(20).mean(),
        "ema": lambda: mean(c, 20),
        "rsi": strength,
        "atr": span,
        "macd": crossing,
        "bollinger": bands,
        "vwap": traded,
    }


def in_polars_talib(bars: pl.DataFrame) -> dict[str, Run]:
    if importlib.util.find_spec("polars_talib") is None:
        return {}
    import polars_talib as plta

    lazy, c = bars.lazy(), pl.col(C)
    made = {
        "sma": plta.sma(c, 20),
        "ema": plta.ema(c, 20),
        "rsi": plta.rsi(c, 14),
        "atr": plta.atr(pl.col(H), pl.col(L), c, 14),
        "macd": plta.macd(c),
        "bollinger": plta.bbands(c, 20),
    }
    return {name: lambda expr=expr: lazy.select(x=expr).collect() for name, expr in made.items()}


def best(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Milliseconds of the best of so many rounds, A B A B …"""
    found: dict[str, float] = {}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            started = CLOCK()
            run()
            took = (CLOCK() - started) * 1e3
            if turn:
                found[name] = min(found.get(name, took), took)
    return found


def ours(bars: pl.DataFrame, make: Callable[[], dict[str, pl.Expr]]) -> Run:
    names = list(make())
    return lambda: with_indicators(bars, make).select(names).collect()


def one_symbol(bars: pl.DataFrame, rounds: int) -> None:
    print("\nB6: one symbol (limits: 1.0× pandas, 5× TA-Lib)")
    peers = {
        "talib": theirs(bars),
        "pandas": in_pandas(bars),
        "polars_talib": in_polars_talib(bars),
    }
    for name, make in SEVEN.items():
        runs = {"cq": ours(bars, make)}
        runs |= {peer: known[name] for peer, known in peers.items() if name in known}
        took = best(runs, rounds)
        ratios = "  ".join(
            f"{peer} {ms:6.0f} ms ({took['cq'] / ms:4.2f}×)"
            for peer, ms in took.items()
            if peer != "cq"
        )
        print(f"  {name:12} {took['cq']:6.0f} ms   {ratios}", flush=True)


def many_symbols(bars: pl.DataFrame, rounds: int, symbols: int = 50) -> None:
    print(f"\nB7: {symbols} symbols (limit: 0.6× of a plain .over)")
    size = bars.height // symbols
    number = pl.int_range(pl.len()) // size
    grouped = bars.head(size * symbols).with_columns(symbol=pl.format("S{}", number))
    for name, make in SEVEN.items():
        plain = {key: in_time_order(expr) for key, expr in make().items()}
        runs: dict[str, Run] = {
            "cq": ours(grouped, make),
            "over": lambda plain=plain: grouped.lazy().select(**plain).collect(),
        }
        took = best(runs, rounds)
        print(f"  {name:12} {took['cq']:6.0f} ms   over {took['over']:6.0f} ms "
              f"({took['cq'] / took['over']:4.2f}×)", flush=True)  # fmt: skip


def every_twin(bars: pl.DataFrame, rounds: int) -> None:
    print("\nEvery other one (limit: 10× its TA-Lib twin)")
    arrays = {name: bars[name].to_numpy() for name in (OPEN, H, L, C, V)}
    worst = 0.0
    for case, twin in TWINS.items():
        runs: dict[str, Run] = {
            "cq": ours(bars, twin.mine),
            "talib": lambda twin=twin: twin.theirs(arrays),
        }
        took = best(runs, rounds)
        ratio = took["cq"] / took["talib"]
        worst = max(worst, ratio)
        print(
            f"  {case:20} {took['cq']:6.0f} ms   talib {took['talib']:6.0f} ms ({ratio:5.2f}×)",
            flush=True,
        )
    print(f"  the worst: {worst:.2f}×")


def main() -> None:
    given = [int(one) for one in sys.argv[1:] if one.isdigit()]
    rows, rounds = (*given, *(10_000_000, 5)[len(given) :])[:2]
    print(f"{rows:,} rows, best of {rounds}")
    bars = market(rows)
    one_symbol(bars, rounds)
    many_symbols(bars, rounds)
    every_twin(bars, max(1, rounds // 2))


if __name__ == "__main__":
    main()
