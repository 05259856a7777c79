"""Markets that wander, and crossings to trade on them: what sweeps are tried on."""

import numpy as np
import polars as pl

from cq.utils.time import HOUR


def market(size: int, symbol: str = "BTC-BRL", seed: int = 1, skip: float = 0.0) -> pl.DataFrame:
    """Hourly bars that wander, some of them missing."""
    rng = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.01, size))), 2)
    opened = np.round(np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0, 0.002, size)), 2)
    wick = 1 + np.abs(rng.normal(0, 0.004, size))
    frame = pl.DataFrame(
        {
            "ts": np.arange(size, dtype=np.int64) * HOUR,
            "open": opened,
            "high": np.maximum(opened, close) * wick,
            "low": np.minimum(opened, close) / wick,
            "close": close,
            "volume": rng.uniform(1, 50, size),
        }
    ).with_columns(symbol=pl.lit(symbol), exchange=pl.lit("mercadobitcoin"))
    return frame.filter(pl.Series(rng.random(size) >= skip)) if skip else frame


BARE = "kind: crossover\nsymbols: [{symbols}]\ninterval: 1h\nfast: 5\nslow: 20\n"
CROSS = BARE + "sizing: {{kind: fixed_fraction}}\n"
