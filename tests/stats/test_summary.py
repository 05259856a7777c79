import math
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from makers import HOUR, hourly

from cq.errors import DataError
from cq.stats.summary import COLUMNS, summary


def test_a_market_is_told_in_a_line():
    closes = [100.0, 110.0, 99.0, 108.9]
    found = summary(hourly("A-B", closes).lazy(), "1h").row(0, named=True)
    r = np.array([0.1, -0.1, 0.1])
    assert found["bars"] == 4
    assert (found["first_ts"], found["last_ts"]) == (0, 3 * HOUR)
    assert found["total_return"] == pytest.approx(0.089)
    assert found["volatility"] == pytest.approx(r.std(ddof=1) * math.sqrt(8760))
    assert found["sharpe"] == pytest.approx(r.mean() / r.std(ddof=1) * math.sqrt(8760))
    assert found["max_drawdown"] == pytest.approx(-0.1)
    assert (found["worst"], found["best"]) == pytest.approx((-0.1, 0.1))


def test_a_market_that_seldom_trades_is_as_risky_as_its_filled_bars_say():
    """What is annualised is the time that went by, not the bars that there are."""
    closes = [100.0, 110.0, 110.0, 110.0, 99.0, 99.0, 108.9, 100.0]
    filled = hourly("A-B", closes)
    seldom = filled.filter(pl.Series([True, True, False, False, True, False, True, True]))
    found, expected = (summary(one.lazy(), "1h").row(0, named=True) for one in (seldom, filled))
    assert (found.pop("bars"), expected.pop("bars")) == (5, 8)
    assert found.pop("symbol") == expected.pop("symbol")
    assert found == pytest.approx(expected)


def test_months_have_no_length_and_none_is_missing_for_it():
    ts = [datetime(2023, month, 1) for month in range(1, 13)]
    closes = [100.0 + month % 3 for month in range(12)]
    bars = hourly("A-B", closes).with_columns(pl.Series("ts", ts).dt.epoch("ns"))
    r = np.diff(closes) / closes[:-1]
    found = summary(bars.lazy(), "1M").row(0, named=True)
    assert found["volatility"] == pytest.approx(r.std(ddof=1) * math.sqrt(12))


def test_symbols_in_any_order_do_not_meet():
    bars = pl.concat([hourly("C-D", [4.0, 2.0, 1.0]), hourly("A-B", [1.0, 2.0, 4.0])])
    found = summary(bars.sample(fraction=1, shuffle=True, seed=1).lazy(), "1h")
    assert found["symbol"].to_list() == ["A-B", "C-D"]
    assert found["total_return"].to_list() == [3.0, -0.75]
    assert found.schema == pl.Schema(COLUMNS)


def test_a_market_that_stands_still_has_no_sharpe_ratio():
    found = summary(hourly("A-B", [5.0] * 4).lazy(), "1h").row(0, named=True)
    assert (found["total_return"], found["max_drawdown"]) == (0, 0)
    assert found["sharpe"] is None


def test_two_bars_are_too_few():
    with pytest.raises(DataError, match="found 2 of the bars of A-B at 1h; expected"):
        summary(hourly("A-B", [5.0, 6.0]).lazy(), "1h")
