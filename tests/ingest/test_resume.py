from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from trade_market import trades

from cq.errors import TradesMissing
from cq.exchanges.feed import Hole
from cq.exchanges.trade_pages import holes
from cq.ingest import coverage, resume
from cq.ingest.built_bars import bars_of
from cq.ingest.resume import Resumed, begun_with, resumed, trades_in
from cq.lake import Lake
from cq.utils.time import DAY, MINUTE, SECOND

START = 1_790_000_040
T0 = START * SECOND
ALL = trades([START + 10 * n for n in range(100)])
"""Ids 1 to 100, one every ten seconds: six a minute."""


@dataclass
class Market:
    """Holds some trades; `gone` ids are not given."""

    held: pl.DataFrame
    recent: int = 10
    gone: set[int] = field(default_factory=set)
    asked: list[tuple[int, int]] = field(default_factory=list)

    def newest_trades(self, symbol: str) -> pl.DataFrame:
        assert symbol == "BTC-BRL"
        return self.held.tail(self.recent)

    def missing_trades(self, symbol: str, first_id: int, last_id: int) -> pl.DataFrame:
        self.asked.append((first_id, last_id))
        ids = self.held["trade_id"].cast(pl.Int64)
        found = self.held.filter(ids.is_between(first_id, last_id) & ~ids.is_in(list(self.gone)))
        lost = [(one, one) for one in sorted(self.gone) if first_id <= one <= last_id]
        if lost:
            raise TradesMissing(symbol, lost, found)
        return found

    trades_after = book = time_ns = None


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def put(lake: Lake, rows: pl.DataFrame) -> None:
    lake.write("trades", rows, source="test", now_ns=T0)


def cover(lake: Lake, end: int, dataset: str = "trades", start: int = T0) -> None:
    rows = coverage.rows_of(
        [(start, end, 1)], dataset=dataset, exchange="mercadobitcoin", symbol="BTC-BRL",
        interval="1m" if dataset == "ohlcv" else None, asked_ns=T0, source="test",
    )  # fmt: skip
    lake.write("coverage", rows, source="test", now_ns=T0)


def begin(lake: Lake, market: Market, most: int = 1000) -> Resumed:
    return resumed(lake, market, "mercadobitcoin", "BTC-BRL", most=most, now_ns=T0, source="test")  # type: ignore[arg-type]


def ids(lake: Lake) -> list[int]:
    rows = trades_in(lake, "mercadobitcoin", "BTC-BRL").collect()
    return sorted(int(one) for one in rows["trade_id"])


def bars(one: Resumed, seen: float) -> pl.DataFrame:
    return one.closing.take(None, int(T0 + seen * SECOND))


def test_an_empty_lake_begins_with_the_newest_trades(lake):
    one = begin(lake, Market(ALL))
    assert (one.after, one.filled, one.left) == (100, 0, ())
    assert ids(lake) == list(range(91, 101))
    made = bars(one, 1020)
    assert made["ts"].to_list() == [T0 + 960 * SECOND]
    assert_frame_equal(made, bars_of(ALL.filter(pl.col("ts") >= T0 + 960 * SECOND), "1m"))


def test_a_market_without_trades_has_nothing_to_go_on_from(lake):
    one = begin(lake, Market(ALL.clear()))
    assert (one.after, ids(lake)) == (None, [])
    assert bars(one, 60).is_empty()


def test_what_happened_meanwhile_is_fetched_by_id(lake):
    put(lake, ALL.head(30))
    market = Market(ALL)
    one = begin(lake, market)
    assert (market.asked, one.filled, one.after) == ([(31, 90)], 60, 100)
    assert ids(lake) == list(range(1, 101))


def test_a_mangled_id_in_the_lake_hides_no_trade_that_comes_after_it(lake, monkeypatch):
    put(lake, ALL.head(30))
    put(lake, ALL[30:31].with_columns(trade_id=pl.lit("900031")))
    market = Market(ALL)
    told: list[str] = []
    monkeypatch.setattr("cq.utils.log.event", lambda *_, **more: told.append(more["reason"]))
    one = begin(lake, market)
    assert (market.asked, one.filled, one.after) == ([(31, 90)], 60, 100)
    assert [one[:27] for one in told] == ["1 id in the lake passed over"[:27]]
    assert one.closing.held["trade_id"].to_list() == [str(n) for n in range(2, 101)]
    began = begun_with(lake, "mercadobitcoin", one, 31, T0)
    assert began is not None
    assert (began.first_id, began.last_id, began.lost) == (1, 100, False)


def test_what_the_exchange_does_not_show_yet_comes_again(lake):
    put(lake, ALL)
    one = begin(lake, Market(ALL.head(95)))
    assert (one.after, one.filled, one.left) == (95, 0, ())


