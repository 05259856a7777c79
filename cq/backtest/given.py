"""Bars that were handed over in a frame: what they may look like, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any, Final

import polars as pl

from cq.backtest.bars import ALL, Period, needed, parts_of, read_by, warm
from cq.backtest.columns import is_sound
from cq.backtest.data import with_prices
from cq.backtest.frames import Ordered, Part
from cq.backtest.steps import SHORTER
from cq.errors import DataError, UsageError
from cq.lake import Lake
from cq.lake.evidence import blocks_of
from cq.lake.fingerprint import Fingerprint, Owner
from cq.lake.reader import Series
from cq.strategies import Strategy, once_each, with_quote
from cq.utils.names import markets_of
from cq.utils.time import DAY, HOUR, MINUTE, interval_ns, iso
from cq.utils.trading_settings import Backtest

LEAST: Final = ("ts", "symbol", "open", "close")
NUMBERS: Final = ("open", "high", "low", "close", "volume", "target")
KINDS: Final = {"ts": pl.Int64, "symbol": pl.String, **dict.fromkeys(NUMBERS, pl.Float64)}
UNITS: Final = {DAY: "d", HOUR: "h", MINUTE: "m"}
TICKS: Final = {"ms": 1_000_000, "us": 1_000}
"""Nanoseconds in what datetimes are counted in."""


def tidied(
    source: Any, least: Sequence[str] = LEAST, what: str = "the frame", of: str = "bars"
) -> Ordered:
    """A frame's rows in order: `ts` as whole nanoseconds, numbers as floats, a symbol each.

    DataError says which column is not what it has to be, or which of the `least` is not there.
    """
    if isinstance(source, Ordered):
        return source
    if not isinstance(source, (pl.DataFrame, pl.LazyFrame)):
        raise UsageError(
            f"found {type(source).__name__}, expected "
            f"{'a Lake or ' if of == 'bars' else ''}a Polars frame of {of}; "
            "pl.from_pandas(…) makes one of a pandas frame"
        )
    bars = source.lazy().collect()
    lacking(bars, least, what)
    if bars.is_empty():
        raise DataError(f"{what} holds no {of}")
    made = {"ts": _nanoseconds, "symbol": _names}
    others = [name for name, kind in bars.schema.items() if KINDS.get(name, kind) != kind]
    try:
        bars = bars.with_columns(made.get(name, floats)(bars[name]) for name in others)
    except DataError as error:
        raise error if of == "bars" else DataError(f"{what}: {error}") from None
    for name, missing in (
        bars.select(pl.col("ts", "symbol").null_count()).row(0, named=True).items()
    ):
        if missing:
            raise DataError(f"{missing} of {bars.height} rows of {what} have no {name}")
    return Ordered.of(bars)


def lacking(bars: pl.DataFrame, columns: Sequence[str], what: str = "the frame") -> None:
    """DataError where one of `columns` is not there."""
    if missing := [one for one in dict.fromkeys(columns) if one not in bars.columns]:
        raise DataError(f"{what} lacks {', '.join(missing)}; it has {', '.join(bars.columns)}")


def _nanoseconds(ts: pl.Series) -> pl.Series:
    """Moments as whole nanoseconds; those without a zone are UTC."""
    if not (ts.dtype.is_integer() or ts.dtype == pl.Date or isinstance(ts.dtype, pl.Datetime)):
        raise DataError(
            f"ts is of type {ts.dtype}; expected whole nanoseconds since 1970 (UTC), or datetimes"
        )
    unit = DAY if ts.dtype == pl.Date else TICKS.get(getattr(ts.dtype, "time_unit", "ns"), 1)
    counted = ts.to_physical().cast(pl.Int128) * pl.Series([unit], dtype=pl.Int128)
    found = counted.cast(pl.Int64, strict=False)
    if (lost := found.null_count() - ts.null_count()) > 0:
        raise DataError(
            f"{lost} of {ts.len()} ts lie before 1677 or after 2262, which nanoseconds since 1970 "
            "do not reach"
        )
    return found


def _names(symbol: pl.Series) -> pl.Series:
    if symbol.dtype in (pl.Categorical, pl.Enum):
        return symbol
    raise DataError(f"symbol is of type {symbol.dtype}; expected text such as BTC-BRL")


def floats(column: pl.Series) -> pl.Series:
    """A column of numbers as floats; true and false are 1 and 0."""
    kind = column.dtype
    if kind.is_numeric() or kind in (pl.Boolean, pl.Null):
        return column.cast(pl.Float64)
    raise DataError(f"{column.name} is of type {kind}; expected numbers")


def interval_of(bars: Ordered) -> str:
    """The shortest step between two bars of a symbol; 1M where all bars are months apart.

    Days and months of a place with summer time are an hour shorter or longer now and then.
    """
    shortest = bars.shortest_step
    if 28 * DAY <= shortest + HOUR <= 31 * DAY + 2 * HOUR and _are_months(bars.rows["ts"]):
        return "1M"
    days = -(-shortest // DAY)
    if 0 < days * DAY - shortest <= HOUR and _are_days(bars, days):
        return f"{days}d"
    for length, unit in UNITS.items():
        if shortest and shortest % length == 0:
            return f"{shortest // length}{unit}"
    found = f"bars lie {shortest:,} ns apart at the least" if shortest else "there is one bar"
    raise UsageError(
        f"cannot tell the length of a bar: {found}; say it, as in interval='1h' (ts is counted "
        "in nanoseconds)"
    )


def _are_months(ts: pl.Series) -> bool:
    """Whether all moments share their day of the month, or are of last ones, and, to an hour, their
    time of day; in whatever zone."""
    for shift in (0, DAY // 2, DAY, DAY + DAY // 2):
        moments = ts + shift
        time: Any = moments % DAY
        if moments.cast(pl.Datetime("ns")).dt.day().n_unique() == 1:
            return bool(time.max() - time.min() <= HOUR)
    return False


def _are_days(bars: Ordered, days: int) -> bool:
    """Whether bars lie whole numbers of so many days apart, to an hour; most of them exactly."""
    steps = [bars.rows["ts"][a:b].diff().drop_nulls() for a, b in pairwise(bars.edges)]
    off = (pl.concat(steps) + HOUR) % (days * DAY)
    return bool((off <= 2 * HOUR).all()) and int((off == HOUR).sum()) * 2 >= off.len()


def named_in(
    names: Sequence[str], strategy: Strategy, quote: str
) -> tuple[tuple[str, ...], list[str]]:
    """A strategy's symbols as the frame calls them, and notes on those that had to be chosen.

    One that the frame lacks is kept in full, as one without a bar in the period; DataError where
    it lacks them all, or where a base alone may be several of them; UsageError where two are one.
    """
    said = strategy.config.symbols
    found, notes = [], []
    for one, full in zip(said, with_quote(said, quote), strict=True):
        markets = markets_of(one, quote, names)
        if len(markets) > 1:
            raise DataError(
                f"{strategy.name} trades {one}, and the frame has {' and '.join(markets)}; say "
                "which in its symbols"
            )
        if markets not in ([], [full]):
            notes.append(f"{one}: the frame has no {full}, taking {markets[0]}")
        found += markets or [full]
    if not set(found) & set(names):
        have = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise DataError(
            f"{strategy.name} trades {', '.join(found)}, and the frame has {have}; name one of "
            "these in its symbols, or give bars of its own"
        )
    return once_each(said, found), notes


def _refuse_other_lengths(bars: Ordered, strategy: Strategy) -> None:
    """DataError where bars lie closer than the strategy's, or on a grid of longer ones.

    Steps that are no multiples of the shortest are those of bars that are missing here and there.
    """
    interval, step = strategy.config.interval, bars.shortest_step
    if 0 < step < SHORTER * interval_ns(interval):
        raise DataError(
            f"bars of the frame lie {step / 1e9:,g} s apart, closer than the {interval} of "
            f"{strategy.name}; ts is counted in nanoseconds, and one bar is {interval} long"
        )
    if step * SHORTER >= interval_ns(interval) and bars.on_a_grid_of(step):
        raise DataError(
            f"bars of the frame lie {step / 1e9:,g} s apart or more, further than the {interval} "
            f"of {strategy.name}; give bars of {interval}, or set its interval to theirs"
        )


class Given:
    """Bars that were handed over in a frame, as `Reading` has those of a lake.

    A bar with a price that is no number above zero, of those that are looked at, is none: what is
    computed of the others does not see it, and `left_out` says so.

    Those of the strategy's symbols are traded, where a base alone is one against `quote`; all of
    them where `quote` is none, since the frame says its targets itself.
    """

    lake: Lake | None = None
    series: Sequence[Series] = ()

    def __init__(
        self,
        source: pl.LazyFrame | pl.DataFrame | Ordered,
        strategy: Strategy,
        settings: Backtest,
        period: Period,
        say: Callable[[str], None],
        quote: str = "",
    ) -> None:
        self.settings = strategy.backtest(settings)
        asked = [name for name in needed(strategy, self.settings) if name[:6] != "order_"]
        bars = tidied(source)
        lacking(bars.rows, asked)
        symbols: Sequence[str] = bars.names
        if quote:
            symbols, notes = named_in(bars.names, strategy, quote)
            bars = bars.only(symbols)
            for note in notes:
                say(note)
        _refuse_other_lengths(bars, strategy)
        self.last = int(bars.rows["ts"].max())  # type: ignore[arg-type]
        if period.end is not None:
            bars = Ordered.of(bars.rows.filter(pl.col("ts") < period.end))
        there = [name for name in read_by(strategy) if name in bars.rows.columns]
        self.columns = there + needed(strategy, self.settings)
        self.left_out: list[str] = []
        self._sound = is_sound(bars.rows, self.columns)
        if not self._sound:
            bars = with_prices(bars, self.columns, self.left_out.append)
        self.ordered, self.symbols, self.quote = bars, tuple(symbols), quote
        self.strategy, self.period, self.say = strategy, period, say

    @property
    def bars(self) -> pl.LazyFrame:
        """All rows."""
        return self.ordered.rows.lazy()

    def parts(self) -> list[Part]:
        """The rows of each symbol with their targets, once found to hold some.

        A gate is trained on the way, as over a lake.
        """
        self._check_opens()
        try:
            if self.strategy.config.gate is not None:
                from cq.backtest.gating import with_gate  # few strategies have one

                rows, start = self.ordered.rows, self.period.start
                self.strategy = with_gate(self.strategy, rows, self.say, start)
            parts = parts_of(self.ordered, self.ordered.names, self.strategy, self.columns)
        except pl.exceptions.ColumnNotFoundError as error:
            asked = re.search(r'"(\w+)"', str(error))
            lacks = asked[1] if asked else str(error).partition("\n")[0]
            there = ", ".join(self.ordered.rows.columns)
            raise DataError(f"{self.strategy.name} needs {lacks}; the frame has {there}") from None
        warm(self.strategy, self.period, parts)
        return [replace(one, sound=self._sound) for one in parts]

    def _check_opens(self) -> None:
        """DataError where no bar opens in the period."""
        ts, start = self.ordered.rows["ts"], self.period.start
        if self.left_out and start is not None and not (ts >= start).any():
            raise DataError(f"no bar {self.period} has a price above zero")
        if ts.is_empty() or (start is not None and not (ts >= start).any()):
            raise DataError(
                f"no bars of the frame {self.period}; its last one opens at {iso(self.last)}"
            )

    def fingerprint(self, parts: list[Part]) -> Callable[[], Fingerprint]:
        """Digests of the rows, once they are asked for: what is in memory stays as it is."""

        def taken() -> Fingerprint:
            columns = tuple(name for name in ALL if name in parts[0].rows.columns)
            interval = self.strategy.config.interval
            blocks = {
                Owner(None, one.symbol, interval): blocks_of(one.rows, columns, "month")
                for one in parts
            }
            return Fingerprint("frame", {}, columns, "month", blocks)

        return cache(taken)
