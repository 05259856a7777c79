"""Bars in any order come to lie symbol by symbol, oldest first, and tell how far apart they are."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.backtest.frames import Ordered
from cq.backtest.steps import least_and_most, least_and_most_of_each
from cq.errors import DataError

ROWS = st.lists(
    st.tuples(st.sampled_from(["B-X", "A-X", "é-X"]), st.integers(0, 40)), min_size=1, max_size=40
)


def frame(rows):
    return pl.DataFrame(rows, schema={"symbol": pl.String, "ts": pl.Int64}, orient="row")


@given(ROWS)
def test_rows_in_any_order_are_put_in_order(rows):
    found = Ordered.of(frame(rows))
    assert found.rows.rows() == sorted(rows)
    assert [one.symbol for one in found.parts()] == sorted({symbol for symbol, _ in rows})
    again = [(one.symbol, ts) for one in found.parts() for ts in one.rows["ts"]]
    assert again == sorted(rows)


@given(ROWS)
def test_rows_that_lie_in_order_stay_where_they_are(rows):
    bars = frame(sorted(rows))
    assert Ordered.of(bars).rows is bars


def test_a_symbol_that_all_rows_share_is_told_without_a_column_of_it():
    bars = pl.DataFrame({"ts": range(9)}).with_columns(symbol=pl.lit("A-X"))
    assert Ordered.of(bars).edges == (0, 9)
    assert Ordered.of(bars).names == ("A-X",)


@given(ROWS)
def test_the_shortest_step_is_that_between_two_bars_of_a_symbol(rows):
    each = {symbol: sorted({ts for one, ts in rows if one == symbol}) for symbol, _ in rows}
    steps = [b - a for ts in each.values() for a, b in pairwise(ts)]
    assert Ordered.of(frame(rows)).shortest_step == min(steps, default=0)


@given(st.lists(st.integers(-100, 100), max_size=50), st.integers(1, 7))
def test_steps_are_looked_at_block_by_block(ts, block):
    steps = [b - a for a, b in pairwise(ts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cq.backtest.steps.BLOCK", block)
        found = least_and_most(pl.Series(ts, dtype=pl.Int64).to_numpy())
    assert found == ((min(steps), max(steps)) if steps else (1, 0))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_moments_further_apart_than_nanoseconds_count_are_refused(order):
    moments = [-9 * 10**18, 9 * 10**18 - 1, 9 * 10**18]
    with pytest.raises(DataError, match="more than 292 years apart"):
        Ordered.of(frame([("A-X", moments[i]) for i in order]))


@given(st.lists(st.lists(st.integers(-100, 100), max_size=9), min_size=1, max_size=6))
def test_steps_of_many_symbols_are_those_of_each(symbols):
    ts = pl.Series([one for each in symbols for one in each], dtype=pl.Int64).to_numpy()
    edges = [sum(map(len, symbols[:k])) for k in range(len(symbols) + 1)]
    expected = [least_and_most(ts[a:b]) for a, b in pairwise(edges)]
    assert least_and_most_of_each(ts, edges) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cq.backtest.steps.MANY", 0)
        assert least_and_most_of_each(ts, edges) == expected


def test_categories_are_put_in_the_order_of_their_names():
    kind = pl.Enum(["B-X", "A-X"])
    bars = frame([("B-X", 1), ("A-X", 2), ("A-X", 1)]).with_columns(pl.col("symbol").cast(kind))
    found = Ordered.of(bars)
    assert found.names == ("A-X", "B-X")
    assert found.with_text().rows.rows() == [("A-X", 1), ("A-X", 2), ("B-X", 1)]
