"""Bands around the price, and stops that trail it."""

from __future__ import annotations

from typing import Literal

import polars as pl

from cq.errors import UsageError
from cq.indicators.columns import Column, column
from cq.indicators.kernels import kernel, parabolic, trailing_band
from cq.indicators.registry import forgets, indicator, whole
from cq.indicators.smoothing import seeded, wilder
from cq.indicators.stages import share
from cq.indicators.volatility import First, atr, true_range
from cq.indicators.windows import deviation, highest, lowest, mean_of

_BANDS = ("mid", "upper", "lower")


@indicator("channels", "price", lambda window: window, outputs=_BANDS)
def bollinger(
    values: Column, window: int = 20, k: float = 2.0, ddof: int = 0
) -> dict[str, pl.Expr]:
    """Bands of `k` standard deviations around the mean: `mid`, `upper`, `lower`.

    mid = sma(x, window); upper, lower = mid ± k × stddev(x, window), of the population as in
    TA-Lib BBANDS, or with ddof=1 of a sample. All equal in a flat window; null until it is full,
    and while it holds a null. Source: Bollinger. The usual companions: (upper − lower) / mid is
    the band width, (x − lower) / (upper − lower) is %B.
    """
    x = column(values)
    mid = share(mean_of(x, whole(window)))
    band = share(deviation(x, window, ddof, k))
    return {"mid": mid, "upper": mid + band, "lower": mid - band}


@indicator(
    "channels",
    "price",
    lambda window, atr_window, tolerance: (
        max(window, atr_window + 1)
        + max(forgets(2 / (window + 1), tolerance), forgets(1 / atr_window, tolerance))
    ),
    outputs=_BANDS,
)
def keltner(
    high: Column,
    low: Column,
    close: Column,
    window: int = 20,
    atr_window: int = 10,
    k: float = 2.0,
    mean: Literal["exponential", "simple"] = "exponential",
) -> dict[str, pl.Expr]:
    """Bands of `k` mean true ranges around the mean typical price: `mid`, `upper`, `lower`.

    mid = ema((high + low + close) / 3, window); upper, lower = mid ± k × atr(atr_window), both
    started at the same bar, as TA-Lib KC does; with mean="simple" both are plain means. Null until
    both windows are full; all equal in a flat market; nulls are passed over. Source: Keltner 1960,
    Raschke.
    """
    typical = (column(high) + column(low) + column(close)) / 3
    size = true_range(high, low, close)
    if mean == "simple":
        mid, band = mean_of(typical, whole(window)), mean_of(size, whole(atr_window))
    else:
        begin = max(whole(window), whole(atr_window, "atr_window") + 1)
        mid = seeded(typical, 2 / (window + 1), window, begin)
        band = wilder(size, atr_window, begin - 1)
    mid, band = share(mid), share(band * k)
    both = pl.when(band.is_not_null())
    return {"mid": both.then(mid), "upper": mid + band, "lower": mid - band}


@indicator("channels", "price", lambda window: window, outputs=_BANDS)
def donchian(high: Column, low: Column, window: int = 20) -> dict[str, pl.Expr]:
    """The highest high (`upper`) and lowest low (`lower`) of the window, `mid` halfway.

    The current bar is in the window. Null until it is full, and while it holds a null. Source:
    Donchian, TA-Lib DONCHIAN.
    """
    upper = share(highest(column(high), whole(window)))
    lower = share(lowest(column(low), window))
    return {"mid": (upper + lower) / 2, "upper": upper, "lower": lower}


@indicator(
    "channels",
    "price",
    lambda conversion, base, span, displacement: max(conversion, base, span) + displacement,
    outputs=("conversion", "base", "span_a", "span_b"),
)
def ichimoku(
    high: Column,
    low: Column,
    conversion: int = 9,
    base: int = 26,
    span: int = 52,
    displacement: int = 26,
) -> dict[str, pl.Expr]:
    """The lines of the cloud, each as known at its bar.

    `conversion`, `base` and `span_b` lie halfway between the highest high and the lowest low of
    their windows, `span_a` between conversion and base; both spans stand `displacement` bars later
    than the bars they are made of, as charts show them. The lagging line is the close moved back
    in time: a signal cannot know it, so compare the close with the one of `displacement` bars ago
    instead. Null until the windows are full, and while they hold a null. Source: Hosoda 1969.
    """

    def middle(window: int) -> pl.Expr:
        return share((highest(column(high), whole(window)) + lowest(column(low), window)) / 2)

    turning, standard = middle(conversion), middle(base)
    later = whole(displacement, "displacement", least=0)
    return {
        "conversion": turning,
        "base": standard,
        "span_a": ((turning + standard) / 2).shift(later),
        "span_b": middle(span).shift(later),
    }


@indicator(
    "channels",
    "price",
    lambda window, k, tolerance: window + 1 + forgets(1 / window, tolerance / 10) + round(200 * k),
    outputs=("supertrend", "trend"),
)
def supertrend(
    high: Column,
    low: Column,
    close: Column,
    window: int = 10,
    k: float = 3.0,
    first: First = "null",
) -> dict[str, pl.Expr]:
    """A stop that trails the price, `supertrend`, and its direction: `trend` 1 up, −1 down.

    Bands (high + low) / 2 ± k × atr; the lower one never falls while the close stays above it, the
    upper never rises while it stays below; the trend turns when the close passes the band. Starts
    upward with the first mean range; `first` as in `atr`; null for `window` bars; nulls are passed
    over. Source: Seban, TA-Lib SUPERTREND. A kernel trails. The start is forgotten once the trend
    has turned twice: the warm-up is what that usually takes, not a bound.
    """
    middle = (column(high) + column(low)) / 2
    band = share(atr(high, low, close, window, first=first) * k)
    inputs = [share(middle + band), share(middle - band), column(close)]
    line, direction = (kernel(trailing_band, inputs, wanted) for wanted in (0, 1))
    return {"supertrend": line, "trend": direction.cast(pl.Int8)}


def _turning_bars(step: float, maximum: float) -> int:
    if not (step > 0 and maximum > 0):
        raise UsageError(f"step is {step!r} and maximum {maximum!r}; expected numbers above 0")
    return round(20 * maximum / step) + 100


@indicator("channels", "price", _turning_bars)
def sar(high: Column, low: Column, step: float = 0.02, maximum: float = 0.2) -> pl.Expr:
    """Wilder's parabolic stop and reversal.

    sar += speed × (extreme − sar), speed growing by `step` up to `maximum` with each new extreme,
    never inside the ranges of the last two bars; it turns, to the extreme, when touched. The first
    bar is the first stop; null there; nulls are passed over. Source: Wilder 1978, TA-Lib SAR. A
    kernel. The start is forgotten once the stop has turned: the warm-up is what that usually takes,
    not a bound.
    """
    return kernel(parabolic, [column(high), column(low)], min(step, maximum), maximum)
