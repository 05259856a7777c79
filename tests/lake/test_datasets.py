import polars as pl
import pytest

from cq.errors import DataError, UsageError
from cq.lake.datasets import DATASETS, OHLCV, TRADES, dataset


def test_every_key_and_owner_is_a_column():
    for one in DATASETS.values():
        assert set(one.key) | set(one.owner) | {one.time} | one.nullable <= set(one.schema)
        assert set(one.owner) <= set(one.key)


def test_the_key_inside_a_file_is_what_its_owner_does_not_say():
    assert OHLCV.own_key == ("ts",)
    assert TRADES.own_key == ("trade_id",)


def test_an_unknown_dataset_is_told_what_there_is():
    assert dataset("trades") is TRADES
    with pytest.raises(UsageError, match="'candles' is not a dataset; there is ohlcv, trades"):
        dataset("candles")


def test_columns_are_put_in_order_and_typed(bars):
    rows = bars(3).select(reversed(bars(3).columns)).with_columns(pl.col("volume").cast(pl.Int32))
    assert OHLCV.conform(rows).schema == OHLCV.schema


def test_an_absent_column_that_may_be_null_is_added():
    trade = pl.DataFrame({"ts": [1], "price": [1], "size": [1], "trade_id": [7]}).with_columns(
        symbol=pl.lit("A-B"), exchange=pl.lit("x")
    )
    (row,) = TRADES.conform(trade).to_dicts()
    assert (row["side"], row["trade_id"], row["price"]) == (None, "7", 1.0)


def test_wrong_columns_are_all_named(bars):
    rows = bars(1).drop("close", "volume").with_columns(vwap=1.0)
    with pytest.raises(DataError, match="ohlcv lacks close, volume and has the unknown vwap"):
        OHLCV.conform(rows)


@pytest.mark.parametrize("kind", [pl.Float64, pl.String, pl.Datetime("ns")])
def test_a_time_that_is_not_whole_nanoseconds_is_refused(bars, kind):
    with pytest.raises(DataError, match="expected int64 nanoseconds, UTC"):
        OHLCV.conform(bars(1).with_columns(pl.col("ts").cast(kind)))


def test_a_value_that_does_not_fit_is_null_and_so_breaks_a_rule(bars):
    rows = bars(1).with_columns(open=pl.lit("12,5"))
    assert OHLCV.conform(rows)["open"].to_list() == [None]


def test_no_rows_are_still_typed():
    assert all(one.empty().schema == one.schema for one in DATASETS.values())
