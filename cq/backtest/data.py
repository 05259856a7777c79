"""What was read, as the engine takes it: arrays market by market, and a digest of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from cq.backtest.bars import ALL, Part
from cq.backtest.engine import Market
from cq.errors import DataError, StrategyError
from cq.strategies import Strategy
from cq.utils.time import iso


def markets_of(parts: Sequence[Part], strategy: Strategy) -> list[Market]:
    """Each symbol's rows as arrays; a target that is no number is refused."""
    found = []
    for part in parts:
        _check_targets(part, strategy)
        ts = part.rows["ts"].to_numpy()
        if not bool(np.all(ts[1:] > ts[:-1])):
            raise DataError(f"bars of {part.symbol} repeat; look with `cq lake quality`")
        columns = (part.rows[one].to_numpy() for one in ("open", "close", "target"))
        found.append(Market(part.symbol, ts, *columns))
    return found


def _check_targets(part: Part, strategy: Strategy) -> None:
    finite = part.rows["target"].is_finite()
    if finite.all():  # nulls aside
        return
    ts, target = part.rows.filter(~finite).select("ts", "target").row(0)
    raise StrategyError(
        str(strategy.code or strategy.name),
        f"the target of {part.symbol} at {iso(ts)} is {target}; "
        "expected a fraction of equity, or null",
    )


def digest(parts: Sequence[Part]) -> str:
    """SHA-256 of the rows in (symbol, ts) order, whatever files they came from."""
    hashed = hashlib.sha256()
    for part in parts:
        columns = [one for one in ALL if one in part.rows.columns]
        hashed.update(f"{part.symbol} {part.rows.height} {' '.join(columns)}\n".encode())
        for column in columns:
            hashed.update(np.ascontiguousarray(part.rows[column].to_numpy()).data)
    return hashed.hexdigest()
