"""kill -9 at random instants of writing and compacting: is every row there, and once?

A process writes bars of a few symbols and months into a small lake and compacts it, for ever; it is
killed at a random instant, and the next one goes on with what it left. After every kill, before
anything is healed, `Lake.sql`, `Lake.bars` and plain DuckDB over the files must show the same rows:
each row of every finished write once, of the write that was on its way any part, and nothing else.
The same write then completes it, and `Lake.heal()` leaves nothing behind.

    python benchmarks/soak_lake.py [KILLS] [NUMBER]

The same NUMBER gives the same writes; the instants are the machine's. Ends with 1 at the first
difference.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from doors import Deadly
from dying import HOUR, MONTHLY, START, bars, compact, write

from cq.lake import Lake, swap

SYMBOLS = ("BTC-BRL", "ETH-BRL", "LTC-BRL", "SOL-BRL", "XRP-BRL")
HOURS = 9_000
"""Bars are of these hours, which lie in 13 months."""
LIVES = 25
"""So many kills go by before a new lake is begun, so that there is always something to write."""
LONGEST_S = 0.7
DOORS = 200
"""One life of three ends soon after one of so many calls to the disk, which is where it matters."""
NAMES = ", ".join(["ts", "open", "high", "low", "close", "volume", "symbol", "exchange"])


@dataclass(frozen=True)
class Batch:
    """The bars that one write hands in."""

    first: int
    count: int
    symbol: str

    @property
    def rows(self) -> set[tuple[str, int]]:
        """Which symbol's bars of which hours."""
        return {(self.symbol, hour) for hour in range(self.first, self.first + self.count)}


def live(root: str, diary: str, seed: int) -> None:
    """Write and compact for ever; the diary tells what is begun and what is done."""
    chosen = random.Random(seed)
    exchanged = swap._exchanged
    with Path(diary).open("ab", buffering=0) as file:

        def say(*words: object) -> None:
            file.write(" ".join(map(str, words)).encode() + b"\n")

        def exchanging(*args: Any) -> bool:
            say("exchanging")
            done = exchanged(*args)
            say("compacting")
            return done

        with mock.patch.object(swap, "_exchanged", exchanging):
            while True:
                longest = 1500 if chosen.random() < 0.2 else 60
                count, symbol = chosen.randint(1, longest), chosen.choice(SYMBOLS)
                batch = (chosen.randrange(HOURS - count), count, symbol)
                say("writing", *batch)
                write(root, *batch)
                say("written", *batch)
                if chosen.random() < 0.5:
                    say("compacting")
                    compact(root)
                    say("compacted")


