"""The door to a lake: write rows, read bars, ask in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cq.errors import EmptyDataset, UsageError
from cq.lake import manifest, places, swap
from cq.lake.datasets import OHLCV, dataset
from cq.lake.filling import FILLED, FORWARD, check_fill, forward_filled
from cq.lake.judging import Target
from cq.lake.layout import Layout
from cq.lake.origin import Origin
from cq.lake.reader import (
    COLUMNS,
    FOREVER,
    SCHEMA,
    Bars,
    Owner,
    Series,
    Wanted,
    owners,
    series_of,
    stored,
)
from cq.lake.writer import WriteReport, write
from cq.utils.time import interval_ns, parse_time, to_ns

if TYPE_CHECKING:
    from cq.lake.catalog import Catalog
    from cq.lake.fingerprint import Fingerprint

FILLED_SCHEMA = pl.Schema([*SCHEMA.items(), (FILLED, pl.Boolean())])
Moment = str | int | date | datetime | None


class Lake:
    """A folder of Parquet files with contracts, e.g. `Lake("lake").bars("BTC-BRL", "1h")`.

    `partitions` says where each dataset's files lie; a lake that exists remembers its own in
    `lake.json`. Views come from the SQL files of the package, and from those in `sql_root` (by
    default the folder `sql` beside the lake), which win where names are equal. `runs` is where
    backtests keep their results (by default the folder `runs` beside the lake). Where `root` is a
    link, beside means beside the link; its target's locks are those of the lake. `root` may be an
    address such as `s3://bucket/prefix`; then they are looked for in the folder one stands in.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        partitions: Mapping[str, str] | None = None,
        sql_root: str | Path | None = None,
        runs: str | Path | None = None,
    ) -> None:
        self.root = places.place(root)
        name = places.called(root)
        self.catalog = places.beside(name, f"{name.name}.db")
        self.sql_root = Path(sql_root).resolve() if sql_root else places.beside(name, "sql")
        self.runs = Path(runs).resolve() if runs else places.beside(name, "runs")
        self.layouts: dict[str, Layout] = manifest.layouts(self.root, partitions)

    def __repr__(self) -> str:
        """Where it lies."""
        return f"Lake({str(self.root)!r})"

    def write(
        self,
        dataset: str,
        rows: pl.DataFrame | pl.LazyFrame,
        *,
        source: str,
        now_ns: int,
        asked: tuple[int, int] | None = None,
        wait_s: float = 10,
    ) -> WriteReport:
        """Land the rows that keep the rules and are new; keep the bad ones in `rejected`.

        Writing the same rows again changes nothing. Files say of their rows what `source`,
        `now_ns` and `asked`, the range that was asked for, say here. LakeBusy after `wait_s`
        seconds while another process writes the same dataset and symbol.
        """
        target, rejects = self._target(dataset), self._target("rejected")
        self.prepare()
        origin = Origin.of(source, now_ns, asked)
        return write(target, rejects, rows.lazy().collect(), origin=origin, wait_s=wait_s)

    def replace(
        self,
        dataset: str,
        rows: pl.DataFrame | pl.LazyFrame,
        *,
        source: str,
        now_ns: int,
        asked: tuple[int, int] | None = None,
        wait_s: float = 10,
    ) -> WriteReport:
        """Like `write`, but rows that contradict stored ones take their place.

        What they replace goes to `rejected` with the rule `replaced`. The files of a folder change
        in one step: whenever it ends, each key is there once, with its old or its new values. A row
        in a file that cq did not write, and one whose new time lies in another calendar folder,
        stays; what contradicts it is rejected, as in `write`.
        """
        from cq.lake.replacing import replace

        target, rejects = self._target(dataset), self._target("rejected")
        self.prepare()
        origin = Origin.of(source, now_ns, asked)
        return replace(target, rejects, rows.lazy().collect(), origin=origin, wait_s=wait_s)

    @property
    def exists(self) -> bool:
        """Whether there is a folder; on storage, where folders are not made, always."""
        return places.is_remote(self.root) or self.root.is_dir()

    def prepare(self) -> None:
        """Make the folder a lake: its `lake.json` and the empty files that views bind to."""
        manifest.prepare(self.root, self.layouts)

    def heal(self) -> int:
        """Remove what killed processes left of their work beside the lake's folders; how many did.

        Nobody needs it to read: the files that a reader lists are whole at every moment.
        """
        return swap.heal(self.root)

    def stored(self, dataset: str = "ohlcv") -> pl.DataFrame:
        """exchange, symbol, interval of what a dataset holds, from folder names only."""
        return stored(self.root, self._target(dataset).layout)

    def bars(
        self,
        symbols: str | Sequence[str],
        interval: str,
        start: Moment = None,
        end: Moment = None,
        *,
        exchange: str | None = None,
        columns: str | Sequence[str] | None = None,
        fill: str = "none",
        now_ns: int | None = None,
    ) -> pl.LazyFrame:
        """Closed bars opening in [start, end), sorted by (symbol, ts).

        An interval that is not stored is made from the coarsest stored one that divides it; only
        complete buckets are returned. `now_ns` also leaves out what is not closed at that instant.

        The frame names its files whenever it is collected: it sees what was written meanwhile, and
        compaction never makes it fail. It may be used many times in a query, and from threads.

        `fill="forward"` adds a bar for each missing bucket between a symbol's first and last one,
        with the close before it as its prices and no volume; the column `filled` says which.
        """
        check_fill(fill)
        since, until = moment(start, 0), moment(end, FOREVER)
        series = self.series(symbols, interval, exchange)
        columns = (columns,) if isinstance(columns, str) else tuple(columns or COLUMNS)
        if fill == FORWARD:
            every = Wanted(interval, since, until, now_ns)
            apart = (self._bars.of([one], every) for one in series)
            filled = _in_turn([forward_filled(one, interval) for one in apart], FILLED_SCHEMA)
            return filled.select(*dict.fromkeys((*columns, FILLED)))
        known = set(COLUMNS) >= set(columns)  # of an unknown one Polars says which there are
        read = tuple(name for name in COLUMNS if name in columns or not known)
        rows = self._bars.of(series, Wanted(interval, since, until, now_ns, read))
        return rows if read == columns else rows.select(*columns)

    def bars_before(
        self,
        symbols: str | Sequence[str],
        interval: str,
        start_ns: int,
        count: int,
        *,
        exchange: str | None = None,
    ) -> pl.LazyFrame:
        """The last `count` bars of each symbol that open before `start_ns`, by (symbol, ts)."""
        each = [
            self._bars.before(series, interval, moment(start_ns, 0), count)
            for series in self.series(symbols, interval, exchange)
        ]
        return _in_turn(each, SCHEMA)

    def files(
        self,
        symbols: str | Sequence[str],
        interval: str,
        start: Moment = None,
        end: Moment = None,
        *,
        exchange: str | None = None,
    ) -> list[Path]:
        """The files that `bars` of the same arguments reads; their names carry their digests."""
        since, until = moment(start, 0), moment(end, FOREVER)
        return [
            part.path
            for series in self.series(symbols, interval, exchange)
            for part in self._bars.parts(series, *self._bars.span(series, interval, since, until))
        ]

    def fingerprint(
        self,
        view: str = "bars",
        where: str | None = None,
        *,
        symbols: str | Sequence[str] = (),
        interval: str | None = None,
        exchange: str | None = None,
        start: Moment = None,
        end: Moment = None,
        by: str = "day",
        columns: Sequence[str] | None = None,
    ) -> Fingerprint:
        """Names exactly what a query would read: files, and digests of the rows a UTC day or month.

        `view` is a view or a dataset. `where` is a condition in SQL. The digests tell rows apart
        whatever files they lie in; of bars, an interval that is not stored is made as in `bars`.
        """
        from cq.lake import evidence

        named = (symbols,) if isinstance(symbols, str) else tuple(symbols)
        since, until = moment(start, 0), moment(end, FOREVER)
        asked = evidence.Question(view, named, interval, exchange, since, until, where)
        evidence.check_names(self, asked)
        return evidence.take(self, asked, by=by, columns=columns)

    @cached_property
    def _bars(self) -> Bars:
        return Bars(self.root, self.layouts)

    def series(
        self, symbols: str | Sequence[str], interval: str, exchange: str | None = None
    ) -> list[Series]:
        """The stored bars that `bars` of the same arguments is made from."""
        interval_ns(interval)
        if symbols is None:
            raise UsageError("symbols is None; expected one such as 'BTC-BRL', or a list of them")
        names = sorted({symbols} if isinstance(symbols, str) else set(symbols))
        return [series_of(self._known(name), name, interval, exchange, self.root) for name in names]

    def _known(self, symbol: str) -> list[Owner]:
        """What is stored of `symbol`; of every symbol where there is nothing of this one."""
        layout = self.layouts[OHLCV.name]
        known = owners(self.root, layout, symbol)
        if not any(one[1] == symbol for one in known):
            known = owners(self.root, layout)
        if not known:
            raise EmptyDataset(OHLCV.name, self.root)
        return known

    def _target(self, name: str) -> Target:
        return Target(self.root, dataset(name), self.layouts[name])

    @cached_property
    def views(self) -> Catalog:
        """The views over its files."""
        from cq.lake.catalog import Catalog

        return Catalog(self.root, self.catalog, self.layouts, self.sql_root, self.runs)

    def scan(self, view: str) -> pl.LazyFrame:
        """A lazy frame over a SQL view; usable many times in one query, and from threads."""
        return self.views.scan(view)

    def sql(self, query: str, params: Any = None) -> pl.DataFrame:
        """The answer to a SQL question over the views."""
        return self.views.sql(query, params)

    def gaps(
        self,
        symbols: str | Sequence[str] | None = None,
        interval: str | None = None,
        start: Moment = None,
        end: Moment = None,
        *,
        exchange: str | None = None,
        classes: Sequence[str] | None = None,
        now_ns: int | None = None,
    ) -> pl.DataFrame:
        """Runs of missing bars that open in [start, end): how many, their class, the evidence.

        A class is no_trade, outage, never_fetched or lost.
        """
        from cq.lake.gaps import gaps

        names = [symbols] if isinstance(symbols, str) else symbols
        since, until = moment(start, 0), moment(end, FOREVER)
        return gaps(
            self.views, since, until, symbols=names, interval=interval,
            exchange=exchange, classes=classes, now_ns=now_ns,
        )  # fmt: skip

    def refresh_catalog(self) -> bool:
        """Bring the views in `lake.db` up to date; False while somebody else has it open."""
        self.prepare()
        return places.is_remote(self.root) or self.views.refresh()


def _in_turn(frames: Sequence[pl.LazyFrame], schema: pl.Schema) -> pl.LazyFrame:
    """One frame after the other; no rows where there is no frame."""
    if not frames:
        return pl.LazyFrame(schema=schema)
    return frames[0] if len(frames) == 1 else pl.concat(frames)


def moment(value: Moment, default: int) -> int:
    """Nanoseconds of a date or datetime (naive ones are UTC), of text, or of nanoseconds.

    A day beyond the years that int64 holds, 1677 to 2262, is the end of these: no row lies there.
    """
    return default if value is None else max(-FOREVER, min(FOREVER, _nanoseconds(value)))


def _nanoseconds(value: str | int | date | datetime) -> int:
    if isinstance(value, str):
        return parse_time(value)
    if isinstance(value, datetime):
        return to_ns(value)
    if isinstance(value, date):
        return to_ns(datetime(value.year, value.month, value.day, tzinfo=UTC))
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise UsageError(
        f"{value!r} is no moment; expected a date, a datetime, nanoseconds or text like 2026-01-31"
    )
