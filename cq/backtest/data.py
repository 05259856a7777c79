"""What was read, as the engine takes it: arrays market by market, and a fingerprint of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from cq.backtest.bars import ALL, Part
from cq.backtest.market import LEVELS, Market
from cq.errors import DataError, StrategyError
from cq.lake.evidence import BARS, Question, blocks_of, described
from cq.lake.fingerprint import Fingerprint, Owner
from cq.strategies import Strategy
from cq.utils.time import iso

if TYPE_CHECKING:
    from cq.lake import Lake

PRICES: Final = ("open", "high", "low", "close")
COLUMNS: Final = (*PRICES, "volume", "target", "act")


def markets_of(
    parts: Sequence[Part], strategy: Strategy, say: Callable[[str], None]
) -> list[Market]:
    """Each symbol's rows as arrays; a target that is no number is refused.

    A bar without prices above zero is none: it is left out, and `say` is told.
    """
    found = []
    for part in parts:
        _check_targets(part, strategy)
        rows = _priced(part, say)
        ts = rows["ts"].to_numpy()
        if not bool(np.all(ts[1:] > ts[:-1])):
            raise DataError(f"bars of {part.symbol} repeat; look with `cq lake quality`")
        columns: dict[str, Any] = {
            name: rows[name].to_numpy() for name in COLUMNS if name in rows.columns
        }
        levels = {
            name: rows[f"order_{name}"].to_numpy()
            for name in LEVELS
            if f"order_{name}" in rows.columns
        }
        if ts.size:
            found.append(Market(symbol=part.symbol, ts=ts, **columns, levels=levels))
    return found


def _priced(part: Part, say: Callable[[str], None]) -> pl.DataFrame:
    """The rows whose prices are ordinary numbers above zero."""
    columns = [part.rows[name].to_numpy() for name in ("open", "close")]
    if all(one.size == 0 or 0 < one.min() <= one.max() < math.inf for one in columns):
        return part.rows
    good = pl.all_horizontal(
        (pl.col(name) > 0) & pl.col(name).is_finite()
        for name in PRICES
        if name in part.rows.columns
    ).fill_null(False)
    kept = part.rows.filter(good)
    if lost := part.rows.height - kept.height:
        first = iso(part.rows.filter(~good).item(0, "ts"))
        say(f"{part.symbol}: {lost} bars have no price above zero and are left out, first {first}")
    return kept


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


def fingerprint(
    lake: Lake,
    parts: Sequence[Part],
    interval: str,
    exchange: str | None,
    start: int | None,
) -> Fingerprint:
    """What was read: the files, and digests of the rows, whatever files they came from.

    Of a period with a `start` it reaches back to each symbol's first bar, the warm-up's; without
    one, to wherever the lake begins.
    """
    held = [one for one in parts if one.rows.height]
    firsts = {one.symbol: int(one.rows["ts"][0]) for one in held}
    last = max(int(one.rows["ts"][-1]) for one in held)
    earliest = 0 if start is None else min(firsts.values())
    later = {} if start is None else {s: ts for s, ts in firsts.items() if ts > earliest}
    columns = tuple(one for one in ALL if one in held[0].rows.columns)
    symbols = tuple(sorted(firsts))
    asked = Question(BARS, symbols, interval, exchange, earliest, last + 1, since=later)
    owners = {one.symbol: one.exchange for one in lake.series(symbols, interval, exchange)}
    blocks = {
        Owner(owners[one.symbol], one.symbol, interval): blocks_of(one.rows, columns, "month")
        for one in held
    }
    first = min(firsts.values())
    files = described(
        lake.root, lambda: lake.files(symbols, interval, first, last + 1, exchange=exchange)
    )
    return Fingerprint(BARS, asked.filter, columns, "month", blocks, files)
