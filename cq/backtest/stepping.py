"""Markets and rules through the loop over bars, by Python or by machine code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import numpy as np

from cq.backtest import world
from cq.backtest.account import Account, Costs
from cq.backtest.announcing import announce
from cq.backtest.compiled import Code, compiled, kept
from cq.backtest.grid import Grid, fixed
from cq.backtest.intents import Floats, Ints
from cq.backtest.kernel import walk
from cq.backtest.market import LEVELS, Market, Orders, Rules
from cq.backtest.tape import Tape
from cq.backtest.world import World
from cq.errors import UsageError
from cq.utils.time import YEAR, bar_end, interval_ns, iso

LONG: Final = 200_000
"""Cells (symbols × moments) from which loading machine code is worth its while."""
VERY_LONG: Final = 2_000_000
"""Cells from which making it is, which takes half a minute, once for each version."""
ENTRIES: Final = {"market": 1, "limit": 2, "stop": 3, "stop_limit": 4}
FILLS: Final = {"next_open": 0, "next_close": 1, "same_close": 2}
UNITS: Final = {"fraction": 0, "units": 1, "notional": 2}
KINDS: Final = {"share": 1, "distance": 2, "price": 3}
NO_NUMBER: Final = (
    *("stop", "take", "trail", "floor", "left"),
    *("its_stop", "its_take", "its_trail"),
)
"""What of a position and its order is NaN to begin with."""
_LOADED: list[Code] = []


class Carried(NamedTuple):
    """All that a run leaves to the next one over later bars of the same symbols."""

    symbols: tuple[str, ...]
    ts: int
    purse: Any
    book: Any
    ring: Any

    @property
    def account(self) -> Account:
        """Cash and positions."""
        held = zip(self.symbols, self.book["held"].tolist(), strict=True)
        return Account(float(self.purse["cash"][0]), {name: qty for name, qty in held if qty})

    @property
    def borrowed(self) -> float:
        """What borrowing has cost so far."""
        return float(self.purse["borrowed"][0])

    def check(self, symbols: tuple[str, ...], ts: Ints, rules: Rules) -> None:
        """UsageError where a run over these moments cannot go on from here."""
        if symbols != self.symbols:
            raise UsageError(
                f"what is carried is of {', '.join(self.symbols)}, and the bars are of "
                f"{', '.join(symbols)}; go on over the same symbols (a market without bars is one)"
            )
        if ts.size and ts[0] <= self.ts:
            raise UsageError(
                f"what is carried ends with the bar of {iso(self.ts)}, and a bar opens at "
                f"{iso(int(ts[0]))}; go on over later bars"
            )
        latency = len(self.ring) // max(len(symbols), 1) - 1
        if latency != rules.latency:
            raise UsageError(
                f"what is carried is of a run with a latency of {latency} bars, and the rules say "
                f"{rules.latency}; go on with the same"
            )


class Stepped(NamedTuple):
    """What the loop made of the bars."""

    fills: Tape
    equity: Floats
    cash: Floats
    exposure: Floats
    carried: Carried


def step_through(
    markets: Sequence[Market],
    rules: Rules,
    ts: Ints,
    carried: Carried | None = None,
    *,
    by_machine: bool | None = None,
) -> Stepped:
    """Trade the moments `ts`; `markets` come sorted by symbol, with bars of those moments only.

    `by_machine` chooses between machine code and Python; without, the work there is decides.
    """
    symbols = tuple(one.symbol for one in markets)
    if carried is None:
        before = begun(symbols, int(ts[0]) if ts.size else 0, rules)
    else:
        carried.check(symbols, ts, rules)
        before = carried
    if not ts.size:
        nothing = np.zeros(0)
        return Stepped(Tape.of([]), nothing, nothing, nothing, before)
    made = world_of(Grid(tuple(markets), ts), rules, before)
    machine = _machine(len(markets) * ts.size, by_machine)
    w = _listed(made) if machine is None else made
    run = walk if machine is None else machine.walk
    at, rows = 0, []
    while at < ts.size:
        at = run(at, int(ts.size), w)
        rows.append(_written(w))
        w.purse[0].fills = 0
    curves = np.asarray(w.curves, dtype=np.float64).reshape(3, ts.size)
    after = [_records(one) for one in (w.purse, w.book, w.ring)]
    for row, one in zip((made.purse, made.book, made.ring), after, strict=True):
        row[:] = one
    last = Carried(symbols, int(ts[-1]), made.purse, made.book, made.ring)
    tape = _tape(np.concatenate(rows), symbols, ts, rules)
    return Stepped(tape, curves[0], curves[1], curves[2], last)


def loaded() -> Code | None:
    """The machine code, where this process has it at hand."""
    return _LOADED[0] if _LOADED else None


def is_worth_it(cells: int) -> bool:
    """Whether machine code serves so much work better than Python, with what it costs to have."""
    return cells >= VERY_LONG or (cells >= LONG and kept())


def _machine(cells: int, wanted: bool | None) -> Code | None:
    """The compiled loop where it is asked for, or worth its while and there."""
    if wanted is False:
        return None
    if not _LOADED and (wanted or is_worth_it(cells)) and (found := compiled()) is not None:
        announce("the engine", "half a minute", kept)
        _LOADED.append(found)
    return loaded()


def _listed(made: World) -> World:
    """The same over lists, over which Python loops several times faster than over arrays."""
    return World(*(_objects(one) if one.dtype.names else one.tolist() for one in made))


def _objects(records: Any) -> list[SimpleNamespace]:
    names = records.dtype.names
    return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in records.tolist()]


def _records(found: Any) -> Any:
    """What `_objects` made, as rows again; records as they are."""
    return found if isinstance(found, np.ndarray) else [tuple(vars(one).values()) for one in found]


def _written(w: World) -> Any:
    """The fills that were written down, as rows of their own."""
    count = int(w.purse[0].fills)
    if isinstance(w.fills, np.ndarray):
        return np.array(w.fills[:count])
    return np.array(_records(w.fills[:count]), dtype=world.FILL)


def _tape(rows: Any, symbols: tuple[str, ...], ts: Ints, rules: Rules) -> Tape:
    """The same as fills: moments instead of their numbers."""
    opened, at_close = ts[rows["when"] // 2], rows["when"] % 2 == 1
    if rules.interval.endswith("M"):
        ends = np.array([bar_end(one, rules.interval) for one in opened.tolist()], dtype=np.int64)
    else:
        ends = opened + interval_ns(rules.interval)
    rows["when"] = np.where(at_close, ends, opened)
    return Tape.of_rows(rows, at_close, symbols)


# ---- what the loop reads and writes


def begun(symbols: tuple[str, ...], ts: int, rules: Rules) -> Carried:
    """An account that has done nothing yet."""
    purse = np.zeros(1, dtype=world.PURSE)
    purse["cash"] = rules.cash
    book = np.zeros(len(symbols), dtype=world.BOOK)
    for name in NO_NUMBER:
        book[name] = math.nan
    ring = np.zeros(len(symbols) * (rules.latency + 1), dtype=world.DECISION)
    ring["target"] = math.nan
    return Carried(symbols, ts, purse, book, ring)


def world_of(grid: Grid, rules: Rules, before: Carried) -> World:
    """Everything the loop reads and writes, as arrays."""
    size, moments = len(grid.markets), int(grid.ts.size)
    levels, places = _levels(grid, rules.orders)
    capacity = max(4 * world.A_STEP * size, min(moments, 4_096))
    terms = np.zeros(1, dtype=world.TERMS)
    for name, value in (_terms(rules) | places).items():
        terms[name] = value
    terms["symbols"], terms["moments"], terms["capacity"] = size, moments, capacity
    terms["by_fine"] = any(one.fine is not None for one in grid.markets)
    years = np.diff(grid.ts, prepend=before.ts) / YEAR if rules.borrow else np.zeros(1)
    fine, spans = grid.fine()
    act = grid.act()
    terms["each_act"] = act.size > 1
    return World(
        **grid.bars(rules),
        target=grid.flat([one.target for one in grid.markets]),
        act=act,
        levels=levels,
        fine=fine,
        spans=spans,
        dated=fixed(_rates(rules, grid.ts)),
        years=fixed(years),
        curves=np.zeros(3 * moments),
        terms=_named(terms),
        purse=_named(before.purse.copy()),
        book=_named(before.book.copy()),
        ring=_named(before.ring.copy()),
        fills=_named(np.zeros(capacity, dtype=world.FILL)),
    )


def _named(records: Any) -> Any:
    return records.view(np.recarray)


def _levels(grid: Grid, orders: Orders) -> tuple[Any, dict[str, int]]:
    """What is said of prices, once or a cell each, one after the other; and where each stands."""
    parts, at = [], 0
    terms: dict[str, int] = {}
    for name in LEVELS:
        level = getattr(orders, name)
        each = level is not None and level.value is None
        if each:
            part = grid.flat([one.levels[name] for one in grid.markets])
        else:
            part = np.array([math.nan if level is None else float(level.value)])
        terms |= {f"at_{name}": at, f"each_{name}": int(each)}
        parts.append(part)
        at += part.size
    return fixed(np.concatenate(parts)), terms


def _rates(rules: Rules, ts: Ints) -> Floats:
    """Taker, maker and minimum: once, or for each open and close where they change."""
    costs = rules.costs
    if costs.dated is None:
        return np.array(_rate(costs))
    ends = [bar_end(one, rules.interval) for one in ts.tolist()]
    moments = np.column_stack((ts, ends)).ravel()
    spans = np.searchsorted([one.since_ts for one in costs.dated], moments, side="right")
    each = np.array([_rate(costs), *(_rate(costs.at(one.since_ts)) for one in costs.dated)])
    found: Floats = each[spans].ravel()
    return found


def _rate(costs: Costs) -> tuple[float, float, float]:
    maker = costs.taker if costs.maker is None else costs.maker
    return costs.taker, maker, costs.minimum_fee


def _terms(rules: Rules) -> dict[str, float]:
    costs, orders = rules.costs, rules.orders
    modes = {
        name: 0 if (one := getattr(orders, name)) is None else KINDS[one.kind] for name in LEVELS
    }
    return {
        "unit": UNITS[rules.unit],
        "fill": FILLS[rules.fill],
        "slots": rules.latency + 1,
        "short": rules.allow_short,
        "borrow": rules.borrow,
        "max_position": rules.max_position,
        "max_gross": costs.max_gross_exposure,
        "band": rules.band,
        "scale": costs.scale,
        "min_notional": costs.min_notional,
        "tick": costs.tick or 0.0,
        "move": costs.slippage_bps / 10_000,
        "half_ticks": costs.half_ticks or 0.0,
        "participation": costs.participation or 1.0,
        "by_volume": costs.participation is not None,
        "by_impact": costs.impact is not None,
        "each_rate": 0 if costs.dated is None else 3,
        "entry": ENTRIES[orders.entry],
        "offset": modes["limit" if orders.entry == "limit" else "trigger"],
        "beyond": modes["limit"],
        "stop": modes["stop"],
        "take": modes["take"],
        "trail": modes["trail"],
        "expires": orders.expires,
        "max_bars": orders.max_bars,
        "cooldown": orders.cooldown,
        "reentry": orders.reentry == "now",
        "together": rules.together,
        **rules.habits._asdict(),
    }
