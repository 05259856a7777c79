"""Which rows differ between two lakes, and which blocks between two fingerprints.

Lakes are compared a window at a time, and only the days whose digests differ row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from cq.errors import UsageError
from cq.lake.damage import digest
from cq.lake.datasets import Dataset, dataset
from cq.lake.evidence import Question, blocks_of, counted, sources_of, take
from cq.lake.fingerprint import NO_TIME, Block, File, Fingerprint, Owner
from cq.lake.layout import Part, is_ours
from cq.lake.windows import FOREVER, Window, check_known, rows_in, windows, words_in
from cq.utils.time import interval_ns

if TYPE_CHECKING:
    from cq.lake.lake import Lake

FACTS: Final = ("ohlcv", "trades", "orderbook_l2", "orders", "fills")
"""What is compared where no dataset is named: not how the rows came to be there."""
MOST: Final = 20
"""Examples told of one owner."""
EXAMPLES: Final = 3
"""Rows told of one day and kind."""
ONLY_A, ONLY_B, OTHER = "only in A", "only in B", "other values"
KINDS: Final = (ONLY_A, ONLY_B, OTHER)


@dataclass(frozen=True)
class DayDiff:
    """What differs in one day (or month) of one owner's rows.

    Where rows could be read: how many of each kind, in which columns, and the first examples.
    `rows` are the numbers of rows in A and in B.
    """

    dataset: str
    owner: Owner
    period: str
    rows: tuple[int, int]
    kinds: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[Mapping[str, Any], ...] = ()

    def swapped(self) -> DayDiff:
        """The same, with A and B in each other's place."""
        other = {ONLY_A: ONLY_B, ONLY_B: ONLY_A, OTHER: OTHER}
        sides = {"a": "b", "b": "a"}
        return replace(
            self,
            rows=self.rows[::-1],
            kinds={other[kind]: count for kind, count in self.kinds.items()},
            examples=tuple(
                {sides.get(name, name): value for name, value in one.items()}
                | {"kind": other[one["kind"]]}
                for one in self.examples
            ),
        )

    def within(self, asked: Question) -> bool:
        """Whether it concerns what is asked for: owner, and a period that lies in it in part."""
        since, until = _span(self.period)
        wanted = asked.wanted()
        return (
            since < asked.end
            and until > asked.start
            and all(
                value in wanted.get(name, [value]) for name, value in self.owner._asdict().items()
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "dataset": self.dataset,
            **self.owner._asdict(),
            "period": self.period,
            "rows_a": self.rows[0],
            "rows_b": self.rows[1],
            **{kind.replace(" ", "_").lower(): self.kinds.get(kind) for kind in KINDS},
            "columns": dict(self.columns),
            "examples": [dict(one) for one in self.examples],
        }


def check_names(sides: Iterable[Lake | Fingerprint], asked: Question) -> None:
    """UnknownSymbol where neither side has a symbol, interval or exchange that is asked for.

    UsageError where the interval is none.
    """
    sides = list(sides)
    if asked.interval is not None:
        interval_ns(asked.interval)
    for name, words in asked.wanted().items():
        check_known(name, words, words_of(sides, name))


def words_of(sides: Iterable[Lake | Fingerprint], name: str) -> set[str]:
    """Every symbol, interval or exchange that some lake or fingerprint speaks of."""
    return {word for side in sides for word in _words(side, name)}


def _words(side: Lake | Fingerprint, name: str) -> set[str]:
    if not isinstance(side, Fingerprint):
        return words_in(side, name)
    said = Question.of(side).wanted().get(name, [])
    return {*said, *(word for one in side.blocks if (word := one._asdict()[name]) is not None)}


def between_lakes(a: Lake, b: Lake, asked: Question, datasets: Sequence[str]) -> Iterator[DayDiff]:
    """Every day that differs, by dataset, owner and day."""
    for name in datasets or FACTS:
        contract = dataset(name)
        if asked.interval is not None and "interval" not in contract.schema:
            if datasets:
                raise UsageError(f"{name} have no interval; leave it out, or name other datasets")
            continue
        yield from _of_dataset(a, b, asked, contract)


def _of_dataset(a: Lake, b: Lake, asked: Question, contract: Dataset) -> Iterator[DayDiff]:
    mine = Question(contract.name, asked.symbols, asked.interval, asked.exchange)
    sources = {one for lake in (a, b) for one in sources_of(lake, mine, contract)}
    for source in sorted(sources, key=lambda one: one.owner.sortable()):
        spans = {
            span
            for lake in (a, b)
            for span in windows(lake, contract, source.stored, asked.start, asked.end)
        }
        told = 0
        for span in sorted(spans):
            rows_a, rows_b = (source.rows(lake, contract, mine, span) for lake in (a, b))
            for day in compared(contract, source.owner, rows_a, rows_b, counted(contract)):
                yield day if told < MOST else replace(day, examples=())
                told += len(day.examples)


def between_prints(a: Fingerprint, b: Fingerprint) -> Iterator[DayDiff]:
    """The days (or months) that differ between two fingerprints, by owner."""
    if sorted(a.columns) != sorted(b.columns):
        raise UsageError(
            f"the fingerprints speak of other columns: {', '.join(a.columns)} in A, "
            f"{', '.join(b.columns)} in B; take them anew of the same ones"
        )
    if a.by != b.by:
        a, b = a.coarser(), b.coarser()
    name = a.view if a.view == b.view else f"{a.view}, {b.view}"
    for owner in sorted({*a.blocks, *b.blocks}, key=Owner.sortable):
        before, after = ({one.period: one for one in p.blocks.get(owner, ())} for p in (a, b))
        for period in sorted({*before, *after}):
            if before.get(period) != after.get(period):
                none = Block(period, 0, 0)
                pair = (before.get(period, none).rows, after.get(period, none).rows)
                yield DayDiff(name, owner, period, pair)


def since_then(taken: Fingerprint, lake: Lake) -> Iterator[DayDiff]:
    """What differs between a fingerprint (A) and what its question reads of the lake now (B).

    Row by row where the lake still has every file that the fingerprint names; block by block else.
    """
    asked, contract = Question.of(taken), Question.of(taken).dataset
    now = take(lake, asked, by=taken.by, columns=taken.columns)
    blocks = list(between_prints(taken, now))
    if contract is None or asked.where is not None or gone(taken, lake):
        yield from blocks
        return
    sources = {one.owner: one for one in sources_of(lake, asked, contract)}
    files = [Part((), lake.root / one.path) for one in taken.files]
    for block in blocks:
        source = sources.get(block.owner)
        if source is None or source.owner != source.stored or not files:
            yield block
            continue
        since, until = _span(block.period)
        span = (max(since, asked.start_of(source)), min(until, asked.end))
        then = rows_in(lake, contract, source.stored, span, files)
        rows = source.rows(lake, contract, asked, span)
        yield from compared(contract, source.owner, then, rows, taken.columns)


def gone(taken: Fingerprint, lake: Lake) -> list[str]:
    """Files that a fingerprint names and that the lake no longer has as they were."""
    return [one.path for one in taken.files if not _is_there(one, lake.root / one.path)]


def _is_there(file: File, path: Path) -> bool:
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    return is_ours(path.name) or digest(path) == file.digest


def _span(period: str) -> Window:
    """The day or month as nanoseconds."""
    if period == NO_TIME:
        return 0, FOREVER
    unit = np.datetime64(period)
    first, after = (int(one.astype("M8[ns]").astype(np.int64)) for one in (unit, unit + 1))
    return first, after


def compared(
    contract: Dataset, owner: Owner, a: pl.DataFrame, b: pl.DataFrame, names: Sequence[str]
) -> Iterator[DayDiff]:
    """The days in which two sets of rows of one owner differ in the columns `names`."""
    time = contract.time
    before, after = (
        {one.period: one for one in blocks_of(rows, names, "day", time)} for rows in (a, b)
    )
    days = sorted({one.period for one in set(before.values()) ^ set(after.values())})
    if not days:
        return
    key = [name for name in contract.key if name in names]
    day = pl.from_epoch(pl.col(time), "ns").dt.strftime("%Y-%m-%d")
    rows = differing(a.filter(day.is_in(days)), b.filter(day.is_in(days)), key, names)
    moment = pl.col(time) if time in key else pl.col(time).fill_null(pl.col(f"{time}:b"))
    day = pl.from_epoch(moment, "ns").dt.strftime("%Y-%m-%d")
    apart = rows.with_columns(period=day).partition_by("period", as_dict=True)
    for period in days:
        none = Block(period, 0, 0)
        counts = before.get(period, none).rows, after.get(period, none).rows
        found = apart.get((period,), rows.clear())
        yield _told(contract, owner, period, counts, found, key, names)


def differing(
    a: pl.DataFrame, b: pl.DataFrame, key: Sequence[str], names: Sequence[str]
) -> pl.DataFrame:
    """Rows of A and B side by side (`open`, `open:b`) that are not the same, in order.

    `kind` says how they differ. A key that is there several times is compared row for row.
    """
    values = [name for name in names if name not in key]
    sides = [_numbered(rows.select(names), key, values) for rows in (a, b)]
    theirs = (pl.col(name).alias(f"{name}:b") for name in values)
    other = sides[1].select(*key, "copy", *theirs, in_b=pl.lit(value=True))
    both = (
        sides[0]
        .with_columns(in_a=True)
        .join(other, on=[*key, "copy"], how="full", coalesce=True, nulls_equal=True)
    )
    same = [pl.col(name).eq_missing(pl.col(f"{name}:b")) for name in values]
    kind = (
        pl.when(pl.col("in_b").is_null())
        .then(pl.lit(ONLY_A))
        .when(pl.col("in_a").is_null())
        .then(pl.lit(ONLY_B))
        .when(~pl.all_horizontal(pl.lit(value=True), *same))
        .then(pl.lit(OTHER))
    )
    told = both.with_columns(kind=kind).filter(pl.col("kind").is_not_null())
    return told.drop("in_a", "in_b").sort(*key, "copy")


def _numbered(rows: pl.DataFrame, key: Sequence[str], values: Sequence[str]) -> pl.DataFrame:
    """Rows with a `copy` that tells apart those of one key."""
    if not rows.select(pl.struct(key).is_duplicated().any()).item():
        return rows.with_columns(copy=pl.lit(0, pl.Int64))
    ordered = rows.sort([*key, *(n for n in values if not rows.schema[n].is_nested())])
    return ordered.with_columns(copy=pl.int_range(pl.len()).over(key).cast(pl.Int64))


def _told(
    contract: Dataset,
    owner: Owner,
    period: str,
    counts: tuple[int, int],
    rows: pl.DataFrame,
    key: Sequence[str],
    names: Sequence[str],
) -> DayDiff:
    """One day's differences, counted and with examples."""
    kinds = Counter(rows["kind"].to_list())
    values = [name for name in names if name not in key]
    changed = rows.filter(pl.col("kind") == OTHER)
    unlike = changed.select(
        (~pl.col(name).eq_missing(pl.col(f"{name}:b"))).sum().alias(name) for name in values
    )
    columns = {n: int(k) for n, k in unlike.row(0, named=True).items() if k} if values else {}
    examples = tuple(
        _example(row, key, values)
        for kind in KINDS
        for row in rows.filter(pl.col("kind") == kind).head(EXAMPLES).iter_rows(named=True)
    )
    return DayDiff(contract.name, owner, period, counts, dict(kinds), columns, examples)


def _example(row: Mapping[str, Any], key: Sequence[str], values: Sequence[str]) -> dict[str, Any]:
    """One row: its key, and the values; of both sides where they differ."""
    said: dict[str, Any] = {"kind": row["kind"], **{name: row[name] for name in key}}
    if row["kind"] == ONLY_A:
        return said | {"a": {name: row[name] for name in values}}
    if row["kind"] == ONLY_B:
        return said | {"b": {name: row[f"{name}:b"] for name in values}}
    unlike = [name for name in values if row[name] != row[f"{name}:b"]]
    return said | {
        "a": {name: row[name] for name in unlike},
        "b": {name: row[f"{name}:b"] for name in unlike},
    }
