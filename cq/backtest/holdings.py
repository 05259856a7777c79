"""What is held at each bar's close, symbol by symbol: made of fills when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from cq.backtest.intents import Floats, Ints
from cq.backtest.market import Market

POSITIONS: Final = {
    "ts": pl.Int64, "symbol": pl.String, "qty": pl.Float64, "close": pl.Float64,
    "worth": pl.Float64, "weight": pl.Float64, "stale": pl.Boolean,
}  # fmt: skip


def positions(
    trades: pl.DataFrame,
    at_close: npt.NDArray[np.bool_],
    markets: Sequence[Market],
    equity: pl.DataFrame,
    decimals: int | None,
) -> pl.DataFrame:
    """A row for each symbol that is held at the close of a bar, by ts and symbol.

    `at_close` marks trades that were made at a bar's end. `weight` is the part of equity; `stale`
    says that the symbol had no bar there, so that its close is an older one.
    """
    ts, worth_of_all = equity["ts"].to_numpy(), equity["equity"].to_numpy()
    found = []
    for market in markets:
        mine = (trades["symbol"] == market.symbol).to_numpy()
        held = _held(trades.filter(mine), at_close[mine], ts, decimals)
        rows = np.flatnonzero(held)
        close = market.last_close(ts)[rows]
        known = np.isin(ts[rows], market.ts)
        found.append(
            pl.DataFrame(
                {
                    "ts": ts[rows], "symbol": [market.symbol] * rows.size, "qty": held[rows],
                    "close": close, "worth": held[rows] * close,
                    "weight": _part(held[rows] * close, worth_of_all[rows]), "stale": ~known,
                },
                schema=POSITIONS,
            )
        )  # fmt: skip
    return pl.concat(found).sort("ts", "symbol") if found else pl.DataFrame(schema=POSITIONS)


def _held(
    trades: pl.DataFrame, at_close: npt.NDArray[np.bool_], ts: Ints, decimals: int | None
) -> Floats:
    """The quantity at the close of each of `ts`."""
    stamps = trades["ts"].to_numpy() - at_close  # an end belongs to the bar before
    when = ts[np.searchsorted(ts, stamps, side="right") - 1]
    moved = np.where(trades["side"] == "buy", 1.0, -1.0) * trades["qty"].to_numpy()
    total = np.concatenate(([0.0], np.cumsum(moved)))
    if decimals is None:  # what is left of a closed position is noise
        total[np.abs(total) < 1e-12 * np.abs(moved).max(initial=0.0)] = 0.0
    else:
        total = np.round(total, decimals)
    held: Floats = total[np.searchsorted(when, ts, side="right")]
    return held


def _part(worth: Floats, equity: Floats) -> Floats:
    none = np.full(worth.size, np.nan)
    found: Floats = np.divide(worth, equity, out=none, where=equity > 0)
    return found
