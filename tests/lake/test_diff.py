"""What differs between lakes and fingerprints, against two dicts compared key by key."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cq.errors import UsageError
from cq.lake import Lake
from cq.lake.datasets import OHLCV, ORDERBOOK_L2
from cq.lake.diff import (
    ONLY_A,
    ONLY_B,
    OTHER,
    between_lakes,
    between_prints,
    compared,
    differing,
    gone,
    since_then,
)
from cq.lake.evidence import Question, counted
from cq.lake.fingerprint import Owner
from cq.utils.time import DAY, HOUR, iso, parse_time

START = parse_time("2023-12-30")
BTC = Owner("mercadobitcoin", "BTC-BRL", "1h")
VALUES = ["open", "high", "low", "close", "volume"]
ALL = Question()


def lake_of(root, rows):
    lake = Lake(root)
    lake.write("ohlcv", rows, source="test", now_ns=1)
    return lake


def changed(rows, at, **values):
    return rows.with_columns(
        pl.when(pl.int_range(pl.len()) == at).then(pl.lit(v)).otherwise(pl.col(n)).alias(n)
        for n, v in values.items()
    )


@pytest.fixture(scope="module")
def hourly(bars):
    return bars(72, since="2023-12-30")


bar = st.tuples(*[st.sampled_from([1.0, 2.0, 0.0, -0.0])] * 5)
side = st.dictionaries(st.integers(0, 70).map(lambda h: START + h * HOUR), bar, max_size=12)


def frame(known):
    rows = [(ts, *one, "BTC-BRL", "mercadobitcoin", "1h") for ts, one in known.items()]
    return pl.DataFrame(rows, schema=dict(OHLCV.schema), orient="row")


@settings(max_examples=60)
@given(side, side)
def test_the_difference_is_that_of_two_dicts(one, other):
    expected = {}
    for ts in sorted({*one, *other}):
        if ts not in other:
            expected[ts] = (ONLY_A, set())
        elif ts not in one:
            expected[ts] = (ONLY_B, set())
        elif one[ts] != other[ts]:
            unlike = {n for n, a, b in zip(VALUES, one[ts], other[ts], strict=True) if a != b}
            expected[ts] = (OTHER, unlike)
    found = differing(frame(one), frame(other), ["ts"], counted(OHLCV))
    assert dict(found.select("ts", "kind").rows()) == {ts: k for ts, (k, _) in expected.items()}
    days = list(compared(OHLCV, BTC, frame(one), frame(other), counted(OHLCV)))
    assert [day.period for day in days] == sorted({iso(ts)[:10] for ts in expected})
    for day in days:
        mine = [said for ts, said in expected.items() if iso(ts)[:10] == day.period]
        kinds = [kind for kind, _ in mine]
        assert day.kinds == {kind: kinds.count(kind) for kind in set(kinds)}
        assert day.columns == {n: c for n in VALUES if (c := sum(n in u for _, u in mine))}
        counts = (sum(iso(ts)[:10] == day.period for ts in known) for known in (one, other))
        assert day.rows == tuple(counts)


def test_equal_lakes_do_not_differ_however_their_files_lie(tmp_path, hourly):
    whole = lake_of(tmp_path / "a", hourly)
    parts = Lake(tmp_path / "b", partitions={"ohlcv": "ohlcv/file-{HHmmss}.parquet"})
    for at in (40, 0):
        parts.write("ohlcv", hourly.slice(at, 40), source="test", now_ns=2)
    assert list(between_lakes(whole, parts, ALL, [])) == []


def test_each_day_says_what_differs_and_in_which_columns(tmp_path, hourly):
    a = lake_of(tmp_path / "a", hourly)
    b = lake_of(tmp_path / "b", changed(hourly, 30, close=130.5, volume=9.0)[1:])
    first, second = between_lakes(a, b, ALL, [])
    assert (first.period, first.rows, first.kinds) == ("2023-12-30", (24, 23), {ONLY_A: 1})
    assert first.examples[0]["a"]["open"] == 100.0
    assert (second.period, second.kinds) == ("2023-12-31", {OTHER: 1})
    assert second.columns == {"close": 1, "volume": 1}
    assert second.examples == (
        {
            "kind": OTHER,
            "ts": START + 30 * HOUR,
            "a": {"close": 131.0, "volume": 1.3},
            "b": {"close": 130.5, "volume": 9.0},
        },
    )
    swapped = list(between_lakes(b, a, ALL, []))
    assert swapped == [first.swapped(), second.swapped()]


def test_only_what_is_asked_for_is_compared(tmp_path, hourly, bars):
    a = lake_of(tmp_path / "a", hourly)
    b = lake_of(tmp_path / "b", pl.concat([hourly[:48], bars(3, "ETH-BRL", "1d")]))
    assert [str(one.owner) for one in between_lakes(a, b, ALL, [])] == [
        str(BTC), *["mercadobitcoin ETH-BRL 1d"] * 3,
    ]  # fmt: skip
    assert list(between_lakes(a, b, Question(end=START + 2 * DAY, interval="1h"), [])) == []
    assert len(list(between_lakes(a, b, Question(symbols=("ETH-BRL",)), ["ohlcv"]))) == 3
    assert list(between_lakes(a, b, ALL, ["trades"])) == []
    with pytest.raises(UsageError, match="no interval"):
        list(between_lakes(a, b, Question(interval="1h"), ["trades"]))


def test_a_key_that_is_there_twice_is_compared_row_for_row(hourly):
    twice = pl.concat([hourly, hourly.head(1)])
    (day,) = compared(OHLCV, BTC, hourly, twice, counted(OHLCV))
    assert (day.kinds, day.rows) == ({ONLY_B: 1}, (24, 25))
    assert list(compared(OHLCV, BTC, twice, twice.reverse(), counted(OHLCV))) == []


def test_books_are_compared_level_by_level():
    def book(price):
        return pl.DataFrame(
            {"ts": [START], "bids": [[{"price": price, "size": 1.0}]], "asks": [[]]},
            schema={n: k for n, k in ORDERBOOK_L2.schema.items() if n not in BTC._fields},
        )

    names = counted(ORDERBOOK_L2)
    (day,) = compared(ORDERBOOK_L2, BTC, book(1.0), book(2.0), names)
    assert (day.kinds, day.columns) == ({OTHER: 1}, {"bids": 1})
    assert list(compared(ORDERBOOK_L2, BTC, book(1.0), book(1.0), names)) == []


def test_fingerprints_tell_the_blocks_that_differ(tmp_path, hourly):
    a = lake_of(tmp_path / "a", hourly).fingerprint()
    b = lake_of(tmp_path / "b", changed(hourly, 30, close=130.5)).fingerprint()
    (day,) = between_prints(a, b)
    assert (day.period, day.rows, day.kinds) == ("2023-12-31", (24, 24), {})
    (month,) = between_prints(a, b.coarser())
    assert month.period == "2023-12"
    assert list(between_prints(a, a.coarser())) == []
    narrow = lake_of(tmp_path / "c", hourly).fingerprint(columns=["ts", "close"])
    with pytest.raises(UsageError, match="other columns"):
        list(between_prints(a, narrow))


def test_while_the_files_are_there_a_fingerprint_tells_rows(tmp_path, hourly):
    lake = lake_of(tmp_path / "a", hourly[:60])
    taken = lake.fingerprint(interval="1h", columns=["ts", "close"], by="month")
    assert list(since_then(taken, lake)) == []
    lake.write("ohlcv", hourly[60:], source="test", now_ns=2)
    (day,) = since_then(taken, lake)
    assert (day.period, day.kinds) == ("2024-01-01", {ONLY_B: 12})
    assert day.examples[0]["b"] == {"close": 161.0}


def test_once_a_file_is_gone_a_fingerprint_tells_blocks(tmp_path, hourly):
    lake = lake_of(tmp_path / "a", hourly)
    taken = lake.fingerprint()
    old = lake.root / taken.files[0].path
    rows = pl.read_parquet(old)
    old.unlink()
    rows.write_parquet(old.with_name("compacted.parquet"))
    assert gone(taken, lake) == [taken.files[0].path]
    assert list(since_then(taken, lake)) == []
    rows.tail(-1).write_parquet(old.with_name("compacted.parquet"))
    (day,) = since_then(taken, lake)
    assert (day.period, day.rows, day.kinds) == ("2023-12-30", (24, 23), {})
    assert day.within(Question(start=START + HOUR))
    assert not day.within(Question(start=START + DAY))
    assert not day.within(Question(symbols=("ETH-BRL",)))


@pytest.mark.parametrize("where", [None, "volume >= 0"])
@pytest.mark.parametrize("interval", ["1h", "4h"])
def test_a_fingerprint_is_compared_with_the_exchange_that_it_names(
    tmp_path, hourly, interval, where
):
    lake = Lake(tmp_path / "lake")
    lake.write("ohlcv", hourly, source="test", now_ns=1)
    taken = lake.fingerprint("bars", where, symbols="BTC-BRL", interval=interval)
    other = hourly.with_columns(exchange=pl.lit("other"))
    lake.write("ohlcv", other, source="test", now_ns=1)
    assert list(since_then(taken, lake)) == []
