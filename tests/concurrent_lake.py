"""Work of several processes at one lake: `python concurrent_lake.py ROOT write|read …`."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import polars as pl

from cq.lake import Lake
from cq.utils.time import MINUTE, parse_time

BATCH = 4
FIRST = parse_time("2023-12-31T23:30:00")


def starts(count: int) -> list[int]:
    """When the first `count` bars open."""
    return [FIRST + number * MINUTE for number in range(count)]


def rows(symbol: str, batch: int, volume: float = 1.0) -> pl.DataFrame:
    """The bars of one batch; those of all batches follow each other without a gap."""
    stamps = starts((batch + 1) * BATCH)[-BATCH:]
    return pl.DataFrame({"ts": stamps}).with_columns(
        open=pl.lit(2.0), high=pl.lit(3.0), low=pl.lit(1.0), close=pl.lit(2.0),
        volume=pl.lit(float(volume)), symbol=pl.lit(symbol), exchange=pl.lit("x"),
        interval=pl.lit("1m"),
    )  # fmt: skip


def write(lake: Lake, symbol: str, batches: int, volume: float) -> None:
    """One batch after the other."""
    for batch in range(batches):
        rows_of = rows(symbol, batch, volume)
        lake.write("ohlcv", rows_of, source="t", now_ns=1, wait_s=120)


class Readers:
    """Threads that ask for all bars again and again, each in another way."""

    def __init__(self, lake: Lake, count: int) -> None:
        self.lake, self.looks, self.failures = lake, 0, list[str]()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(n,)) for n in range(count)]

    def start(self) -> None:
        """Begin."""
        for one in self._threads:
            one.start()

    def stop(self) -> None:
        """End, after each has looked once more."""
        self._stop.set()
        for one in self._threads:
            one.join()

    def _read(self, number: int) -> None:
        ways = (self._bars, self._scanned, self._asked, self._framed, self._joined)
        frame, before = self.lake.bars("A-B", "1m"), 0
        while not self.failures:
            last = self._stop.is_set()
            try:
                stamps = ways[number % len(ways)](frame)
            except BaseException as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                return
            if stamps != starts(len(stamps)) or len(stamps) < before:
                self.failures.append(f"{before} bars before, now {len(stamps)}: {stamps}")
            before = len(stamps)
            self.looks += 1
            if last:
                return

    def _bars(self, _: pl.LazyFrame) -> list[int]:
        return self.lake.bars("A-B", "1m").collect()["ts"].to_list()

    def _framed(self, frame: pl.LazyFrame) -> list[int]:
        """A frame that was made long ago."""
        return frame.collect()["ts"].to_list()

    def _scanned(self, _: pl.LazyFrame) -> list[int]:
        return self.lake.scan("bars").select("ts").collect()["ts"].sort().to_list()

    def _asked(self, _: pl.LazyFrame) -> list[int]:
        return self.lake.sql("select ts from bars order by ts")["ts"].to_list()

    def _joined(self, frame: pl.LazyFrame) -> list[int]:
        """Twice in one query; the later look of the two may see more."""
        both = frame.join(frame, on="ts", how="inner", maintain_order="left")
        return both.collect()["ts"].to_list()


def ours(lake: Lake) -> None:
    """Put one file in the place of those of a folder, as compaction does."""
    from cq.lake import locks, parquet, swap

    layout = lake.layouts["ohlcv"]
    with swap.bench(lake.root) as bench:
        for folder in sorted({part.path.parent for part in layout.files(lake.root)}):
            found = swap.listing(folder)
            inputs = {n: s for n, s in found.items() if n.endswith(".parquet")}
            if len(inputs) < 2:
                continue
            merged = pl.concat(
                pl.read_parquet(folder / n, hive_partitioning=False) for n in sorted(inputs)
            ).sort("ts")
            place = bench.place()
            content = parquet.encoded(merged)
            name = layout.file_name(int(merged["ts"][0]), parquet.digest(content))
            parquet.place(content, place.content, name)
            told = layout.told(folder.relative_to(lake.root))
            with locks.held(locks.of_folder(lake.root, layout, told), "compaction", 60):
                bench.exchanged(place, folder, inputs)
            bench.tidy()


def main(root: str, what: str, *words: str) -> None:
    """Do what is asked."""
    lake = Lake(root)
    if what == "write":
        write(lake, words[0], int(words[1]), float((*words, "1")[2]))
        return
    readers = Readers(lake, int(words[0]))
    readers.start()
    while not (Path(root) / "stop").exists() and not readers.failures:
        time.sleep(0.05)
    readers.stop()
    if readers.failures:
        sys.exit("\n".join(readers.failures))
    sys.stdout.write(f"looked {readers.looks}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
