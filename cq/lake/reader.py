"""Bars straight from the files that hold them: no glob, no database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import polars as pl
from polars.io.plugins import register_io_source

from cq.errors import DataError, NoBars, UnknownSymbol, Unreadable
from cq.lake import rowindex
from cq.lake.datasets import COVERAGE, OHLCV
from cq.lake.direct import Direct
from cq.lake.known import covered
from cq.lake.layout import Layout, Part, is_ours
from cq.lake.made_bars import MadeBars
from cq.lake.resample import ceiling, divides, floor, lies_in_folders
from cq.lake.source import Plan, Source, Strand, by_time, look, scan
from cq.lake.template import OWNERS
from cq.utils.time import bar_end, interval_ns

COLUMNS = ("ts", "open", "high", "low", "close", "volume", "symbol", "exchange")
FOREVER = 2**63 - 1
READ = COLUMNS[:6]
SCHEMA = pl.Schema({name: OHLCV.schema[name] for name in COLUMNS})


class Series(NamedTuple):
    """The stored bars that answer a question: one symbol on one exchange at one stored interval."""

    exchange: str
    symbol: str
    interval: str

    @property
    def owner(self) -> dict[str, str | None]:
        """The values that name its files."""
        return {"exchange": self.exchange, "symbol": self.symbol, "interval": self.interval}


Owner = tuple[str | None, ...]
"""exchange, symbol, interval of some rows, as far as there are such."""


def stored(root: Path, layout: Layout) -> pl.DataFrame:
    """exchange, symbol, interval of a dataset: from folder names, or files where those lack one."""
    return pl.DataFrame(
        owners(root, layout), schema=dict.fromkeys(OWNERS, pl.String), orient="row"
    ).sort(OWNERS)


def owners(root: Path, layout: Layout, symbol: str | None = None) -> list[Owner]:
    """The same in no order, of one symbol or of all."""
    named = [name for name in OWNERS if name in layout.fields]
    only = {} if symbol is None else {"symbol": symbol}
    found = layout.owners(root, only)
    if layout.dataset == "ohlcv" and len(named) < len(OWNERS) and found:
        return look(partial(layout.files, root, only), _owners_inside)
    return [tuple(one.get(name) for name in OWNERS) for one in found]


def _owners_inside(parts: Sequence[Part]) -> list[Owner]:
    rows = scan([part.path for part in parts], OHLCV) if parts else OHLCV.empty().lazy()
    return rows.select(OWNERS).unique().collect().rows()


def series_of(
    known: Sequence[Owner], symbol: str, interval: str, exchange: str | None, root: Path
) -> Series:
    """Which stored bars serve `symbol` at `interval`; an error says what there is instead."""
    here = [one for one in known if exchange in (None, one[0])]
    mine = [one for one in here if one[1] == symbol]
    elsewhere = {one[0] for one in known if one[1] == symbol}
    if not mine and elsewhere:
        raise UnknownSymbol(
            f"{symbol} of {exchange}",
            {f"{symbol} of {one}" for one in elsewhere},
            f"name such an exchange, or fetch or import bars of {exchange} into {root}",
        )
    if not mine:
        where = f" of {exchange}" if exchange else ""
        raise UnknownSymbol(
            symbol,
            {str(one[1]) for one in here},
            f"fetch its bars{where} with `cq lake ingest {symbol}` or import a file into {root}",
        )
    exchanges = sorted({str(one[0]) for one in mine})
    if len(exchanges) > 1:
        raise DataError(
            f"{symbol} is stored from {' and '.join(exchanges)}; say exchange=…, "
            f"such as exchange={exchanges[0]} (for a command --exchange {exchanges[0]}, or "
            f"--set exchange={exchanges[0]} where it takes a strategy)"
        )
    held = sorted({str(one[2]) for one in mine}, key=lambda one: (-interval_ns(one), one))
    if interval in held:
        return Series(exchanges[0], symbol, interval)
    # of two names of one length, such as 1d and 24h, the first: what is read must not change
    coarsest = next((one for one in held if divides(one, interval)), None)
    if coarsest is None:
        there = ", ".join(reversed(held))
        raise NoBars(symbol, f"at {interval} or a finer interval that divides it", there)
    return Series(exchanges[0], symbol, coarsest)


class Wanted(NamedTuple):
    """Which bars: of `interval`, opening in [start, end), closed at `now_ns` if that is given."""

    interval: str
    start: int
    end: int
    now_ns: int | None = None
    columns: Collection[str] = COLUMNS


class Bars(NamedTuple):
    """Reads the bars of one lake."""

    root: Path
    layouts: Mapping[str, Layout]

    @property
    def layout(self) -> Layout:
        """Where bars lie."""
        return self.layouts[OHLCV.name]

    def of(self, series: Sequence[Series], wanted: Wanted) -> pl.LazyFrame:
        """The closed bars that are wanted, a series after the other, by time.

        Which files, and up to when what is in them is known, is looked up when it is collected.
        """
        source = self._sourced(series, wanted)
        in_order = len(series) == 1 and "ts" in wanted.columns
        return Direct.of(source.frame(), source.read, "ts" if in_order else None)

    def before(self, series: Series, interval: str, end: int, count: int) -> pl.LazyFrame:
        """The last `count` bars of `interval` that open before `end`, oldest first."""

        def read(
            columns: list[str] | None = None,
            predicate: pl.Expr | None = None,
            n_rows: int | None = None,
            _size: int | None = None,
        ) -> Iterator[pl.DataFrame]:
            rows = self._tail(series, interval, end, count)
            rows = rows if predicate is None else rows.filter(predicate)
            yield rows.select(columns or SCHEMA.names()).head(
                rows.height if n_rows is None else n_rows
            )

        return Direct.of(register_io_source(read, schema=SCHEMA, is_pure=True), read, "ts")

    def _tail(self, series: Series, interval: str, end: int, count: int) -> pl.DataFrame:
        """Look back twice as far as gapless bars would need, then ever further, at most to 1970."""
        back = 2 * (count + 1) * interval_ns(interval)
        while True:
            start = max(end - back, 0)
            found = pl.concat(self._sourced([series], Wanted(interval, start, end)).read())
            if found.height >= count or start <= max(self.first_ts(series), 0):
                return found.tail(count)
            back *= 4

    def _sourced(self, series: Sequence[Series], wanted: Wanted) -> Source:
        return Source(
            self.root,
            [self._strand(one, wanted) for one in series],
            pl.Schema({name: kind for name, kind in SCHEMA.items() if name in wanted.columns}),
        )

    def _strand(self, series: Series, wanted: Wanted) -> Strand:
        interval, start, end, now_ns = wanted.interval, wanted.start, wanted.end, wanted.now_ns
        names = {"symbol": series.symbol, "exchange": series.exchange}
        named = partial(_named, {one: names[one] for one in names if one in wanted.columns})
        if series.interval == interval:
            if now_ns is not None:
                end = min(end, self._closed(interval, now_ns))

            def plan(parts: Sequence[Part]) -> pl.LazyFrame:
                return named(self._unnamed(series, start, end, parts))

            return Strand(lambda: (self.parts(series, start, end), plan))
        start, end = self.span(series, interval, start, end)

        def made() -> tuple[list[Part], Plan]:
            # before the files: they hold at least that
            known = self._known_until(series, interval)
            closed = floor(known if now_ns is None else min(known, now_ns), interval)
            until = min(end, closed)
            finer = partial(self._unnamed, series, start, until)
            within = None if self._unnamed_of(series) else (start, until)
            many = 1 if interval == "1M" else interval_ns(interval) // interval_ns(series.interval)
            plan = MadeBars(finer, interval, named, within, many)
            return self.parts(series, start, until), plan

        return Strand(made, whole=not lies_in_folders(interval, self.layout.depth))

    def span(self, series: Series, interval: str, start: int, end: int) -> tuple[int, int]:
        """Where the stored bars lie that bars of `interval` opening in [start, end) are made of."""
        if series.interval == interval:
            return start, end
        return ceiling(start, interval), ceiling(end, interval)

    def parts(self, series: Series, start: int, end: int) -> list[Part]:
        """The files that may hold bars opening in [start, end), in time order."""
        return self.layout.files(self.root, series.owner, start, end) if end > start else []

    def first_ts(self, series: Series) -> int:
        """When the oldest stored bar opens."""
        return self._extreme(series, pl.col("ts").min(), newest=False)

    def last_ts(self, series: Series) -> int:
        """When the newest stored bar opens."""
        return self._extreme(series, pl.col("ts").max(), newest=True)

    def _extreme(self, series: Series, what: pl.Expr, *, newest: bool) -> int:
        naming = partial(self.layout.files, self.root, series.owner)

        def sought(parts: Sequence[Part]) -> int | None:
            for when in sorted({part.when for part in parts}, reverse=newest):
                here = [part for part in parts if part.when == when]
                if len(here) == 1 and here[0].is_ours:
                    found = _end(here[0].path, self._unnamed_of(series), newest)
                else:
                    rows = self._mine(scan([part.path for part in here], OHLCV), series)
                    found = rows.select(what).collect().item()
                if found is not None:
                    return found
            return None

        extreme = look(naming, sought)
        if extreme is None:
            raise NoBars(series.symbol, f"at {series.interval}", "none")
        return extreme

    def _unnamed(self, series: Series, start: int, end: int, parts: Sequence[Part]) -> pl.LazyFrame:
        """Stored bars in [start, end), oldest first.

        A filter costs as much as reading does; files that lie within the range need none.
        """
        inside = all(part.is_ours and self._lies_in(part, series, start, end) for part in parts)

        def mine(paths: list[Path]) -> pl.LazyFrame:
            rows, exact = scan(paths, OHLCV), inside
            if not inside and len(paths) == 1 and is_ours(paths[0].name):
                rows, exact = rowindex.near(rows, paths[0], start, end)
            rows = self._mine(rows, series)
            if not exact:
                rows = rows.filter(pl.col("ts") >= start, pl.col("ts") < end)
            return rows

        return by_time(mine, parts)

    def _lies_in(self, part: Part, series: Series, start: int, end: int) -> bool:
        """Whether a file of ours holds nothing outside [start, end), by its folder or itself."""
        if not part.when:
            return False
        begun, over = self.layout.span(part.when)
        if start > begun or over <= end:
            return start <= begun
        last = _end(part.path, self._unnamed_of(series), newest=True)
        return last is not None and last < end

    def _mine(self, rows: pl.LazyFrame, series: Series) -> pl.LazyFrame:
        """Only the series' own rows, where folders do not tell them apart."""
        unnamed = self._unnamed_of(series)
        return rows.filter(pl.col(n) == value for n, value in unnamed) if unnamed else rows

    def _unnamed_of(self, series: Series) -> tuple[tuple[str, str | None], ...]:
        fields = self.layout.fields
        return tuple((name, value) for name, value in series.owner.items() if name not in fields)

    def _closed(self, interval: str, now_ns: int) -> int:
        """The first instant at which a bar may open that is not closed at `now_ns`."""
        return now_ns - interval_ns(interval) + 1 if interval != "1M" else floor(now_ns, "1M")

    def _known_until(self, series: Series, interval: str) -> int:
        """Up to where the stored bars are known: the newest one's end, or that of its coverage.

        Where that ends a bar of `interval`, there is none after it that coverage could complete.
        """
        until = bar_end(self.last_ts(series), series.interval)
        asked = self.layouts[COVERAGE.name].paths
        if until == floor(until, interval) or not asked(self.root, series.owner):
            return until
        known = covered(
            self.root, self.layouts, OHLCV.name, series.exchange, series.symbol, series.interval
        )
        return next((end for start, end in known if start <= until < end), until)


def _named(names: Mapping[str, str], rows: pl.LazyFrame) -> pl.LazyFrame:
    """Names are constants, not read from files."""
    named = [pl.lit(name).alias(one) for one, name in names.items()]
    return rows.with_columns(named) if named else rows


@lru_cache(maxsize=65_536)
def _end(path: Path, named: tuple[tuple[str, str | None], ...], newest: bool) -> int | None:
    """The first or last `ts` of some rows of a file of ours, which never changes under its name."""
    rows = scan([path], OHLCV)
    for name, value in named:
        rows = rows.filter(pl.col(name) == value)
    rows = rows.select("ts")
    found = (rows.tail(1) if newest else rows.head(1)).collect()
    if found.height and found.item() is None:
        raise Unreadable(path, "a row has no ts")
    return int(found.item()) if found.height else None
