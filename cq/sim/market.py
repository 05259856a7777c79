"""A generated market: seeded, with regimes, thin markets and a pair that belongs together.

Prices are made, not recorded. They have what a strategy must cope with: trends that end, calm and
storm, fat tails, hours of the day that matter, buckets in which nobody trades, and ETH tied to BTC
by a mean-reverting spread (so that a cointegration test finds something that is there).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt
import polars as pl

from cq.errors import UnknownSymbol
from cq.lake.resample import resampled
from cq.utils.time import DAY, HOUR, MINUTE, YEAR, interval_ns

Floats = npt.NDArray[np.float64]

REGIMES: Final = {"bull": (1.5, 0.42), "bear": (-1.2, 0.6), "calm": (0.05, 0.22)}
"""Regime → (drift, volatility), both a year."""


@dataclass(frozen=True)
class Coin:
    """One market of the generated exchange."""

    symbol: str
    price: float
    tick: float
    volume: float
    """Base units that trade in an average hour."""
    silence: float = 0.0
    """Share of minutes in which nobody trades."""
    scale: float = 1.0
    """Volatility as a multiple of the regime's."""
    follows: str | None = None
    """The symbol it is tied to by a mean-reverting spread."""


COINS: Final = (
    Coin("BTC-BRL", 350_000, 1.0, 1.6, silence=0.12),
    Coin("ETH-BRL", 18_000, 1.0, 22.0, silence=0.25, follows="BTC-BRL"),
    Coin("SOL-BRL", 800, 0.01, 260.0, silence=0.35, scale=1.6),
    Coin("USDT-BRL", 5.2, 0.0001, 90_000.0, silence=0.3, scale=0.18),
    Coin("LINK-BRL", 75, 0.01, 40.0, silence=0.95, scale=1.5),
)


@dataclass(frozen=True)
class GeneratedMarket:
    """Bars of every coin between two instants; the same seed gives the same bars.

    It answers like an exchange (`candles`), so it can be ingested like one.
    """

    start_ns: int
    end_ns: int
    seed: int = 0
    coins: tuple[Coin, ...] = COINS
    name: str = "generated"

    @property
    def symbols(self) -> tuple[str, ...]:
        """What can be asked for."""
        return tuple(coin.symbol for coin in self.coins)

    @property
    def intervals(self) -> tuple[str, ...]:
        """The intervals of bars that it serves, shortest first."""
        return ("1m", "15m", "1h", "3h", "1d")

    def time_ns(self, now_ns: int) -> int:
        """Its clock stands where its bars end."""
        return min(now_ns, self.end_ns)

    def candles(self, symbol: str, interval: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        """Bars that open in [start, end), oldest first, with the columns of the lake's `ohlcv`.

        Buckets without a trade are left out, as on the exchange.
        """
        if symbol not in self.symbols:
            raise UnknownSymbol(symbol, self.symbols, "generate one of those")
        length = interval_ns(interval)
        minutes = self._minutes[symbol].filter(
            pl.col("ts").is_between(start_ns // length * length, end_ns, closed="left")
        )
        label = {"symbol": symbol, "exchange": self.name, "interval": interval}
        named = {name: pl.lit(text) for name, text in label.items()}
        if length == MINUTE:
            return minutes.with_columns(**named)
        coarser = resampled(minutes.with_columns(**named).lazy(), interval)
        return (
            coarser.filter(pl.col("ts") >= start_ns)
            .with_columns(pl.col("volume").round(8), interval=pl.lit(interval))
            .collect()
        )

    @cached_property
    def _minutes(self) -> dict[str, pl.DataFrame]:
        ts = np.arange(self.start_ns, self.end_ns, MINUTE, dtype=np.int64)
        paths: dict[str, Floats] = {}
        frames: dict[str, pl.DataFrame] = {}
        for coin in self.coins:
            random = np.random.default_rng([self.seed, crc32(coin.symbol.encode())])
            if coin.follows is None:
                paths[coin.symbol] = _walk(coin, ts, random)
            else:
                paths[coin.symbol] = paths[coin.follows] + _spread(len(ts), random)
            frames[coin.symbol] = _bars(coin, ts, paths[coin.symbol], random)
        return frames


def _walk(coin: Coin, ts: npt.NDArray[np.int64], random: np.random.Generator) -> Floats:
    """Cumulated log returns: a chain of regimes, fat tails, louder Brazilian afternoons."""
    count = len(ts)
    days = count * MINUTE // DAY + 10
    days = count * MINUTE // DAY + 10
    lengths = random.exponential(40 * DAY / MINUTE, size=days).astype(int) + 1
    kinds = random.integers(len(REGIMES), size=len(lengths))
    regime = np.repeat(kinds, lengths)[:count]
    drift, volatility = np.array(list(REGIMES.values())).T
    part_of_year = MINUTE / YEAR
    hour = ts // HOUR % 24
    daily_rhythm = 1 + 0.35 * np.cos((hour - 17) / 24 * 2 * np.pi)
    shocks = random.standard_t(4, size=count) / np.sqrt(2)
    sigma = volatility[regime] * coin.scale * daily_rhythm * np.sqrt(part_of_year)
    steps = drift[regime] * coin.scale * part_of_year - sigma**2 / 2 + sigma * shocks
    walk: Floats = np.cumsum(steps)
    return walk


def _spread(count: int, random: np.random.Generator) -> Floats:
    """A mean-reverting log spread with a half-life of three days and a spread of 4 %."""
    keep = 0.5 ** (MINUTE / (3 * DAY))
    shocks = random.standard_normal(count) * 0.04 * np.sqrt(1 - keep**2) / (1 - keep)
    shocks[0] = 0.0  # the recursion takes its first value whole
    spread: Floats = pl.Series(shocks).ewm_mean(alpha=1 - keep, adjust=False).to_numpy()
    return spread


def _bars(
    coin: Coin, ts: npt.NDArray[np.int64], path: Floats, random: np.random.Generator
) -> pl.DataFrame:
    """Bars along a path of closes: each opens near the last close, its wicks reach beyond."""
    close = coin.price * np.exp(path)
    opened = np.concatenate([[coin.price], close[:-1]])
    opened = opened * (1 + random.normal(0, 1e-5, len(ts)))
    reach = np.abs(np.diff(path, prepend=0.0)).mean() * 0.6
    high = np.maximum(opened, close) * np.exp(random.exponential(reach, len(ts)))
    low = np.minimum(opened, close) * np.exp(-random.exponential(reach, len(ts)))
    volume = coin.volume * MINUTE / HOUR * random.lognormal(-0.5, 1.0, len(ts))
    traded = random.random(len(ts)) >= coin.silence
    places = len(f"{coin.tick:.8f}".rstrip("0").partition(".")[2])

    def on_tick(values: Floats) -> Floats:
        rounded: Floats = np.round(np.maximum(np.round(values / coin.tick), 1) * coin.tick, places)
        return rounded

    frame = pl.DataFrame(
        {
            "ts": ts,
            "open": on_tick(opened),
            "high": on_tick(high),
            "low": on_tick(low),
            "close": on_tick(close),
            "volume": np.round(volume, 8),
        }
    )
    return frame.filter(pl.Series(traded))
