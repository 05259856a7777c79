"""The bars that trials are run over: read once, cut for each as its own run would read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cq.backtest.bars import (
    Period,
    bars_of,
    check_period,
    needed,
    parts_of,
    read_by,
    refuse_excluded,
    symbols_of,
    warm,
)
from cq.backtest.data import markets_of
from cq.backtest.detail import with_detail
from cq.backtest.frames import Ordered, Part
from cq.backtest.market import Market
from cq.backtest.single import rules_of
from cq.errors import UsageError
from cq.indicators import in_time_order, one_market
from cq.indicators.sharing import Pool, shared_by
from cq.lake import reading
from cq.lake.evidence import check_bytes
from cq.signals import with_targets
from cq.strategies import Strategy
from cq.sweeps.figures import Clock, bar_ends

if TYPE_CHECKING:
    from cq.backtest.intents import Ints
    from cq.backtest.market import Rules
    from cq.lake import Lake
    from cq.utils.trading_settings import Backtest

HELD = 256_000_000
"""Bytes of indicators that are kept for trials to come."""
FEWEST = 16
KEPT = 4
"""Columns of targets that are kept for trials that decide alike."""


@dataclass
class Ground:
    """Bars of some symbols at one interval, and what was made of them for the trial before.

    `lake` is None where the bars came in a frame; then trials see all of it. It is left behind
    where a ground travels to another process.
    """

    symbols: tuple[str, ...]
    interval: str
    bars: pl.DataFrame
    period: Period
    settings: Backtest
    lake: Lake | None = None
    older: int = 0
    """Bars before the period that were read, of each symbol."""
    common: Clock | None = None
    """When equity is kept, where trials over other bars are to be compared with these."""

    def __post_init__(self) -> None:
        self._cut: tuple[int, pl.DataFrame] | None = None
        self._ordered: tuple[pl.DataFrame, Ordered] | None = None
        self._targets: dict[str, list[Part]] = {}
        self._pool, self._columns = Pool(), dict[str, pl.Series]()
        self._fine: dict[Any, list[Market]] = {}
        self.whole = self.lake is None or self.period.start is None

    def __getstate__(self) -> dict[str, Any]:
        return {
            "symbols": self.symbols, "interval": self.interval, "bars": self.bars,
            "period": self.period, "settings": self.settings, "older": self.older,
            "common": self.common, "whole": self.whole,
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(  # type: ignore[misc]
            state["symbols"],
            state["interval"],
            state["bars"],
            state["period"],
            state["settings"],
            older=state["older"],
            common=state["common"],
        )
        self.whole = state["whole"]

    @classmethod
    def of_lake(
        cls, lake: Lake, strategy: Strategy, settings: Backtest, period: Period, quote: str,
        history: int, say: Callable[[str], None], exclusions: Sequence[str] = (),
    ) -> Ground:  # fmt: skip
        """The bars of a strategy's symbols in the lake, and `history` older ones.

        UsageError where one of the symbols is among `exclusions`, Unreadable where one of their
        files does not hold the bytes that its name says.
        """
        symbols, notes = symbols_of(lake, strategy, quote)
        refuse_excluded(symbols, exclusions)
        for note in notes:
            say(note)
        with reading(lake.root):
            bars = bars_of(lake, sorted(symbols), strategy, period, history).collect()
            check_bytes(partial(_files, lake, symbols, strategy, bars["ts"]))
        if len(symbols) > 1 or not bars["ts"].is_sorted():
            bars = bars.sort("symbol", "ts")
        return cls(
            symbols, strategy.config.interval, bars.rechunk(), period, settings, lake, history
        )

    def within(self, start: int, end: int) -> Ground:
        """The bars of a part of the period, as a run over it alone would read them."""
        bars = self.bars.filter(pl.col("ts") < end)
        part = Ground(
            self.symbols,
            self.interval,
            bars,
            Period(start, end),
            self.settings,
            self.lake,
            self.bars.height,
        )
        part.whole = self.lake is None
        return part

    @property
    def clock(self) -> Clock:
        """When the equity of its trials is kept."""
        if self.common is None:
            self.common = Clock.of(self.closes())
        return self.common

    def closes(self) -> Ints:
        """When the bars of the period close, those of several symbols at one moment once."""
        ts, start = self.bars["ts"], self.period.start
        inside = ts if start is None else ts.filter(ts >= start)
        if len(self.symbols) > 1 or not inside.is_sorted():
            inside = inside.unique().sort()
        return bar_ends(inside.to_numpy(), self.interval)

    def serves(self, strategy: Strategy) -> bool:
        """Whether what a run of `strategy` looks back on was read."""
        return self.whole or history(strategy, strategy.backtest(self.settings)) <= self.older

    def seen(self, strategy: Strategy, settings: Backtest) -> pl.DataFrame:
        """The bars that a run of `strategy` reads: the period's, and its warm-up's."""
        start = self.period.start
        if self.whole or start is None:
            return self.bars
        bars = history(strategy, settings)
        if self._cut is None or self._cut[0] != bars:
            older = self.bars.filter(pl.col("ts") < start)
            older = (  # of groups, tail(0) is a row of nulls each
                older.group_by("symbol", maintain_order=True).tail(bars) if bars else older.clear()
            )
            inside = self.bars.filter(pl.col("ts") >= start)
            cut = pl.concat([older.select(inside.columns), inside]).sort("symbol", "ts")
            self._cut = bars, cut.rechunk()
            self._targets.clear()
            self._columns.clear()
        return self._cut[1]

    def parts(self, strategy: Strategy, settings: Backtest) -> list[Part]:
        """The rows of each symbol with their targets; those of the trials before where they are
        the same."""
        bars = self.seen(strategy, settings)
        columns = [name for name in read_by(strategy) if name in bars.columns]
        columns += needed(strategy, settings)
        key = "/".join((_deciding(strategy), str(bars.height), *columns))
        if key not in self._targets:
            if strategy.config.gate is not None:
                from cq.backtest.gating import with_gate  # few strategies have one

                strategy = with_gate(strategy, bars, start=self.period.start)
            ordered = self._in_order(bars)
            with shared_by(self._pool) if strategy.same_rows else nullcontext():
                if strategy.same_rows:
                    ordered = ordered.with_rows(self._with_indicators(ordered.rows, strategy))
                found = parts_of(ordered, self.symbols, strategy, columns)
            while len(self._targets) >= KEPT:
                self._targets.pop(next(iter(self._targets)))
            self._targets[key] = found
        return self._targets[key]

    def _in_order(self, bars: pl.DataFrame) -> Ordered:
        """The bars that trials see, symbol by symbol; looked at once for all that see the same."""
        if self._ordered is None or self._ordered[0] is not bars:
            self._ordered = bars, Ordered.of(bars)
        return self._ordered[1]

    def _with_indicators(self, bars: pl.DataFrame, strategy: Strategy) -> pl.DataFrame:
        """`bars` beside the indicators that a strategy asks for; each is computed once."""
        pool = self._pool
        pool.asked.clear()
        with one_market() if len(self.symbols) == 1 else nullcontext():
            with_targets(bars.lazy(), strategy)
            for name in pool.asked:
                if name not in self._columns:
                    below = bars.hstack([self._columns[one] for one in pool.needs(name)])
                    made = in_time_order(pool.expressions[name]).alias(name)
                    self._columns[name] = below.lazy().select(made).collect()[name]
        most = max(FEWEST, HELD // (8 * max(bars.height, 1)))
        for name in [one for one in self._columns if one not in pool.asked]:
            if len(self._columns) > most:
                del self._columns[name]
        return bars.hstack([self._columns[name] for name in pool.asked])

    def markets(
        self, strategy: Strategy, settings: Backtest
    ) -> tuple[list[Part], list[Market], Rules, int]:
        """All that the engine is given for a trial; DataError where nothing in it can decide."""
        parts = self.parts(strategy, settings)
        self.check(strategy, parts)
        markets = markets_of(parts, strategy, _silent)
        rules = rules_of(strategy, settings)
        first = self.period.start
        if first is None:
            first = min(int(one.ts[0]) for one in markets)
        if settings.detail_interval is not None and rules.orders.within_bars:
            markets = self._with_fine(markets, rules, settings.detail_interval, strategy)
        return parts, markets, rules, first

    def check(self, strategy: Strategy, parts: list[Part]) -> None:
        """DataError where nothing can be decided in the period."""
        if self.lake is not None:
            check_period(self.lake, self.symbols, strategy, self.period, parts)
        else:
            warm(strategy, self.period, parts)

    def _with_fine(
        self, markets: list[Market], rules: Rules, detail: str, strategy: Strategy
    ) -> list[Market]:
        """The markets with finer bars of the lake, which are read once."""
        if self.lake is None:
            raise UsageError(
                "backtest.detail_interval: finer bars are in the lake, which trials over a frame "
                "or on another engine do not see; leave it out"
            )
        key = detail, tuple((one.symbol, one.ts.size) for one in markets)
        if key not in self._fine:
            exchange = strategy.config.exchange
            self._fine[key] = with_detail(
                self.lake, markets, rules.interval, detail, exchange, _silent
            )[0]
        fine = self._fine[key]
        return [replace(one, fine=two.fine) for one, two in zip(markets, fine, strict=True)]


@dataclass(frozen=True)
class Extent:
    """Which bars a ground has: what is still known of it when another has taken its place.

    `inside` are the first, the last and the number of the bars that every trial sees, `before` the
    older ones of each symbol, of which a trial sees the newest: `reach` at the most, None is all.
    """

    symbols: tuple[str, ...]
    inside: tuple[int | None, int | None, int]
    before: tuple[pl.Series, ...] = field(default=(), repr=False)
    reach: int | None = None

    @classmethod
    def of(cls, ground: Ground) -> Extent:
        """That of a ground."""
        bars, start = ground.bars.select("symbol", "ts"), ground.period.start
        before: tuple[pl.Series, ...] = ()
        if start is not None and not ground.whole:
            older, bars = bars.filter(pl.col("ts") < start), bars.filter(pl.col("ts") >= start)
            before = tuple(one["ts"] for one in older.partition_by("symbol"))
        ts, reach = bars["ts"], None if ground.whole else ground.older
        inside: Any = (ts.min(), ts.max(), ts.len())
        return cls(ground.symbols, inside, before, reach)

    def serves(self, history: int) -> bool:
        """Whether it says what a trial sees that looks back on so many bars."""
        return self.reach is None or history <= self.reach

    def seen(self, history: int) -> dict[str, int | None]:
        """What a trial sees that looks back on so many bars: the first, the last, how many."""
        first, last, rows = self.inside
        older = [one.tail(history) for one in self.before if history > 0]
        firsts = [one[0] for one in older if one.len()]
        return {
            "first_ts": min([*firsts, *([] if first is None else [first])], default=None),
            "last_ts": last,
            "rows": rows + sum(one.len() for one in older),
        }


def history(strategy: Strategy, settings: Backtest) -> int:
    """How many older bars a run of `strategy` reads before a period that has a start."""
    return strategy.reads_back(settings.warmup)


def _deciding(strategy: Strategy) -> str:
    """What of a strategy's configuration its targets and order prices follow from."""
    columns = strategy.config.orders.columns()
    left_out = {"name", "backtest"} | (set() if columns else {"orders"})
    return strategy.config.model_dump_json(exclude=left_out)


def _silent(_: str) -> None:
    return None


def _files(lake: Lake, symbols: Sequence[str], strategy: Strategy, ts: pl.Series) -> list[Path]:
    """The files that bars of these moments come from."""
    if ts.is_empty():
        return []
    first, last = int(ts.min()), int(ts.max())  # type: ignore[arg-type]
    config = strategy.config
    return lake.files(symbols, config.interval, first, last + 1, exchange=config.exchange)
