"""A look at a strategy as live trading would see it: a window that ends now, nothing later.

What a user's own code decides over all history must be what it decides at that moment over the
last `warmup` bars. Where it differs, the code sees the future or needs more history than it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from cq.signals import targets
from cq.strategies.reach import until
from cq.utils.time import iso

if TYPE_CHECKING:
    from cq.backtest.frames import Part
    from cq.strategies import Strategy

LOOKS: Final = 12
"""Moments that are looked at: where targets change, spread over the period."""

SAME: Final = 1e-9


def difference(bars: pl.DataFrame, parts: Sequence[Part], strategy: Strategy) -> str | None:
    """The first moment at which live trading would have decided otherwise, said in a line."""
    for ts in _moments(parts):
        window = until(bars, ts, strategy.warmup, strategy.compares)
        seen = targets(window.lazy(), strategy).filter(pl.col("ts") == ts)
        live = dict(seen.select("symbol", "target").collect().rows())
        for part in parts:
            row = part.rows.filter(pl.col("ts") == ts)
            if row.is_empty():
                continue
            tested = row.item(0, "target")
            if not _same(tested, live.get(part.symbol)):
                return (
                    f"{strategy.code or strategy.name}: at {iso(ts)} the target of {part.symbol} "
                    f"is {_shown(tested)} with hindsight and {_shown(live.get(part.symbol))} "
                    f"over the {strategy.warmup} bars until then: the strategy sees the future, "
                    "or its warmup is too short; live trading will not repeat this result"
                )
    return None


def _moments(parts: Sequence[Part]) -> list[int]:
    """Bars at which a target changes, a few of them, and a few others; never the last ones."""
    changing, all_of_them = [], []
    for part in parts:
        ts = part.rows["ts"].to_numpy()
        target = part.rows["target"].fill_null(-1.0).to_numpy()
        changing.append(ts[1:][target[1:] != target[:-1]])
        all_of_them.append(ts)
    return sorted(
        {moment for found in (changing, all_of_them) for moment in _spread(np.concatenate(found))}
    )


def _spread(moments: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    unique = np.unique(moments)
    places = np.linspace(0, max(unique.size - 1, 0), min(LOOKS // 2, unique.size))
    found: list[int] = unique[places.astype(np.int64)].tolist()
    return found


def _same(tested: float | None, live: float | None) -> bool:
    if tested is None or live is None:
        return tested is live
    return abs(tested - live) <= SAME


def _shown(target: float | None) -> str:
    return "null" if target is None else f"{target:g}"
