"""One line a market: what its returns were like."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from cq.errors import DataError, UsageError
from cq.indicators import in_time_order
from cq.stats.falls import max_drawdown
from cq.stats.returns import simple_returns
from cq.stats.sharpe import moments, probabilistic_sharpe
from cq.utils.time import bars_per_year, interval_ns

COLUMNS = {
    "symbol": pl.String, "bars": pl.Int64, "first_ts": pl.Int64, "last_ts": pl.Int64,
    "total_return": pl.Float64, "volatility": pl.Float64, "sharpe": pl.Float64,
    "probabilistic_sharpe": pl.Float64, "max_drawdown": pl.Float64, "skewness": pl.Float64,
    "kurtosis": pl.Float64, "worst": pl.Float64, "best": pl.Float64,
}  # fmt: skip


def summary(bars: pl.LazyFrame, interval: str) -> pl.DataFrame:
    """A row a symbol: growth from its first close to its last, and the moments of its returns.

    Returns are from bar to bar, and a missing bar is one without a move, as in a backtest's
    metrics; volatility and Sharpe ratio are annualised (365 days), skewness and kurtosis (3 is
    normal) are of one bar, worst and best are single returns. Null where the returns never vary.
    DataError for a symbol with fewer than three bars.
    """
    rows = (
        bars.with_columns(r=in_time_order(simple_returns("close"))).sort("symbol", "ts").collect()
    )
    return pl.DataFrame(
        [_of(part, interval) for part in rows.partition_by("symbol", maintain_order=True)],
        schema=COLUMNS,
    )


def _of(rows: pl.DataFrame, interval: str) -> dict[str, object]:
    symbol, close, r = rows["symbol"][0], rows["close"], rows["r"].drop_nulls()
    if rows.height < 3:
        raise DataError(
            f"found {rows.height} of the bars of {symbol} at {interval}; expected at least three: "
            "take a longer period or a finer interval"
        )
    told = {
        "symbol": symbol,
        "bars": rows.height,
        "first_ts": rows["ts"][0],
        "last_ts": rows["ts"][-1],
        "total_return": close[-1] / close[0] - 1,
        "max_drawdown": max_drawdown(rows, "close"),
        "worst": r.min(),
        "best": r.max(),
    }
    still = _buckets(rows["ts"], interval) - rows.height
    of_each = np.concatenate((r.to_numpy(), np.zeros(max(0, still))))
    try:
        found = moments(of_each)
    except UsageError:  # a market that stands still
        return told
    year = math.sqrt(bars_per_year(interval))
    return told | {
        "volatility": float(of_each.std(ddof=1)) * year,
        "sharpe": found.sharpe * year,
        "probabilistic_sharpe": probabilistic_sharpe(found) if found.variance > 0 else None,
        "skewness": found.skewness,
        "kurtosis": found.kurtosis,
    }


def _buckets(ts: pl.Series, interval: str) -> int:
    """How many bars there are from the first to the last, missing ones among them."""
    return round((int(ts[-1]) - int(ts[0])) / interval_ns(interval)) + 1
