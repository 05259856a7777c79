"""Takes fingerprints: what a query over a lake would read, without keeping it in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from cq.errors import NoBars, Unreadable, UsageError
from cq.lake.damage import altered, collected, digest
from cq.lake.datasets import DATASETS, OHLCV, Dataset
from cq.lake.fingerprint import PERIODS, Block, File, Fingerprint, Owner, cut, merged
from cq.lake.layout import Part, is_ours
from cq.lake.places import is_remote, readable, relative
from cq.lake.resample import divides
from cq.lake.rowhash import row_hashes
from cq.lake.source import look
from cq.lake.windows import (
    FOREVER,
    Window,
    check_known,
    named,
    owners_in,
    rows_in,
    windows,
    words_in,
)
from cq.utils.time import interval_ns

if TYPE_CHECKING:
    from cq.lake.lake import Lake

WORKERS: Final = 2
BARS: Final = "bars"
FEW: Final = 32


@dataclass(frozen=True)
class Question:
    """Which rows are meant: those of a view, of these owners, in [start, end), that hold `where`.

    Bars of every stored interval, where none is named; a named one may be made from a finer one.
    """

    view: str = BARS
    symbols: tuple[str, ...] = ()
    interval: str | None = None
    exchange: str | None = None
    start: int = 0
    end: int = FOREVER
    where: str | None = None
    since: Mapping[str, int] = field(default_factory=dict)
    """Symbol → its own start, where that is later."""
    exchanges: Mapping[str, str] = field(default_factory=dict)
    """Symbol → the exchange of its bars of `interval`, where no one exchange is named for all."""

    @property
    def filter(self) -> dict[str, Any]:
        """What narrows it, for JSON."""
        said = {
            "symbols": sorted(self.symbols),
            "interval": self.interval,
            "exchange": self.exchange,
            "start": self.start,
            "end": None if self.end == FOREVER else self.end,
            "where": self.where,
            "since": dict(self.since),
            "exchanges": dict(self.exchanges),
        }
        return {name: value for name, value in said.items() if value}

    @classmethod
    def of(cls, taken: Fingerprint) -> Question:
        """The question that a fingerprint answers, of the exchanges whose bars it names."""
        said = dict(taken.filter)
        asked = cls(taken.view, tuple(said.pop("symbols", ())), **said)
        if asked.view != BARS or asked.interval is None or asked.exchange is not None:
            return asked
        told = {one.symbol: one.exchange for one in taken.blocks if one.symbol and one.exchange}
        return replace(asked, exchanges={**told, **asked.exchanges})

    @property
    def dataset(self) -> Dataset | None:
        """The dataset whose rows are meant, where they are meant as stored."""
        return OHLCV if self.view == BARS else DATASETS.get(self.view)

    def start_of(self, source: Source) -> int:
        """From when on the rows of one owner are meant."""
        return max(self.start, self.since.get(str(source.owner.symbol), 0))

    def wanted(self) -> dict[str, list[str]]:
        """Owner column → the values that are asked for."""
        said = {
            "exchange": [self.exchange] if self.exchange else [],
            "symbol": list(self.symbols),
            "interval": [self.interval] if self.interval else [],
        }
        return {name: values for name, values in said.items() if values}


class Source(NamedTuple):
    """Whose rows are read: `stored` are those that the lake holds, `owner` those that come out."""

    owner: Owner
    stored: Owner

    def windows(self, lake: Lake, contract: Dataset, start: int, end: int) -> list[Window]:
        """What is read at a time; made bars at once: sums of floats depend on where they begin."""
        if self.owner != self.stored:
            return [(start, end)]
        return windows(lake, contract, self.stored, start, end)

    def rows(
        self,
        lake: Lake,
        contract: Dataset,
        asked: Question,
        window: Window,
        columns: Sequence[str] = (),
    ) -> pl.DataFrame:
        """The rows in a window; with these columns and the time, where some are named."""
        if self.owner != self.stored:
            symbol, interval = str(self.owner.symbol), str(self.owner.interval)
            bars = lake.bars(symbol, interval, *window, exchange=self.owner.exchange)
            return collected(bars, lake.root)
        inside = [n for n in asked.wanted() if n not in named(self.stored, contract)]
        needed = list(dict.fromkeys([*columns, *inside, contract.time])) if columns else None
        rows = rows_in(lake, contract, self.stored, window, columns=needed)
        return rows.filter(*(pl.col(name).is_in(asked.wanted()[name]) for name in inside))


def check_names(lake: Lake, asked: Question) -> None:
    """UnknownSymbol, or NoBars, where the lake has nothing of a name that is asked for.

    Where rows say of themselves whose they are, as refused ones do, any name may be asked for.
    """
    contract = asked.dataset
    if contract is not None and contract.free_form:
        return
    for name, words in asked.wanted().items():
        has_it = contract is None or name in contract.schema
        if has_it and (asked.view, name) != (BARS, "interval"):
            check_known(name, words, words_in(lake, name))
    if asked.view == BARS and asked.interval is not None and not sources_of(lake, asked, OHLCV):
        held = sorted(words_in(lake, "interval"), key=lambda one: (interval_ns(one), one))
        finer = f"at {asked.interval} or a finer interval that divides it"
        raise NoBars("the lake", finer, ", ".join(held) or "none")


def take(
    lake: Lake, asked: Question, *, by: str = "day", columns: Sequence[str] | None = None
) -> Fingerprint:
    """The fingerprint of what `asked` reads of the lake; of these columns, where some are named."""
    if by not in PERIODS:
        raise UsageError(f"by={by!r}; expected {' or '.join(PERIODS)}")
    contract = asked.dataset
    if contract is None or asked.where is not None:
        from cq.lake.evidence_sql import answered, files_behind

        names, blocks = answered(lake, asked, by, columns)
        return Fingerprint(asked.view, asked.filter, names, by, blocks, files_behind(lake, asked))
    names = tuple(columns or counted(contract))
    sources = sources_of(lake, asked, contract)
    tasks = [
        (source, window)
        for source in sources
        for window in source.windows(lake, contract, asked.start_of(source), asked.end)
    ]

    def one(task: tuple[Source, Window]) -> tuple[Block, ...]:
        rows = task[0].rows(lake, contract, asked, task[1], names)
        return blocks_of(rows, names, by, contract.time)

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = zip((source.owner for source, _ in tasks), pool.map(one, tasks), strict=True)
        blocks = together(answers)
    files = described(lake.root, lambda: paths_of(lake, asked, contract, sources))
    return Fingerprint(asked.view, asked.filter, names, by, blocks, files)


def counted(contract: Dataset) -> tuple[str, ...]:
    """The columns that count: all but those that say whose the rows are."""
    if contract.free_form:
        return tuple(contract.schema)
    return tuple(name for name in contract.schema if name not in contract.owner)


def blocks_of(
    rows: pl.DataFrame, columns: Sequence[str], by: str, time: str = "ts"
) -> tuple[Block, ...]:
    """The rows of one owner as blocks."""
    return tuple(cut(rows[time].to_numpy(), row_hashes(rows, columns), by))


def together(found: Iterable[tuple[Owner, Sequence[Block]]]) -> dict[Owner, tuple[Block, ...]]:
    """Each owner's blocks, in order; owners without a row are left out."""
    gathered: dict[Owner, list[Block]] = {}
    for owner, blocks in found:
        gathered.setdefault(owner, []).extend(blocks)
    return {owner: merged(blocks) for owner, blocks in gathered.items() if blocks}


