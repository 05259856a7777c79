import json
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq.errors import DataError, LakeBusy, LakeUnwritable
from cq.lake import Lake, WriteReport, parquet
from cq.lake.locks import held

NOW = 1_800_000_000_000_000_000


def put(lake: Lake, rows: pl.DataFrame, dataset: str = "ohlcv", **more) -> WriteReport:
    return lake.write(dataset, rows, source="test", now_ns=NOW, **more)


def held_rows(lake: Lake, dataset: str = "ohlcv") -> pl.DataFrame:
    return lake.sql(f"from raw.{dataset} order by all")


def visible(lake: Lake) -> list[str]:
    return sorted(p.name for p in lake.root.rglob("*.parquet") if p.name != "anchor.parquet")


def test_what_is_written_is_read_back(lake, bars):
    rows = bars(30, since="2023-12-31")
    assert put(lake, rows) == WriteReport(read=30, landed=30)
    assert_frame_equal(
        lake.bars("BTC-BRL", "1h").collect(), rows.drop("interval"), check_column_order=False
    )


def test_files_lie_where_the_template_says_and_are_named_by_time_and_content(lake, bars):
    put(lake, bars(30, since="2023-12-31T10:00"))
    folder = lake.root / "ohlcv/exchange=mercadobitcoin/symbol=BTC-BRL/interval=1h"
    first, second = folder.glob("year=*/*.parquet")
    assert {first.parent.name, second.parent.name} == {"year=2023", "year=2024"}
    assert {first.name[:12], second.name[:12]} == {"file-100000-", "file-000000-"}


def test_the_same_write_again_changes_nothing(lake, bars):
    put(lake, bars(50))
    before = visible(lake)
    assert put(lake, bars(50)) == WriteReport(read=50, already_there=50)
    assert visible(lake) == before


def test_an_overlapping_write_lands_only_what_is_new(lake, bars):
    put(lake, bars(50))
    assert put(lake, bars(80)) == WriteReport(read=80, landed=30, already_there=50)
    assert held_rows(lake).height == 80


def test_rows_come_out_sorted_whatever_order_they_came_in(lake, bars):
    put(lake, bars(50).reverse())
    assert lake.bars("BTC-BRL", "1h").collect()["ts"].is_sorted()


def test_a_bad_row_is_kept_apart_with_every_rule_it_breaks(lake, bars):
    rows = bars(3).with_columns(
        high=pl.Series([102.0, 1.0, 104.0]), volume=pl.Series([1.0, -1.0, None])
    )
    report = put(lake, rows)
    assert (report.read, report.landed, report.rejected) == (3, 1, 2)
    assert report.by_rule == {"volume_not_negative": 2, "high_is_highest": 1, "low_is_lowest": 1}
    kept = held_rows(lake, "rejected")
    assert [sorted(one) for one in kept["broken"]] == [
        ["high_is_highest", "low_is_lowest", "volume_not_negative"],
        ["volume_not_negative"],
    ]
    assert json.loads(kept["row"][0])["high"] == 1.0
    assert kept["seen_ts"].to_list() == [NOW, NOW]


def test_a_rejected_row_is_stored_once_however_often_it_comes(lake, bars):
    rows = bars(2).with_columns(open=-1.0)
    assert put(lake, rows).rejected == 2
    assert put(lake, rows).rejected == 2
    assert held_rows(lake, "rejected").height == 2


def test_a_number_that_json_lacks_is_kept_as_text(lake, bars):
    rows = bars(1).with_columns(open=pl.lit(float("nan")), volume=pl.lit(float("inf")))
    put(lake, rows)
    row = json.loads(held_rows(lake, "rejected").item(0, "row"))
    assert (row["open"], row["volume"], row["close"]) == ("NaN", "inf", "101.0")


def test_a_row_without_time_or_symbol_is_kept_too(lake, bars):
    rows = bars(2).with_columns(ts=pl.lit(None, pl.Int64), symbol=pl.Series([None, "../../up"]))
    assert put(lake, rows).by_rule["symbol_form"] == 2
    assert held_rows(lake, "rejected").height == 2
    assert {p.parent.name for p in lake.root.glob("rejected/*/*/file*")} == {"symbol=unknown"}


