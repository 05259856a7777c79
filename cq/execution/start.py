"""From settings and a strategy to a session that can be stepped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from cq.backtest.bars import (
    Period,
    bars_of,
    check_period,
    parts_of,
    read_by,
    refuse_excluded,
    symbols_of,
)
from cq.backtest.gating import with_gate
from cq.execution.loop import Look, Say, Trader
from cq.execution.paper import PaperBroker
from cq.execution.plan import Terms
from cq.execution.risk import Rules, limits
from cq.execution.session import described, opened
from cq.execution.windows import Windows
from cq.lake import collected
from cq.lake.rowhash import row_hashes, total
from cq.utils.ids import digest

if TYPE_CHECKING:
    from cq.execution.journal import Journal
    from cq.lake import Lake
    from cq.strategies import Strategy
    from cq.utils.trading_settings import Backtest, Live


def _silent(*_: object, **__: object) -> None:
    return None


@dataclass(frozen=True)
class Setup:
    """What a session needs to know before it begins.

    `backtest` are the settings with what the strategy's file says otherwise; `quote` completes
    symbols named by their base alone. `journal` None takes the one that the settings name, or for
    a replay one of its own beside it; `fresh` puts an older one aside.
    """

    lake: Lake
    strategy: Strategy
    backtest: Backtest
    live: Live
    now_ns: int
    quote: str = "BRL"
    journal: Path | None = None
    fresh: bool = False
    say: Say = _silent
    note: Callable[[str], None] = _silent

    @property
    def terms(self) -> Terms:
        """How the session trades."""
        return Terms.of(self.strategy, self.backtest)

    def trader(self, journal: Journal, look: Look, *, replayed: bool = False) -> Trader:
        """A paper trader on `journal`, where that one ends."""
        terms = self.terms
        broker, rules = PaperBroker(terms.costs), Rules.of(self.live, replayed=replayed)
        trader = Trader(journal, terms, look, broker, rules, self.say)
        trader.resume(self.now_ns)
        return trader


@contextmanager
def replaying(
    setup: Setup,
    start: int | None = None,
    end: int | None = None,
    *,
    exclusions: tuple[str, ...] = (),
) -> Iterator[tuple[Trader, pl.DataFrame]]:
    """A trader and the lake's bars that open in [start, end), for `cq.execution.replay.replay`.

    The bars are those of a backtest over the same period, checked the same way; as there, symbols
    among `exclusions` are refused.
    """
    strategy, period = setup.strategy, Period(start, end)
    symbols, notes = symbols_of(setup.lake, strategy, setup.quote)
    for one in notes:
        setup.note(one)
    refuse_excluded(symbols, exclusions)
    history = strategy.reads_back(setup.backtest.warmup)
    rows = bars_of(setup.lake, sorted(symbols), strategy, period, history)
    bars = collected(rows, setup.lake.root)
    if strategy.config.gate is not None:
        strategy = with_gate(strategy, bars, setup.note, start)
    parts = parts_of(bars.lazy(), symbols, strategy)
    check_period(setup.lake, symbols, strategy, period, parts)
    session = described("replay", strategy, symbols, setup.terms, since=start, until=end)
    own = setup.live.journal.parent / f"replay-{strategy.name}-{digest(session)[:8]}.db"
    session |= {"limits": limits(setup.live), "bars": _digest_of(bars, strategy)}
    windows = Windows(strategy, bars)
    with opened(setup.journal or own, session, now_ns=setup.now_ns, fresh=setup.fresh) as journal:
        inside = bars if start is None else bars.filter(pl.col("ts") >= start)
        yield setup.trader(journal, windows.wishes, replayed=True), inside


def _digest_of(bars: pl.DataFrame, strategy: Strategy) -> str:
    """What the strategy may read of the bars, as a few digits; their order does not count."""
    return f"{total(row_hashes(bars, ('symbol', *read_by(strategy)))):016x}"
