"""What a run reads: the bars with their targets, market by market.

Nothing here needs numpy, so that reading can begin while the engine is still being imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import polars as pl

from cq.backtest.frames import Ordered, Part
from cq.errors import DataError, EmptyDataset, NoBars, StrategyError, UnknownSymbol, UsageError
from cq.indicators import one_market
from cq.lake import reading
from cq.lake.lake import Moment, moment
from cq.signals import acting, collected, with_targets
from cq.strategies import Strategy, resolve
from cq.utils.time import interval_ns, iso

if TYPE_CHECKING:
    from cq.lake import Lake
    from cq.lake.fingerprint import Fingerprint
    from cq.lake.reader import Series
    from cq.utils.trading_settings import Backtest

READ = ("ts", "open", "close")
"""What the engine reads of a bar at least, and all that most of cq's own strategies read."""

ALL = ("ts", "open", "high", "low", "close", "volume")
"""What a strategy may have read: a user's own, one with features, filters, order prices."""


T = TypeVar("T")


@dataclass(frozen=True)
class Period:
    """Bars that open in [start, end); None is as far as the lake goes."""

    start: int | None = None
    end: int | None = None

    @classmethod
    def of(cls, start: Moment, end: Moment) -> Period:
        """From moments in any form that a lake takes; UsageError where one is none."""
        return cls(*(None if one is None else moment(one, 0) for one in (start, end)))

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise UsageError(
                f"the start, {iso(self.start)}, is not before the end, {iso(self.end)}"
            )

    def __str__(self) -> str:
        since = f"from {iso(self.start)}" if self.start is not None else ""
        until = f"before {iso(self.end)}" if self.end is not None else ""
        return " ".join(part for part in (since, until) if part) or "at all"


class Background(Generic[T]):
    """Work on a thread of its own: Polars and hashing leave Python free meanwhile."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._found: T
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found = self._work()
        except BaseException as error:
            self._error = error

    def result(self) -> T:
        """What the work came to, once it is done; its error is raised here."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found


class Reading:
    """What one run reads, from the moment it is asked for: the bars are read in the background.

    `settings` are those of `backtest:`, below what the strategy's file says. A base alone in its
    symbols is traded against `quote`; what `say` is told are notes for the user. UsageError where
    one of the symbols is among `exclusions`.
    """

    left_out: Sequence[str] = ()
    """Bars that are none, a line each symbol: a lake refuses such."""

    def __init__(
        self,
        lake: Lake,
        strategy: Strategy,
        settings: Backtest,
        period: Period,
        *,
        quote: str,
        say: Callable[[str], None],
        exclusions: Sequence[str] = (),
    ) -> None:
        self.lake, self.strategy, self.period, self.quote, self.say = (
            lake, strategy, period, quote, say,
        )  # fmt: skip
        self.settings = strategy.backtest(settings)
        self.symbols, notes = symbols_of(lake, strategy, quote)
        refuse_excluded(self.symbols, exclusions)
        for note in notes:
            say(note)
        history = strategy.reads_back(self.settings.warmup)
        self.bars = bars_of(lake, sorted(self.symbols), strategy, period, history)
        self._parts = Background(self._read)

    def _read(self) -> list[Part]:
        with reading(self.lake.root):
            if self.strategy.config.gate is not None:
                from cq.backtest.gating import with_gate  # few strategies have one

                self.bars = self.bars.collect().lazy()
                self.strategy = with_gate(
                    self.strategy, self.bars.collect(), self.say, self.period.start
                )
            columns = [*needed(self.strategy, self.settings), *read_by(self.strategy)]
            return parts_of(self.bars, self.symbols, self.strategy, columns)

    @property
    def series(self) -> list[Series]:
        """The stored bars that are read."""
        config = self.strategy.config
        return self.lake.series(self.symbols, config.interval, config.exchange)

    def fingerprint(self, parts: Sequence[Part]) -> Callable[[], Fingerprint]:
        """What was read: rows and files, as they are now."""
        from cq.backtest.data import fingerprint

        config, start = self.strategy.config, self.period.start
        return Background(
            lambda: fingerprint(self.lake, parts, config.interval, config.exchange, start)
        ).result

    def parts(self) -> list[Part]:
        """The rows of each symbol with their targets, once read and found to hold some."""
        parts = self._parts.result()
        check_period(self.lake, self.symbols, self.strategy, self.period, parts)
        return parts