def test_a_key_with_other_values_is_refused_and_the_first_stays(lake, bars):
    put(lake, bars(5))
    report = put(lake, bars(5).with_columns(close=pl.col("close") + 0.5))
    assert report == WriteReport(
        read=5, rejected=5, by_rule={"same_key_other_values": 5}, contradicting=5
    )
    assert report.conflicts == 5
    assert lake.bars("BTC-BRL", "1h").collect()["close"][0] == 101.0


def test_within_one_batch_the_first_of_a_key_wins(lake, bars):
    rows = bars(2)
    other = rows.with_columns(close=pl.col("close") + 0.5)
    report = put(lake, pl.concat([rows, rows, other]))
    assert (report.landed, report.already_there, report.conflicts) == (2, 2, 2)
    assert (report.repeated, report.contradicting) == (2, 0)
    assert held_rows(lake)["close"].to_list() == [101.0, 102.0]


def test_a_trade_id_counts_once_even_at_another_time(lake):
    trade = pl.DataFrame(
        {"ts": [0, 40 * 86_400 * 10**9], "price": [1.0, 1.0], "size": [1.0, 1.0]}
    ).with_columns(
        trade_id=pl.lit("7"), side=pl.lit("buy"), symbol=pl.lit("BTC-BRL"), exchange=pl.lit("x")
    )
    assert put(lake, trade.head(1), "trades").landed == 1
    assert put(lake, trade.tail(1), "trades").conflicts == 1


def test_a_book_lands_with_its_levels_and_its_equal_again_is_known(lake):
    level = {"price": 10.0, "size": 1.0}
    book = pl.DataFrame(
        {"ts": [1, 2], "bids": [[level], []], "asks": [[{"price": 11.0, "size": 2.0}]] * 2}
    ).with_columns(symbol=pl.lit("BTC-BRL"), exchange=pl.lit("x"))
    assert put(lake, book, "orderbook_l2").landed == 2
    assert put(lake, book.head(1), "orderbook_l2").already_there == 1
    changed = book.with_columns(asks=pl.col("bids"), bids=pl.col("asks").list.head(0))
    assert put(lake, changed, "orderbook_l2").conflicts == 2


def test_symbols_and_exchanges_of_one_batch_go_their_own_ways(lake, bars):
    rows = pl.concat(
        [bars(5), bars(5, "ETH-BRL"), bars(5, exchange="binance"), bars(5, interval="1m")]
    )
    assert put(lake, rows).landed == 20
    assert lake.stored().height == 4


def test_nothing_is_written_while_somebody_else_writes_the_symbol(lake, bars):
    lock = lake.root / ".locks/ohlcv-mercadobitcoin-BTC-BRL.lock"
    with held(lock, "ohlcv of BTC-BRL", 0), pytest.raises(LakeBusy, match="ohlcv of BTC-BRL is"):
        put(lake, bars(1), wait_s=0)
    assert put(lake, bars(1)).landed == 1


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(lake, bars, monkeypatch):
    lake.prepare()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parquet.os, "fsync", full)
    with pytest.raises(LakeUnwritable, match="No space left on device"):
        put(lake, bars(1))
    assert visible(lake) == []
    assert list(lake.root.rglob("*.tmp")) == []


def test_a_file_in_the_folders_place_is_one_clear_error(tmp_path, bars):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="a file is in its place"):
        put(Lake(tmp_path / "file" / "lake"), bars(1))


def test_reports_add_up():
    one = WriteReport(3, 1, 1, 1, {"a": 1})
    assert one + WriteReport(2, 0, 0, 2, {"a": 1, "b": 2}) == WriteReport(
        5, 1, 1, 3, {"a": 2, "b": 2}
    )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=4))
def test_any_sequence_of_writes_leaves_each_key_once_and_accounts_for_every_row(
    tmp_path_factory, bars, batches
):
    lake = Lake(tmp_path_factory.mktemp("lakes") / "lake")
    whole = bars(41, since="2023-12-31T12:00")
    for batch in batches:
        report = put(lake, whole[batch])
        assert report.read == len(batch) == report.landed + report.already_there
        assert report.rejected == 0
    wanted = sorted({one for batch in batches for one in batch})
    assert held_rows(lake)["ts"].to_list() == whole[wanted]["ts"].to_list()


def test_writers_at_once_land_each_row_once(lake, bars):
    whole = bars(60)

    def one(start: int) -> WriteReport:
        return put(Lake(lake.root), whole.slice(start, 30))

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(one, (0, 10, 20, 30)))
    assert sum(report.landed for report in reports) == 60
    assert held_rows(lake)["ts"].to_list() == whole["ts"].to_list()