@dataclass
class Soak:
    """A lake on which one process after the other dies, and what it must hold."""

    folder: Path
    deadly: Deadly
    expected: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.lake = Lake(self.folder / "lake", partitions={"ohlcv": MONTHLY})
        self.lake.prepare()

    def kill(self, seed: int, **fate: Any) -> str:
        """One life, its end, and what was left of it; what it was at when it was killed."""
        diary = self.folder / f"diary-{seed}"
        diary.touch()
        ended = self.deadly.run("live", str(self.lake.root), str(diary), seed, **fate)
        if ended != "killed":
            sys.exit(f"life {seed} ended by itself: {ended}")
        said = [line.split() for line in diary.read_text().splitlines()]
        for _, first, count, symbol in (one for one in said if one[0] == "written"):
            self.expected |= Batch(int(first), int(count), symbol).rows
        last = said[-1] if said else ["starting"]
        under_way = Batch(int(last[1]), int(last[2]), last[3]) if last[0] == "writing" else None
        self.looked_at(f"life {seed}, killed while {last[0]}", under_way)
        return {"written": "in between", "compacted": "in between"}.get(last[0], last[0])

    def looked_at(self, when: str, under_way: Batch | None) -> None:
        """Compare what is there with what must be, complete the write, heal, and compare again."""
        there = self.seen(when)
        maybe = under_way.rows if under_way else set()
        self.compare(when, there - maybe, self.expected - maybe)
        if not self.expected <= there:
            sys.exit(f"{when}: lost rows that were there before the write that was on its way")
        if under_way:
            rows = bars(under_way.first, under_way.count, under_way.symbol)
            report = self.lake.write("ohlcv", rows, source="again", now_ns=under_way.first)
            if (report.landed, report.rejected) != (len(maybe - there), 0):
                sys.exit(f"{when}: {len(maybe - there)} rows were missing, and then {report}")
            self.expected |= maybe
        self.lake.heal()
        if left := list((self.lake.root / swap.WORK).rglob("*")):
            sys.exit(f"{when}: healing left {left}")
        self.compare(f"{when}, healed", self.seen(when), self.expected)

    def compare(self, when: str, found: set[tuple[str, int]], wanted: set[tuple[str, int]]) -> None:
        """End at a difference."""
        if found != wanted:
            sys.exit(
                f"{when}: {len(wanted - found)} rows missing, {len(found - wanted)} too many: "
                f"{sorted(wanted ^ found)[:5]}"
            )

    def seen(self, when: str) -> set[tuple[str, int]]:
        """Symbol and hour of every row there, if cq and plain DuckDB agree on each row."""
        by_cq = self.lake.sql(f"select {NAMES} from raw.ohlcv order by all")
        glob = f"{self.lake.root}/ohlcv/**/*.parquet"
        with duckdb.connect() as connection:
            query = f"select {NAMES} from read_parquet('{glob}', union_by_name=true) order by all"
            by_glob = connection.sql(query).pl()
        if not by_cq.equals(by_glob):
            sys.exit(f"{when}: cq shows {by_cq.height} rows, plain DuckDB {by_glob.height}")
        held = by_cq.get_column("symbol").unique().to_list()
        if held:
            by_bars = self.lake.bars(held, "1h").collect().select(by_cq.columns)
            if not by_bars.sort(by_cq.columns).equals(by_cq):
                sys.exit(f"{when}: bars() shows {by_bars.height} rows, sql() {by_cq.height}")
        if not by_cq.select("symbol", "ts").is_unique().all():
            sys.exit(f"{when}: a row is there twice")
        hours = by_cq.select((pl.col("ts") - START) // HOUR).to_series()
        if not by_cq.get_column("volume").equals(hours.cast(pl.Float64).alias("volume")):
            sys.exit(f"{when}: a row is not as it was written")
        return set(zip(by_cq.get_column("symbol"), hours, strict=True))


def fate(chosen: random.Random) -> dict[str, Any]:
    """When a life ends."""
    if chosen.random() < 2 / 3:
        return {"after_s": chosen.uniform(0, LONGEST_S)}
    door, soon_s = chosen.randrange(DOORS), chosen.uniform(0, 0.005)
    return {"door": door, "when": "after", "soon_s": soon_s}


def main(kills: int, number: int) -> None:
    print(f"{kills:,} kills, number {number}", flush=True)
    chosen, at, rows = random.Random(number), Counter[str](), 0
    began = time.perf_counter()
    deadly = Deadly(Path(__file__))
    try:
        for first in range(0, kills, LIVES):
            with tempfile.TemporaryDirectory() as folder:
                soak = Soak(Path(folder), deadly)
                for _ in range(first, min(kills, first + LIVES)):
                    at[soak.kill(chosen.randrange(10**9), **fate(chosen))] += 1
                rows += len(soak.expected)
            said = ", ".join(f"{count} {what}" for what, count in at.most_common())
            print(f"  {at.total()} kills ({said}), {rows:,} rows", flush=True)
    finally:
        deadly.close()
    print(f"{at.total()} kills in {time.perf_counter() - began:.0f} s: every row once, none lost")


if __name__ == "__main__":
    words = [int(one) for one in sys.argv[1:3]]
    main(words[0] if words else 500, words[1] if len(words) > 1 else random.randrange(10**9))
