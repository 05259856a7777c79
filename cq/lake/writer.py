"""Rows into files: checked, sorted, keyed, and visible only when whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from cq.errors import LakeBusy
from cq.lake import keys, locks, places, rules, stillness
from cq.lake.damage import collected
from cq.lake.datasets import REJECTED, Dataset
from cq.lake.layout import Layout
from cq.lake.origin import Origin
from cq.lake.source import scan

WORKERS = min(4, os.cpu_count() or 1)
WAITING = 16
"""Workers where there is little to compute, and the time goes into waiting for the disk."""
LITTLE = 10_000
AT_ONCE_S = 2.0
"""How long rows of several folders wait for questions that list them."""
"""Rows that are little to compute with."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class WriteReport:
    """What became of the rows: `read == landed + already_there + rejected + replaced`.

    Of those already there, `repeated` repeat others that were handed in with them; of the rejected,
    `contradicting` have a key that the lake held before, with other values. Those counted as
    `replaced` took the place of what was stored, which only `Lake.replace` lets them do.
    """

    read: int = 0
    landed: int = 0
    already_there: int = 0
    rejected: int = 0
    by_rule: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    contradicting: int = 0
    replaced: int = 0

    @property
    def conflicts(self) -> int:
        """Rows whose key was there with other values."""
        return self.by_rule.get(rules.CONFLICT, 0)

    def __add__(self, other: WriteReport) -> WriteReport:
        """Both together."""
        names = {**self.by_rule, **other.by_rule}
        return WriteReport(
            self.read + other.read,
            self.landed + other.landed,
            self.already_there + other.already_there,
            self.rejected + other.rejected,
            {name: self.by_rule.get(name, 0) + other.by_rule.get(name, 0) for name in names},
            self.repeated + other.repeated,
            self.contradicting + other.contradicting,
            self.replaced + other.replaced,
        )


@dataclass(frozen=True)
class Target:
    """One dataset of one lake: where it lies and what it promises."""

    root: Path
    contract: Dataset
    layout: Layout


@dataclass(frozen=True)
class Landing:
    """What became of the good rows of one owner."""

    landed: int
    already_there: int
    conflicts: pl.DataFrame
    repeated: int
    contradicting: int
    replaced: int = 0


Settling = Callable[[Mapping[str, Any], pl.DataFrame], pl.DataFrame]
"""Given an owner and rows that contradict stored ones, under its lock: those that still do then."""


def write(
    target: Target,
    rejects: Target,
    rows: pl.DataFrame,
    *,
    origin: Origin,
    wait_s: float,
    settling: Settling | None = None,
) -> WriteReport:
    """Land what keeps the rules and is new; keep the rest, with its reasons, in `rejects`.

    What contradicts stored rows is given to `settling` first.
    """
    contract = target.contract
    typed = contract.conform(rows)
    fine = rules.keeps(typed, contract.rules)
    all_fine = bool(fine.all())
    good = typed if all_fine else typed.filter(fine)
    landings = _together(
        lambda one: _land(target, one, origin, wait_s, settling),
        good.partition_by(contract.owner, maintain_order=True) if good.height else [],
        WORKERS if good.height > LITTLE else WAITING,
    )
    bad = (
        []
        if all_fine
        else [(rows.filter(~fine), rules.broken(typed.filter(~fine), contract.rules))]
    )
    bad += [
        (one.conflicts, one.conflicts.with_columns(broken=pl.lit([rules.CONFLICT])))
        for one in landings
        if one.conflicts.height
    ]
    for original, reasons in bad:
        keep(rejects, contract, original, reasons, origin, wait_s)
    return WriteReport(
        read=rows.height,
        landed=sum(one.landed for one in landings),
        already_there=sum(one.already_there for one in landings),
        rejected=sum(reasons.height for _, reasons in bad),
        by_rule=_counts(reasons for _, reasons in bad),
        repeated=sum(one.repeated for one in landings),
        contradicting=sum(one.contradicting for one in landings),
        replaced=sum(one.replaced for one in landings),
    )


