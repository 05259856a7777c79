"""The lake as a state machine: whatever is done, in whatever order, it holds what a dict would.

One made-up market of two symbols and a dozen minutes around a new year tells bars and trades.
Operations bring them in by the ways that users have; some are killed at a random call to the disk,
some files are damaged and moved away. A dict that is kept beside says which rows there have to be.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from trade_market import Market as Tape

from cq.errors import EmptyDataset, UnknownSymbol
from cq.exchanges.feed import Batch
from cq.ingest import coverage
from cq.ingest.backfill import backfill
from cq.ingest.built_bars import bars_of
from cq.ingest.closing import Closing
from cq.ingest.rolling import Rolling, Rotation
from cq.ingest.trade_fill import fill_trades
from cq.lake import Lake, disk, parquet, swap
from cq.lake.compaction import compact
from cq.lake.datasets import ORDERBOOK_L2
from cq.lake.quarantine import FAR, quarantine
from cq.lake.vacuum import vacuum
from cq.lake.verify import verify
from cq.utils.time import MINUTE, SECOND, parse_time

EXCHANGE = "model"
SYMBOLS = ("A-B", "C-D")
COUNT = 12
FIRST = parse_time("2024-01-01") - COUNT // 2 * MINUTE
END = FIRST + COUNT * MINUTE
VALUES = ("open", "high", "low", "close", "volume")
DATA = ("ohlcv", "trades")
BOTH = "from raw.ohlcv union all by name from raw.trades"

Rows = dict[tuple[Any, ...], tuple[Any, ...]]


def _trades() -> pl.DataFrame:
    """Ids are dense for each symbol; a third of all minutes has no trade."""
    rows = []
    for which, symbol in enumerate(SYMBOLS):
        number = 0
        for minute in range(COUNT):
            for second in (0, 7, 59)[: (minute * 5 + which) % 3]:
                number += 1
                ts = FIRST + minute * MINUTE + second * SECOND
                price = 100.0 + (minute * 7 + second) % 11
                rows.append((ts, price, number / 4, "buy", str(number), symbol, EXCHANGE))
    names = ("ts", "price", "size", "side", "trade_id", "symbol", "exchange")
    return pl.DataFrame(rows, schema=names, orient="row")


TRADES = _trades()
BARS = bars_of(TRADES, "1m")
TAPES = {one: TRADES.filter(pl.col("symbol") == one) for one in SYMBOLS}
CANDLES = {one: BARS.filter(pl.col("symbol") == one).sort("ts") for one in SYMBOLS}


class Exchange:
    """The market, as back-fills ask it."""

    name = EXCHANGE
    intervals = ("1m",)
    trade_cap = 5
    trades_by_id = True

    def candles(self, symbol: str, interval: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        return sliced(CANDLES[symbol], start_ns, end_ns)

    def time_ns(self, now_ns: int) -> int:
        return now_ns

    def trade_page(self, symbol: str, ask: Any) -> pl.DataFrame:
        return Tape(TAPES[symbol], cap=self.trade_cap).answer(ask)


class Killed(BaseException):
    """The process is gone: no clean-up reaches the disk any more."""


class Doors:
    """The lake's doors to the disk: nothing waits for the platter, and `left` calls may be made."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.real = {name: getattr(disk, name) for name in disk.DOORS}

    def open(self) -> None:
        for name, real in self.real.items():
            setattr(disk, name, self._through(real if not name.startswith("sync") else _nothing))
        self.alive, parquet.alive = parquet.alive, lambda _: False
        self.linger, swap.LINGER_S = swap.LINGER_S, 0

    def close(self) -> None:
        for name, real in self.real.items():
            setattr(disk, name, real)
        parquet.alive = self.alive
        swap.LINGER_S = self.linger

    def _through(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if self.left is not None:
                self.left -= 1
                if self.left < 0:
                    raise Killed
            return real(*args)

        return call


def _nothing(*_: Any) -> None:
    """What a sync does on a machine that never loses its power."""


def keyed(dataset: str, rows: Any) -> Rows:
    """Key → values; the values of a row that is there twice are a contradiction."""
    key = ("symbol", "ts") if dataset == "ohlcv" else ("symbol", "trade_id")
    values = VALUES if dataset == "ohlcv" else ("ts", "price", "size", "side")
    keys, held = (zip(*(rows[name] for name in names), strict=True) for names in (key, values))
    found = dict(zip(keys, held, strict=True))
    assert len(found) == len(rows["symbol"]), "a key is there twice"
    return found


WHEN = {
    "ohlcv": {one: {key: key[1] for key in keyed("ohlcv", CANDLES[one])} for one in SYMBOLS},
    "trades": {one: {k: v[0] for k, v in keyed("trades", TAPES[one]).items()} for one in SYMBOLS},
}
"""When each row of the market is, by dataset, symbol and key."""

minutes = st.integers(0, COUNT - 1)
symbols = st.sampled_from(SYMBOLS)


class LakeModel(RuleBasedStateMachine):
    """`lake` is the lake, `held` the dict beside it."""

    root: ClassVar[Path]
    lake: ClassVar[Lake]
    doors: ClassVar[Doors]
    steps: ClassVar[int] = 0

    @classmethod
    def at(cls, root: Path) -> type[LakeModel]:
        """A machine whose lakes lie at `root`, one after the other."""
        lake = Lake(root)
        lake.prepare()
        return type(cls.__name__, (cls,), {"root": root, "lake": lake, "doors": Doors()})

    def __init__(self) -> None:
        super().__init__()
        self.doors.open()
        self.doors.left = None
        self.held: dict[str, Rows] = {name: {} for name in DATA}
        self.now = END + 3600 * SECOND
        self.market = Exchange()

    def teardown(self) -> None:
        self.doors.left = None
        try:
            self.check()
        finally:
            self.wipe()
            self.doors.close()

    # ways in

    @rule(symbol=symbols, start=minutes, length=st.integers(1, 6), wrong=st.booleans())
    def imports(self, symbol: str, start: int, length: int, wrong: bool) -> None:
        self.done(self.import_(symbol, start, length, wrong))

    @rule(symbol=symbols, start=minutes, length=st.integers(1, COUNT))
    def ingests(self, symbol: str, start: int, length: int) -> None:
        self.done(self.ingest(symbol, start, length))

    @rule(symbol=symbols, start=minutes, length=st.integers(1, COUNT))
    def ingests_trades(self, symbol: str, start: int, length: int) -> None:
        self.done(self.ingest_trades(symbol, start, length))

    @rule(symbol=symbols, start=minutes, length=st.integers(1, 6), cut=st.integers(1, 5))
    def streams(self, symbol: str, start: int, length: int, cut: int) -> None:
        self.done(self.stream(symbol, start, length, cut))

    @rule(symbol=symbols)
    def rebuilds(self, symbol: str) -> None:
        self.done(self.rebuild(symbol))

    @rule(large=st.booleans())
    def compacts(self, large: bool) -> None:
        self.done(self.compaction(large))

    @rule(
        which=st.sampled_from(
            ("import", "ingest", "ingest_trades", "stream", "rebuild", "compact", "compact")
        ),
        symbol=symbols,
        start=minutes,
        length=st.integers(1, 6),
        doors=st.integers(0, 40),
    )
    def is_killed(self, which: str, symbol: str, start: int, length: int, doors: int) -> None:
        """Any of them dies at a call to the disk; the next process heals, and the same again."""
        work = {
            "import": lambda: self.import_(symbol, start, length, False),
            "ingest": lambda: self.ingest(symbol, start, length),
            "ingest_trades": lambda: self.ingest_trades(symbol, start, length),
            "stream": lambda: self.stream(symbol, start, length, 3),
            "rebuild": lambda: self.rebuild(symbol),
            "compact": lambda: self.compaction(length > 3),
        }[which]()
        before = {name: dict(rows) for name, rows in self.held.items()}
        self.doors.left = doors
        try:
            work[0]()
        except Killed:
            pass
        finally:
            self.doors.left = None
        after = {name: self.merged(name, work[1].get(name, {})) for name in DATA}
        for name in DATA:
            there = self.stored(name)
            assert before[name].items() <= there.items() <= after[name].items()
        self.lake.heal()
        self.check_coverage(symbol)
        self.done(work)

    @rule(pick=st.integers(0, 99), how=st.sampled_from(("cut", "flip", "footer", "empty")))
    def is_damaged(self, pick: int, how: str) -> None:
        """A file is damaged and moved away; what was proven of it comes back, the rest is lost."""
        datasets = (*DATA, "coverage")
        files = [
            (part.path, name)
            for name in datasets
            for part in self.lake.layouts[name].files(self.root)
        ]
        if not files:
            return
        path, name = files[pick % len(files)]
        gone = keyed(name, pl.read_parquet(path, hive_partitioning=False)) if name in DATA else {}
        spoil(path, how, pick)
        (one,) = verify(self.lake).damaged
        assert one.path == path
        self.now += SECOND
        (moved,) = quarantine(self.lake, [one], now_ns=self.now)
        if name in DATA:
            assert moved.saved in (0, len(gone))
            if not moved.saved:
                self.held[name] = {k: v for k, v in self.held[name].items() if k not in gone}
        self.check_coverage(str(moved.symbol))

    @rule(doors=st.integers(0, 20))
    def vacuums(self, doors: int) -> None:
        """Leftovers go, killed or not; rows stay."""
        before = {name: self.stored(name) for name in DATA}
        self.doors.left = doors
        try:
            vacuum(self.lake, now_ns=FAR)
        except Killed:
            pass
        finally:
            self.doors.left = None
        vacuum(self.lake, now_ns=FAR)
        assert vacuum(self.lake, now_ns=FAR) == []
        assert {name: self.stored(name) for name in DATA} == before

    # what they do, and which rows they bring

    def import_(self, symbol: str, start: int, length: int, wrong: bool) -> Any:
        rows = between(CANDLES[symbol], start, length)
        if wrong:
            rows = rows.with_columns(volume=pl.col("volume") * 2)
        return (lambda: self.write("ohlcv", rows, "file"), {"ohlcv": keyed("ohlcv", rows)})

    def write(self, dataset: str, rows: pl.DataFrame, source: str) -> None:
        self.now += SECOND
        self.lake.write(dataset, rows, source=source, now_ns=self.now)

    def ingest(self, symbol: str, start: int, length: int) -> Any:
        since, until = FIRST + start * MINUTE, min(END, FIRST + (start + length) * MINUTE)

        def work() -> None:
            self.now += SECOND
            backfill(
                self.lake, self.market, [symbol], "1m", since, until, now_ns=self.now, page_bars=4
            )

        return work, {"ohlcv": keyed("ohlcv", between(CANDLES[symbol], start, length))}

    def ingest_trades(self, symbol: str, start: int, length: int) -> Any:
        since, until = FIRST + start * MINUTE, min(END, FIRST + (start + length) * MINUTE)

        def work() -> None:
            self.now += SECOND
            fill_trades(self.lake, self.market, [symbol], since, until, now_ns=self.now)

        return work, {"trades": keyed("trades", between(TAPES[symbol], start, length))}

    def stream(self, symbol: str, start: int, length: int, cut: int) -> Any:
        trades = between(TAPES[symbol], start, length)
        seen = min(END, FIRST + (start + length) * MINUTE)

        def work() -> None:
            self.now += SECOND
            closing = Closing(symbol, EXCHANGE)
            rotation = Rotation(3600 * SECOND, 10**6)
            rolling = Rolling(
                self.lake, [closing], source="stream", rotation=rotation, now_ns=self.now
            )
            for part, until in ((trades[:cut], 0), (trades[cut:], seen)):
                rolling.add(Batch(part, ORDERBOOK_L2.empty(), pl.DataFrame(), {symbol: until}))
                rolling.write(rolling.take(self.now), self.now, last=until > 0)

        bars: Rows = {}
        if trades.height:
            whole = -(-(trades["ts"].min() + 1) // MINUTE) * MINUTE
            bars = keyed("ohlcv", CANDLES[symbol].filter(pl.col("ts").is_between(whole, seen - 1)))
        return work, {"trades": keyed("trades", trades), "ohlcv": bars}

    def rebuild(self, symbol: str) -> Any:
        """Bars of the minutes whose trades are all known."""
        known = coverage.covered(self.lake, "trades", EXCHANGE, symbol, None)
        spans = [(-(-low // MINUTE) * MINUTE, high // MINUTE * MINUTE) for low, high in known]
        inside = [any(low <= ts < high for low, high in spans) for ts in CANDLES[symbol]["ts"]]
        rows = CANDLES[symbol].filter(pl.Series(inside, dtype=pl.Boolean))
        return (lambda: self.write("ohlcv", rows, "trades"), {"ohlcv": keyed("ohlcv", rows)})

    def compaction(self, large: bool) -> Any:
        """Every folder becomes one file, or files of about a kilobyte: the rows stay."""
        small_mb, large_mb = (50.0, 200.0) if large else (0.004, 0.004)
        return (lambda: compact(self.lake, small_mb=small_mb, large_mb=large_mb), {})

    def done(self, work: Any) -> None:
        """Do it; a key that is there keeps its values."""
        do, brings = work
        do()
        for name, rows in brings.items():
            self.held[name] = self.merged(name, rows)
        type(self).steps += 1

    def merged(self, dataset: str, rows: Rows) -> Rows:
        return {**rows, **self.held[dataset]}

    # what has to hold

    def stored(self, dataset: str) -> Rows:
        paths = self.lake.layouts[dataset].paths(self.root)
        tables = [pq.ParquetFile(path).read(use_threads=False) for path in paths]
        return keyed(dataset, pa.concat_tables(tables).to_pydict()) if tables else {}

    def check_coverage(self, symbol: str) -> None:
        """Where coverage says that all is known, all is there."""
        for name, interval in (("ohlcv", "1m"), ("trades", None)):
            known = coverage.covered(self.lake, name, EXCHANGE, symbol, interval)
            there = self.stored(name)
            for key, ts in WHEN[name][symbol].items():
                assert key in there or not any(low <= ts < high for low, high in known)

    def check(self) -> None:
        """By every door that readers have."""
        for symbol in SYMBOLS:
            mine = {key: v for key, v in self.held["ohlcv"].items() if key[0] == symbol}
            assert self.bars(symbol) == sorted(mine.items())
            self.check_coverage(symbol)
        globs = [f"{self.root}/{name}/**/*.parquet" for name in DATA]
        plain = duckdb.sql(f"from read_parquet({globs}, union_by_name=true)").pl()
        for rows in (self.lake.sql(BOTH), plain):
            trades = rows["trade_id"].is_not_null()
            assert keyed("ohlcv", rows.filter(~trades)) == self.held["ohlcv"]
            assert keyed("trades", rows.filter(trades)) == self.held["trades"]

    def bars(self, symbol: str) -> list[Any]:
        try:
            rows = self.lake.bars(symbol, "1m").collect()
        except (EmptyDataset, UnknownSymbol):
            return []
        assert rows["ts"].is_sorted()
        return sorted(keyed("ohlcv", rows).items())

    def wipe(self) -> None:
        """An empty lake, for the next sequence; views stay as they are."""
        for folder, _, names in os.walk(self.root):
            if "/exchange=none" in folder or "/.locks" in folder:
                continue
            for name in names:
                if name.endswith((".parquet", ".tmp", ".verified.json")):
                    Path(folder, name).unlink()


def between(rows: pl.DataFrame, start: int, length: int) -> pl.DataFrame:
    low = FIRST + start * MINUTE
    return sliced(rows, low, low + length * MINUTE)


def sliced(rows: pl.DataFrame, low: int, high: int) -> pl.DataFrame:
    stamps = rows["ts"].to_list()
    return rows[bisect_left(stamps, low) : bisect_left(stamps, high)]


def spoil(path: Path, how: str, pick: int) -> None:
    content = bytearray(path.read_bytes())
    if how == "cut":
        content = content[: len(content) // 2]
    elif how == "empty":
        content.clear()
    elif how == "flip":
        content[4 + pick] ^= 1 << pick % 8
    else:
        content[-9 - pick] ^= 1 << pick % 8
    path.write_bytes(content)


def sequences(root: Path, count: int, steps: int, number: int) -> int:
    """Try so many sequences of up to so many operations each; how many operations that were.

    The same `number` gives the same sequences.
    """
    machine = seed(number)(LakeModel.at(root))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=count,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return machine.steps
