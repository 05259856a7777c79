"""ArcticDB and Delta Lake for benchmarks/lake.py: one process that answers a line at a time.

    python lake.py FOLDER      FOLDER/given/SYMBOL.parquet: the bars to store

A line of JSON comes in (`{"do": "arctic_week", ...}`), one goes out: seconds, rows, a checksum.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

ROOT = Path(sys.argv[1])
GIVEN = sorted((ROOT / "given").glob("*.parquet"))
MEASURES = ("open", "high", "low", "close", "volume")


class Arctic:
    """ArcticDB on LMDB, one symbol a symbol, indexed by time."""

    def __init__(self) -> None:
        import arcticdb
        import pandas as pd

        self.pd, self.adb = pd, arcticdb
        store = arcticdb.Arctic(f"lmdb://{ROOT / 'arctic'}?map_size=20GB")
        self.lib = store.get_library("bars", create_if_missing=True)

    def fill(self, **_: object) -> tuple[int, float]:
        rows = 0
        for path in GIVEN:
            frame = self.pd.read_parquet(path, columns=["ts", *MEASURES])
            frame.index = self.pd.to_datetime(frame.pop("ts"), unit="ns")
            self.lib.write(path.stem, frame)
            rows += len(frame)
        return rows, float(sum(p.stat().st_size for p in (ROOT / "arctic").rglob("*.mdb")))

    def week(self, symbol: str, start: int, end: int) -> tuple[int, float]:
        span = (self.pd.Timestamp(start), self.pd.Timestamp(end - 1))
        frame = self.lib.read(symbol, date_range=span).data
        return len(frame), float(frame["close"].sum())

    def latest(self, symbol: str, count: int, start: int) -> tuple[int, float]:
        frame = self.lib.tail(symbol, count).data
        return len(frame), float(frame["close"].sum())

    def resample(self, **_: object) -> tuple[int, float]:
        whole = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
        asked = [
            self.adb.ReadRequest(
                path.stem, query_builder=self.adb.QueryBuilder().resample("1h").agg(whole)
            )
            for path in GIVEN
        ]
        frames = [one.data for one in self.lib.read_batch(asked)]
        return sum(map(len, frames)), float(sum(one["close"].sum() for one in frames))


class Delta:
    """delta-rs tables partitioned by symbol and month, read by Polars."""

    def __init__(self) -> None:
        import deltalake
        import polars as pl

        self.pl, self.delta = pl, deltalake
        self.table = str(ROOT / "delta")

    def fill(self, **_: object) -> tuple[int, float]:
        rows = 0
        month = self.pl.from_epoch("ts", time_unit="ns").dt.month()
        for path in GIVEN:
            frame = self.pl.read_parquet(path).with_columns(month=month)
            self.delta.write_deltalake(
                self.table, frame.to_arrow(), mode="append", partition_by=["symbol", "month"]
            )
            rows += frame.height
        return rows, float(sum(p.stat().st_size for p in Path(self.table).rglob("*.parquet")))

    def week(self, symbol: str, start: int, end: int) -> tuple[int, float]:
        pl = self.pl
        rows = pl.scan_delta(self.table).filter(
            pl.col("symbol") == symbol, pl.col("ts") >= start, pl.col("ts") < end
        )
        frame = rows.select("ts", *MEASURES).collect()
        return frame.height, float(frame["close"].sum())

    def latest(self, symbol: str, count: int, start: int) -> tuple[int, float]:
        pl = self.pl
        rows = pl.scan_delta(self.table).filter(pl.col("symbol") == symbol, pl.col("ts") >= start)
        frame = rows.select("ts", *MEASURES).sort("ts").tail(count).collect()
        return frame.height, float(frame["close"].sum())


def main() -> None:
    kinds = {"arctic": Arctic, "delta": Delta}
    made: dict[str, object] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        kind, _, step = asked.pop("do").partition("_")
        try:
            if kind not in made:
                made[kind] = kinds[kind]()
            begun = time.perf_counter()
            rows, total = getattr(made[kind], step)(**asked)
            said = {"seconds": time.perf_counter() - begun, "rows": rows, "sum": total}
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
