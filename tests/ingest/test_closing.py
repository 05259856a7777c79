from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from trade_market import trades

from cq.exchanges.feed import Hole
from cq.ingest.built_bars import bars_of
from cq.ingest.closing import Closing
from cq.utils.time import MINUTE, SECOND

START = 1_790_000_040  # a whole minute, in seconds


def closing(**more) -> Closing:
    return Closing("BTC-BRL", "mercadobitcoin", **more)


def ranges(one: Closing) -> dict[str, list[tuple[int, int, int]]]:
    """What it covers, in seconds after START."""
    told = one.covered(1, "test")
    return {
        name: [
            (start // SECOND - START, end // SECOND - START, count)
            for start, end, count in told.filter(pl.col("dataset") == name)
            .select("start_ts", "end_ts", "rows")
            .rows()
        ]
        for name in ("trades", "ohlcv")
    }


def opens(bars: pl.DataFrame) -> list[int]:
    """When bars open, in seconds after START."""
    return [ts // SECOND - START for ts in bars["ts"]]


def at(second: float) -> int:
    return int((START + second) * SECOND)


def test_the_bar_in_which_the_record_begins_is_not_made():
    one = closing()
    rows = trades([START + s for s in (10, 70, 130)])
    assert opens(one.take(rows, at(130))) == [60]


def test_a_record_that_begins_on_a_minute_cannot_know_that_minute_either():
    one = closing()
    assert opens(one.take(trades([START, START + 61]), at(120))) == [60]


def test_a_bar_closes_once_nothing_before_its_end_can_be_missing():
    one = closing(known_from=at(0), edge=at(0))
    rows = trades([START + s for s in (10, 59, 61)])
    assert opens(one.take(rows, at(59.9))) == []
    assert opens(one.take(None, at(60))) == [0]
    assert opens(one.take(None, at(60))) == []


def test_a_minute_without_a_trade_has_no_bar_and_is_covered():
    one = closing(known_from=at(0), edge=at(0))
    assert opens(one.take(trades([START + 5, START + 185]), at(240))) == [0, 180]
    assert ranges(one) == {"trades": [(0, 240, 2)], "ohlcv": [(0, 240, 2)]}


def test_a_second_is_known_only_when_it_is_over():
    one = closing(known_from=at(0), edge=at(0))
    one.take(trades([START + 5, START + 10, START + 10]), at(10.7))
    assert ranges(one)["trades"] == [(0, 10, 1)]
    one.take(trades([START + 10, START + 12], 4), at(20))
    assert ranges(one)["trades"] == [(10, 20, 4)]
    assert ranges(one) == {"trades": [], "ohlcv": []}


def test_a_hole_that_nobody_fills_takes_the_bars_beside_it_along():
    one = closing(known_from=at(0), edge=at(0))
    before = trades([START + s for s in (5, 70)])
    after = trades([START + s for s in (200, 245, 301)], first_id=9)
    bars = one.take(pl.concat([before, after]), at(320), [Hole("BTC-BRL", 3, 8)])
    assert opens(bars) == [0, 240]
    assert ranges(one) == {
        "trades": [(0, 70, 1), (200, 320, 2)],
        "ohlcv": [(0, 60, 1), (240, 300, 1)],
    }


def test_a_hole_with_nothing_behind_it_yet_waits_for_the_next_trade():
    one = closing(known_from=at(0), edge=at(0))
    one.take(trades([START + 5]), at(30), [Hole("BTC-BRL", 2, 8)])
    assert ranges(one)["trades"] == [(0, 5, 0)]
    bars = one.take(trades([START + 100, START + 121], first_id=9), at(180))
    assert opens(bars) == [120]


def test_a_market_without_trades_is_known_from_the_first_look():
    one = closing()
    one.take(None, at(30))
    assert opens(one.take(trades([START + 61]), at(125))) == [60]
    assert ranges(one)["trades"] == [(30, 125, 1)]


def test_a_trade_after_its_bar_was_made_is_counted():
    one = closing(known_from=at(0), edge=at(0))
    one.take(trades([START + 5]), at(60))
    one.take(trades([START + 59], 2), at(120))
    assert one.late == 1


def test_it_goes_on_from_trades_that_the_lake_has():
    rows = trades([START + s for s in (5, 50, 61)])
    one = closing(known_from=at(50), edge=at(0), tail=rows, counted=2)
    assert opens(one.take(None, at(120))) == [0, 60]
    assert ranges(one) == {"trades": [(50, 120, 2)], "ohlcv": [(0, 120, 2)]}


SECONDS = st.lists(st.integers(0, 400), min_size=1, max_size=40).map(sorted)


@given(SECONDS, st.lists(st.integers(0, 40), max_size=6), st.data())
def test_bars_are_those_of_all_trades_however_they_come_in(seconds, cuts, data):
    rows = trades([START + s for s in seconds])
    edges = sorted({0, rows.height, *(cut for cut in cuts if cut < rows.height)})
    one, made, told = closing(known_from=at(0), edge=at(0)), [], []
    for low, high in pairwise(edges):
        part = rows[low:high]
        seen = data.draw(st.integers(0, seconds[high] if high < len(seconds) else 480))
        made.append(one.take(part, at(seen)))
        told += ranges(one)["trades"]
    made.append(one.take(None, at(480)))
    told += ranges(one)["trades"]
    assert_frame_equal(pl.concat(made), bars_of(rows, "1m"), check_column_order=False)
    assert one.late == 0
    for start, end, count in told:
        assert count == sum(start <= s < end for s in seconds)
    assert sum(end - start for start, end, _ in told) == 480


@pytest.mark.parametrize("seen", [0, -1])
def test_nothing_seen_closes_nothing(seen):
    one = closing(known_from=at(0), edge=at(0))
    assert one.take(trades([START + 5, START + 400]), seen).is_empty()
    assert MINUTE == 60 * SECOND


def test_a_minute_whose_bar_lacks_a_late_trade_is_not_covered():
    one = closing(known_from=at(0), edge=at(0))
    one.take(trades([START + s for s in (5, 70, 130)]), at(180))
    one.take(trades([START + 90], 4), at(240))
    assert one.late == 1
    assert ranges(one) == {
        "trades": [(0, 240, 4)],
        "ohlcv": [(0, 60, 1), (120, 240, 1)],
    }
    one.take(None, at(300))
    assert ranges(one)["ohlcv"] == [(240, 300, 0)]


def test_a_late_trade_is_told_loudly_also_when_its_bar_is_covered_already(monkeypatch):
    told = []
    monkeypatch.setattr("cq.utils.log.event", lambda *words, **more: told.append(more))
    one = closing(known_from=at(0), edge=at(0))
    one.take(trades([START + 5]), at(60))
    ranges(one)
    one.take(trades([START + 59], 2), at(120))
    assert one.late == 1
    assert [more["level"] for more in told] == ["ERROR"]
