"""A generated market without an end: any day of it is made on its own, and always the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final
from zlib import crc32

import numpy as np
import polars as pl

from cq.errors import UnknownSymbol
from cq.sim.arrays import BarArrays, Floats, Ints
from cq.sim.listing import GENERATED, Listing, generated_listings
from cq.sim.market import REGIMES, Coin
from cq.sim.prints import told_by
from cq.utils.time import DAY, HOUR, MINUTE, YEAR

FIRST_DAY: Final = 16_436
"""2015-01-01; the walk of days is made from here on."""
LAST_DAY: Final = 32_872
"""2060-01-01."""
MINUTES: Final = DAY // MINUTE
_HOME_DAYS: Final = 250
_SPREAD_DAYS: Final = 3


@dataclass(frozen=True)
class Endless:
    """Minutes of every coin for decades; `bars(symbol, day)` makes one day.

    A walk over days (regimes, pulled home slowly so that prices stay sane) says where each day
    begins and ends; a bridge of minutes joins the two. So days are made in any order, none needs
    the ones before it, and they join without a gap. `trades_per_minute` is the mean of the minutes
    in which anybody trades at all.
    """

    seed: int = 0
    trades_per_minute: float = 4.0
    coins: tuple[Coin, ...] = GENERATED
    _by_symbol: dict[str, Coin] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_symbol", {coin.symbol: coin for coin in self.coins})
        object.__setattr__(self, "_paths", lru_cache(maxsize=64)(self._path_of))

    @cached_property
    def listings(self) -> dict[str, Listing]:
        """The terms of every market."""
        return generated_listings(self.coins)

    def coin(self, symbol: str) -> Coin:
        """The coin of a market that trades."""
        try:
            return self._by_symbol[symbol]
        except KeyError:
            raise UnknownSymbol(symbol, self._by_symbol, "ask for one of those") from None

    def random(self, symbol: str, *what: int) -> np.random.Generator:
        """The same numbers for the same question, whoever asks and when."""
        return np.random.default_rng([self.seed, crc32(symbol.encode()), *what])

    def totals(self, symbol: str) -> Ints:
        """Trades of every day from `FIRST_DAY` on, known without making any of them."""
        active = MINUTES * (1 - self.coin(symbol).silence)
        mean = max(self.trades_per_minute * active, 1)
        drawn = self.random(symbol, 1).poisson(mean, LAST_DAY - FIRST_DAY)
        return np.maximum(drawn, 1).astype(np.int64)

    def counts(self, symbol: str, day: int, total: int) -> Ints:
        """The day's `total` trades by minute; 0 where nobody trades."""
        random = self.random(symbol, 1, day)
        active = np.flatnonzero(random.random(MINUTES) >= self.coin(symbol).silence)
        if not len(active):
            active = np.array([MINUTES // 2])
        active = random.permutation(active)[:total]
        counts = np.zeros(MINUTES, np.int64)
        more = random.multinomial(total - len(active), np.full(len(active), 1 / len(active)))
        counts[active] = 1 + more
        return counts

    def bars(self, symbol: str, day: int, total: int) -> tuple[BarArrays, Ints]:
        """The minutes of the day in which somebody trades, and how many trades each has."""
        coin, listing = self.coin(symbol), self.listings[symbol]
        random = self.random(symbol, 2, day)
        path: Floats = self._paths(symbol, day)  # type: ignore[attr-defined]
        prices = coin.price * np.exp(path)
        close = prices[1:]
        opened = prices[:-1] * (1 + random.normal(0, 1e-5, MINUTES))
        reach = np.abs(np.diff(path)).mean() * 0.6
        high = np.maximum(opened, close) * np.exp(random.exponential(reach, MINUTES))
        low = np.minimum(opened, close) * np.exp(-random.exponential(reach, MINUTES))
        volume = coin.volume * MINUTE / HOUR * random.lognormal(-0.5, 1.0, MINUTES)
        counts = self.counts(symbol, day, total)
        lots = np.maximum(np.rint(volume * 1e8 / listing.lot).astype(np.int64), counts)
        ts = day * DAY + np.arange(MINUTES, dtype=np.int64) * MINUTE
        open_, high_, low_, close_ = (
            np.maximum(np.rint(one / coin.tick), 1).astype(np.int64)
            for one in (opened, high, low, close)
        )
        traded = counts > 0
        bars = BarArrays(ts, open_, high_, low_, close_, lots * listing.lot)[traded]
        return told_by(bars, counts[traded]), counts[traded]

    def _path_of(self, symbol: str, day: int) -> Floats:
        """Log prices relative to the coin's, from the day's first instant to its last: 1441."""
        if not FIRST_DAY <= day < LAST_DAY:
            raise ValueError(f"day {day} is outside of the generated market, 2015 to 2059")
        coin, random = self.coin(symbol), self.random(symbol, 3, day)
        levels = self._levels[symbol]
        begin, end = levels[day - FIRST_DAY], levels[day - FIRST_DAY + 1]
        shocks = random.standard_t(4, size=MINUTES) / np.sqrt(2)
        if coin.follows is None:
            hour = np.arange(MINUTES) * MINUTE // HOUR
            rhythm = 1 + 0.35 * np.cos((hour - 17) / 24 * 2 * np.pi)
            sigma = 0.5 * coin.scale * np.sqrt(MINUTE / YEAR) * rhythm
            return _bridge(sigma * shocks, begin, end)
        own = _bridge(0.002 * np.sqrt(MINUTE / HOUR) * shocks, begin, end)
        leader: Floats = self._paths(coin.follows, day)  # type: ignore[attr-defined]
        return leader + own

    @cached_property
    def _levels(self) -> dict[str, Floats]:
        """Where each day begins; of a coin that follows another, its distance to that one."""
        return {coin.symbol: self._days(coin) for coin in self.coins}

    def _days(self, coin: Coin) -> Floats:
        count = LAST_DAY - FIRST_DAY + 1
        random = self.random(coin.symbol, 0)
        if coin.follows is not None:
            keep = 0.5 ** (1 / _SPREAD_DAYS)
            return _pulled_home(random.standard_normal(count) * 0.04 * np.sqrt(1 - keep**2), keep)
        lengths = random.exponential(40, size=count).astype(int) + 1
        regime = np.repeat(random.integers(len(REGIMES), size=count), lengths)[:count]
        drift, volatility = np.array(list(REGIMES.values())).T
        shocks = random.standard_t(4, size=count) / np.sqrt(2)
        part = DAY / YEAR
        sigma = volatility[regime] * coin.scale * np.sqrt(part)
        steps = drift[regime] * coin.scale * part + sigma * shocks
        return _pulled_home(steps, 0.5 ** (1 / _HOME_DAYS))


def _bridge(steps: Floats, begin: float, end: float) -> Floats:
    """A walk of `steps`, bent so that it begins and ends where it should."""
    walk = np.concatenate([[0.0], np.cumsum(steps)])
    share = np.linspace(0.0, 1.0, len(walk))
    bent: Floats = begin + walk + (end - begin - walk[-1]) * share
    return bent


def _pulled_home(steps: Floats, keep: float) -> Floats:
    """The sum of `steps` of which only `keep` is left a step later."""
    weighted = steps / (1 - keep)
    weighted[0] = 0.0
    summed: Floats = pl.Series(weighted).ewm_mean(alpha=1 - keep, adjust=False).to_numpy()
    return summed
