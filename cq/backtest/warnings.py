"""What makes a result doubtful, one line each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from cq.errors import DataError
from cq.utils.time import interval_ns, iso

if TYPE_CHECKING:
    from cq.backtest.account import Fill
    from cq.backtest.engine import Simulation
    from cq.backtest.intents import Floats, Ints
    from cq.backtest.market import Market
    from cq.lake import Lake

SPENT: Final = 0.01
"""Part of the cash below which a run is over."""


def missed(markets: Sequence[Market], made: Simulation, interval: str) -> list[str]:
    """Bars that were missing while their symbol was held: it stood at its last close meanwhile."""
    found, fills = [], defaultdict(list)
    for fill in made.fills:
        fills[fill.symbol].append(fill)
    length = interval_ns(interval)
    for one in markets:
        if one.symbol not in fills:
            continue
        when, held = _positions(fills[one.symbol])
        steps = np.diff(one.ts)
        gaps = np.flatnonzero(steps >= 2 * length - length // 4)  # a month is not always as long
        gaps = gaps[held[np.searchsorted(when, one.ts[gaps + 1])] != 0]
        if gaps.size:
            lost = np.rint(steps[gaps] / length).astype(np.int64) - 1
            longest = gaps[lost.argmax()]
            found.append(
                f"{one.symbol}: {int(lost.sum())} bars are missing while it was held, "
                f"{int(lost.max())} of them after {iso(int(one.ts[longest]))}; it was worth "
                "its last close"
            )
        if held[-1] != 0 and one.ts[-1] < made.ts[-1]:
            found.append(
                f"{one.symbol}: has no bar after {iso(int(one.ts[-1]))} and is still held; it is "
                "worth its last close"
            )
    return found


def spent(made: Simulation, cash: float) -> list[str]:
    """That hardly anything was left from some bar on: ratios of what follows say little."""
    low = made.equity < cash * SPENT
    if not low[-1]:
        return []
    first = int(low.size - np.argmin(low[::-1])) if not low.all() else 0
    return [
        f"less than {SPENT:.0%} of the cash is left from {iso(int(made.ts[first]))} on; what is "
        "said of the time after that is of little use"
    ]


def known_faults(lake: Lake, symbols: Sequence[str]) -> list[str]:
    """What the lake's newest report of quality holds against these symbols, by what is an error."""
    if not isinstance(lake.root, Path):
        return []
    reports = sorted(lake.root.glob("quality/*/quality_report.json"))
    if not reports:
        return []
    try:
        checks = json.loads(reports[-1].read_text(encoding="utf-8"))["checks"]
        bad = {
            (row["symbol"], one["check"]): row["rows"]
            for one in checks
            if one["severity"] == "error"
            for row in one["by_symbol"]
            if row["symbol"] in symbols
        }
    except (OSError, ValueError, KeyError, TypeError):
        return []
    day = reports[-1].parent.name
    return [
        f"{symbol}: the lake's report of {day} has {rows:,} rows at fault ({check}); see "
        f"`cq lake quality {symbol}`"
        for (symbol, check), rows in sorted(bad.items())
    ]


def refuse_faults(lake: Lake, symbols: Sequence[str], since: int | None, now_ns: int) -> None:
    """DataError where a check of severity error finds anything in these symbols from `since` on."""
    from cq.lake.quality import run_checks  # only a strict run looks

    report = run_checks(lake, symbols, since, now_ns=now_ns)
    found = [one for one in report.checks if one.severity == "error" and one.rows]
    if found:
        what = ", ".join(f"{one.check} ({one.rows:,})" for one in found)
        raise DataError(
            f"the bars of {', '.join(symbols)} break rules: {what}; look with `cq lake quality "
            f"{' '.join(symbols)}`, or leave --strict out"
        )


def _positions(mine: Sequence[Fill]) -> tuple[Ints, Floats]:
    """When fills changed the position, and what was held before each of them and after the last."""
    when = np.array([one.ts for one in mine], dtype=np.int64)
    signed = [one.qty if one.side == "buy" else -one.qty for one in mine]
    held = np.concatenate(([0.0], np.cumsum(signed)))
    held[np.abs(held) < 1e-9 * np.abs(held).max()] = 0.0
    return when, held