def symbols_of(lake: Lake, strategy: Strategy, quote: str) -> tuple[tuple[str, ...], list[str]]:
    """The strategy's symbols as the lake has them, and notes on those that had to be chosen.

    A base alone is looked for among the bars that can serve the interval, then among all.
    """
    config = strategy.config
    stored = lake.stored()
    if stored.is_empty():
        raise EmptyDataset("ohlcv", lake.root)
    if config.exchange is not None:
        known = sorted(set(stored["exchange"]))
        if config.exchange not in known:
            raise DataError(
                f"the lake has no bars of exchange {config.exchange!r}; there is "
                f"{', '.join(known)}: --set exchange={known[0]}"
            )
        stored = stored.filter(pl.col("exchange") == config.exchange)
    length = interval_ns(config.interval)
    serving = {
        row[0]
        for row in stored.select("symbol", "interval").rows()
        if length % interval_ns(row[1]) == 0
    }
    try:
        return resolve(config.symbols, quote, serving)
    except UnknownSymbol:
        return resolve(config.symbols, quote, stored["symbol"].to_list())


def refuse_excluded(symbols: Sequence[str], exclusions: Sequence[str]) -> None:
    """UsageError where one of `symbols`, as the lake has them, may not be traded."""
    for symbol in symbols:
        if symbol in exclusions:
            raise UsageError(f"{symbol} is never traded: it stands in `exclusions`")


def bars_of(
    lake: Lake,
    symbols: Sequence[str],
    strategy: Strategy,
    period: Period,
    history: int,
    exchange: str | None = None,
) -> pl.LazyFrame:
    """The period's bars and up to `history` older ones, by (symbol, ts).

    Where the strategy compares symbols those are older than what the others look back on.
    """
    interval, exchange = strategy.config.interval, exchange or strategy.config.exchange
    if period.start is None or history == 0:
        return lake.bars(symbols, interval, period.start, period.end, exchange=exchange)
    start = _compared_from(lake, symbols, strategy, period, history, exchange)
    frames = []
    for symbol in symbols:
        older = lake.bars_before(symbol, interval, start, history, exchange=exchange)
        inside = lake.bars(symbol, interval, start, period.end, exchange=exchange)
        frames += [older, inside]
    return pl.concat(frames)


def _compared_from(
    lake: Lake,
    symbols: Sequence[str],
    strategy: Strategy,
    period: Period,
    history: int,
    exchange: str | None,
) -> int:
    """From when on symbols are compared, for what is decided from the period's start on.

    Each that has bars looks back on `history` older ones, as often as there are comparisons above
    each other (`cq.strategies.reach`); the period's start where there are none.
    """
    interval, start = strategy.config.interval, period.start or 0
    for _ in range(strategy.compares):
        inside = lake.bars(symbols, interval, start, period.end, exchange=exchange)
        with reading(lake.root):
            traded = inside.select(pl.col("symbol").unique().sort()).collect().to_series()
            older = [
                lake.bars_before(symbol, interval, start, history, exchange=exchange).select("ts")
                for symbol in traded
            ]
            first = pl.concat(older).min().collect().item() if older else None
        start = start if first is None else first
    return start


def needed(strategy: Strategy, settings: Backtest) -> list[str]:
    """What the engine reads of a bar under these rules."""
    orders = strategy.config.orders
    columns = list(READ)
    if orders.within_bars:
        columns += ["high", "low"]
    if settings.slippage.by_volume:
        columns.append("volume")
    return columns + list(orders.columns())


def read_by(strategy: Strategy) -> tuple[str, ...]:
    """What the strategy may read of a bar, so that the fingerprint of a run covers it."""
    return ALL if strategy.reads_all else READ


def parts_of(
    bars: pl.LazyFrame | Ordered,
    symbols: Sequence[str],
    strategy: Strategy,
    columns: Sequence[str] = READ,
) -> list[Part]:
    """What was read of each symbol, with its targets, oldest first; by symbol.

    Columns that are in memory stay where they are, beside what the strategy makes of them. Where a
    target is the same part of any signal, small whole numbers are collected instead of targets.
    """
    lazy = bars.rows.lazy() if isinstance(bars, Ordered) else bars
    if strategy.code is not None:
        return Ordered.of(_own_targets(lazy.collect(), strategy)).parts()
    each = strategy.each
    target = pl.col("target" if each is None else "signal").alias("target")
    others = [*strategy.config.orders.columns(), *(["act"] if strategy.config.acts else [])]
    columns = [name for name in dict.fromkeys(columns) if name not in ("target", *others)]
    one = len(symbols) == 1
    with one_market() if one else nullcontext():
        plan = with_targets(lazy, strategy)
    if isinstance(bars, Ordered) and strategy.same_rows:
        beside = collected(plan.select(target, *others), strategy, "in-memory")
        return bars.with_rows(bars.rows.select(columns).hstack(beside)).parts(each)
    if one:
        rows = collected(plan.select(*columns, target, *others), strategy).rechunk()
        return [Part.alone(symbols[0], rows, each)]
    rows = collected(plan.select("symbol", *columns, target, *others), strategy)
    return Ordered.of(rows).parts(each)


