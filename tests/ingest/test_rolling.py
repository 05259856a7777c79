from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal
from trade_market import trades

from cq.exchanges.feed import Batch, Hole
from cq.ingest import rolling
from cq.ingest.built_bars import bars_of
from cq.ingest.closing import Closing
from cq.ingest.coverage import covered
from cq.ingest.rolling import Pile, Rolling, Rotation, levels
from cq.lake import Lake
from cq.lake.datasets import ORDERBOOK_L2, TRADES
from cq.utils.time import HOUR, MINUTE, SECOND

START = 1_790_000_040
T0 = START * SECOND
NO_BOOKS = ORDERBOOK_L2.empty()
BOOK = {"bids": [[{"price": 9.0, "size": 1.0}]], "asks": [[{"price": 10.0, "size": 1.0}]]}


def batch(rows: pl.DataFrame, seen: float = 0, books: pl.DataFrame = NO_BOOKS, **more) -> Batch:
    seen_ns = {"BTC-BRL": int((START + seen) * SECOND)} if seen else {}
    return Batch(rows, books, pl.DataFrame(), seen_ns, **more)


def made(folder: Path, **more) -> Rolling:
    more = {"every_ns": MINUTE, "rows": 100} | more
    closing = Closing("BTC-BRL", "mercadobitcoin", known_from=T0, edge=T0)
    return Rolling(Lake(folder), [closing], source="test", rotation=Rotation(**more), now_ns=T0)


def rotate(one: Rolling, now_ns: int, **more) -> None:
    one.write(one.take(now_ns), now_ns, **more)


def files(lake: Lake, dataset: str) -> int:
    return len(lake.layouts[dataset].paths(lake.root))


def contents(folder: Path) -> dict[Path, bytes]:
    return {one.relative_to(folder): one.read_bytes() for one in folder.rglob("*.parquet")}


def test_frames_come_out_of_a_pile_in_the_order_they_went_in():
    pile = Pile()
    frames = [pl.DataFrame({"n": [i] * (i % 3)}, schema={"n": pl.Int64}) for i in range(2_500)]
    for one in frames:
        pile.add(one)
    whole = pl.concat(frames)
    assert pile.rows == whole.height
    assert sum(len(level) for level in pile._levels) < 3 * rolling.FAN
    taken = pile.take()
    assert taken is not None
    assert_frame_equal(taken, whole)
    assert pile.take() is None


def test_it_is_due_after_its_time_or_as_soon_as_it_holds_enough(tmp_path):
    one = made(tmp_path / "lake")
    assert not one.due(T0)
    assert one.due(T0 + MINUTE)
    one.add(batch(trades([START] * 99)))
    assert not one.due(T0)
    one.add(batch(trades([START], 100)))
    assert one.due(T0)
    one.take(T0 + SECOND)
    assert not one.due(T0 + MINUTE)


def test_a_clock_that_was_set_back_makes_it_due_at_once_and_then_as_before(tmp_path):
    one, back = made(tmp_path / "lake"), T0 - 24 * HOUR
    assert one.due(back)
    one.take(back)
    assert not one.due(back + MINUTE - 1)
    assert one.due(back + MINUTE)


def test_a_book_counts_as_its_levels(tmp_path):
    book = pl.DataFrame(
        {"ts": [T0], **BOOK, "symbol": ["BTC-BRL"], "exchange": ["mercadobitcoin"]},
        schema=dict(ORDERBOOK_L2.schema),
    )
    one = made(tmp_path / "lake", rows=4)
    one.add(batch(TRADES.empty(), books=book))
    assert (levels(book), one.held, one.due(T0)) == (2, 2, False)
    one.add(batch(TRADES.empty(), books=book.with_columns(ts=pl.col("ts") + 1)))
    assert one.due(T0)
    rotate(one, T0)
    assert one.landed.books.landed == 2


