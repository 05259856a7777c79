"""kill -9 at random moments: is anything lost, twice, or torn?

`cq lake stream` and `cq lake ingest` (trades, then one-minute bars) run against a simulated
exchange, are killed again and again at random moments, and begin again each time. In the end each
is left to finish, and the lake's files are compared with the exchange's tape. After every kill each
Parquet file of the lake must be readable.

    python benchmarks/soak_kill.py [KILLS]
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
from rehearsal import (
    UNLIMITED,
    Exchange,
    Project,
    bars,
    differences,
    exchange,
    expected,
    stop,
    streamed_bars_differ,
    unequal,
    wait_for,
)

from cq.utils.time import parse_time

SYMBOLS = ("BTC-BRL", "ETH-BRL")
START = "2026-01-05"
SINCE, UNTIL = "2025-12-01", "2026-01-05"


def killed(
    project: Project, kills: int, moment: Callable[[subprocess.Popen[str]], None], *words: str
) -> int:
    """Run and kill a command `kills` times, or until it has no more to do; how often it died."""
    for number in range(kills):
        process = project.start(*words)
        moment(process)
        ended = process.poll()
        if ended is None:
            os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        whole(project)
        if ended is not None:
            if ended:
                sys.exit(f"kill {number}: {words} had ended with {ended}:\n{said}")
            return number
    return kills


def after_seconds(longest: float) -> Callable[[subprocess.Popen[str]], None]:
    """A moment at random."""
    moments = random.Random(1)
    return lambda _: time.sleep(moments.uniform(0.3, longest))


def after_requests(market: Exchange, most: int) -> Callable[[subprocess.Popen[str]], None]:
    """The moment of a request at random, and a little."""
    moments = random.Random(2)

    def wait(process: subprocess.Popen[str]) -> None:
        until = requests(market) + moments.randint(1, most)
        while process.poll() is None and requests(market) < until:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.05))

    return wait


def requests(market: Exchange) -> int:
    """How many requests the exchange has seen."""
    return sum(market.status()["requests"].values())


def whole(project: Project) -> None:
    """Every file that a glob finds can be read."""
    for path in (project.folder / "lake").glob("**/*.parquet"):
        try:
            pl.read_parquet(path, hive_partitioning=False)
        except Exception as error:
            sys.exit(f"{path} is torn: {error}")


def stream(market: Exchange, folder: Path, kills: int) -> list[str]:
    """What a killed stream did wrong."""
    project = Project(folder / "stream", market.environment | UNLIMITED | {
        "CQ_INGESTION__STREAM__ROTATE_SECONDS": "1",
    })  # fmt: skip
    words = ("lake", "stream", *SYMBOLS)
    killed(project, kills, after_seconds(4.0), *words)
    process = project.start(*words)
    time.sleep(5)
    tape = market.tape()
    end_ns = market.run_at(0)
    last = {one: tape.last_tid(one, end_ns) for one in SYMBOLS}
    found = {one: lambda one=one: project.trades(one)["id"].max() == last[one] for one in SYMBOLS}
    wait_for("the stream to catch up", lambda: all(there() for there in found.values()), 120)
    stop(process)
    wrong = []
    for symbol in SYMBOLS:
        rows = project.trades(symbol)
        first = int(rows["id"].min())  # type: ignore[arg-type]
        arrays = tape.trades_by_id(symbol, first, last[symbol], end_ns)
        said = differences(rows, expected(tape, symbol, arrays))
        wrong += [
            f"{symbol}: {one}" for one in said + streamed_bars_differ(project, tape, symbol, end_ns)
        ]
        print(f"  stream {symbol}: {rows.height:,} trades after {kills} kills")
    return wrong


def ingest(market: Exchange, folder: Path, kills: int) -> list[str]:
    """What a killed back-fill did wrong, of trades and of bars."""
    slow = {
        "CQ_INGESTION__RATE_LIMITS__REQUESTS_PER_MINUTE": "100000",
        "CQ_INGESTION__RATE_LIMITS__REQUESTS_PER_SECOND": "40",
        "CQ_INGESTION__PAGE_BARS": "45",
    }
    project = Project(folder / "ingest", market.environment | slow)
    since, until = parse_time(SINCE), parse_time(UNTIL)
    words = ("lake", "ingest", *SYMBOLS, "--since", SINCE, "--until", UNTIL)
    wrong, tape, now_ns = [], market.tape(), market.status()["now_ns"]
    for dataset, more in (("trades", ()), ("ohlcv", ("--interval", "1m"))):
        died = killed(
            project, kills, after_requests(market, 60), *words, "--dataset", dataset, *more
        )
        print(f"  ingest of {dataset}: killed {died} times on its way, "
              f"{len(list(project.folder.glob('lake/**/*.parquet')))} files then")  # fmt: skip
        if died < kills:
            wrong.append(f"{dataset}: only {died} kills before it had ended")
        project.run(*words, "--dataset", dataset, *more)
    for symbol in SYMBOLS:
        rows = project.trades(symbol)
        arrays = tape.trades(symbol, since, until)
        said = differences(rows, expected(tape, symbol, arrays))
        said += unequal(bars(project, symbol), tape, symbol, since, until, now_ns)
        wrong += [f"{symbol}: {one}" for one in said]
        print(f"  ingest {symbol}: {rows.height:,} trades, {bars(project, symbol).height:,} bars")
    return wrong


def main(kills: int) -> int:
    """Both, and what they did wrong."""
    parts: tuple[tuple[str, float, Callable[[Exchange, Path, int], list[str]]], ...] = (
        ("stream", 300.0, stream),
        ("ingest", 1.0, ingest),
    )
    wrong = []
    for name, speed, part in parts:
        with (
            tempfile.TemporaryDirectory() as folder,
            exchange(
                seed=5, speed=speed, start=START, trades_per_minute=30.0, no_limits=True
            ) as market,
        ):
            began = time.monotonic()
            wrong += [f"{name} {one}" for one in part(market, Path(folder), kills)]
            print(f"{name}: {kills} kills in {time.monotonic() - began:.0f} s")
    for one in wrong:
        print(f"  {one}")
    print("nothing lost, nothing twice, nothing torn" if not wrong else "NOT right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