def _own_targets(bars: pl.DataFrame, strategy: Strategy) -> pl.DataFrame:
    """The lake's bars beside what a user's own strategy decides: prices are never its own."""
    key = ["symbol", "ts"]
    there = [name for name in ALL if name in bars.columns]
    made = ["signal", "target", *strategy.config.orders.columns()]
    plan = with_targets(bars.lazy(), strategy)
    if acting(plan, strategy):
        made.append("act")
    own = set(plan.collect_schema().names()) & set(there) - {"ts"}
    seen = sorted(own) if strategy.looks_at_prices else []
    decided = collected(plan.select(*key, *seen, *made), strategy)
    check_rows(decided, bars, strategy)
    return bars.select("symbol", *there).sort(key).hstack(decided.sort(key).select(made))


def check_rows(decided: pl.DataFrame, bars: pl.DataFrame, strategy: Strategy) -> None:
    """StrategyError where a user's own strategy leaves bars out, or makes more of them; or has
    other prices than theirs where something of its file is measured on those."""
    key = ["symbol", "ts"]
    both = set(decided.columns) & set(bars.columns) & set(ALL) - {"ts"}
    prices = sorted(both) if strategy.looks_at_prices else []
    made, given = (one.select(*key, *prices).sort(key) for one in (decided, bars))
    if not made.select(key).equals(given.select(key)):
        raise StrategyError(
            str(strategy.code),
            f"its frame has {decided.height} rows for {bars.height} bars, or other ones; "
            "keep every bar, once",
        )
    for name in prices:
        if not made[name].equals(given[name]):
            other = made[name].ne_missing(given[name]).arg_true()
            symbol, ts, found = made.select(*key, name).row(other[0])
            raise StrategyError(
                str(strategy.code),
                f"its frame has {found:g} for the {name} of {symbol} at {iso(ts)}, where the bar "
                f"has {given[name][other[0]]:g}, and sizing, orders or liquidity of its file look "
                "at such; keep the bars' own, and call yours otherwise",
            )


def check_period(
    lake: Lake, symbols: Sequence[str], strategy: Strategy, period: Period, parts: Sequence[Part]
) -> None:
    """NoBars when nothing opens in the period; DataError when nothing in it is warm."""
    if not any(rows.height for rows in _inside(period, parts)):
        raise NoBars(", ".join(symbols), str(period), _held(lake, symbols, strategy))
    warm(strategy, period, parts)


def warm(strategy: Strategy, period: Period, parts: Sequence[Part]) -> None:
    """DataError when the period is too short for a first signal, StrategyError when none comes."""
    if any(rows["target"].null_count() < rows.height for rows in _inside(period, parts)):
        return
    config, lengths = strategy.config, {one.symbol: one.rows.height for one in parts}
    if config.together and len(lengths) < len(config.symbols):
        raise DataError(
            f"{strategy.name} trades {' and '.join(config.symbols)} together, and the period has "
            f"bars of {', '.join(lengths)} only; take another one"
        )
    most = (min if config.together else max)(lengths.values())
    if config.given and config.orders.ranges:
        raise DataError(
            f"the frame's {strategy.name} lie at no bar of the period at which the average true "
            "range that its orders need is there; give older bars, or decide later"
        )
    if most >= strategy.warmup:
        raise StrategyError(
            str(strategy.code or strategy.name),
            f"gives no signal on any of {most} bars; expected −1, 0 or 1 once there are "
            f"{strategy.warmup}",
        )
    raise DataError(
        f"{strategy.name} needs {strategy.warmup} bars of {config.interval} before it "
        f"can decide; the period has {most}; take a longer one"
    )


def _inside(period: Period, parts: Sequence[Part]) -> list[pl.DataFrame]:
    """The rows of each symbol that open in the period, without those of the warm-up."""
    start = period.start
    if start is None or start <= 0:
        return [one.rows for one in parts]
    return [one.rows.filter(pl.col("ts") >= start) for one in parts]


def _held(lake: Lake, symbols: Sequence[str], strategy: Strategy) -> str:
    config = strategy.config
    ts = lake.bars(symbols, config.interval, exchange=config.exchange).select(
        first=pl.col("ts").min(), last=pl.col("ts").max(), rows=pl.len()
    )
    with reading(lake.root):
        found = ts.collect().row(0, named=True)
    if not found["rows"]:
        return "none"
    return f"{config.interval} bars from {iso(found['first'])} to {iso(found['last'])}"


def extent(parts: Sequence[Part]) -> dict[str, Any]:
    """Which rows were read."""
    seen = [one.rows["ts"] for one in parts if one.rows.height]
    return {
        "rows": sum(ts.len() for ts in seen),
        "first": iso(min(ts[0] for ts in seen)),
        "last": iso(max(ts[-1] for ts in seen)),
    }
