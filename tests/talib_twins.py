"""Which function of TA-Lib says the same as an indicator, and how it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
import talib
import talib.abstract

from cq import indicators as ind
from cq.indicators.candles import PATTERNS

OPEN, H, L, C, V = "open", "high", "low", "close", "volume"
HLC = (H, L, C)
Arrays = Mapping[str, np.ndarray]


class Twin:
    """Ours, theirs, and whether the two read the same outputs."""

    def __init__(
        self,
        ours: Callable[[], pl.Expr | dict[str, pl.Expr]],
        name: str,
        columns: tuple[str, ...],
        *parameters: Any,
        pick: Callable[[Any], Mapping[str, np.ndarray]] | None = None,
    ) -> None:
        self.ours, self.name, self.columns, self.parameters = ours, name, columns, parameters
        self.pick = pick

    def theirs(self, bars: Arrays) -> dict[str, np.ndarray]:
        found = getattr(talib, self.name)(*(bars[c] for c in self.columns), *self.parameters)
        if self.pick:
            return dict(self.pick(found))
        return {self.name: found}

    def mine(self) -> dict[str, pl.Expr]:
        made = self.ours()
        if isinstance(made, dict):
            return made
        return {self.name: made}


def named(*names: str) -> Callable[[Any], Mapping[str, np.ndarray]]:
    return lambda found: dict(zip(names, found, strict=True))


def one(name: str) -> Callable[[Any], Mapping[str, np.ndarray]]:
    return lambda found: {name: found}


def only(name: str, made: Callable[[], Any]) -> Callable[[], dict[str, pl.Expr]]:
    return lambda: {name: made()[name]}


def candle(name: str) -> Twin:
    """A pattern; TA-Lib's 0 in the bars that it skips is no value."""
    function = PATTERNS[name][1]
    skipped = talib.abstract.Function(function).lookback

    def pick(found: np.ndarray) -> dict[str, np.ndarray]:
        return {name: np.where(np.arange(len(found)) < skipped, np.nan, found)}

    return Twin(lambda: {name: getattr(ind, name)(OPEN, *HLC)}, function, (OPEN, *HLC), pick=pick)


BANDS = named("upper", "mid", "lower")

