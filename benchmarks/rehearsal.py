"""A rehearsal: `cq sim` in a process of its own, a project that points at it, and its tape."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from cq.sim.arrays import TradeArrays
from cq.sim.tape import Tape
from cq.utils.time import MINUTE, SECOND, iso

CQ = [sys.executable, "-m", "cq"]
UNLIMITED = {
    "CQ_INGESTION__RATE_LIMITS__REQUESTS_PER_MINUTE": "60000000",
    "CQ_INGESTION__RATE_LIMITS__REQUESTS_PER_SECOND": "1000000",
}


@dataclass
class Exchange:
    """A running `cq sim`."""

    process: subprocess.Popen[str]
    where: Mapping[str, Any]
    options: Mapping[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """What points cq at it."""
        return {
            "CQ_INGESTION__REST_BASE_URL": self.where["rest"],
            "CQ_INGESTION__WS_URL": self.where["ws"],
        }

    def status(self) -> dict[str, Any]:
        """What it has done so far."""
        with urllib.request.urlopen(self.where["status"], timeout=10) as reply:
            found: dict[str, Any] = json.load(reply)
        return found

    def run_at(self, speed: float) -> int:
        """Another pace; the exchange's time at the change."""
        url = self.where["status"].replace("/status", "/clock")
        body = json.dumps({"speed": speed}).encode()
        asked = urllib.request.Request(
            url, data=body, headers={"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(asked, timeout=10) as reply:
            return int(json.load(reply)["now_ns"])

    def tape(self) -> Tape:
        """The same market, made here."""
        return Tape.generated(self.options["seed"], self.options["trades_per_minute"])


@contextmanager
def exchange(**options: Any) -> Iterator[Exchange]:
    """`cq sim` with these options (`seed=3, speed=100, no_limits=True`), until the block ends."""
    options = {"seed": 0, "trades_per_minute": 4.0, "port": 0} | options
    words: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        words += [flag] if value is True else [flag, str(value)]
    process = subprocess.Popen(
        [*CQ, "sim", "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    if not line:
        sys.exit(f"cq sim did not start: {process.stderr.read()}")
    try:
        yield Exchange(process, json.loads(line), options)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@dataclass
class Project:
    """A project folder of its own, and the environment its commands run in."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        subprocess.run([*CQ, "init", str(self.folder)], check=True, capture_output=True)

    def start(self, *words: str, log: Path | None = None) -> subprocess.Popen[str]:
        """A command, running; it leads a process group of its own."""
        out = subprocess.PIPE if log is None else log.open("a")
        return subprocess.Popen(
            [*CQ, "--project", str(self.folder), *words],
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **self.environment},
            start_new_session=True,
        )

    def run(self, *words: str) -> str:
        """A command to its end; what it printed. It must succeed."""
        process = self.start(*words)
        output, _ = process.communicate()
        if process.returncode:
            sys.exit(f"cq {' '.join(words)} ended with {process.returncode}:\n{output}")
        return output

    def newest(self, symbol: str) -> int:
        """The highest trade id in the lake's files; 0 where there is none."""
        found = max((self.folder / "lake" / "trades").glob(f"**/symbol={symbol}/**/*.parquet"),
                    key=lambda path: path.stat().st_mtime_ns, default=None)  # fmt: skip
        if found is None:
            return 0
        return int(pl.read_parquet(found, columns=["trade_id"])["trade_id"].cast(pl.Int64).max())  # type: ignore[arg-type]

    def trades(self, symbol: str) -> pl.DataFrame:
        """What the lake's files hold of a market, in the order of files and rows."""
        folder = self.folder / "lake" / "trades"
        paths = sorted(folder.glob(f"**/symbol={symbol}/**/*.parquet"))
        if not paths:
            return pl.DataFrame(schema={"id": pl.Int64})
        frames = [pl.read_parquet(one, hive_partitioning=False) for one in paths]
        ends = []
        for path, frame in zip(paths, frames, strict=True):
            ids = frame["trade_id"].cast(pl.Int64)
            if not (ids.diff().drop_nulls() > 0).all():
                sys.exit(f"{path}: its trades are not in order")
            ends.append((ids[0], ids[-1]))
        ends.sort()
        if any(after[0] <= before[1] for before, after in pairwise(ends)):
            sys.exit(f"files of {symbol} overlap in their ids")
        return pl.concat(frames).with_columns(id=pl.col("trade_id").cast(pl.Int64)).sort("id")


def expected(tape: Tape, symbol: str, trades: TradeArrays) -> pl.DataFrame:
    """Trades of the tape as the lake should hold them."""
    tick = tape.listing(symbol).tick
    steps = int(1 / tick)  # a power of ten: the division below rounds once, to the nearest
    assert steps * tick == 1
    return pl.DataFrame(
        {
            "id": trades.tid,
            "ts": trades.ts // 10**9 * 10**9,
            "price": trades.price / steps,
            "size": trades.size / 1e8,
            "side": pl.Series(trades.side > 0).replace_strict({True: "buy", False: "sell"}),
        }
    )


def differences(found: pl.DataFrame, wanted: pl.DataFrame) -> list[str]:
    """What is wrong with the lake's trades, in words; nothing where they are the tape's."""
    said = []
    repeated = found.height - found["id"].n_unique()
    if repeated:
        said.append(f"{repeated} trades twice")
    missing = wanted.join(found, on="id", how="anti")
    if missing.height:
        said.append(f"{missing.height} trades missing, such as {missing['id'][0]}")
    strange = found.join(wanted, on="id", how="anti")
    if strange.height:
        said.append(f"{strange.height} trades that never were, such as {strange['id'][0]}")
    both = found.join(wanted, on="id", suffix=":tape")
    for name in ("ts", "price", "size", "side"):
        wrong = both.filter(pl.col(name) != pl.col(f"{name}:tape"))
        if wrong.height:
            said.append(f"{wrong.height} trades with another {name}, such as {wrong.row(0)}")
    return said


def bars(project: Project, symbol: str) -> pl.DataFrame:
    """The lake's one-minute bars, by time."""
    folder = project.folder / "lake" / "ohlcv"
    paths = sorted(folder.glob(f"**/symbol={symbol}/interval=1m/**/*.parquet"))
    if not paths:
        return pl.DataFrame()
    frames = [pl.read_parquet(one, hive_partitioning=False) for one in paths]
    return pl.concat(frames).sort("ts")


def unequal(
    found: pl.DataFrame, tape: Tape, symbol: str, start: int, end: int, now_ns: int
) -> list[str]:
    """How bars differ from the tape's of [start, end)."""
    listing = tape.listing(symbol)
    made = tape.candles(symbol, "1m", start, end, now_ns)
    steps = int(1 / listing.tick)
    wanted = pl.DataFrame(
        {
            "ts": made.ts,
            **{name: getattr(made, name) / steps for name in ("open", "high", "low", "close")},
            "volume": made.volume / 1e8,
        }
    )
    if found.select(wanted.columns).equals(wanted):
        return []
    joined = found.join(wanted, on="ts", how="full", suffix=":tape")
    for name in ("ts", "open", "high", "low", "close", "volume"):
        wrong = joined.filter(pl.col(name).ne_missing(pl.col(f"{name}:tape")))
        if wrong.height:
            return [f"{wrong.height} bars differ in {name}, such as {wrong.row(0)}"]
    return []


def streamed_bars_differ(project: Project, tape: Tape, symbol: str, now_ns: int) -> list[str]:
    """How the lake's bars differ from the tape's over the range that they span."""
    found = bars(project, symbol)
    if not found.height:
        return ["no bar was built"]
    first, last = int(found["ts"].min()), int(found["ts"].max())  # type: ignore[arg-type]
    return unequal(found, tape, symbol, first, last + MINUTE, now_ns)


def covered_wrongly(project: Project, tape: Tape, symbol: str, now_ns: int) -> list[str]:
    """Coverage that says of a range what is not so: other counts of trades, or the future."""
    folder = project.folder / "lake" / "coverage"
    paths = sorted(folder.glob(f"**/symbol={symbol}/**/*.parquet"))
    if not paths:
        return ["nothing is covered"]
    rows = pl.concat(pl.read_parquet(one, hive_partitioning=False) for one in paths)
    said = []
    for start, end, count in (
        rows.filter(pl.col("dataset") == "trades").select("start_ts", "end_ts", "rows").iter_rows()
    ):
        whole = -(-start // SECOND) * SECOND  # stamps of the lake are whole seconds
        there = len(tape.trades(symbol, whole, -(-end // SECOND) * SECOND))
        if end > now_ns or there != count:
            said.append(f"{iso(start)} to {iso(end)}: covered with {count} trades, not {there}")
    return said


def wait_for(what: str, holds: Any, seconds: float = 120.0) -> None:
    """Return once `holds()`; end the rehearsal where it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.1)


def stop(process: subprocess.Popen[str], codes: Sequence[int] = (0, 130)) -> str:
    """Ctrl-C; what it printed. It must end as it should."""
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    if process.returncode not in codes:
        sys.exit(f"ended with {process.returncode}:\n{output}")
    return output or ""
