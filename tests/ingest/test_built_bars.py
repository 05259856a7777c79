from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.ingest.built_bars import bars_of, compared, sizes_of, units_of
from cq.utils.time import MINUTE, SECOND

SIZES = st.decimals(min_value=Decimal("0.00000001"), max_value=10**7, places=8)


def trade(second, price, size="1", number=1, symbol="BTC-BRL"):
    return (second * SECOND, price, float(size), "buy", str(number), symbol, "mercadobitcoin")


def frame(*rows):
    names = ("ts", "price", "size", "side", "trade_id", "symbol", "exchange")
    return pl.DataFrame(rows, schema=names, orient="row")


def test_a_bucket_opens_with_its_first_trade_and_closes_with_its_last():
    bars = bars_of(
        frame(
            trade(0, 5.0, "0.1", 1),
            trade(30, 9.0, "0.2", 2),
            trade(59, 7.0, "0.00000001", 3),
            trade(180, 4.0, "2", 4),
        ),
        "1m",
    )
    assert bars.rows() == [
        (0, 5.0, 9.0, 5.0, 7.0, 0.30000001, "BTC-BRL", "mercadobitcoin", "1m"),
        (3 * MINUTE, 4.0, 4.0, 4.0, 4.0, 2.0, "BTC-BRL", "mercadobitcoin", "1m"),
    ]


def test_within_a_second_ids_say_which_came_first_as_numbers_not_as_text():
    bars = bars_of(frame(trade(7, 1.0, number=10), trade(7, 2.0, number=9)), "1m")
    assert bars.select("open", "close").row(0) == (2.0, 1.0)


def test_symbols_stay_apart_and_no_trade_is_no_bar():
    both = bars_of(frame(trade(0, 1.0), trade(0, 2.0, symbol="ETH-BRL")), "1h")
    assert both.select("symbol", "close").rows() == [("BTC-BRL", 1.0), ("ETH-BRL", 2.0)]
    assert bars_of(frame(trade(0, 1.0)).clear(), "1m").is_empty()


@given(st.lists(SIZES, min_size=1, max_size=30))
def test_a_volume_is_the_float_nearest_to_the_sum_of_the_decimals(sizes):
    rows = frame(*(trade(0, 1.0, size, number) for number, size in enumerate(sizes)))
    assert bars_of(rows, "1m")["volume"].item() == float(sum(sizes))


def test_a_volume_has_no_ceiling():
    rows = frame(trade(0, 1.0, "6e10"), trade(1, 1.0, "6e10", 2), trade(60, 1.0, "1e300", 3))
    assert bars_of(rows, "1m")["volume"].to_list() == [1.2e11, 1e300]


@given(st.integers(0, 9 * 10**18))
def test_units_become_the_float_that_their_text_would_be(units):
    size = pl.select(sizes_of(pl.lit(units, pl.Int64))).item()
    assert size == float(Decimal(units).scaleb(-8))


@given(SIZES)
def test_a_size_is_as_many_units_as_its_text_says(size):
    assert pl.select(units_of(pl.lit(float(size)))).item() == int(size.scaleb(8))


def test_the_same_data_shows_no_difference():
    bars = bars_of(frame(trade(0, 5.0, "0.1"), trade(61, 6.0, "0.7", 2)), "1m")
    found = compared(bars, bars)
    assert (found.compared, found.differences, found.first()) == (2, 0, [])
    assert (found.symbol, found.interval) == ("BTC-BRL", "1m")


def test_each_kind_of_difference_is_counted_and_told_oldest_first():
    bars = bars_of(frame(*(trade(60 * n, 5.0 + n, "0.1", n) for n in range(1, 5))), "1m")
    ours = bars.head(3).with_columns(close=pl.col("close") + (pl.col("ts") == 2 * MINUTE))
    found = compared(ours, bars.tail(3))
    assert (found.compared, found.differences) == (2, 3)
    assert found.first(3) == [
        "1970-01-01T00:01:00Z: trades make a bar that the exchange does not give",
        "1970-01-01T00:02:00Z: close 8.0, the exchange says 7.0",
        "1970-01-01T00:04:00Z: the exchange gives a bar that no trade makes",
    ]
    assert len(found.first(2)) == 2


@pytest.mark.parametrize("interval", ["1m", "15m", "1h", "1d"])
def test_volume_adds_up_whatever_the_interval(interval):
    rows = frame(*(trade(17 * n, 100.0 + n, "0.1", n) for n in range(1000)))
    assert sum(map(Decimal, map(str, bars_of(rows, interval)["volume"]))) == Decimal("100.0")
