"""The series that a report shows: against buy-and-hold, month by month, thinned for drawing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from cq.backtest import BacktestResult
from cq.backtest.days import growth

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

BUCKETS = 500
"""Enough for the width of a screen; each keeps its lowest and its highest point."""


def thinned(values: Floats, buckets: int = BUCKETS) -> Rows:
    """The rows to draw: the lowest and the highest of each bucket, the first and the last."""
    if values.size <= 2 * buckets:
        return np.arange(values.size)
    edges = np.linspace(0, values.size, buckets + 1).astype(np.int64)
    rows = {0, int(values.size) - 1}
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[start:end]
        rows |= {start + int(part.argmin()), start + int(part.argmax())}
    return np.array(sorted(rows))


def averaged(values: Floats, ts: Rows, buckets: int = BUCKETS) -> tuple[Rows, Floats]:
    """The mean of each bucket, at the bucket's first moment."""
    if values.size <= buckets:
        return ts, values
    edges = np.linspace(0, values.size, buckets + 1).astype(np.int64)[:-1]
    sizes = np.diff(np.append(edges, values.size))
    return ts[edges], np.add.reduceat(values, edges) / sizes


def rolling_sharpe(returns: Floats, window: int, per_year: float) -> Floats:
    """Of the last `window` returns, annualised; NaN until there are as many and one moved."""
    found = np.full(returns.size, np.nan)
    if returns.size >= window:
        parts = np.lib.stride_tricks.sliding_window_view(returns, window)
        spread = parts.std(axis=1, ddof=1)
        moves = spread > 1e-12
        mean = parts.mean(axis=1)
        found[window - 1 :][moves] = mean[moves] / spread[moves] * np.sqrt(per_year)
    return found


def monthly(result: BacktestResult) -> pl.DataFrame:
    """year, month, return: growth from the last close of one month to that of the next (UTC).

    A month before which nothing was left counts 0, as everywhere in the metrics.
    """
    time = pl.from_epoch("ts", time_unit="ns")
    ends = (
        result.equity.lazy()
        .group_by(year=time.dt.year(), month=time.dt.month(), maintain_order=True)
        .agg(pl.col("equity").last())
        .collect()
    )
    grown = growth(ends["equity"].to_numpy(), result.cash)
    return ends.select("year", "month", growth=pl.Series(grown))


def yearly(months: pl.DataFrame) -> dict[int, float]:
    """Year → growth, from the months of it."""
    grown = (pl.col("growth") + 1).product() - 1
    return dict(months.group_by("year", maintain_order=True).agg(grown).rows())
