"""Missing bars and their classes, against an obvious classification bucket by bucket."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cq.errors import UsageError
from cq.lake import Lake
from cq.lake.datasets import COVERAGE, DATASETS, LOST, OHLCV, REJECTED, TRADES
from cq.lake.resample import floor
from cq.lake.views import in_order, macros, views
from cq.utils.time import HOUR, bar_end, parse_time

START = parse_time("2024-03-04")  # a Monday
NOW = parse_time("2030-01-01")
EXCHANGE = "mercadobitcoin"
MONTHS = parse_time("2024-03-01")
GRID = ("step_ns", "slot_of", "slot_of_bar", "slot_from", "slot_ns")
NEEDED = ("stg_coverage", "stg_lost", "stg_rejected", "stg_spells", "stg_known_trades", "gaps")


@dataclass
class Market:
    """What a small lake holds of one symbol; buckets are counted from START."""

    bars: set[int] = field(default_factory=set)
    asked: list[tuple[int, int, int]] = field(default_factory=list)  # from, to, rows beyond those
    trades: list[int] = field(default_factory=list)  # nanoseconds from START
    traded: list[tuple[int, int, int]] = field(default_factory=list)  # ns from, ns to, rows beyond
    refused: set[int] = field(default_factory=set)


def opening(interval: str, bucket: int) -> int:
    """When a bucket opens."""
    if interval != "1M":
        step = bar_end(START, interval) - START
        return floor(START, interval) + bucket * step
    at = MONTHS
    for _ in range(bucket):
        at = bar_end(at, interval)
    return at


def bars_of(symbol: str, interval: str, buckets: set[int], price: float = 2.0) -> pl.DataFrame:
    rows = [
        (opening(interval, one), *[price] * 5, symbol, EXCHANGE, interval)
        for one in sorted(buckets)
    ]
    return pl.DataFrame(rows, schema=dict(OHLCV.schema), orient="row")


def asked_of(dataset, symbol, interval, ranges, asked_ns=1) -> pl.DataFrame:
    rows = [
        (dataset, symbol, EXCHANGE, interval, start, end, rows, asked_ns + i, "test")
        for i, (start, end, rows) in enumerate(ranges)
    ]
    return pl.DataFrame(rows, schema=dict(COVERAGE.schema), orient="row")


def trades_of(symbol: str, stamps: list[int]) -> pl.DataFrame:
    rows = [
        (START + ns, 2.0, 1.0, "buy", str(i + 1), symbol, EXCHANGE) for i, ns in enumerate(stamps)
    ]
    return pl.DataFrame(rows, schema=dict(TRADES.schema), orient="row")


@pytest.fixture(scope="module")
def tables():
    """The views over empty tables in memory, so that many small lakes cost no file."""
    connection = duckdb.connect()
    connection.execute("set timezone='UTC'; set threads=1")
    connection.execute("create schema raw")
    for name, contract in DATASETS.items():
        empty = contract.empty()
        assert empty.is_empty()
        connection.execute(f"create table raw.{name} as from empty")
    for macro in macros(Path("/nonexistent")):
        if macro.name in GRID:
            connection.execute(macro.text)
    for view in in_order(views(Path("/nonexistent"))):
        if view.name in NEEDED:
            connection.execute(view.text)
    connection.execute("set variable now_ns = ?", [NOW])
    return connection


def fill(connection, markets: dict[str, Market], interval: str) -> None:
    """Put this into the tables."""
    frames = [rows_of(symbol, one, interval) for symbol, one in markets.items()]
    for name in frames[0]:
        rows = pl.concat([one[name] for one in frames])
        connection.execute(f"delete from raw.{name}")
        if rows.height:
            connection.execute(f"insert into raw.{name} from rows")


def rows_of(symbol: str, one: Market, interval: str) -> dict[str, pl.DataFrame]:
    bars = one.bars | one.refused
    ranges = [
        (opening(interval, a), opening(interval, b), sum(a <= i < b for i in bars) + more)
        for a, b, more in one.asked
    ]
    spans = [
        (START + a, START + b, sum(a <= ns < b for ns in one.trades) + more)
        for a, b, more in one.traded
    ]
    refused = [
        (opening(interval, i), "ohlcv", symbol, EXCHANGE, interval, ["volume"], str(i), "test", 1)
        for i in one.refused
    ]
    asked = asked_of("ohlcv", symbol, interval, ranges), asked_of("trades", symbol, None, spans)
    return {
        "ohlcv": bars_of(symbol, interval, one.bars),
        "trades": trades_of(symbol, one.trades),
        "coverage": pl.concat(asked),
        "rejected": pl.DataFrame(refused, schema=dict(REJECTED.schema), orient="row"),
    }


def expected(markets: dict[str, Market], interval: str) -> dict[tuple[str, int], str]:
    """The class of each missing bucket, one by one."""
    spans, empty, found = {}, {}, {}
    for symbol, one in markets.items():
        known = [*one.bars, *(i for a, b, _ in one.asked for i in (a, b - 1))]
        spans[symbol] = range(min(known), max(known) + 1) if known else range(0)
        for bucket in spans[symbol]:
            if bucket not in one.bars:
                found[symbol, bucket] = plain_class(one, interval, bucket)
    for symbol, one in markets.items():
        first = min(one.bars, default=math.inf)
        empty[symbol] = {
            b for b in spans[symbol] if found.get((symbol, b)) == "no_trade" and b >= first
        }
    for run in silent_runs(markets, spans, empty, interval):
        for bucket in run:
            for symbol in markets:
                if bucket in empty[symbol]:
                    found[symbol, bucket] = "outage"
    return found


def plain_class(one: Market, interval: str, bucket: int) -> str:
    """What is known of one missing bucket without looking at other markets."""
    start, end = opening(interval, bucket) - START, opening(interval, bucket + 1) - START
    around = [(a, b, more) for a, b, more in one.asked if a <= bucket < b]
    whole, short = any(m <= 0 for *_, m in around), any(m > 0 for *_, m in around)
    by_trades = within(start, end, [(a, b) for a, b, more in one.traded if more <= 0])
    by_some = within(start, end, [(a, b) for a, b, more in one.traded if more > 0])
    some = any(start <= ns < end for ns in one.trades)
    if some and (by_trades or whole or short or by_some):
        return "lost"
    if bucket in one.refused:
        return "lost"
    if some:
        return "never_fetched"
    if by_trades or whole:
        return "no_trade"
    return "lost" if short or by_some else "never_fetched"


def within(start: int, end: int, ranges: list[tuple[int, int]]) -> bool:
    """Whether every instant of [start, end) is in one of the ranges."""
    at = start
    for a, b in sorted(ranges):
        if a <= at:
            at = max(at, b)
    return at >= end


def silent_runs(markets, spans, empty, interval) -> list[list[int]]:
    """Neighbouring buckets in which nothing at all happened, and unlikely so."""
    every = sorted({bucket for span in spans.values() for bucket in span})
    shares = {
        symbol: len(one.bars) / (len(one.bars) + len(empty[symbol]))
        for symbol, one in markets.items()
        if one.bars
    }
    runs: list[list[int]] = []
    for bucket in every:
        start, end = opening(interval, bucket) - START, opening(interval, bucket + 1) - START
        something = any(
            bucket in one.bars
            or (
                bucket in spans[symbol]
                and (bucket in one.refused or any(start <= ns < end for ns in one.trades))
            )
            for symbol, one in markets.items()
        )
        if something or sum(bucket in empty[symbol] for symbol in markets) < 2:
            continue
        if runs and runs[-1][-1] == bucket - 1:
            runs[-1].append(bucket)
        else:
            runs.append([bucket])
    return [
        run
        for run in runs
        if sum(math.log(1 - shares[s]) for b in run for s in markets if b in empty[s])
        < math.log(1e-6)
    ]


def told(connection, interval: str) -> dict[tuple[str, int], str]:
    """The class of each missing bucket, as the view has it."""
    found: dict[tuple[str, int], str] = {}
    numbers = {opening(interval, i): i for i in range(200)}
    asked = "select symbol, ts, end_ts, bars, class, evidence from gaps"
    for symbol, ts, end_ts, bars, kind, evidence in connection.execute(asked).fetchall():
        buckets = range(numbers[ts], numbers[end_ts])
        assert len(buckets) == bars > 0
        assert evidence
        for bucket in buckets:
            assert (symbol, bucket) not in found
            found[symbol, bucket] = kind
    return found


def ranges(top: int, unit: int = 1):
    edge = st.integers(0, top)
    pair = st.tuples(edge, edge).filter(lambda p: p[0] != p[1]).map(sorted)
    more = st.sampled_from([0, 0, 0, 1, 3])
    return st.lists(
        st.tuples(pair, more).map(lambda one: (one[0][0] * unit, one[0][1] * unit, one[1])),
        max_size=3,
    )


@st.composite
def small_markets(draw, interval: str, top: int) -> dict[str, Market]:
    step = opening(interval, 1) - opening(interval, 0)
    markets = {}
    silent = draw(st.tuples(st.integers(0, top), st.integers(0, top)))
    for symbol in ("A-B", "C-D", "E-F")[: draw(st.integers(1, 3))]:
        bars = set(draw(st.lists(st.integers(0, top - 1), max_size=top)))
        if draw(st.booleans()):
            bars = set(range(top)) - bars
        if draw(st.booleans()):
            bars -= set(range(min(silent), max(silent)))
        refused = set(draw(st.lists(st.integers(0, top - 1), max_size=2))) - bars
        stamps = draw(st.lists(st.integers(0, top * step - 1), max_size=4))
        markets[symbol] = Market(
            bars, draw(ranges(top)), sorted(stamps), draw(ranges(top * 4, step // 4)), refused
        )
    return markets


@pytest.mark.parametrize(
    ("interval", "top"), [("1m", 90), ("1h", 60), ("1d", 40), ("1w", 12), ("7h", 30), ("1M", 20)]
)
def test_every_missing_bar_has_the_class_that_a_look_at_each_bucket_gives(interval, top, tables):
    @settings(max_examples=8, deadline=None)
    @given(markets=small_markets(interval, top))
    def holds(markets):
        fill(tables, markets, interval)
        assert told(tables, interval) == expected(markets, interval)

    holds()


@pytest.fixture
def holed(tmp_path):
    """Ten hours of which one was asked for and empty, and two were never asked for."""
    lake = Lake(tmp_path / "lake")
    bars = bars_of("A-B", "1h", {0, 1, 2, 4, 7, 8, 9})
    lake.write("ohlcv", bars, source="test", now_ns=1)
    asked = asked_of("ohlcv", "A-B", "1h", [(START, START + 5 * HOUR, 4)])
    lake.write("coverage", asked, source="test", now_ns=1)
    return lake


def test_runs_come_with_class_and_evidence(holed):
    found = holed.gaps("A-B", "1h", now_ns=NOW)
    assert found.select("symbol", "bars", "class", "evidence").rows() == [
        ("A-B", 1, "no_trade", "asked and empty, by candles only"),
        ("A-B", 2, "never_fetched", "never asked for, neither bars nor trades"),
    ]
    assert holed.gaps(classes=["outage", "no_trade"], now_ns=NOW)["bars"].to_list() == [1]


def test_a_probability_that_is_too_small_for_a_number_is_not_called_none(tmp_path):
    lake = Lake(tmp_path / "lake")
    hours = {*range(400), *range(900, 1300)}
    for symbol in ("A-B", "C-D"):
        lake.write("ohlcv", bars_of(symbol, "1h", hours), source="test", now_ns=1)
        asked = asked_of("ohlcv", symbol, "1h", [(START, START + 1300 * HOUR, len(hours))])
        lake.write("coverage", asked, source="test", now_ns=1)
    found = lake.gaps("A-B", "1h", now_ns=START + 1300 * HOUR)
    assert found.select("bars", "class", "evidence").rows() == [
        (
            500,
            "outage",
            "all 2 series known there are silent; by their usual activity that has a probability "
            "below 1e-300",
        )
    ]


def test_runs_are_cut_to_the_stretch_that_is_asked_for(holed):
    found = holed.gaps(start=START + 5 * HOUR + 1, end=START + 8 * HOUR, now_ns=NOW)
    assert found.select("ts", "end_ts", "bars").rows() == [(START + 6 * HOUR, START + 7 * HOUR, 1)]
    assert holed.gaps(start=START + 6 * HOUR + 1, now_ns=NOW).is_empty()
    assert holed.gaps(end=START + 3 * HOUR, now_ns=NOW).is_empty()


def test_months_are_cut_by_the_calendar(tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.write("ohlcv", bars_of("A-B", "1M", {0, 6}), source="test", now_ns=1)
    found = lake.gaps(start="2024-04-02", end="2024-07-15", now_ns=NOW)
    expected = [(parse_time("2024-05-01"), parse_time("2024-08-01"), 3)]
    assert found.select("ts", "end_ts", "bars").rows() == expected


def test_an_unknown_class_is_refused(holed):
    with pytest.raises(UsageError, match="'late' is no class of gaps; there is no_trade"):
        holed.gaps(classes=["late"])


def test_what_a_damaged_file_held_is_lost_and_the_rest_of_its_range_stays_verified(holed, tmp_path):
    lost = pl.DataFrame(
        [("ohlcv", "A-B", EXCHANGE, "1h", START, START + 3 * HOUR, 2, "f", "bytes", 5)],
        schema=dict(LOST.schema),
        orient="row",
    )
    for path in (tmp_path / "lake" / "ohlcv").rglob("file-*.parquet"):
        path.unlink()
    held = bars_of("A-B", "1h", {2, 4, 7, 8, 9})
    holed.write("ohlcv", held, source="test", now_ns=1)
    holed.write("lost", lost, source="test", now_ns=1)
    found = holed.gaps(now_ns=NOW).select("ts", "bars", "class")
    assert [((ts - START) // HOUR, *rest) for ts, *rest in found.rows()] == [
        (0, 2, "lost"),
        (3, 1, "no_trade"),
        (5, 2, "never_fetched"),
    ]
    again = asked_of("ohlcv", "A-B", "1h", [(START, START + 3 * HOUR, 1)], asked_ns=9)
    holed.write("coverage", again, source="test", now_ns=9)
    assert holed.gaps(now_ns=NOW)["class"].to_list() == ["no_trade", "no_trade", "never_fetched"]
