from __future__ import annotations

import makers
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.backtest import BacktestResult
from cq.lake.fingerprint import Fingerprint
from cq.report.curves import averaged, monthly, rolling_sharpe, thinned, yearly
from cq.stats import rolling_sharpe as by_polars

HOUR = makers.HOUR
DAY = 24 * HOUR


def result(ts, equity):
    ts = np.array(ts, dtype=np.int64)
    frame = pl.DataFrame({"ts": ts, "equity": np.array(equity, dtype=float)})
    return BacktestResult(
        name="x",
        symbols=(),
        interval="1h",
        trades=pl.DataFrame(),
        equity=frame,
        measure=dict,
        asked={"backtest": {"cash": 100.0}},
        taken=lambda: Fingerprint("bars", {}, (), "month", {}),
    )


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(1, 40))
def test_thinning_keeps_the_ends_and_the_extremes(values, buckets):
    values = np.array(values)
    rows = thinned(values, buckets)
    assert rows[0] == 0
    assert rows[-1] == values.size - 1
    assert (np.diff(rows) > 0).all()
    assert rows.size <= max(2 * buckets + 2, 1)
    assert values[rows].min() == values.min()
    assert values[rows].max() == values.max()


def test_averages_keep_the_mean():
    values, ts = np.arange(1_000.0), np.arange(1_000)
    when, mean = averaged(values, ts, 10)
    assert when.tolist() == list(range(0, 1_000, 100))
    assert mean.mean() == values.mean()


def test_months_are_grown_one_into_the_other():
    ts = [0, 30 * DAY, 31 * DAY, 58 * DAY, 59 * DAY, 400 * DAY]
    months = monthly(result(ts, [110, 120, 90, 60, 120, 240]))
    assert months.rows() == [
        (1970, 1, pytest.approx(0.2)),
        (1970, 2, pytest.approx(-0.5)),
        (1970, 3, pytest.approx(1.0)),
        (1971, 2, pytest.approx(1.0)),
    ]
    assert yearly(months) == {1970: pytest.approx(0.2), 1971: pytest.approx(1.0)}


def test_the_rolling_sharpe_ratio_is_that_of_the_statistics():
    returns = np.random.default_rng(1).normal(0, 0.01, 60)
    returns[20:35] = 0.0
    found = rolling_sharpe(returns, 10, 365.0)
    expected = pl.DataFrame({"r": returns}).select(by_polars("r", 10, "1d")).to_series()
    for one, other in zip(found, expected, strict=True):
        assert (np.isnan(one) and other is None) or one == pytest.approx(other)
    assert np.isnan(rolling_sharpe(returns, 99, 365.0)).all()


def test_months_of_debts_are_no_gains():
    ts = [0, 31 * DAY, 59 * DAY, 370 * DAY]
    months = monthly(result(ts, [50, -100, -150, -75]))
    assert months["growth"].to_list() == [-0.5, -3.0, 0.0, 0.0]
    assert yearly(months) == {1970: pytest.approx(-2.0), 1971: 0.0}
