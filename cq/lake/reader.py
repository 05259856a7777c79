"""Bars straight from the files that hold them: no glob, no database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cq.errors import DataError, NoBars, UnknownSymbol
from cq.lake.damage import collected
from cq.lake.datasets import COVERAGE, OHLCV
from cq.lake.layout import OWNERS, Layout
from cq.lake.resample import ceiling, divides, floor, resampled
from cq.lake.writer import scan
from cq.utils.time import bar_end, interval_ns

COLUMNS = ("ts", "open", "high", "low", "close", "volume", "symbol", "exchange")
FOREVER = 2**63 - 1


@dataclass(frozen=True)
class Series:
    """The stored bars that answer a question: one symbol on one exchange at one stored interval."""

    exchange: str
    symbol: str
    interval: str

    @property
    def owner(self) -> dict[str, str | None]:
        """The values that name its files."""
        return {"exchange": self.exchange, "symbol": self.symbol, "interval": self.interval}


def stored(root: Path, layout: Layout, symbol: str | None = None) -> pl.DataFrame:
    """exchange, symbol, interval of a dataset: from folder names, or files where those lack one."""
    named = [name for name in OWNERS if name in layout.fields]
    only = {} if symbol is None else {"symbol": symbol}
    found = layout.owners(root, only)
    if layout.dataset == "ohlcv" and len(named) < len(OWNERS) and found:
        paths = [part.path for part in layout.files(root, only)]
        return collected(scan(paths, OHLCV).select(OWNERS).unique().sort(OWNERS), root)
    return pl.DataFrame(
        [[one.get(name) for one in found] for name in OWNERS],
        schema=dict.fromkeys(OWNERS, pl.String),
    ).sort(OWNERS)


def series_of(
    known: pl.DataFrame, symbol: str, interval: str, exchange: str | None, root: Path
) -> Series:
    """Which stored bars serve `symbol` at `interval`; an error says what there is instead."""
    here = known.filter(pl.col("exchange") == exchange) if exchange else known
    mine = here.filter(pl.col("symbol") == symbol)
    if mine.is_empty():
        where = f" of {exchange}" if exchange else ""
        raise UnknownSymbol(
            symbol,
            here["symbol"].unique().to_list(),
            f"fetch its bars{where} with `cq lake ingest {symbol}` or import a file into {root}",
        )
    exchanges = sorted(set(mine["exchange"]))
    if len(exchanges) > 1:
        raise DataError(
            f"{symbol} is stored from {' and '.join(exchanges)}; say exchange=…, "
            f"such as exchange={exchanges[0]}"
        )
    held = sorted(set(mine["interval"]), key=interval_ns)
    fits = [one for one in held if one == interval or divides(one, interval)]
    if not fits:
        raise NoBars(symbol, f"at {interval} or a finer interval that divides it", ", ".join(held))
    return Series(exchanges[0], symbol, interval if interval in held else fits[-1])


@dataclass(frozen=True)
class Bars:
    """Reads the bars of one lake."""

    root: Path
    layout: Layout
    coverage: Layout

    def of(
        self, series: Series, interval: str, start: int, end: int, now_ns: int | None
    ) -> pl.LazyFrame:
        """Closed bars of `interval` opening in [start, end), oldest first."""
        if series.interval == interval:
            if now_ns is not None:
                end = min(end, self._closed(interval, now_ns))
            return self._scanned(series, start, end).select(COLUMNS)
        known = self._known_until(series)
        closed = floor(known if now_ns is None else min(known, now_ns), interval)
        start, until = ceiling(start, interval), min(ceiling(end, interval), closed)
        return resampled(self._scanned(series, start, until), interval).select(COLUMNS)

    def files(self, series: Series, start: int, end: int) -> list[Path]:
        """The files that may hold bars opening in [start, end), in time order."""
        return [part.path for part in self.layout.files(self.root, series.owner, start, end)]

    def first_ts(self, series: Series) -> int:
        """When the oldest stored bar opens."""
        return self._extreme(series, pl.col("ts").min(), newest=False)

    def last_ts(self, series: Series) -> int:
        """When the newest stored bar opens."""
        return self._extreme(series, pl.col("ts").max(), newest=True)

    def _extreme(self, series: Series, what: pl.Expr, *, newest: bool) -> int:
        parts = self.layout.files(self.root, series.owner)
        groups = sorted({part.when for part in parts}, reverse=newest)
        for when in groups:
            paths = [part.path for part in parts if part.when == when]
            found = collected(self._mine(scan(paths, OHLCV), series).select(what), self.root).item()
            if found is not None:
                return int(found)
        raise NoBars(series.symbol, f"at {series.interval}", "none")

    def _scanned(self, series: Series, start: int, end: int) -> pl.LazyFrame:
        """Stored bars in [start, end), oldest first; names are constants, not read from files."""
        parts = self.layout.files(self.root, series.owner, start, end) if end > start else []
        if not parts:
            return OHLCV.empty().lazy()
        rows = self._mine(scan([part.path for part in parts], OHLCV), series)
        rows = rows.filter(pl.col("ts") >= start, pl.col("ts") < end)
        names = {name: pl.lit(value, pl.String) for name, value in series.owner.items()}
        rows = rows.select("ts", "open", "high", "low", "close", "volume").with_columns(**names)
        if len({part.when for part in parts}) == len(parts) and all(p.is_ours for p in parts):
            return rows.set_sorted("ts")
        return rows.sort("ts")

    def _mine(self, rows: pl.LazyFrame, series: Series) -> pl.LazyFrame:
        """Only the series' own rows, where folders do not tell them apart."""
        return rows.filter(
            pl.lit(value=True),
            *(pl.col(n) == v for n, v in series.owner.items() if n not in self.layout.fields),
        )

    def _closed(self, interval: str, now_ns: int) -> int:
        """The first instant at which a bar may open that is not closed at `now_ns`."""
        return now_ns - interval_ns(interval) + 1 if interval != "1M" else floor(now_ns, "1M")

    def _known_until(self, series: Series) -> int:
        """Up to where the stored bars are known: the newest one's end, or what coverage adds."""
        until = bar_end(self.last_ts(series), series.interval)
        parts = self.coverage.files(self.root, series.owner)
        if not parts:
            return until
        asked = scan([part.path for part in parts], COVERAGE).filter(
            pl.col("dataset") == "ohlcv", *(pl.col(n) == v for n, v in series.owner.items())
        )
        newest = collected(asked.select(pl.col("end_ts").max()), self.root).item()
        return max(until, newest or 0)
