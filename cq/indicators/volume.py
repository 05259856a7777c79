"""Where the volume went."""

from __future__ import annotations

from typing import Any

import polars as pl

from cq.indicators.columns import Column, column, nanoseconds
from cq.indicators.kernels import kernel, line_crossing, running_mean
from cq.indicators.registry import FOREVER, forgets, indicator, whole
from cq.indicators.smoothing import average, change, quotient
from cq.indicators.stages import share
from cq.indicators.steps import relatives, traded_means
from cq.indicators.windows import total, windowed
from cq.utils.time import interval_ns


def _typical(high: Column, low: Column, close: Column) -> pl.Expr:
    return (column(high) + column(low) + column(close)) / 3


def _session_bars(session: Any) -> int | None:
    return session if isinstance(session, int) else FOREVER


@indicator("volume", "price", _session_bars)
def vwap(high: Column, low: Column, close: Column, volume: Column, session: str = "1d") -> pl.Expr:
    """The mean price of what was traded since the session began, at 0:00 UTC for "1d".

    Σ t v / Σ v, t = (high + low + close) / 3. Null before the first trade of a session and where
    an input is. A kernel adds up. Sessions are whole multiples of their length since the epoch.
    """
    number = nanoseconds() // interval_ns(session)
    begins = (number != number.shift(1)).fill_null(True)
    return _running(high, low, close, volume, begins)


@indicator("volume", "price", lambda: FOREVER)
def anchored_vwap(
    high: Column, low: Column, close: Column, volume: Column, anchor: int = 0
) -> pl.Expr:
    """The mean price of what was traded since the first bar at or after `anchor` (ns, UTC).

    Σ t v / Σ v, t = (high + low + close) / 3. By default since the first bar, as TA-Lib VWAP. Null
    before, until something was traded, and where an input is. A kernel adds up.
    """
    after = nanoseconds() >= anchor
    begins = after & ~after.shift(1, fill_value=False)
    return _running(high, low, close, volume, begins)


def _running(high: Column, low: Column, close: Column, volume: Column, begins: pl.Expr) -> pl.Expr:
    inputs = [_typical(high, low, close), column(volume), begins.cast(pl.Float64)]
    return kernel(running_mean, inputs)


@indicator("volume", "price", lambda window: window)
def rolling_vwap(
    high: Column, low: Column, close: Column, volume: Column, window: int | str = 60
) -> pl.Expr:
    """The mean price of what was traded in the last `window` bars, or in a span such as "1d".

    Σ t v / Σ v, t = (high + low + close) / 3. Null until the window is full (a span: until it lies
    behind the first bar), while it holds a null, and where nothing was traded in it.
    """
    v = column(volume)
    if isinstance(window, int):
        inputs = [column(high), column(low), column(close), v]
        return windowed(traded_means, inputs, whole(window))
    money = _typical(high, low, close) * v
    ts, length = nanoseconds(), interval_ns(window)
    above, below = (one.rolling_sum_by(ts, window_size=f"{length}i") for one in (money, v))
    return pl.when(ts - ts.cum_min() >= length).then(quotient(above, below, None))


@indicator("volume", "volume", lambda: FOREVER)
def obv(close: Column, volume: Column) -> pl.Expr:
    """Volume added up, with the sign of the change: where the close rose +, where it fell −.

    Starts with the first bar's volume, as TA-Lib OBV; only its changes mean something. Nulls stay
    null and add nothing.
    """
    moved = change(column(close))
    return (column(volume) * moved.sign().fill_null(1)).cum_sum()


def _flow(high: Column, low: Column, close: Column, volume: Column) -> pl.Expr:
    """Volume times where the close lies in the bar's range: −1 at the low, 1 at the high."""
    h, low_, c = column(high), column(low), column(close)
    return quotient((c - low_) - (h - c), h - low_, 0.0) * column(volume)


@indicator("volume", "volume", lambda: FOREVER)
def ad(high: Column, low: Column, close: Column, volume: Column) -> pl.Expr:
    """Chaikin's accumulation line: volume added up by where the close lies in the bar's range.

    Σ v × ((close − low) − (high − close)) / (high − low), 0 for a bar without range. Only its
    changes mean something. Nulls stay null and add nothing. Source: TA-Lib AD.
    """
    return _flow(high, low, close, volume).cum_sum()


@indicator(
    "volume",
    "volume",
    lambda fast, slow, tolerance: (
        max(fast, slow) + forgets(2 / (max(fast, slow) + 1), tolerance / 1e3)
    ),
)
def adosc(
    high: Column, low: Column, close: Column, volume: Column, fast: int = 3, slow: int = 10
) -> pl.Expr:
    """Chaikin's oscillator: ema(ad, fast) − ema(ad, slow).

    Both start from the first value of the accumulation line, as TA-Lib ADOSC; null for slow − 1
    bars (fast − 1 where that is more). Does not depend on where the line began. Nulls are passed
    over. A kernel.
    """
    inputs = [column(high), column(low), column(close), column(volume)]
    return kernel(line_crossing, inputs, whole(fast, "fast"), whole(slow, "slow"))


@indicator("volume", "oscillator", lambda window: window, (-1.0, 1.0))
def cmf(high: Column, low: Column, close: Column, volume: Column, window: int = 20) -> pl.Expr:
    """Chaikin's money flow, −1 to 1: where closes lie in their bars' ranges, weighted by volume.

    Σ v × ((close − low) − (high − close)) / (high − low) / Σ v; a bar without range counts 0. Null
    until the window is full, and while it holds a null; 0 where nothing was traded. Source: TA-Lib
    CMF.
    """
    flow = total(_flow(high, low, close, volume), whole(window))
    return quotient(flow, share(total(column(volume), window)), 0.0)


@indicator(
    "volume", "change", lambda window, tolerance: window + 1 + forgets(2 / (window + 1), tolerance)
)
def force(close: Column, volume: Column, window: int = 13) -> pl.Expr:
    """Elder's force index: the EMA of change × volume.

    Null for `window` bars; 0 in a flat market; nulls are passed over. Source: Elder 1993, TA-Lib
    EFI.
    """
    return average(change(column(close)) * column(volume), whole(window))


@indicator("volume", "oscillator", lambda window: window + 1, (0.0, None))
def relative_volume(volume: Column, window: int = 20) -> pl.Expr:
    """The volume over the mean of the `window` bars before it; 1 is as usual.

    Null for `window` bars, while a null is in sight, and where the bars before traded nothing.
    Source: TA-Lib RVOL.
    """
    return windowed(relatives, [column(volume)], whole(window) + 1)