def test_holes_inside_the_lake_are_filled_too(lake):
    put(lake, ALL.filter(~pl.col("trade_id").is_in(["20", "21", "40"])))
    market = Market(ALL)
    assert begin(lake, market).filled == 3
    assert sorted(market.asked) == [(20, 21), (40, 40)]
    assert ids(lake) == list(range(1, 101))


def test_what_coverage_speaks_of_is_not_looked_through(lake):
    put(lake, ALL.filter(~pl.col("trade_id").is_in(["20", "70"])))
    cover(lake, T0 + 500 * SECOND)
    market = Market(ALL)
    begin(lake, market)
    assert market.asked == [(70, 70)]


def test_a_long_absence_is_landed_in_pieces(lake, monkeypatch):
    monkeypatch.setattr(resume, "PIECE", 25)
    put(lake, ALL.head(10))
    market = Market(ALL)
    checked: list[int] = []

    def check() -> None:
        checked.append(len(ids(lake)))
        if len(checked) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resumed(
            lake, market, "mercadobitcoin", "BTC-BRL",
            most=1000, now_ns=T0, source="test", check=check,
        )  # type: ignore[arg-type]  # fmt: skip
    assert checked == [10, 20, 45, 70]
    assert begin(lake, market).filled == 30
    assert ids(lake) == list(range(1, 101))


def test_an_absence_that_is_too_long_is_left_to_a_back_fill(lake):
    put(lake, ALL.head(10))
    cover(lake, T0 + 95 * SECOND)
    market = Market(ALL)
    one = begin(lake, market, most=50)
    assert (market.asked, one.left) == ([], (Hole("BTC-BRL", 11, 90),))
    assert one.after == 100
    assert bars(one, 1020)["ts"].to_list() == [T0 + 960 * SECOND]
    begin(lake, market, most=95)
    assert ids(lake) == list(range(1, 101))


def test_an_absence_that_is_too_long_is_told_though_nothing_was_covered_yet(lake):
    put(lake, ALL.head(10))
    one = begin(lake, Market(ALL), most=50)
    assert (one.after, one.left) == (100, (Hole("BTC-BRL", 11, 90),))


def test_coverage_and_bars_go_on_where_they_stopped(lake):
    put(lake, ALL.head(50))
    cover(lake, T0 + 430 * SECOND)
    cover(lake, T0 + 420 * SECOND, "ohlcv")
    one = begin(lake, Market(ALL))
    made = bars(one, 1000)
    expected = bars_of(ALL.filter(pl.col("ts") >= T0 + 420 * SECOND), "1m")
    assert_frame_equal(made, expected.filter(pl.col("ts") < T0 + 960 * SECOND))
    told = one.closing.covered(1, "test").select("dataset", "start_ts", "end_ts", "rows").rows()
    assert told == [
        ("trades", T0 + 430 * SECOND, T0 + 1000 * SECOND, 57),
        ("ohlcv", T0 + 420 * SECOND, T0 + 960 * SECOND, 9),
    ]


def test_bars_that_were_never_made_are_made_for_a_day_back(lake):
    put(lake, ALL)
    cover(lake, T0 + 900 * SECOND)
    assert bars(begin(lake, Market(ALL)), 960)["ts"].to_list() == [T0 + 900 * SECOND]
    cover(lake, T0 + 120 * SECOND, "ohlcv")
    assert bars(begin(lake, Market(ALL)), 960).height == 14
    assert resume.LOOK_BACK_NS == DAY


def test_what_the_exchange_does_not_give_makes_no_bar_and_no_coverage(lake):
    put(lake, ALL.head(50))
    cover(lake, T0 + 430 * SECOND)
    market = Market(ALL, gone={60, 61})
    one = begin(lake, market)
    assert one.left == (Hole("BTC-BRL", 60, 60), Hole("BTC-BRL", 61, 61))
    assert [one for one in range(1, 101) if one not in ids(lake)] == [60, 61]
    first = T0 + 610 * SECOND + 1  # right after the trade behind the hole
    bars(one, 1000)
    told = one.closing.covered(1, "test").select("dataset", "start_ts", "end_ts").rows()
    assert told == [
        ("trades", first, T0 + 1000 * SECOND),
        ("ohlcv", T0 + 660 * SECOND, T0 + 960 * SECOND),
    ]


def test_ids_that_are_no_numbers_are_passed_over(lake):
    put(lake, ALL.head(3).with_columns(trade_id=pl.lit("made/") + pl.col("trade_id")))
    assert begin(lake, Market(ALL)).after == 100


def test_a_trade_that_broke_a_rule_is_no_hole_for_ever(lake):
    bad = ALL.with_columns(price=pl.when(pl.col("trade_id") == "95").then(-1.0).otherwise("price"))
    one = begin(lake, Market(bad))
    assert (one.after, one.left) == (100, ())
    assert holes(pl.Series(ids(lake))) == [(95, 95)]
    assert MINUTE
