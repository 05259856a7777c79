"""The same bars in every system, and how what they answer is held against each other."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from cq.lake import Lake

HERE = Path(__file__).resolve().parent
MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
START = 1_704_067_200_000_000_000  # 2024-01-01
MEASURES = ("open", "high", "low", "close", "volume")
Answer = tuple[int, float]
missed: list[str] = []


def generated(seed: int, minutes: int) -> pl.DataFrame:
    """One symbol's minutes: a walk from a few reais or many thousands, on a tick of 0.01."""
    random = np.random.default_rng(seed)
    first = 10 ** random.uniform(0.7, 5.5)  # what the exchange's symbols cost
    close = first * np.exp(np.cumsum(random.normal(0, 0.0008, minutes)))
    opened = np.concatenate([[first], close[:-1]])
    high = np.maximum(opened, close) * (1 + abs(random.normal(0, 0.0003, minutes)))
    low = np.minimum(opened, close) * (1 - abs(random.normal(0, 0.0003, minutes)))
    prices = {"open": opened, "high": high, "low": low, "close": close}
    return pl.DataFrame({
        "ts": START + np.arange(minutes) * MINUTE,
        **{name: values.round(2) for name, values in prices.items()},
        "volume": random.lognormal(0, 1, minutes).round(5),
    })  # fmt: skip


class Peers:
    """The process that has ArcticDB and Delta; what it lacks, it says, and is left out."""

    def __init__(self, folder: Path) -> None:
        self.python = os.environ.get("CQ_PEERS_PYTHON", sys.executable)
        command = [self.python, "-W", "ignore", str(HERE / "peers/lake.py"), str(folder)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.out: set[str] = set()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any] | None:
        kind = do.partition("_")[0]
        if kind in self.out:
            return None
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps({"do": do, **arguments}), file=self.process.stdin, flush=True)
        said: dict[str, Any] = json.loads(self.process.stdout.readline())
        if "error" in said:
            print(f"  {kind} is left out: {said['error']} (CQ_PEERS_PYTHON may name a Python)")
            self.out.add(kind)
            return None
        return said


@dataclass
class World:
    """The same bars in every system."""

    folder: Path
    lake: Lake
    peers: Peers
    symbols: list[str]
    start: int
    end: int
    rows: int
    sizes: dict[str, float]

    def file(self, symbol: str) -> Path:
        """The one file of a symbol."""
        (path,) = self.lake.files(symbol, "1m")
        return path


def world(folder: Path, frames: Callable[[], Any]) -> World:
    lake, given = Lake(folder / "lake"), folder / "given"
    given.mkdir(parents=True)
    rows, first, last, took = 0, math.inf, 0, 0.0
    for symbol, frame in frames():
        whole = frame.with_columns(
            symbol=pl.lit(symbol), exchange=pl.lit("bench"), interval=pl.lit("1m")
        )
        whole.write_parquet(given / f"{symbol}.parquet")
        begun = time.perf_counter()
        lake.write("ohlcv", whole, source="benchmark", now_ns=1)
        took += time.perf_counter() - begun
        rows += frame.height
        first, last = min(first, frame["ts"][0]), max(last, frame["ts"][-1])
    print(f"  {rows:,} bars landed, checked, keyed and synced: {rows / took / 1e6:.2f} M rows/s")
    peers = Peers(folder)
    sizes = {"cq": weight(folder / "lake/ohlcv"), "polars": weight(given)}
    for name in ("arctic", "delta"):
        if said := peers.ask(f"{name}_fill"):
            assert said["rows"] == rows
            sizes[name] = said["sum"]
    symbols = sorted(path.stem for path in given.iterdir())
    return World(folder, lake, peers, symbols, int(first), int(last) + MINUTE, rows, sizes)


def weight(folder: Path) -> float:
    return float(sum(path.stat().st_size for path in folder.rglob("*.parquet")))


def answer(frame: pl.DataFrame) -> Answer:
    return frame.height, float(frame["close"].sum())


def compare(
    title: str,
    ways: Mapping[str, Callable[[], Answer | dict[str, Any] | None]],
    limits: Mapping[str, float],
    times: int = 15,
) -> None:
    """Run the ways in turn; check that they agree; print medians, ratios of the first, bars."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    answers: dict[str, Answer] = {}
    for turn in range(times + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            said = way()
            took = time.perf_counter() - begun
            if said is None:
                continue
            if isinstance(said, dict):
                took, said = said["seconds"], (said["rows"], said["sum"])
            answers[name] = said
            if turn:
                seconds[name].append(took)
    (first, expected), *others = answers.items()
    for name, other in others:
        if expected[0] != other[0] or not math.isclose(expected[1], other[1], rel_tol=1e-9):
            sys.exit(f"{title}: {first} says {expected}, {name} says {other}")
    print(f"\n{title} ({expected[0]:,} rows, equal in all)")
    mine = median(seconds[first])
    print(f"  {first:34}{mine * 1e3:10.2f} ms")
    for name in answers:
        if name != first:
            verdict(name, mine / median(seconds[name]), median(seconds[name]), limits.get(name))


def verdict(name: str, ratio: float, seconds: float | None, limit: float | None) -> None:
    """One line: the ratio, and whether the bar is met."""
    shown = "" if seconds is None else f"{seconds * 1e3:10.2f} ms"
    line = f"  against {name:26}{shown:13}{ratio:9.2f}×"
    if limit is not None:
        line += f"   (bar {limit:g}×{'' if ratio <= limit else ', MISSED'})"
        if ratio > limit:
            missed.append(f"{name}: {ratio:.2f}× (bar {limit:g}×)")
    print(line, flush=True)
