"""Windows by doubling, held against sums over each window as exact as there are."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cq.indicators import windows as w

VALUES = st.one_of(
    st.integers(-40, 40).map(lambda k: k / 8),
    st.sampled_from([0.1, 1e6 + 0.3, math.nan]),
    st.floats(-1e3, 1e3),
)
COLUMNS = st.lists(st.tuples(VALUES, VALUES), max_size=60)


def mean(values):
    return math.fsum(values) / len(values)


def apart(values):
    return [x - mean(values) for x in values]


SLOW = {
    "total": lambda x, y: math.fsum(x),
    "mean": lambda x, y: mean(x),
    "squares": lambda x, y: math.fsum(d * d for d in apart(x)),
    "products": lambda x, y: math.fsum(a * b for a, b in zip(apart(x), apart(y), strict=True)),
    "line": lambda x, y: 0.5 * mean(x) + 2.0 * math.fsum(k * d for k, d in enumerate(apart(x))),
    "highest": lambda x, y: max(x),
    "lowest": lambda x, y: min(x),
}
X, Y = pl.col("x"), pl.col("y")
OURS = {
    "total": lambda n: w.total(X, n),
    "mean": lambda n: w.mean_of(X, n),
    "squares": lambda n: w.squares(X, n),
    "products": lambda n: w.products(X, Y, n),
    "line": lambda n: w.line(X, n, 0.5, 2.0),
    "highest": lambda n: w.highest(X, n),
    "lowest": lambda n: w.lowest(X, n),
}


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """So that windows reach over several of them."""
    kept, w.BLOCK = w.BLOCK, 3
    yield
    w.BLOCK = kept


@pytest.mark.parametrize("name", OURS)
@settings(max_examples=60)
@example(rows=[(1.0, math.nan), (math.nan, 1.0), (2.0, 3.0)], window=1)
@given(rows=COLUMNS, window=st.integers(1, 37))
def test_each_window_says_what_it_says_alone(name, rows, window):
    frame = pl.DataFrame(rows, schema={"x": pl.Float64, "y": pl.Float64}, orient="row")
    found = frame.select(OURS[name](window)).to_series()
    assert found.name == "x"
    both = [(x, y) if name == "products" else (x, x) for x, y in rows]
    for row, value in enumerate(found):
        seen = both[max(0, row - window + 1) : row + 1]
        if len(seen) < window or any(map(math.isnan, (z for pair in seen for z in pair))):
            assert value is None
        else:
            expected = SLOW[name](*zip(*seen, strict=True))
            scale = max(abs(z) for pair in seen for z in pair) ** 2 + 1
            assert value == pytest.approx(expected, rel=1e-12, abs=1e-12 * window**2 * scale)


@pytest.mark.parametrize("window", [1, 2, 3, 7, 20, 96])
@pytest.mark.parametrize("price", [0.1, 1e-7, 123_456.789])
def test_a_flat_window_has_no_rest_of_rounding(window, price):
    values = [3.0] * 50 + [price] * 200
    frame = pl.DataFrame({"x": values, "y": range(250)})
    found = frame.select(
        a=w.squares(X, window),
        b=w.products(X, Y.cast(float), window),
        c=w.line(X, window, 0.0, 1.0),
        d=w.line(X, window, 1.0, 1.0) - price,
        e=w.total(X - price, window),
    )
    assert set(found[150:].rows()) == {(0.0,) * 5}


@given(start=st.integers(0, 40), end=st.integers(41, 90), window=st.integers(1, 30))
@settings(max_examples=40)
def test_the_bits_do_not_depend_on_where_a_frame_begins_or_ends(start, end, window):
    values = np.random.default_rng(window).normal(1e4, 1e-3, 90)
    frame = pl.DataFrame({"x": values, "y": values[::-1]})
    made = {name: of(window) for name, of in OURS.items()}
    whole, part = frame.select(**made), frame[start:end].select(**made)
    assert whole[start:end][window - 1 :].equals(part[window - 1 :])
