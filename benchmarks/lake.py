"""The lake beside ArcticDB, delta-rs, bare Polars and bare DuckDB, in one run and in turn.

    python benchmarks/lake.py [--symbols 50] [--minutes 525600] [--trades 10000000] [--only real]

First 26 M generated one-minute bars (seeded geometric Brownian motion, prices on a tick), then the
real ones of ../shared/market. Answers are checked to be equal before a time is believed; each line
shows the median, the ratio and the bar (B8 to B12). ArcticDB and Delta live in an environment of
their own: CQ_PEERS_PYTHON names a Python that has arcticdb, deltalake, polars and pyarrow.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import duckdb
import numpy as np
import polars as pl
from lake_world import (
    DAY,
    MEASURES,
    MINUTE,
    Answer,
    World,
    answer,
    compare,
    generated,
    missed,
    verdict,
    world,
)
from measure import SHARED, in_turn

from cq.lake import Lake, asof

REAL = SHARED / "market/ohlcv/m1_bitfinex_usd_2018.parquet"
MONTHLY = (
    "ohlcv/exchange={exchange}/symbol={symbol}/interval={interval}/year={YYYY}/month={MM}"
    "/file-{HHmmss}.parquet"
)


def reading(one: World) -> None:
    """A week, a month, the newest 500 bars, everything made into hours, of one symbol or all."""
    symbol, lake = one.symbols[len(one.symbols) // 2], one.lake
    path, middle = one.file(symbol), (one.start + one.end) // 2 // DAY * DAY
    columns = ("ts", *MEASURES)

    def bare(start: int, end: int) -> Answer:
        rows = pl.scan_parquet(path, glob=False).filter(pl.col("ts") >= start, pl.col("ts") < end)
        return answer(rows.select(columns).collect())

    def database(start: int, end: int) -> Answer:
        rows = f"from read_parquet('{path}') where ts >= {start} and ts < {end}"
        return answer(cursor.sql(f"select {', '.join(columns)} {rows}").pl())

    def ours(start: int, end: int) -> Answer:
        return answer(lake.bars(symbol, "1m", start, end, columns=columns).collect())

    cursor = duckdb.connect()
    week, month = (middle, middle + 7 * DAY), (middle, middle + 30 * DAY)
    asked = {"symbol": symbol, "start": week[0], "end": week[1]}
    compare(
        "B8 a symbol's week",
        {
            "cq": lambda: ours(*week),
            "ArcticDB": lambda: one.peers.ask("arctic_week", **asked),
            "Delta": lambda: one.peers.ask("delta_week", **asked),
            "bare Polars, the right file": lambda: bare(*week),
            "bare DuckDB, the right file": lambda: database(*week),
        },
        {"ArcticDB": 1.3, "Delta": 0.15},
    )
    compare(
        "a symbol's month",
        {"cq": lambda: ours(*month), "bare Polars, the right file": lambda: bare(*month)},
        {"bare Polars, the right file": 1.25},
        times=25,
    )
    newest = {"symbol": symbol, "count": 500, "start": one.end - 2 * DAY}
    compare(
        "B9 the newest 500 bars, warm",
        {
            "cq": lambda: answer(lake.bars_before(symbol, "1m", one.end, 500).collect()),
            "ArcticDB": lambda: one.peers.ask("arctic_latest", **newest),
            "Delta": lambda: one.peers.ask("delta_latest", **newest),
        },
        {"ArcticDB": 2.0},
    )
    cold(one, symbol)
    resampling(one)


COLD = """
from cq import Lake
print(Lake({root!r}).bars_before({symbol!r}, "1m", {end}, 500).collect()["close"].sum())
"""
COLD_ARCTIC = """
import arcticdb
lib = arcticdb.Arctic("lmdb://{root}?map_size=20GB").get_library("bars")
print(lib.tail({symbol!r}, 500).data["close"].sum())
"""


def cold(one: World, symbol: str) -> None:
    ours = COLD.format(root=str(one.lake.root), symbol=symbol, end=one.end)
    commands = {"cq": [sys.executable, "-c", ours]}
    if "arctic" in one.sizes:
        theirs = COLD_ARCTIC.format(root=one.folder / "arctic", symbol=symbol)
        commands["ArcticDB"] = [one.peers.python, "-W", "ignore", "-c", theirs]
    runs = in_turn(commands, times=5)
    print(f"\nB9 the newest 500 bars, whole cold process\n  cq {runs['cq'].median * 1e3:37.0f} ms")
    if "ArcticDB" in runs:
        other = runs["ArcticDB"].median
        verdict("ArcticDB", runs["cq"].median / other, other, 0.4)


def resampling(one: World) -> None:
    paths = [one.file(symbol) for symbol in one.symbols]

    def decoded() -> Answer:
        """Every value that a resampling needs, and next to nothing done with it."""
        rows = pl.concat(pl.scan_parquet(path, glob=False) for path in paths)
        rows.select(pl.col("ts", *MEASURES).max()).collect()
        return hours

    def database() -> Answer:
        names = ", ".join(f"'{path}'" for path in paths)
        rows = f"""select symbol, ts // {60 * MINUTE} as ts, arg_min(open, ts) as open,
            max(high) as high, min(low) as low, arg_max(close, ts) as close, sum(volume) as volume
            from read_parquet([{names}]) group by all"""
        return answer(duckdb.sql(rows).pl())

    def ours() -> Answer:
        return answer(one.lake.bars(one.symbols, "1h").collect())

    hours = ours()
    ways = {"cq": ours, "pure decode": decoded, "bare DuckDB": database}
    if hours[0] * 60 == one.rows:  # ArcticDB makes a bucket of an empty hour, too
        ways["ArcticDB"] = lambda: one.peers.ask("arctic_resample")  # type: ignore[assignment, return-value]
    limits = {"pure decode": 1.2, "ArcticDB": 1.4}
    compare("B10 all minutes into hours", ways, limits, times=3)


def sizes(one: World) -> None:
    print("\nB12 size")
    for name, size in one.sizes.items():
        print(f"  {name:34}{size / 1e6:10.1f} MB {size / one.rows:8.2f} bytes a row")
    for name, label, limit in (("arctic", "ArcticDB", 0.5), ("polars", "Polars' own zstd", 0.75)):
        if name in one.sizes:
            verdict(label, one.sizes["cq"] / one.sizes[name], None, limit)


def views(one: World) -> None:
    lake, few = one.lake, one.symbols[:5]
    start, end = one.start + 30 * DAY, one.start + 90 * DAY
    cursor = lake.views.cursor()
    chosen = ", ".join(f"'{symbol}'" for symbol in few)
    where = f"symbol in ({chosen}) and ts >= {start} and ts < {end}"

    def scanned() -> Answer:
        rows = lake.scan("bars").filter(
            pl.col("symbol").is_in(few), pl.col("ts") >= start, pl.col("ts") < end
        )
        return answer(rows.select("symbol", "ts", "close").collect())

    def asked() -> Answer:
        return answer(cursor.sql(f"select symbol, ts, close from bars where {where}").pl())

    compare("Lake.scan(view), filtered", {"cq": scanned, "SQL in DuckDB": asked},
            {"SQL in DuckDB": 1.5}, times=7)  # fmt: skip

    def grouped() -> Answer:
        rows = lake.scan("bars").group_by("symbol").agg(pl.col("close").sum())
        return answer(rows.collect())

    def aggregated() -> Answer:
        query = "select symbol, sum(close) as close from bars group by all"
        return answer(cursor.sql(query).pl())

    compare("Lake.scan(view), all of it grouped by Polars",
            {"cq": grouped, "SQL in DuckDB": aggregated}, {}, times=3)  # fmt: skip


def joins(one: World, trades: int) -> None:
    import pandas as pd

    random = np.random.default_rng(7)
    each, symbols = trades // 10, one.symbols[:10]
    bars = one.lake.bars(symbols, "1m", columns=("ts", "symbol", "close")).collect().rechunk()
    rows = pl.concat(
        pl.DataFrame({
            "ts": np.sort(random.integers(one.start, one.end, each)),
            "price": random.random(each),
        }).with_columns(symbol=pl.lit(symbol))
        for symbol in symbols
    ).rechunk()  # fmt: skip
    left = rows.to_pandas().astype({"symbol": "category"}).sort_values("ts", kind="stable")
    right = bars.to_pandas().astype({"symbol": "category"}).sort_values("ts", kind="stable")
    connection = duckdb.connect()
    connection.register("rows", rows.to_arrow())
    connection.register("bars", bars.to_arrow())

    def pandas() -> Answer:
        found = pd.merge_asof(left, right, on="ts", by="symbol")
        return len(found), float(found["close"].sum())

    def database() -> Answer:
        query = "select * from rows asof left join bars using (symbol, ts)"
        return answer(connection.sql(query).pl())

    compare(
        f"B11 {trades:,} trades with the newest bar",
        {"cq.lake.asof": lambda: answer(asof(rows, bars)), "pandas": pandas, "DuckDB": database},
        {"pandas": 0.4, "DuckDB": 0.2},
        times=3,
    )


def appending(one: World) -> None:
    """One closed bar of every symbol, beside years of history and beside none."""
    fresh = Lake(one.folder / "fresh")
    os.sync()  # gigabytes were written before, and a file's sync would wait for them
    seconds: dict[str, list[float]] = {"cq": [], "no history": []}
    for turn in range(12):
        rows = pl.DataFrame({
            "ts": one.end + turn * MINUTE, "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5,
            "volume": 3.0, "symbol": one.symbols, "exchange": "bench", "interval": "1m",
        })  # fmt: skip
        for name, lake in (("cq", one.lake), ("no history", fresh)):
            begun = time.perf_counter()
            assert lake.write("ohlcv", rows, source="benchmark", now_ns=1).landed == rows.height
            seconds[name].append(time.perf_counter() - begun)
    took = {name: median(every[2:]) for name, every in seconds.items()}
    print(f"\nAppend of one closed bar of {len(one.symbols)} symbols, synced")
    print(f"  cq {took['cq'] * 1e3:41.2f} ms")
    verdict("50 ms", took["cq"] / 0.05, 0.05, 1.0)
    verdict("the same without history", took["cq"] / took["no history"], took["no history"], 1.3)


def independence(folder: Path, one: World) -> None:
    """The same week in a lake of 600 files and in one of 18,000: month folders, linked symbols."""
    lake = Lake(folder / "monthly", partitions={"ohlcv": MONTHLY})
    lake.write("ohlcv", pl.read_parquet(folder / "given" / f"{one.symbols[0]}.parquet"),
               source="benchmark", now_ns=1)  # fmt: skip
    mine = folder / f"monthly/ohlcv/exchange=bench/symbol={one.symbols[0]}"
    week = (one.start + 100 * DAY, one.start + 107 * DAY)

    def measured() -> float:
        every = []
        for _ in range(31):
            begun = time.perf_counter()
            lake.bars(one.symbols[0], "1m", *week).collect()
            every.append(time.perf_counter() - begun)
        return median(every)

    took, counts = [], []
    for symbols in (50, 1500):
        for number in range(symbols):
            copy = mine.with_name(f"symbol=C{number:04d}-BRL")
            if number and not copy.exists():
                shutil.copytree(mine, copy, copy_function=os.link)
        counts.append(len(lake.layouts["ohlcv"].paths(lake.root)))
        took.append(measured())
    print(f"\nB8 a week in {counts[0]:,} files and in {counts[1]:,}\n  cq {took[1] * 1e3:41.2f} ms")
    verdict(f"{counts[0]} files", took[1] / took[0], took[0], 1.3)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--symbols", type=int, default=50)
    options.add_argument("--minutes", type=int, default=525_600)
    options.add_argument("--trades", type=int, default=10_000_000)
    options.add_argument("--only", choices=("generated", "real"))
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if asked.only != "real":
            folder = Path(temporary) / "generated"
            print(f"== {asked.symbols} generated symbols of {asked.minutes:,} minutes")
            one = world(folder, lambda: (
                (f"S{i:02d}-BRL", generated(i, asked.minutes)) for i in range(asked.symbols)
            ))  # fmt: skip
            reading(one)
            sizes(one)
            views(one)
            joins(one, asked.trades)
            independence(folder, one)
            appending(one)
            one.peers.process.kill()
        if asked.only != "generated" and REAL.exists():
            print("\n== real minutes of 2018")
            rows = pl.read_parquet(REAL).with_columns(pl.col("symbol").str.replace("USD$", "-USD"))
            parts = rows.partition_by("symbol", as_dict=True)
            one = world(Path(temporary) / "real", lambda: (
                (str(name), part.select("ts", *MEASURES)) for (name,), part in parts.items()
            ))  # fmt: skip
            reading(one)
            sizes(one)
            views(one)
            one.peers.process.kill()
    print("\nevery bar is met" if not missed else "\nmissed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
