import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.ingest.trade_rows import made_ids, with_side_and_id


def trades(*rows):
    return pl.DataFrame(
        [(ts, price, size, "BTC-BRL", "mb") for ts, price, size in rows],
        schema={
            "ts": pl.Int64,
            "price": pl.Float64,
            "size": pl.Float64,
            "symbol": pl.String,
            "exchange": pl.String,
        },
        orient="row",
    )


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("buy", "buy"),
        ("SELL", "sell"),
        ("B", "buy"),
        ("A", "sell"),
        (" bid ", "buy"),
        ("", None),
        (None, None),
        ("both", "both"),
    ],
)
def test_sides_are_put_in_the_lakes_words_and_strange_ones_stay(said, meant):
    side = pl.Series([said], dtype=pl.String)
    assert with_side_and_id(trades((1, 2, 3)), side, None)["side"].to_list() == [meant]


def test_a_maker_who_buys_means_that_the_taker_sold():
    side = pl.Series(["True", "false", "1"])
    rows = with_side_and_id(trades((1, 2, 3), (1, 2, 3), (1, 2, 3)), side, None, maker_side=True)
    assert rows["side"].to_list() == ["sell", "buy", "sell"]


def test_no_side_is_no_side():
    assert with_side_and_id(trades((1, 2, 3)), None, None)["side"].to_list() == [None]


def test_ids_are_taken_where_they_are_and_made_where_not():
    ids = pl.Series(["7", None])
    rows = with_side_and_id(trades((1, 2.5, 3), (1, 2.5, 3)), None, ids)
    assert rows["trade_id"].to_list() == ["7", "1/2.5/3.0/-/1"]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([1.0, 2.5]), st.sampled_from([0.1, 5.0])),
        max_size=30,
    )
)
def test_made_ids_are_distinct_and_depend_on_the_rows_alone(rows):
    one = trades(*rows).with_columns(side=pl.lit(None, pl.String))
    ids = made_ids(one)
    assert ids.n_unique() == len(rows)
    assert ids.to_list() == made_ids(one).to_list()
    assert set(ids) == set(made_ids(one.reverse()))