TWINS = {
    "sma": Twin(lambda: ind.sma(C, 7), "SMA", (C,), 7),
    "ema": Twin(lambda: ind.ema(C, 7), "EMA", (C,), 7),
    "rma": Twin(lambda: ind.rma(C, 7), "RMA", (C,), 7),
    "wma": Twin(lambda: ind.wma(C, 7), "WMA", (C,), 7),
    "dema": Twin(lambda: ind.dema(C, 5), "DEMA", (C,), 5),
    "tema": Twin(lambda: ind.tema(C, 5), "TEMA", (C,), 5),
    "trima-odd": Twin(lambda: ind.trima(C, 7), "TRIMA", (C,), 7),
    "trima-even": Twin(lambda: ind.trima(C, 8), "TRIMA", (C,), 8),
    "kama": Twin(lambda: ind.kama(C, 10), "KAMA", (C,), 10),
    "hma": Twin(lambda: ind.hma(C, 15), "HMA", (C,), 15),
    "t3": Twin(lambda: ind.t3(C, 4, 0.7), "T3", (C,), 4, 0.7),
    "vwma": Twin(lambda: ind.vwma(C, V, 7), "VWMA", (C, V), 7),
    "slope": Twin(lambda: ind.slope(C, 9), "LINEARREG_SLOPE", (C,), 9),
    "regression": Twin(lambda: ind.regression(C, 9), "LINEARREG", (C,), 9),
    "rsi": Twin(lambda: ind.rsi(C, 14), "RSI", (C,), 14),
    "cmo": Twin(lambda: ind.cmo(C, 14), "CMO", (C,), 14),
    "macd": Twin(
        lambda: ind.macd(C, 5, 9, 4), "MACD", (C,), 5, 9, 4, pick=named("macd", "signal", "hist")
    ),
    "ppo": Twin(lambda: ind.ppo(C, 5, 9), "PPO", (C,), 5, 9, 1),
    "stoch": Twin(
        lambda: ind.stoch(*HLC, 5, 3, 3), "STOCH", HLC, 5, 3, 0, 3, 0, pick=named("k", "d")
    ),
    "stochrsi": Twin(
        lambda: ind.stochrsi(C, 7, 5, 3), "STOCHRSI", (C,), 7, 5, 3, 0, pick=named("k", "d")
    ),
    "cci": Twin(lambda: ind.cci(*HLC, 8), "CCI", HLC, 8),
    "mfi": Twin(lambda: ind.mfi(*HLC, V, 8), "MFI", (*HLC, V), 8),
    "willr": Twin(lambda: ind.willr(*HLC, 8), "WILLR", HLC, 8),
    "roc": Twin(lambda: ind.roc(C, 5), "ROC", (C,), 5),
    "mom": Twin(lambda: ind.mom(C, 5), "MOM", (C,), 5),
    "trix": Twin(lambda: ind.trix(C, 5), "TRIX", (C,), 5),
    "ultosc": Twin(lambda: ind.ultosc(*HLC, 3, 6, 9), "ULTOSC", HLC, 3, 6, 9),
    "tsi": Twin(lambda: ind.tsi(C, 9, 5), "TSI", (C,), 9, 5),
    "plus": Twin(only("plus", lambda: ind.dmi(*HLC, 6)), "PLUS_DI", HLC, 6, pick=one("plus")),
    "minus": Twin(only("minus", lambda: ind.dmi(*HLC, 6)), "MINUS_DI", HLC, 6, pick=one("minus")),
    "dx": Twin(only("dx", lambda: ind.dmi(*HLC, 6)), "DX", HLC, 6, pick=one("dx")),
    "adx": Twin(lambda: ind.adx(*HLC, 6), "ADX", HLC, 6),
    "adxr": Twin(only("adxr", lambda: ind.dmi(*HLC, 6)), "ADXR", HLC, 6, pick=one("adxr")),
    "aroon": Twin(lambda: ind.aroon(H, L, 8), "AROON", (H, L), 8, pick=named("down", "up")),
    "vortex": Twin(
        lambda: ind.vortex(*HLC, 8), "VORTEX", HLC, 8, pick=named("plus", "minus")
    ),
    "sar": Twin(lambda: ind.sar(H, L, 0.02, 0.2), "SAR", (H, L), 0.02, 0.2),
    "supertrend": Twin(
        only("supertrend", lambda: ind.supertrend(*HLC, 5, 2.0)),
        "SUPERTREND", HLC, 5, 2.0, pick=lambda found: {"supertrend": found[0]},
    ),
    "trend": Twin(
        only("trend", lambda: ind.supertrend(*HLC, 5, 2.0)),
        "SUPERTREND", HLC, 5, 2.0,
        pick=lambda found: {"trend": np.where(np.isnan(found[0]), np.nan, found[1])},
    ),
    "true_range": Twin(lambda: ind.true_range(*HLC), "TRANGE", HLC),
    "atr": Twin(lambda: ind.atr(*HLC, 7), "ATR", HLC, 7),
    "natr": Twin(lambda: ind.natr(*HLC, 7), "NATR", HLC, 7),
    "bollinger": Twin(
        lambda: ind.bollinger(C, 7, 2.0), "BBANDS", (C,), 7, 2.0, 2.0, 0, pick=BANDS
    ),
    "keltner": Twin(lambda: ind.keltner(*HLC, 10, 5, 2.0), "KC", HLC, 10, 5, 2.0, pick=BANDS),
    "keltner-long-range": Twin(
        lambda: ind.keltner(*HLC, 5, 9, 2.0), "KC", HLC, 5, 9, 2.0, pick=BANDS
    ),
    "donchian": Twin(lambda: ind.donchian(H, L, 8), "DONCHIAN", (H, L), 8, pick=BANDS),
    "stddev": Twin(lambda: ind.stddev(C, 7), "STDDEV", (C,), 7, 1.0),
    "variance": Twin(lambda: ind.variance(C, 7), "VAR", (C,), 7),
    "obv": Twin(lambda: ind.obv(C, V), "OBV", (C, V)),
    "ad": Twin(lambda: ind.ad(*HLC, V), "AD", (*HLC, V)),
    "adosc": Twin(lambda: ind.adosc(*HLC, V, 3, 7), "ADOSC", (*HLC, V), 3, 7),
    "cmf": Twin(lambda: ind.cmf(*HLC, V, 7), "CMF", (*HLC, V), 7),
    "force": Twin(lambda: ind.force(C, V, 7), "EFI", (C, V), 7),
    "relative_volume": Twin(lambda: ind.relative_volume(V, 7), "RVOL", (V,), 7),
    "anchored_vwap": Twin(
        lambda: ind.anchored_vwap(*HLC, V), "VWAP", (*HLC, V),
        pick=lambda found: {"VWAP": np.where(found == 0, np.nan, found)},
    ),
    "correlation": Twin(lambda: ind.correlation(H, L, 8), "CORREL", (H, L), 8),
    "beta": Twin(lambda: ind.beta(L, H, 8), "BETA", (H, L), 8),
    "percent_rank": Twin(lambda: ind.percent_rank(C, 10), "PERCENTRANK", (C,), 10),
} | {name: candle(name) for name in PATTERNS}  # fmt: skip
"""By our name, or that of the output or case that is compared."""
