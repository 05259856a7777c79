"""Generated inputs that many tests share (Hypothesis), and small ones made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import strategies as st

from cq.lake.raw import TRIALS

HOUR = 3_600_000_000_000

BAR_SCHEMA = {
    "ts": pl.Int64,
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Float64,
    "symbol": pl.String,
    "exchange": pl.String,
}


def hourly(symbol: str, closes: Sequence[float], *, start: int = 0) -> pl.DataFrame:
    """Hourly bars with these closes; each opens at the close before it."""
    opens = [closes[0], *closes[:-1]] if closes else []
    rows = [
        (start + i * HOUR, o, max(o, c), min(o, c), c, 1.0, symbol, "test")
        for i, (o, c) in enumerate(zip(opens, closes, strict=True))
    ]
    return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row")


@st.composite
def bars(
    draw: st.DrawFn,
    *,
    symbols: Sequence[str] = ("A-B",),
    min_size: int = 0,
    max_size: int = 60,
    gaps: bool = True,
) -> pl.DataFrame:
    """Hourly bars of each symbol, sorted by (symbol, ts): ragged starts, gaps, flat stretches."""
    frames = [_of_one(draw, one, min_size, max_size, gaps) for one in sorted(symbols)]
    return pl.concat(frames)


def _of_one(draw: Any, symbol: str, min_size: int, max_size: int, gaps: bool) -> pl.DataFrame:
    size = draw(st.integers(min_size, max_size))
    first = draw(st.integers(0, 10)) if gaps else 0
    steps = st.sampled_from([1, 1, 1, 1, 2, 5]) if gaps else st.just(1)
    hours = [first]
    for step in draw(st.lists(steps, min_size=max(size - 1, 0), max_size=max(size - 1, 0))):
        hours.append(hours[-1] + step)
    scale = draw(st.sampled_from([0.0001, 1.0, 350_000.0]))
    moves = st.sampled_from([-0.2, -0.03, -0.001, 0.0, 0.0, 0.001, 0.03, 0.2])
    price, rows = scale, []
    pairs = draw(st.lists(st.tuples(moves, moves), min_size=size, max_size=size))
    for hour, (gap, move) in zip(hours, pairs, strict=False):
        start = max(round(price * (1 + gap), 8), 1e-8)
        end = max(round(start * (1 + move), 8), 1e-8)
        rows.append(
            (hour * HOUR, start, max(start, end), min(start, end), end, 1.0, symbol, "test")
        )
        price = end
    return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row")


def run_folder(runs: Path, name: str, **metrics: float) -> None:
    """A folder below `runs` as a backtest leaves it: two fills, three bars."""
    folder = runs / name
    folder.mkdir(parents=True)
    config = {
        "strategy": {"name": "cross", "interval": "1h"}, "symbols": ["A-B"],
        "backtest": {"cash": 9},
        "data": {"rows": 3, "first": "2024-01-01T00:00:00Z", "last": "2024-01-01T02:00:00Z",
                 "files": ["ohlcv/a.parquet", "ohlcv/b.parquet"], "sha256": "ab"},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "metrics.json").write_text(json.dumps({"sharpe": None, "trades": 2} | metrics))
    (folder / "run.json").write_text(json.dumps({"id": name, "started": "2024-05-01T10:00:00Z"}))
    (folder / "trades.csv").write_text(
        "ts,symbol,side,qty,price,fee,slippage\n"
        "1704067200000000000,A-B,buy,1.5,100.0,0.7,0.1\n1704070800000000000,A-B,sell,1.5,101.0,0.7,0.1\n"
    )
    curve = {"ts": [1, 2, 3], "equity": [9.0, 12.0, 6.0], "cash": [9.0] * 3, "exposure": [0.0] * 3}
    pl.DataFrame(curve).write_parquet(folder / "equity.parquet", compression="lz4")


def sweep_folder(
    runs: Path, name: str, sharpes: list[float | None], kind: str = "crossover"
) -> None:
    """A folder below `runs` as a sweep leaves it: one file with a row a trial."""
    rows = [
        {"trial": number, "started": "2024-05-01T10:00:00Z", "strategy": "cross",
         "interval": "1h", "symbols": ["A-B"], "trades": 2, "sharpe": sharpe,
         "config": json.dumps({"strategy": {"kind": kind, "fast": number}})}
        for number, sharpe in enumerate(sharpes, 1)
    ]  # fmt: skip
    (runs / name).mkdir(parents=True)
    empty = dict.fromkeys(TRIALS)
    frame = pl.DataFrame([empty | row for row in rows], schema=TRIALS)
    frame.write_parquet(runs / name / "trials.parquet")
