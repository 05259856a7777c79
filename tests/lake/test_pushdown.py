from datetime import UTC, date, datetime, timedelta

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.io.plugins import register_io_source
from polars.testing import assert_frame_equal

from cq.lake.pushdown import as_sql

NAN, INF = float("nan"), float("inf")
START = datetime(2024, 1, 1, tzinfo=UTC)
POOLS = {
    "i": [None, -(2**63), -1, 0, 1, 2**53 + 1, 2**63 - 1],
    "n": [None, -(2**31), 0, 2024, 2**31 - 1],
    "x": [None, NAN, INF, -INF, 0.0, -0.0, 0.1 + 0.2, 0.3, 1e-300, 12345678.12345678],
    "y": [None, NAN, 0.3, 1.0],
    "s": [None, "", "a", "A", "ab", "é", "it's", "%", "BTC-BRL"],
    "b": [None, True, False],
    "t": [None, *(START + timedelta(microseconds=step) for step in (-1, 0, 1))],
    "w": [None, *((START + timedelta(days=step)).replace(tzinfo=None) for step in (-1, 0, 1))],
    "d": [None, date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29)],
}
KINDS = [
    *(pl.Int64(), pl.Int32(), pl.Float64(), pl.Float64(), pl.String(), pl.Boolean()),
    *(pl.Datetime("us", "UTC"), pl.Datetime("us"), pl.Date()),
]
SCHEMA = pl.Schema(zip(POOLS, KINDS, strict=True))
ROWS = pl.DataFrame(
    {name: [pool[(at * step) % len(pool)] for at in range(140)]
     for step, (name, pool) in zip((1, 3, 7, 2, 5, 4, 3, 1, 5), POOLS.items(), strict=True)},
    schema=SCHEMA,
)  # fmt: skip
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "eq_missing", "ne_missing")


ODD = [
    *(pl.col("b"), pl.col("s").str.contains("a"), pl.col("i") % 2 == 0, pl.col("n") > 1.5),
    *(pl.col("i") > pl.col("n"), pl.col("d") < START),
    pl.col("t") > pl.lit(START).cast(pl.Datetime("ns", "UTC")),
]


@st.composite
def leaves(draw: st.DrawFn) -> pl.Expr:
    name = draw(st.sampled_from(list(POOLS)))
    column, pool = pl.col(name), POOLS[name]
    one = st.sampled_from(pool)
    kind = draw(st.integers(0, 5))
    if kind == 0:
        value = draw(one)
        return getattr(column, draw(st.sampled_from(COMPARISONS)))(pl.lit(value, SCHEMA[name]))
    if kind == 1:
        return column.is_in(draw(st.lists(one, max_size=4)), nulls_equal=draw(st.booleans()))
    if kind == 2:
        ends = [pl.lit(draw(one), SCHEMA[name]) for _ in range(2)]
        closed = draw(st.sampled_from(["both", "left", "right", "none"]))
        return column.is_between(*ends, closed=closed)
    if kind == 3:
        return column.is_null() if draw(st.booleans()) else column.is_not_null()
    if kind == 4:
        return pl.col("x") < pl.col("y")
    return draw(st.sampled_from(ODD))


def combined(inner: st.SearchStrategy[pl.Expr]) -> st.SearchStrategy[pl.Expr]:
    return st.one_of(
        inner.map(lambda one: ~one),
        st.tuples(inner, inner).map(lambda two: two[0] & two[1]),
        st.tuples(inner, inner).map(lambda two: two[0] | two[1]),
    )


PREDICATES = st.recursive(leaves(), combined, max_leaves=5)


@pytest.fixture(scope="module")
def table():
    connection = duckdb.connect()
    connection.execute("set timezone='UTC'")
    connection.register("given", ROWS.with_row_index("nth").to_arrow())
    connection.execute("create table rows as from given")
    return connection


@settings(max_examples=300)
@given(predicate=PREDICATES)
def test_what_is_pushed_down_means_the_same_in_both(table, predicate):
    seen = []

    def source(columns, pushed, n_rows, _size):
        conditions, enough = ([], False) if pushed is None else as_sql(pushed, SCHEMA)
        sql = " and ".join(conditions) or "true"
        rows = ROWS[
            table.sql(f"select nth from rows where {sql} order by nth").pl()["nth"].to_list()
        ]
        seen.append(enough)
        if pushed is not None and not enough:
            rows = rows.filter(pushed)
        yield rows.select(columns or rows.columns)

    found = register_io_source(source, schema=SCHEMA).filter(predicate).collect()
    assert_frame_equal(found, ROWS.filter(predicate))


@pytest.mark.parametrize(
    ("predicate", "sql"),
    [
        (pl.col("i") > 5, ['("i" > (5))']),
        (pl.col("s").is_in(["a", None]), ["""("s" in ('a'))"""]),
        (pl.col("i").is_between(1, 2, closed="left"), ['("i" >= (1) and "i" < (2))']),
        (~pl.col("b") | pl.col("x").is_null(), ['((not "b") or ("x" is null))']),
        (pl.col("x") == 0.5, ['("x" = (5.00000000000000000e-01))']),
        (pl.col("d") > date(1970, 1, 3), ["""("d" > (date '1970-01-01' + (2)))"""]),
        ((pl.col("i") > 5) & pl.col("s").str.contains("a"), ['("i" > (5))']),
        (pl.col("x") > INF, []),
        (pl.col("s") == "a\0b", []),
        ((pl.col("i") > 5) | pl.col("s").str.contains("a"), []),
    ],
)  # fmt: skip
def test_this_much_is_pushed_down(predicate, sql):
    pushed = []

    def source(columns, one, *_):
        pushed.append(one)
        yield ROWS.filter(one)

    register_io_source(source, schema=SCHEMA).filter(predicate).collect()
    conditions, enough = as_sql(pushed[0], SCHEMA)
    assert conditions == sql
    whole = "contains" not in str(predicate) and bool(sql)
    assert enough == whole