def _counts(reasons: Iterable[pl.DataFrame]) -> dict[str, int]:
    names = [one.get_column("broken").explode(empty_as_null=False) for one in reasons]
    if not names:
        return {}
    return {str(n): int(k) for n, k in pl.concat(names).value_counts(sort=True).rows()}


def keep(
    rejects: Target,
    contract: Dataset,
    original: pl.DataFrame,
    reasons: pl.DataFrame,
    origin: Origin,
    wait_s: float,
) -> None:
    """Store rejected rows as text, each once."""
    rows = reasons.select(
        ts=pl.col(contract.time),
        dataset=pl.lit(contract.name),
        symbol=pl.col("symbol"),
        exchange=pl.col("exchange"),
        interval=pl.col("interval") if "interval" in reasons.columns else pl.lit(None, pl.String),
        broken=pl.col("broken"),
        row=original.select(as_text(original.schema)).to_series(),
        source=pl.lit(origin.source),
        seen_ts=pl.lit(origin.ingested_ts, pl.Int64),
    )
    for one in REJECTED.conform(rows).partition_by(REJECTED.owner, maintain_order=True):
        _land(rejects, one, origin, wait_s)


def as_text(schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """Each row as JSON; one with a NaN or an infinity, which JSON lacks, has its numbers quoted."""
    plain = pl.struct(pl.all()).struct.json_encode()
    floats = [name for name, kind in schema.items() if kind.is_float()]
    if not floats:
        return plain
    quoted = pl.struct(
        pl.col(name).cast(pl.String) if name in floats else pl.col(name) for name in schema
    ).struct.json_encode()
    return (
        pl.when(pl.any_horizontal(~pl.col(name).is_finite() for name in floats))
        .then(quoted)
        .otherwise(plain)
    )


def _land(
    target: Target,
    rows: pl.DataFrame,
    origin: Origin,
    wait_s: float,
    settling: Settling | None = None,
) -> Landing:
    """Land the rows of one owner that are new, under the owner's lock."""
    contract = target.contract
    owner = {name: rows.item(0, name) for name in contract.owner}
    lock = locks.of_folder(target.root, target.layout, owner)
    with locks.held(lock, f"{contract.name} of {owner['symbol']}", wait_s):
        first, again, clash = _distinct(contract, rows)
        if not first.get_column(contract.time).is_sorted():
            first = first.sort(contract.time, maintain_order=True)
        stored = _stored(target, owner, first)
        fresh, there, conflicts = _compare(contract, first, stored)
        found = conflicts.height
        if settling is not None and found:
            conflicts = settling(owner, conflicts)
        _store(target, owner, fresh, origin)
    replaced = found - conflicts.height
    both = pl.concat([clash, conflicts]) if clash.height else conflicts
    return Landing(fresh.height, again + there, both, again, conflicts.height, replaced)


def _distinct(contract: Dataset, rows: pl.DataFrame) -> tuple[pl.DataFrame, int, pl.DataFrame]:
    """The first row of each key, how many repeat it, and those that contradict it."""
    key = contract.own_key
    if rows.height == 1:
        return rows, 0, rows.clear()
    if key == (contract.time,) and bool((rows.get_column(contract.time).diff() > 0).all()):
        return rows, 0, rows.clear()
    one = pl.col(key[0]) if len(key) == 1 else pl.struct(key)
    is_first = rows.select(one.is_first_distinct()).to_series()
    if is_first.all():
        return rows, 0, rows.clear()
    first = rows.filter(is_first)
    _, same, conflicts = _compare(contract, rows.filter(~is_first), first)
    return first, same, conflicts


def files_for(target: Target, owner: Mapping[str, Any], rows: pl.DataFrame) -> list[str]:
    """The files of the lake that may hold keys of some of `rows`; ask under the owner's lock."""
    contract = target.contract
    last_key = contract.own_key[-1]
    values = rows.get_column(last_key)
    low: Any = values.min()
    high: Any = values.max()
    ranged = {"start": low, "end": high + 1} if last_key == contract.time else {}
    there = target.layout.paths(target.root, owner, **ranged)
    wanted = keys.ranges_of(rows, last_key)
    return keys.candidates(target.root, contract, owner, there, wanted)


def _stored(target: Target, owner: Mapping[str, Any], rows: pl.DataFrame) -> pl.DataFrame | None:
    """The rows in the lake whose keys may equal some of `rows`; None where no file may hold any."""
    contract, layout = target.contract, target.layout
    last_key = contract.own_key[-1]
    values = rows.get_column(last_key)
    paths = files_for(target, owner, rows)
    if not paths:
        return None
    low, high = values.min(), values.max()
    named = () if contract.free_form else layout.fields
    return collected(
        scan(paths, contract)
        .filter(
            pl.col(last_key).is_between(pl.lit(low), pl.lit(high)),
            *(
                pl.col(n).eq_missing(pl.lit(v, pl.String))
                for n, v in owner.items()
                if n not in named
            ),
        )
        .select(rows.columns),
        target.root,
    )


def _compare(
    contract: Dataset, rows: pl.DataFrame, known: pl.DataFrame | None
) -> tuple[pl.DataFrame, int, pl.DataFrame]:
    """The rows whose key is new, how many are known as they are, and those that contradict."""
    if known is None or known.is_empty() or rows.is_empty():
        return rows, 0, rows.clear()
    key = list(contract.own_key)
    if rows.height == known.height and rows.equals(known.sort(contract.time)):
        return rows.clear(), rows.height, rows.clear()
    values = [] if contract.first_wins else [n for n in contract.schema if n not in contract.key]
    joined = rows.join(
        known.select(
            *key, *(pl.col(n).alias(f"{n}:known") for n in values), known=pl.lit(value=True)
        ),
        on=key,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    there = pl.col("known").is_not_null()
    same = pl.all_horizontal(
        pl.lit(value=True), *(pl.col(n).eq_missing(pl.col(f"{n}:known")) for n in values)
    )
    marks = joined.select(there=there, same=there & same)
    return (
        rows.filter(~marks["there"]),
        int(marks["same"].sum()),
        rows.filter(marks["there"] & ~marks["same"]),
    )


def _store(
    target: Target, owner: Mapping[str, str | None], rows: pl.DataFrame, origin: Origin
) -> None:
    """Write sorted rows of one owner into their calendar folders."""
    if rows.is_empty():
        return
    from cq.lake import parquet

    times = rows.get_column(target.contract.time)
    cuts = target.layout.cuts(int(times[0]), int(times[-1]))
    edges = [0, *(int(times.search_sorted(cut, side="left")) for cut in cuts), rows.height]
    slices = [rows.slice(a, b - a) for a, b in pairwise(edges) if b > a]

    files: list[parquet.Ready] = []

    def prepare(part: pl.DataFrame) -> None:
        first = int(part.item(0, target.contract.time))
        folder = target.root / target.layout.folder(owner, first)
        content = parquet.encoded(part, origin.as_metadata())
        name = target.layout.file_name(first, parquet.digest(content))
        files.append(file := parquet.Ready.of(content, folder, name))
        keys.remember(target.root, target.contract, owner, file.target, part)

    try:
        _together(prepare, slices)
        files.sort(key=lambda one: one.target)
        with _at_once(target.root, len(files)):
            for one in files:
                one.appear()
    except BaseException:
        for one in files:
            one.drop()
        raise
    _together(parquet.Ready.settle, files)


@contextmanager
def _at_once(root: Path, files: int) -> Iterator[None]:
    """Several files appear for every question together; the oldest first, for whoever is not cq.

    One that takes long to answer has listed its files long ago, so none is waited for forever.
    """
    with ExitStack() as held:
        if files > 1 and not places.is_remote(root):
            with suppress(LakeBusy):
                held.enter_context(stillness.changing(root, str(root), AT_ONCE_S))
        yield


def _together(work: Callable[[T], R], items: list[T], workers: int = WORKERS) -> list[R]:
    """`work` on every item, a few at a time; the first error stops what has not begun."""
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(workers) as pool:
        try:
            return list(pool.map(work, items))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
