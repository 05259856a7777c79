"""What makes a result doubtful, one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cq.errors import DataError
from cq.lake.quality_reports import reports_on
from cq.lake.refused import refused_bars
from cq.utils.names import counted
from cq.utils.time import interval_ns, iso

if TYPE_CHECKING:
    from cq.backtest.bars import Period
    from cq.backtest.engine import Simulation
    from cq.backtest.intents import Floats, Ints
    from cq.backtest.market import Market
    from cq.backtest.tape import Tape
    from cq.lake import Lake
    from cq.lake.reader import Series
    from cq.utils.settings import Quality

SPENT: Final = 0.01
"""Part of the cash below which a run is over."""
HAIR: Final = 1e-9
"""Part of the cash that sums in another order differ by."""


def missed(markets: Sequence[Market], made: Simulation, interval: str) -> list[str]:
    """Bars that were missing while their symbol was held: it stood at its last close meanwhile."""
    found, tape, length = [], made.fills, interval_ns(interval)
    far = 2 * length - length // 4  # a month is not always as long
    for one in markets:
        if one.steps[1] < far and one.ts[-1] >= made.ts[-1]:
            continue
        when, held = _positions(tape, one.symbol)
        if not when.size:
            continue
        steps = np.diff(one.ts) if one.steps[1] >= far else np.zeros(0, dtype=np.int64)
        gaps = np.flatnonzero(steps >= far)
        gaps = gaps[held[np.searchsorted(when, one.ts[gaps + 1])] != 0]
        if gaps.size:
            lost = np.rint(steps[gaps] / length).astype(np.int64) - 1
            longest = gaps[lost.argmax()]
            found.append(
                f"{one.symbol}: {counted(int(lost.sum()), 'bar is', 'bars are')} "
                f"missing while it was held, "
                f"{int(lost.max())} of them after {iso(int(one.ts[longest]))}; it was worth "
                "its last close"
            )
        if held[-1] != 0 and one.ts[-1] < made.ts[-1]:
            found.append(
                f"{one.symbol}: has no bar after {iso(int(one.ts[-1]))} and is still held; it is "
                "worth its last close"
            )
    return found


def unheard(markets: Sequence[Market], made: Simulation) -> list[str]:
    """Fills in bars in which nobody traded, where volume was read."""
    found = []
    for one in markets:
        mine = made.fills.rows_of(one.symbol)
        if one.volume is None or not mine.size:
            continue
        stamps = made.fills.ts[mine] - made.fills.at_close[mine]  # an end belongs to its bar
        rows = np.searchsorted(one.ts, stamps, side="right") - 1
        silent = rows[one.volume[rows] == 0]
        if silent.size:
            found.append(
                f"{one.symbol}: {counted(silent.size, 'fill lies', 'fills lie')} "
                f"in bars without volume, first "
                f"{iso(int(one.ts[silent[0]]))}; nobody traded there"
            )
    return found


def spent(made: Simulation, cash: float) -> list[str]:
    """That hardly anything was left from some bar on: ratios of what follows say little."""
    if made.equity.min() < -cash * HAIR:
        ruin = iso(int(made.ts[int((made.equity <= 0).argmax())]))
        return [
            f"more than everything was lost by {ruin}: shorts can lose more than there is, and "
            "whoever lends would have closed them before; what is said of the time after that is "
            "of no use"
        ]
    if not made.equity[-1] < cash * SPENT:
        return []
    low = made.equity < cash * SPENT
    first = int(low.size - np.argmin(low[::-1])) if not low.all() else 0
    return [
        f"less than {SPENT:.0%} of the cash is left from {iso(int(made.ts[first]))} on; what is "
        "said of the time after that is of little use"
    ]


def known_faults(lake: Lake, series: Sequence[Series], period: Period) -> list[str]:
    """What the lake knows against the bars of the period: those that it refused, and errors of the
    newest reports of quality that looked at them."""
    if not isinstance(lake.root, Path):
        return []
    found = [
        f"{symbol}: {rows:,} bars of the period were refused when they came ({rules}); see "
        f"`cq lake quality {symbol}`"
        for symbol, rows, rules in refused_bars(lake, series, period.start, period.end)
    ]
    return found + _reported(lake.root, series, period)


def _reported(root: Path, series: Sequence[Series], period: Period) -> list[str]:
    found = []
    for day, said, symbols in reports_on(root, {one.symbol for one in series}, period.start):
        mine = {(s.exchange, s.symbol, s.interval) for s in series if s.symbol in symbols}
        try:
            found += _errors_in(said, day, mine, period)
        except (KeyError, TypeError):
            continue
    return found


def _errors_in(
    said: Mapping[str, Any], day: str, owners: set[tuple[str, str, str]], period: Period
) -> list[str]:
    found = []
    for one in said["checks"]:
        rows = [
            row
            for row in one["by_symbol"]
            if (row["exchange"], row["symbol"], row["interval"]) in owners and _touches(row, period)
        ]
        if rows and one["severity"] == "error":
            names = [row["symbol"] for row in rows]
            found.append(
                f"{', '.join(names)}: the lake's report of {day} has "
                f"{sum(row['rows'] for row in rows):,} rows at fault ({one['check']})"
                f"{_between(rows)}; see `cq lake quality {' '.join(names)}`"
            )
    return found


def _touches(row: Mapping[str, Any], period: Period) -> bool:
    """Whether what a report found may lie in the period."""
    first, last = row.get("first_ts"), row.get("last_ts")
    if first is None or last is None:
        return True
    start, end = period.start, period.end
    return (start is None or last >= start) and (end is None or first < end)


def _between(rows: Sequence[Mapping[str, Any]]) -> str:
    if any(row.get("first_ts") is None or row.get("last_ts") is None for row in rows):
        return ""
    first, last = min(row["first_ts"] for row in rows), max(row["last_ts"] for row in rows)
    return f" from {iso(first)} to {iso(last)}" if first < last else f" at {iso(first)}"


def refuse_faults(
    lake: Lake, series: Sequence[Series], period: Period, settings: Quality | None = None
) -> None:
    """DataError where a check of severity error finds anything in these bars of the period."""
    from cq.lake.quality import run_checks  # only a strict run looks

    symbols = [one.symbol for one in series]
    report = run_checks(
        lake, symbols, period.start, until=period.end, settings=settings,
        now_ns=0,  # nothing is too late for a backtest
    )  # fmt: skip
    found = []
    for one in report.checks:
        rows = sum(row["rows"] for row in one.by_symbol if _is_of(row, series))
        if one.severity == "error" and rows:
            found.append(f"{one.check} ({rows:,})")
    if found:
        raise DataError(
            f"the bars of {', '.join(symbols)} break rules: {', '.join(found)}; look with `cq lake "
            f"quality {' '.join(symbols)}`, or leave --strict out"
        )


def _is_of(row: Mapping[str, Any], series: Sequence[Series]) -> bool:
    """Whether what a check found is of bars that are read; what names no bars counts, too."""
    return any(
        row["symbol"] == one.symbol
        and row["exchange"] in (None, one.exchange)
        and row["interval"] in (None, one.interval)
        for one in series
    )


def _positions(tape: Tape, symbol: str) -> tuple[Ints, Floats]:
    """When fills changed the position, and what was held before each of them and after the last."""
    rows = tape.rows_of(symbol)
    held = np.concatenate(([0.0], np.cumsum(tape.signed[rows])))
    held[np.abs(held) < 1e-9 * np.abs(held).max()] = 0.0
    return tape.ts[rows], held
