"""Which way the market goes, and how decidedly."""

from __future__ import annotations

from typing import Literal

import polars as pl

from cq.indicators.columns import Column, column
from cq.indicators.kernels import bars_since_highest, directional, kernel
from cq.indicators.registry import forgets, indicator, whole
from cq.indicators.smoothing import quotient
from cq.indicators.stages import share
from cq.indicators.steps import vortices
from cq.indicators.volatility import true_range
from cq.indicators.windows import highest, lowest, total, windowed

_PERCENT = (0.0, 100.0)
_RATIO = 1e-3


Start = Literal["talib", "wilder"]
"""Wilder's sums start from those of the first window − 1 bars (TA-Lib) or of the first window
(his book)."""


def _dmi_bars(window: int, tolerance: float) -> int:
    return 3 * window + forgets(1 / window, tolerance * _RATIO, 3)


@indicator("directional", "oscillator", _dmi_bars, _PERCENT, ("plus", "minus", "dx", "adx", "adxr"))
def dmi(
    high: Column, low: Column, close: Column, window: int = 14, start: Start = "talib"
) -> dict[str, pl.Expr]:
    """Wilder's directional movement, 0 to 100 each.

    `plus` and `minus` (DI): directional movement in percent of the true range, both as Wilder's
    running sums; `dx` = 100 × |plus − minus| / (plus + minus), 0 in a flat market; `adx` its
    Wilder mean; `adxr` the mean of adx and the adx of window − 1 bars before. They begin with the
    bars `window` (DI, dx), 2 window − 1 (adx) and 3 window − 2 (adxr), counted from 0; the sums
    start as TA-Lib's, or with start="wilder" as in his book. Nulls are passed over.
    Source: Wilder 1978; TA-Lib PLUS_DI, MINUS_DI, DX, ADX, ADXR. A kernel.
    """
    mean = share(_directional(high, low, close, window, start, 3))
    plus, minus, dx = (_directional(high, low, close, window, start, k) for k in range(3))
    older = mean.shift(window - 1)
    return {"plus": plus, "minus": minus, "dx": dx, "adx": mean, "adxr": (mean + older) / 2}


def _directional(
    high: Column, low: Column, close: Column, window: int, start: Start, wanted: int
) -> pl.Expr:
    first = whole(window, least=2) - (start == "talib")
    inputs = [column(high), column(low), column(close)]
    return kernel(directional, inputs, window, first, wanted)


@indicator("directional", "oscillator", _dmi_bars, _PERCENT)
def adx(
    high: Column, low: Column, close: Column, window: int = 14, start: Start = "talib"
) -> pl.Expr:
    """The strength of the trend, 0 to 100: the `adx` of `dmi`.

    Null for 2 window − 1 bars; 0 in a flat market; nulls are passed over. Source: TA-Lib ADX.
    """
    return _directional(high, low, close, window, start, 3)


@indicator(
    "directional",
    "oscillator",
    lambda window: window + 1,
    _PERCENT,
    ("up", "down"),
)
def aroon(high: Column, low: Column, window: int = 14) -> dict[str, pl.Expr]:
    """How fresh the extremes are, 0 to 100: `up` of the highest high, `down` of the lowest low.

    100 × (window − bars since it) / window, over the last window + 1 bars, the newest of equals;
    up − down is the oscillator. 100 both in a flat market. Null for `window` bars, and while a
    null is in sight. Source: Chande 1995, TA-Lib AROON. A kernel looks for the extremes.
    """
    found = {}
    for name, x in (("up", column(high)), ("down", -column(low))):
        since = kernel(bars_since_highest, [x], whole(window))
        found[name] = (window - since) * (100 / window)
    return found


@indicator("directional", "oscillator", lambda window: window + 1, (0.0, None), ("plus", "minus"))
def vortex(high: Column, low: Column, close: Column, window: int = 14) -> dict[str, pl.Expr]:
    """Movement up (`plus`: high to the low before) and down (`minus`), over the true range.

    Σ |high − low₋₁| / Σ true range, Σ |low − high₋₁| / Σ true range. Around 1; 0 in a flat
    window. Null for `window` bars, and while a null is in sight. Source: Botes and Siepman 2010,
    TA-Lib VORTEX.
    """
    inputs, rows = [column(high), column(low), column(close)], whole(window) + 1
    return {
        "plus": windowed(vortices, inputs, rows, True),
        "minus": windowed(vortices, inputs, rows, False),
    }


@indicator("directional", "oscillator", lambda window: window + 1)
def choppiness(high: Column, low: Column, close: Column, window: int = 14) -> pl.Expr:
    """Whether the market only wobbles (100) or goes somewhere (towards 0).

    100 × log₁₀(Σ true range / (highest − lowest)) / log₁₀(window). Null for `window` bars, while a
    null is in sight, and in a flat window, which does neither. Above 100 where the window's first
    bar leaps away from the close before it, which its true range counts. Source: Dreiss 1993.
    """
    path = total(true_range(high, low, close), whole(window, least=2))
    span = highest(column(high), window) - lowest(column(low), window)
    return quotient(path, span, None).log(window) * 100
