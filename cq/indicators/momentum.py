"""How fast the price moves, and how that compares with what it did of late."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from cq.errors import UsageError
from cq.indicators.columns import Column, column
from cq.indicators.kernels import (
    chained,
    channel_index,
    crossing,
    kernel,
    strength,
    true_strength,
)
from cq.indicators.registry import forgets, indicator, whole
from cq.indicators.smoothing import Seed, average, change, quotient, seeded, together
from cq.indicators.stages import share
from cq.indicators.steps import pressures
from cq.indicators.windows import highest, lowest, mean_of, total, windowed

Average = Literal["wilder", "simple"]
_PERCENT = (0.0, 100.0)
_BOTH_WAYS = (-100.0, 100.0)
_SAME = 1e-14
"""Typical prices that differ by less, as a share of both, differ by the rounding of a sum."""
_STILL = 1e-9
"""An RSI that moves less, of 100, does not move: rounding does."""
_RATIO = 1e-3
"""Quotients of two means forget to a tolerance of numbers that may differ so much in size."""


def _wilder_bars(window: int, tolerance: float) -> int:
    return window + 1 + forgets(1 / window, tolerance * _RATIO)


def _strength(x: pl.Expr, window: int, mean: Average, flat: float, scale: float) -> pl.Expr:
    """What is left of the changes over how much they were in all, × scale + flat."""
    if mean == "wilder":
        return kernel(strength, [x], window, float(flat), float(scale))
    moved = share(change(x))
    return flat + quotient(total(moved, window), total(moved.abs(), window), 0.0) * scale


@indicator("momentum", "oscillator", _wilder_bars, _PERCENT)
def rsi(values: Column, window: int = 14, mean: Average = "wilder") -> pl.Expr:
    """Wilder's relative strength, 0 to 100: which part of all movement was upward.

    100 × m(gains) / m(|changes|), m Wilder's mean, or with mean="simple" the plain one (Cutler's
    form). Null for `window` values; a market that never moved reads 50 (TA-Lib: 0). Nulls are
    passed over. Source: Wilder 1978, TA-Lib RSI. A kernel.
    """
    return _strength(column(values), whole(window), mean, 50, 50)


@indicator("momentum", "oscillator", _wilder_bars, _BOTH_WAYS)
def cmo(values: Column, window: int = 14, mean: Average = "wilder") -> pl.Expr:
    """Chande's momentum, −100 to 100: what is left of all movement, in percent of it.

    100 × m(changes) / m(|changes|), m Wilder's mean as in TA-Lib CMO, or with mean="simple" the
    sum over the window (Chande's own). Null for `window` values; 0 in a flat market. Nulls are
    passed over. Source: Chande 1994. A kernel.
    """
    return _strength(column(values), whole(window), mean, 0, 100)


def _check_fast(fast: int, slow: int) -> None:
    """UsageError unless both are numbers of bars, and `fast` the lower one."""
    if whole(fast, "fast") >= whole(slow, "slow"):
        raise UsageError(f"fast ({fast}) needs fewer bars than slow ({slow})")


@indicator(
    "momentum",
    "change",
    lambda slow, signal, tolerance: (
        slow
        + signal
        + forgets(2 / (slow + 1), tolerance / 10)
        + forgets(2 / (signal + 1), tolerance / 10)
    ),
    outputs=("macd", "signal", "hist"),
)
def macd(
    values: Column, fast: int = 12, slow: int = 26, signal: int = 9, seed: Seed = "mean"
) -> dict[str, pl.Expr]:
    """Convergence of two EMAs: `macd` = ema(fast) − ema(slow), `signal` its EMA, `hist` the rest.

    Both EMAs start at the same bar, the `slow`-th, the fast one from the mean of its last `fast`
    values; all outputs begin with the signal: null for slow + signal − 2 values. seed="first"
    starts each from its first value. `fast` is the lower one (TA-Lib swaps them). 0 in a flat
    market; nulls are passed over. Source: Appel 1979, TA-Lib MACD. A kernel.
    """
    _check_fast(fast, slow)
    x, periods = column(values), (fast, slow, whole(signal, "signal"))
    if seed == "first":
        line = share(average(x, fast, seed) - average(x, slow, seed))
        smoothed = share(seeded(line, 2 / (signal + 1), signal, signal, seed))
        return {
            "macd": pl.when(smoothed.is_not_null()).then(line),
            "signal": smoothed,
            "hist": line - smoothed,
        }
    line, smoothed = (share(kernel(crossing, [x], *periods, wanted)) for wanted in (0, 1))
    return {"macd": line, "signal": smoothed, "hist": line - smoothed}


@indicator(
    "momentum", "ratio", lambda slow, tolerance: slow + forgets(2 / (slow + 1), tolerance / 100)
)
def ppo(values: Column, fast: int = 12, slow: int = 26, seed: Seed = "mean") -> pl.Expr:
    """The difference of two EMAs in percent of the slow one: 100 × (fast − slow) / slow.

    Null for slow − 1 values; 0 in a flat market; nulls are passed over. `fast` is the lower one
    (TA-Lib swaps them). Source: TA-Lib PPO with exponential means.
    """
    _check_fast(fast, slow)
    x = column(values)
    long = share(average(x, slow, seed))
    return quotient(average(x, fast, seed) - long, long, 0.0) * 100


def _position(high: Column, low: Column, close: Column, window: int) -> pl.Expr:
    """Where the close lies between the lowest low (0) and the highest high (1) of the window."""
    bottom = share(lowest(column(low), whole(window)))
    span = share(highest(column(high), window) - bottom)
    return quotient(column(close) - bottom, span, 0.0)


@indicator(
    "momentum",
    "oscillator",
    lambda window, smooth, signal: window + smooth + signal - 2,
    _PERCENT,
    ("k", "d"),
)
def stoch(
    high: Column, low: Column, close: Column, window: int = 5, smooth: int = 3, signal: int = 3
) -> dict[str, pl.Expr]:
    """The slow stochastic: `k` where the close lies in the window's range, `d` its mean.

    k = sma(100 × (close − lowest) / (highest − lowest), smooth); d = sma(k, signal). Both are null
    for window + smooth + signal − 3 bars, and while a null is in sight; a range of nothing counts
    as 0. Source: Lane, TA-Lib STOCH.
    """
    raw = _position(high, low, close, window) * 100
    k = share(mean_of(raw, whole(smooth, "smooth")))
    return together(k=k, d=mean_of(k, whole(signal, "signal")))


@indicator(
    "momentum",
    "oscillator",
    lambda window, k, d, tolerance: _wilder_bars(window, tolerance) + k + d,
    _PERCENT,
    ("k", "d"),
)
def stochrsi(values: Column, window: int = 14, k: int = 5, d: int = 3) -> dict[str, pl.Expr]:
    """The stochastic of the RSI: `k` where it lies in its own range of `k` bars, `d` k's mean.

    k = 100 × (rsi − lowest) / (highest − lowest), d = sma(k, d). Both are null for
    window + k + d − 2 values; a range below 1e-9, which is that of rounding, counts as 0. Source:
    Chande and Kroll 1994, TA-Lib STOCHRSI.
    """
    strength = share(rsi(values, window))
    bottom = share(lowest(strength, whole(k, "k")))
    span = share(highest(strength, k) - bottom)
    still = pl.when(span <= _STILL).then(0.0)
    raw = share(still.when(span > _STILL).then((strength - bottom) / span * 100))
    return together(k=raw, d=mean_of(raw, whole(d, "d")))


@indicator("momentum", "oscillator", lambda window: window)
def cci(high: Column, low: Column, close: Column, window: int = 14) -> pl.Expr:
    """How far the typical price is from its mean, in mean deviations, × 1 / 0.015.

    (t − mean(t)) / (0.015 × mean|t − mean(t)|), t = (high + low + close) / 3. Mostly −100 to 100,
    unbounded; 0 in a flat window. Null until the window is full, and while it holds a null.
    Source: Lambert 1980, TA-Lib CCI. Each window is weighed afresh (a kernel).
    """
    typical = (column(high) + column(low) + column(close)) / 3
    return kernel(channel_index, [typical], whole(window))


@indicator("momentum", "ratio", lambda window: window + 1, _PERCENT)
def mfi(high: Column, low: Column, close: Column, volume: Column, window: int = 14) -> pl.Expr:
    """The money flow index, 0 to 100: which part of the money traded went with a rise.

    100 × Σ f⁺ / Σ (f⁺ + f⁻), f = typical price × volume, + where the typical price rose, − where
    it fell; a change in the 15th digit is none. Null for `window` bars, and while a null is in
    sight; 0 where no money flowed. Source: Quong and Soudack 1989, TA-Lib MFI.
    """
    typical = share((column(high) + column(low) + column(close)) / 3)
    moved, flow = change(typical), typical * column(volume)
    least = (typical + typical.shift(1)).abs() * _SAME
    known = flow.is_not_null() & moved.is_not_null()
    up = pl.when(moved > least).then(flow).when(known).then(0.0)
    down = pl.when(moved < -least).then(flow).when(known).then(0.0)
    rise = share(total(up, whole(window)))
    return quotient(rise, share(rise + total(down, window)), 0.0) * 100


@indicator("momentum", "oscillator", lambda window: window, (-100.0, 0.0))
def willr(high: Column, low: Column, close: Column, window: int = 14) -> pl.Expr:
    """Williams' %R, −100 (at the lowest low of the window) to 0 (at the highest high).

    −100 × (highest − close) / (highest − lowest). Null until the window is full, and while it
    holds a null; 0 where there is no range. Source: TA-Lib WILLR.
    """
    top = share(highest(column(high), whole(window)))
    span = share(top - lowest(column(low), window))
    return quotient(column(close) - top, span, 0.0) * 100


@indicator("momentum", "ratio", lambda window: window + 1)
def roc(values: Column, window: int = 10) -> pl.Expr:
    """The change over `window` bars in percent: 100 × (x / x₋ₙ − 1).

    Null for `window` values, and where one of the two is null; 0 where the older one is 0.
    Source: TA-Lib ROC.
    """
    x = column(values)
    return quotient(change(x, whole(window)), x.shift(window), 0.0) * 100


@indicator("momentum", "change", lambda window: window + 1)
def mom(values: Column, window: int = 10) -> pl.Expr:
    """The change over `window` bars: x − x₋ₙ.

    Null for `window` values, and where one of the two is null. Source: TA-Lib MOM.
    """
    return change(column(values), whole(window))


@indicator(
    "momentum",
    "ratio",
    lambda window, tolerance: 3 * window + 1 + forgets(2 / (window + 1), tolerance / 1e4, 3),
)
def trix(values: Column, window: int = 15) -> pl.Expr:
    """The change of a triple EMA from bar to bar, in percent.

    100 × (e / e₋₁ − 1), e the EMA of the EMA of the EMA. Null for 3 window − 2 values; nulls are
    passed over. Source: Hutson 1983, TA-Lib TRIX. A kernel.
    """
    windows, last = np.full(3, float(whole(window))), np.array([0.0, 0.0, 1.0])
    return roc(share(kernel(chained, [column(values)], windows, last)), 1)


@indicator(
    "momentum", "oscillator", lambda fast, middle, slow: max(fast, middle, slow) + 1, _PERCENT
)
def ultosc(
    high: Column, low: Column, close: Column, fast: int = 7, middle: int = 14, slow: int = 28
) -> pl.Expr:
    """The ultimate oscillator, 0 to 100: buying pressure over three windows, weighed 4, 2, 1.

    Σ (close − true low) / Σ true range a window, 0 where there is no range. Null for as many bars
    as the longest window has, and while it holds a null. Source: Williams 1985, TA-Lib ULTOSC.
    """
    short, long, longest = sorted(map(whole, (fast, middle, slow)))
    inputs = [column(high), column(low), column(close)]
    return windowed(pressures, inputs, longest + 1, short, long)


@indicator(
    "momentum",
    "oscillator",
    lambda slow, fast, tolerance: (
        slow
        + fast
        + 1
        + forgets(2 / (slow + 1), tolerance * _RATIO)
        + forgets(2 / (fast + 1), tolerance * _RATIO)
    ),
    _BOTH_WAYS,
)
def tsi(values: Column, slow: int = 25, fast: int = 13) -> pl.Expr:
    """The true strength index, −100 to 100: doubly smoothed change over doubly smoothed |change|.

    100 × e(e(Δx, slow), fast) / e(e(|Δx|, slow), fast). Null for slow + fast − 1 values; 0 in a
    market that never moved; nulls are passed over. Source: Blau 1991, TA-Lib TSI.
    A kernel.
    """
    return kernel(true_strength, [column(values)], whole(slow, "slow"), whole(fast, "fast"))