def sources_of(lake: Lake, asked: Question, contract: Dataset) -> list[Source]:
    """Whose rows the question reads."""
    if asked.interval is not None and "interval" not in contract.schema:
        raise UsageError(f"{contract.name} have no interval; leave it out")
    if asked.view == BARS and asked.interval is not None:
        series = [
            one
            for symbol in asked.symbols or _serving(lake, asked.interval, asked.exchange)
            for one in lake.series(
                symbol, asked.interval, asked.exchanges.get(symbol, asked.exchange)
            )
        ]
        stored = [Owner(one.exchange, one.symbol, one.interval) for one in series]
        return [Source(one._replace(interval=asked.interval), one) for one in stored]
    wanted = asked.wanted()
    return [
        Source(one, one)
        for one in owners_in(lake, contract)
        if all(value in wanted.get(n, [value]) for n, value in named(one, contract).items())
    ]


def _serving(lake: Lake, interval: str, exchange: str | None) -> list[str]:
    """Symbols with bars of an interval that `interval` can be made from."""
    known = lake.stored()
    if exchange is not None:
        known = known.filter(pl.col("exchange") == exchange)
    serves = [one for one in known["interval"].unique() if divides(one, interval)]
    serves.append(interval)
    return sorted(set(known.filter(pl.col("interval").is_in(serves))["symbol"]))


def paths_of(
    lake: Lake, asked: Question, contract: Dataset, sources: Iterable[Source]
) -> list[Path]:
    """The files that hold the rows, and maybe others."""
    layout, end = lake.layouts[contract.name], None if asked.end == FOREVER else asked.end
    found = {
        part.path
        for source in sources
        for part in layout.files(lake.root, named(source.stored, contract), asked.start, end)
    }
    return sorted(found)


def described(root: Path, naming: Callable[[], Iterable[Path]]) -> tuple[File, ...]:
    """What files are: rows by their footers, digests by their bytes.

    They are named again where compaction puts others into their place meanwhile. Unreadable is
    raised over a file of ours whose bytes are not those that its name says: what was read of it
    may be anything.
    """
    return look(
        lambda: [Part((), path) for path in naming()],
        lambda parts: _described(root, [part.path for part in parts]),
    )


def check_bytes(naming: Callable[[], Iterable[Path]]) -> None:
    """Unreadable where the bytes of a file of ours are not those that its name says."""
    look(
        lambda: [Part((), path) for path in naming()],
        lambda parts: _digests([part.path for part in parts if part.is_ours]),
    )


def _described(root: Path, paths: Sequence[Path]) -> tuple[File, ...]:
    return tuple(
        File(relative(root, path), rows, path.stat().st_size, one)
        for path, rows, one in zip(paths, _rows(paths), _digests(paths), strict=True)
    )


def _digests(paths: Sequence[Path]) -> list[str]:
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(_digest, paths))


def _digest(path: Path) -> str:
    """Storage keeps checksums of its own, and its word is taken for what we wrote."""
    named = path.stem[-12:] if is_ours(path.name) else None
    if named and is_remote(path):
        return named
    if named and (wrong := altered(path)):
        raise Unreadable(path, wrong)
    return named or digest(path)


def _rows(paths: Sequence[Path]) -> list[int]:
    """How many rows files hold; pyarrow, which is slow to load, is worth it for many only."""
    if len(paths) <= FEW:
        counts = [pl.scan_parquet(readable([path]), glob=False).select(pl.len()) for path in paths]
        return [one.item() for one in pl.collect_all(counts)]
    from cq.lake.status import rows_of

    return [rows_of(path) for path in paths]
