"""Minutes of a random walk, the same each time: what several benchmarks run over."""

from __future__ import annotations

import numpy as np

BARS = 2_600_000
MINUTE = 60 * 10**9


def minutes(decimals: int = 2, bars: int = BARS) -> dict[str, np.ndarray]:
    """ts, open, high, low, close and volume; prices have so many decimals."""
    rng = np.random.default_rng(1)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.0004, bars))), decimals)
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0, 0.0001, bars))
    opened = np.round(opened, decimals)
    wick = 1 + np.abs(rng.normal(0, 0.0002, bars))
    return {
        "ts": np.arange(bars, dtype=np.int64) * MINUTE,
        "open": opened,
        "high": np.round(np.maximum(opened, close) * wick, decimals),
        "low": np.round(np.minimum(opened, close) / wick, decimals),
        "close": close,
        "volume": np.ones(bars),
    }
