"""Bars that a late trade spoilt come right; an exchange's own are never overwritten."""

import polars as pl
import pytest

from cq.ingest.built_bars import bars_of
from cq.ingest.repair import repair
from cq.ingest.spoilt import spoilt
from cq.lake import Lake
from cq.lake.compaction import compact
from cq.lake.datasets import COVERAGE, TRADES
from cq.lake.origin import origin_of
from cq.lake.quarantine import quarantine
from cq.lake.verify import verify
from cq.utils.time import MINUTE, SECOND, parse_time

pytestmark = pytest.mark.usefixtures("nothing_lingers")

START = parse_time("2026-09-01")
NOW = START + 100 * MINUTE
TAPE = pl.DataFrame(
    [
        (START + 20 * second * SECOND, 10.0 + second % 5, 1.0, "buy", str(second), "A-B", "x")
        for second in range(12)
    ],
    schema=dict(TRADES.schema),
    orient="row",
)
"""Three trades in each of four minutes."""
RIGHT = bars_of(TAPE, "1m")
SPOILT = bars_of(TAPE.filter(pl.col("trade_id").cast(pl.Int64) % 3 < 2), "1m")
"""Made without the last trade of each minute."""


@pytest.fixture
def lake(tmp_path):
    """Every trade is here, and coverage says so of the first three minutes."""
    lake = Lake(tmp_path / "lake")
    told = ("trades", "A-B", "x", None, START, START + 3 * MINUTE, 9, 1, "t")
    lake.write("trades", TAPE, source="x stream", now_ns=1)
    rows = pl.DataFrame([told], schema=dict(COVERAGE.schema), orient="row")
    lake.write("coverage", rows, source="x stream", now_ns=1)
    return lake


def write(lake, minutes, source):
    bars = SPOILT[minutes]
    assert lake.write("ohlcv", bars, source=source, now_ns=1).landed == len(minutes)


def volumes(lake):
    return lake.bars("A-B", "1m").collect()["volume"].to_list()


def test_a_bar_of_the_stream_is_put_right_where_all_of_its_trades_are_known(lake):
    write(lake, [0, 1, 2, 3], "x stream")
    done = repair(lake, None, now_ns=NOW)
    assert (done.corrected, done.disagreeing) == (3, 0)
    assert lake.bars("A-B", "1m").collect().head(3).equals(
        RIGHT.select(lake.bars("A-B", "1m").collect().columns).head(3)
    )  # fmt: skip
    assert volumes(lake) == [3.0, 3.0, 3.0, 2.0]
    told = lake.sql("select broken, ts from rejected order by ts").rows()
    assert told == [(["replaced"], START + n * MINUTE) for n in range(3)]
    assert lake.sql("from trades_disagree").is_empty()
    sources = {origin_of(part.path).source for part in lake.layouts["ohlcv"].files(lake.root)}
    assert sources == {"x stream", "x trades, repair"}
    again = repair(lake, None, now_ns=NOW)
    assert (again.corrected, again.disagreeing) == (0, 0)


def test_a_candle_of_the_exchange_stays_and_the_check_goes_on_telling(lake):
    write(lake, [0], "x candles")
    write(lake, [1], "x stream")
    write(lake, [2], "/home/somebody/x stream")
    done = repair(lake, None, now_ns=NOW)
    assert (done.corrected, done.disagreeing) == (1, 2)
    assert volumes(lake) == [2.0, 3.0, 2.0]
    left = lake.sql("select distinct ts from trades_disagree order by ts")["ts"].to_list()
    assert left == [START, START + 2 * MINUTE]


def test_in_a_file_that_merges_both_nobody_can_tell_so_it_stays(lake):
    write(lake, [0], "x candles")
    write(lake, [1], "x stream")
    compact(lake)
    assert repair(lake, None, now_ns=NOW).corrected == 0
    assert volumes(lake) == [2.0, 2.0]


def test_only_what_is_asked_for_is_put_right(lake):
    write(lake, [0, 1, 2], "x stream")
    assert spoilt(lake, ["C-D"]).is_empty()
    assert repair(lake, None, None, START + MINUTE, START + 2 * MINUTE, now_ns=NOW).corrected == 1
    assert volumes(lake) == [2.0, 3.0, 2.0]


@pytest.mark.parametrize("how", ["deleted", "damaged"])
def test_trades_that_are_gone_spoil_no_bar(tmp_path, how):
    lake = Lake(tmp_path / "lake")
    for trades, now_ns in ((TAPE[:4], 1), (TAPE[4:], 2)):
        lake.write("trades", trades, source="x stream", now_ns=now_ns)
    told = ("trades", "A-B", "x", None, START, START + 4 * MINUTE, 12, 2, "t")
    rows = pl.DataFrame([told], schema=dict(COVERAGE.schema), orient="row")
    lake.write("coverage", rows, source="x stream", now_ns=2)
    lake.write("ohlcv", RIGHT, source="x stream", now_ns=2)
    later = next(
        part.path
        for part in lake.layouts["trades"].files(lake.root)
        if pl.read_parquet(part.path).height == 8
    )
    if how == "deleted":
        later.unlink()
    else:
        later.write_bytes(later.read_bytes().replace(b"buy", b"bye"))
        quarantine(lake, verify(lake).damaged, now_ns=3)
    assert lake.sql("from trades_disagree").is_empty()
    assert repair(lake, None, now_ns=NOW).corrected == 0
    assert volumes(lake) == [3.0, 3.0, 3.0, 3.0]
    lake.write("trades", TAPE[4:], source="x candles", now_ns=4)
    lake.write("coverage", rows.with_columns(asked_ts=4), source="x candles", now_ns=4)
    lake.replace(
        "ohlcv", SPOILT[3:], source="x stream", now_ns=4, asked=(START, START + 4 * MINUTE)
    )
    assert repair(lake, None, now_ns=NOW).corrected == 1
    assert volumes(lake) == [3.0, 3.0, 3.0, 3.0]
