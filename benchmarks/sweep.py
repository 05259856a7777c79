"""A sweep of 1,000 crossings over a year of minutes: cq.sweep, vectorbt on both engines, raptorbt.

525,600 generated minutes, every pair of 46 means (30 to 1,380 bars; 1,035 pairs), fee 10 bps,
slippage 5 bps, filled at the next open, all in or all out. Peers run fifty of the pairs (each costs
them the same; all would need gigabytes), and times are compared a pair. Turns alternate. On the
pairs that all run, results are first checked to be equal. CQ_PEERS_PYTHON names a Python that has
vectorbt with its Rust engine and raptorbt (its batch of many signals on one series).
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from measure import COSTS

import cq

HERE = Path(__file__).resolve().parent
MINUTE, BARS, TURNS, THEIRS = 60 * 10**9, 525_600, 5, 50
WINDOWS = range(30, 1_410, 30)
STRATEGY = "kind: crossover\nsymbols: [BTC-BRL]\ninterval: 1m\nfast: 20\nslow: 200\n"


def generated() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    close = np.round(30_000 * np.exp(np.cumsum(rng.normal(0, 0.0004, BARS))), 2)
    opened = np.concatenate(([30_000.0], close[:-1])) * np.exp(rng.normal(0, 0.0001, BARS))
    return {
        "ts": np.arange(BARS, dtype=np.int64) * MINUTE,
        "open": np.round(opened, 2),
        "close": close,
    }


def peak() -> float:
    """MiB that this process has held at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


class Peers:
    """A process that runs the first pairs elsewhere."""

    def __init__(self, python: str, bars: Path, pairs: list[tuple[int, int]]) -> None:
        self.process = subprocess.Popen(
            [python, "-W", "ignore", str(HERE / "peers" / "sweep_worker.py"), str(bars),
             json.dumps(pairs)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, case: str) -> tuple[float, list[float], list[int]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(case + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"the peers' process ended in {case}")
        seconds, returns, orders = json.loads(answer)
        return seconds, returns, orders


def check_equal(case: str, trials: pl.DataFrame, found: tuple[list[float], list[int]]) -> None:
    """The same money and trades; means are rounded otherwise, so that a tie may trade elsewhere."""
    ours = trials[:: trials.height // THEIRS].head(THEIRS)
    apart = np.abs(np.array(found[0]) - ours["total_return"].to_numpy())
    off = np.abs(np.array(found[1]) - ours["trades"].to_numpy())
    if (apart > 1e-3).any() or (off > 4).any():
        sys.exit(f"results differ from {case}'s: by {apart.max():g}, {off.max()} trades")
    print(f"equal to {case}: returns within {apart.max():.1e}, {int((off == 0).sum())} of {THEIRS}"
          " pairs with the same number of trades")  # fmt: skip


def main() -> None:
    bars, python = generated(), os.environ.get("CQ_PEERS_PYTHON")
    pairs = list(itertools.combinations(WINDOWS, 2))
    cases = ("vectorbt rust", "vectorbt numba", "raptorbt") if python else ()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        np.savez(folder / "bars.npz", **bars)
        path = folder / "cross.yaml"
        path.write_text(STRATEGY)
        frame = pl.DataFrame(bars).with_columns(symbol=pl.lit("BTC-BRL"))
        some = pairs[:: len(pairs) // THEIRS][:THEIRS]
        peers = Peers(python, folder / "bars.npz", some) if python else None
        grid = {"fast": WINDOWS, "slow": WINDOWS}
        some_grid = {"fast": [30], "slow": WINDOWS[1:41]}
        cq.sweep(frame, path, some_grid, **COSTS)  # machine code is made, or loaded
        before = peak()
        times: dict[str, list[float]] = {"cq": [], **{case: [] for case in cases}}
        for turn in range(TURNS):
            began = time.perf_counter()
            result = cq.sweep(frame, path, grid, top=1, **COSTS)
            times["cq"].append((time.perf_counter() - began) / len(pairs))
            if turn == 0:
                print(f"{len(pairs):,} pairs: {peak() - before:.0f} MiB more memory")
            for case in cases:
                assert peers is not None
                if turn == 0:
                    check_equal(case, result.trials, peers.run(case)[1:])
                if turn < 2 or case != "vectorbt numba":
                    times[case].append(peers.run(case)[0] / THEIRS)
    mine = statistics.median(times["cq"])
    for name, spent in times.items():
        median = statistics.median(spent)
        print(
            f"  {name:16} {median * 1e3:9.3f} ms a pair, {BARS / median / 1e6:8.1f} M pair-bars/s;"
            f" cq is {median / mine:7.1f} times as fast"
        )


if __name__ == "__main__":
    main()
