"""The falls of a curve, each with its depth and its length."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from cq.errors import UsageError


class Falls(NamedTuple):
    """Falls by their rows: below their high from `begin` on, and not any more at `end`.

    `depth` is a negative fraction of the high. Of the last one `end` may be the number of rows.
    """

    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    depth: npt.NDArray[np.float64]


def falls_of(values: npt.NDArray[np.float64]) -> Falls:
    """The falls of a curve of values above zero, in the order of time."""
    peak = np.maximum.accumulate(values)
    edges = np.flatnonzero(np.diff(values < peak, prepend=False, append=False))
    if not edges.size:
        return Falls(edges, edges, np.zeros(0))
    starts = edges[:-1] if edges[-1] == values.size else edges
    depth = np.minimum.reduceat(values / peak, starts)[::2] - 1
    return Falls(edges[::2], edges[1::2], depth)


def drawdowns(curve: pl.DataFrame, value: str = "equity") -> pl.DataFrame:
    """One row a fall below an earlier high of `value`, deepest first.

    `peak_ts`, `trough_ts`, `recovered_ts` (null where it is not made up for yet), `depth` (a
    negative fraction), `bars` from the peak to the recovery or the end, `bars_to_trough`. Needs a
    column `ts`, in rising order, and values above zero.
    """
    ts, found = curve["ts"], falls_of(numbers := _numbers(curve, value))
    recovered = found.end < numbers.size
    lowest = _lowest(numbers, found)
    return pl.DataFrame(
        {
            "peak_ts": ts.gather(found.begin - 1),
            "trough_ts": ts.gather(lowest),
            "recovered_ts": ts.gather(_where(found.end, recovered)),
            "depth": found.depth,
            "bars": pl.Series(found.end - found.begin + recovered, dtype=pl.UInt32),
            "bars_to_trough": pl.Series(lowest - found.begin + 1, dtype=pl.UInt32),
        }
    ).sort("depth", "peak_ts")


def _lowest(values: npt.NDArray[np.float64], found: Falls) -> npt.NDArray[np.int64]:
    """The row of the lowest value of each fall, the first where there are several."""
    lengths = found.end - found.begin
    rows = np.arange(lengths.sum()) + np.repeat(found.begin - _before(lengths), lengths)
    inside = values[rows]
    low = np.minimum.reduceat(inside, _before(lengths)) if lengths.size else inside
    at_low = np.flatnonzero(inside == np.repeat(low, lengths))
    return rows[at_low[np.searchsorted(at_low, _before(lengths))]]


def _before(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many rows lie in the falls before each."""
    found: npt.NDArray[np.int64] = np.cumsum(lengths) - lengths
    return found


def _where(rows: Any, there: Any) -> pl.Series:
    """Numbers of rows, null where there is none."""
    return pl.select(pl.when(pl.Series(there)).then(pl.Series(rows))).to_series()


def max_drawdown(curve: pl.DataFrame, value: str = "equity") -> float:
    """The deepest fall as a negative fraction, of a curve as `drawdowns` takes it; 0 where the
    curve never fell."""
    values = _numbers(curve, value)
    return float((values / np.maximum.accumulate(values)).min()) - 1 if values.size else 0.0


def _numbers(curve: pl.DataFrame, value: str) -> npt.NDArray[np.float64]:
    """The values of a curve; UsageError where one is none above zero, or time goes back."""
    values = curve[value].cast(pl.Float64)
    rising = "ts" in curve.columns and curve["ts"].is_sorted()
    if not (rising and ((values > 0) & values.is_finite()).fill_null(value=False).all()):
        raise UsageError(f"a curve needs rising ts and {value} above zero on each row")
    return values.to_numpy()
