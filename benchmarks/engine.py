"""Warm runs in one process each: one crossover, one with stops, a portfolio of fifty; and peers.

2.6 million generated minutes (SMA 240/1440, fee 10 bps, slippage 5 bps), fifty markets of 8,760
hours weighed by inverse volatility each day, from a lazy frame of targets. Turns alternate between
the engines, since a machine's speed drifts; medians and ratios are of the same minutes. What takes
peers many seconds they do once. CQ_PEERS_PYTHON names a Python that has vectorbt with its Rust
engine, raptorbt, backtesting.py and bt; without it only our own times are printed.

Returns are checked to be equal before a time is believed: of the crossover to 1e-3 (each engine's
moving average rounds otherwise, and a tie may trade), of the portfolio to 2e-3 (each has its own
order of buying and selling). Stops are not: each engine has its own rules (docs/conformance.md).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from generated import minutes
from measure import COSTS

import cq
from cq.strategies import load

HERE = Path(__file__).resolve().parent
HOUR = 3_600 * 10**9
CROSSOVERS = ("vectorbt crossover", "vectorbt numba crossover", "raptorbt crossover",
              "bare loop crossover", "backtesting.py crossover")  # fmt: skip
STOPS = ("vectorbt stops", "vectorbt numba stops", "raptorbt stops")
WEIGHTS = ("vectorbt weights", "vectorbt numba weights", "bt weights")
ONCE = ("backtesting.py crossover", "bt weights")
MARKETS, HOURS, TURNS = 50, 8_760, 7
STRATEGY = "kind: crossover\nsymbols: [BTC-BRL]\ninterval: 1m\nfast: 240\nslow: 1440\n"


def generated() -> dict[str, np.ndarray]:
    """A market's minutes, and the closes of fifty by the hour."""
    rng = np.random.default_rng(2)
    moves = rng.normal(0, 0.006, (MARKETS, HOURS)) * rng.uniform(0.5, 2.0, (MARKETS, 1))
    return {**minutes(), "closes": 100 * np.exp(np.cumsum(moves, axis=1))}


class Ours:
    """The same cases in cq, from frames in memory to a result with its metrics."""

    def __init__(self, bars: dict[str, np.ndarray], folder: Path) -> None:
        columns = ("ts", "open", "high", "low", "close", "volume")
        one = pl.DataFrame({name: bars[name] for name in columns})
        self.one = one.with_columns(symbol=pl.lit("BTC-BRL"), exchange=pl.lit("x"))
        close = bars["closes"].ravel()
        names = [f"M{i:02}-BRL" for i in range(MARKETS)]
        hours = np.tile(np.arange(HOURS, dtype=np.int64) * HOUR, MARKETS)
        many = pl.DataFrame({"ts": hours, "open": close, "close": close})
        symbols = pl.Series(np.repeat(names, HOURS), dtype=pl.Enum(names))  # grouped faster
        self.many = many.with_columns(symbol=symbols)
        (folder / "cross.yaml").write_text(STRATEGY)
        self.plain = load(folder / "cross.yaml")
        self.stops = load(folder / "cross.yaml", ["orders.trailing_stop=0.008"])

    def crossover(self) -> cq.backtest.BacktestResult:
        return cq.backtest(self.one, self.plain, **COSTS)

    def stops_(self) -> cq.backtest.BacktestResult:
        return cq.backtest(self.one, self.stops, **COSTS)

    def weights(self) -> cq.backtest.BacktestResult:
        inverse = 1 / pl.col("close").pct_change().rolling_std(168)
        inverse = inverse.over("symbol", mapping_strategy="explode")  # a symbol's rows lie together
        midnight = pl.col("ts") // HOUR % 24 == 0
        decided = self.many.lazy().select("ts", "symbol", inverse=inverse).filter(midnight)
        share = pl.col("inverse") / pl.col("inverse").sum().over("ts")
        weighed = decided.select("ts", "symbol", target=share)
        return cq.backtest(self.many, targets=weighed, fill="next_close", **COSTS)


class Peers:
    """A process that runs the cases elsewhere; None where there is no such Python."""

    def __init__(self, python: str, bars: Path) -> None:
        self.process = subprocess.Popen(
            [python, "-W", "ignore", str(HERE / "peers" / "engine_worker.py"), str(bars)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, case: str) -> tuple[float, float, int]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(case + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"the peers' process ended in {case}")
        seconds, total, orders = json.loads(answer)
        return seconds, total, orders


def main() -> None:
    bars, python = generated(), os.environ.get("CQ_PEERS_PYTHON")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        np.savez(folder / "bars.npz", **bars)
        ours = Ours(bars, folder)
        peers = Peers(python, folder / "bars.npz") if python else None
        ours.stops_()  # machine code is loaded once; from then on everything uses it
        compare("B1 crossover", ours.crossover, peers, CROSSOVERS, apart=1e-3)
        compare("B5 stops", ours.stops_, peers, STOPS)
        compare("B4 weights of fifty", ours.weights, peers, WEIGHTS, apart=2e-3)


def compare(title, ours, peers, cases, apart: float | None = None) -> None:
    """Turns in alternation, of the slow ones only one; medians and ratios of equal results."""
    if peers is None:
        cases = ()
    times: dict[str, list[float]] = {"cq": [], **{case: [] for case in cases}}
    found = {}
    for turn in range(TURNS + 1):
        began = time.perf_counter()
        result = ours()
        spent = time.perf_counter() - began
        found["cq"] = (result.metrics["total_return"], result.metrics["trades"])
        if turn:
            times["cq"].append(spent)
        for case in cases:
            if case in ONCE and turn:
                continue
            spent, *found[case] = peers.run(case)
            if apart is not None and abs(found[case][0] - found["cq"][0]) > apart:
                sys.exit(f"{case} returns {found[case][0]:g}, cq {found['cq'][0]:g}")
            if turn or case in ONCE:
                times[case].append(spent)
    print(f"\n{title}")
    mine = statistics.median(times["cq"])
    for name, spent in times.items():
        median = statistics.median(spent)
        total, orders = found[name]
        print(
            f"  {name:24} {median * 1e3:8.1f} ms (least {min(spent) * 1e3:7.1f})  cq is "
            f"{mine / median:5.2f}×   return {total:.6f}, {orders} orders"
        )


if __name__ == "__main__":
    main()