def test_trades_and_the_bars_they_close_are_readable_after_a_rotation(tmp_path):
    one = made(tmp_path / "lake")
    rows = trades([START + s for s in (5, 30, 70, 130)])
    one.add(batch(rows[:3], 71))
    one.add(batch(rows[3:], 130))
    rotate(one, T0 + 2 * MINUTE)
    bars = one.lake.bars("BTC-BRL", "1m").collect()
    expected = bars_of(rows.filter(pl.col("ts") < T0 + 2 * MINUTE), "1m").drop("interval")
    assert_frame_equal(bars, expected, check_column_order=False)
    assert one.lake.sql("select count(*) from trades").item() == 4
    assert (one.landed.trades.landed, one.landed.bars.landed, one.landed.rotations) == (4, 2, 1)


def test_coverage_is_told_once_an_hour_and_at_the_end(tmp_path):
    one = made(tmp_path / "lake")

    def known() -> list[tuple[int, int]]:
        return covered(one.lake, "trades", "mercadobitcoin", "BTC-BRL", None)

    for minute in range(1, 60):
        one.add(batch(trades([START + 60 * minute], minute), 60 * minute))
        rotate(one, T0 + minute * MINUTE)
    assert known() == []
    one.add(batch(TRADES.empty(), 3600))
    rotate(one, T0 + HOUR)
    assert known() == [(T0, T0 + HOUR)]
    one.add(batch(TRADES.empty(), 3660))
    rotate(one, T0 + HOUR + MINUTE, last=True)
    assert known() == [(T0, T0 + HOUR + MINUTE)]
    assert covered(one.lake, "ohlcv", "mercadobitcoin", "BTC-BRL", "1m") == known()
    assert files(one.lake, "coverage") == 2


def test_a_trade_that_breaks_a_rule_is_kept_apart_and_makes_no_bar(tmp_path):
    one = made(tmp_path / "lake")
    rows = trades([START + s for s in (5, 6, 7)])
    bad = rows.with_columns(price=pl.when(pl.col("trade_id") == "2").then(-1.0).otherwise("price"))
    one.add(batch(bad, 60))
    rotate(one, T0 + MINUTE)
    good = rows.filter(pl.col("trade_id") != "2")
    bars = one.lake.bars("BTC-BRL", "1m").collect()
    assert_frame_equal(bars, bars_of(good, "1m").drop("interval"), check_column_order=False)
    assert one.landed.trades.by_rule == {"price_positive": 1}


def test_holes_and_marks_of_many_batches_go_together(tmp_path):
    one = made(tmp_path / "lake")
    one.add(batch(trades([START + 5]), 10))
    one.add(batch(trades([START + 65], 9), 66, lost=[Hole("BTC-BRL", 2, 8)]))
    one.add(batch(trades([START + 125], 10), 180))
    rotate(one, T0, last=True)
    assert covered(one.lake, "trades", "mercadobitcoin", "BTC-BRL", None) == [
        (T0, T0 + 5 * SECOND), (T0 + 65 * SECOND + 1, T0 + 180 * SECOND)
    ]  # fmt: skip
    assert one.lake.bars("BTC-BRL", "1m").collect()["ts"].to_list() == [T0 + 2 * MINUTE]


def test_nothing_held_writes_nothing(tmp_path):
    one = made(tmp_path / "lake")
    rotate(one, T0, last=True)
    assert not (tmp_path / "lake").exists()


def test_the_same_batches_give_the_same_files_to_the_byte(tmp_path):
    for name in ("a", "b"):
        one = made(tmp_path / name)
        for n in range(5):
            one.add(batch(trades([START + 60 * n, START + 60 * n + 30], 2 * n + 1), 60 * n + 31))
            rotate(one, T0 + n * MINUTE, last=n == 4)
    content = [contents(tmp_path / name) for name in ("a", "b")]
    assert content[0] == content[1]
    assert len(content[0]) > 8
