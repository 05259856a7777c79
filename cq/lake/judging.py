"""Which rows are new, which are there already, and which contradict what is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from cq.lake import keys, locks
from cq.lake.damage import collected
from cq.lake.datasets import Dataset
from cq.lake.layout import Layout
from cq.lake.source import scan

Owner = Mapping[str, Any]


class Target(NamedTuple):
    """One dataset of one lake: where it lies and what it promises."""

    root: Path
    contract: Dataset
    layout: Layout

    def lock(self, owner: Owner) -> Path:
        """What whoever writes rows of this owner holds."""
        return locks.of_folder(self.root, self.layout, owner)


class Landing(NamedTuple):
    """What became of the good rows of one owner."""

    landed: int
    already_there: int
    conflicts: pl.DataFrame
    repeated: int
    contradicting: int
    replaced: int = 0


Settling = Callable[[Owner, pl.DataFrame], pl.DataFrame]
"""Given an owner and rows that contradict stored ones, under its lock: those that still do then."""


class Owned(NamedTuple):
    """Rows of one owner."""

    owner: Owner
    rows: pl.DataFrame


def judged(target: Target, one: Owned, settling: Settling | None) -> tuple[Owned, Landing]:
    """The rows that are to be stored, in time order, and what became of them all."""
    contract = target.contract
    first, again, clash = _distinct(contract, one.rows)
    if first.height > 1 and not first.get_column(contract.time).is_sorted():
        first = first.sort(contract.time, maintain_order=True)
    fresh, there, conflicts = _compare(contract, first, _stored(target, one.owner, first))
    found = conflicts.height
    if settling is not None and found:
        conflicts = settling(one.owner, conflicts)
    replaced = found - conflicts.height
    both = pl.concat([clash, conflicts]) if clash.height else conflicts
    landing = Landing(fresh.height, again + there, both, again, conflicts.height, replaced)
    return Owned(one.owner, fresh), landing


def _distinct(contract: Dataset, rows: pl.DataFrame) -> tuple[pl.DataFrame, int, pl.DataFrame]:
    """The first row of each key, how many repeat it, and those that contradict it."""
    key = contract.own_key
    if rows.height == 1:
        return rows, 0, rows.head(0)
    if key == (contract.time,) and bool((rows.get_column(contract.time).diff() > 0).all()):
        return rows, 0, rows.head(0)
    one = pl.col(key[0]) if len(key) == 1 else pl.struct(key)
    is_first = rows.select(one.is_first_distinct()).to_series()
    if is_first.all():
        return rows, 0, rows.head(0)
    first = rows.filter(is_first)
    _, same, conflicts = _compare(contract, rows.filter(~is_first), first)
    return first, same, conflicts


def files_for(target: Target, owner: Owner, rows: pl.DataFrame) -> list[str]:
    """The files of the lake that may hold keys of some of `rows`; ask under the owner's lock."""
    contract = target.contract
    last_key = contract.own_key[-1]
    wanted = keys.ranges_of(rows, last_key)
    ranged = {}
    if last_key == contract.time:
        ((_, low, high),) = wanted
        ranged = {"start": low, "end": high + 1}
    there = target.layout.paths(target.root, owner, **ranged)
    return keys.candidates(target.root, contract, owner, there, wanted)


def _stored(target: Target, owner: Owner, rows: pl.DataFrame) -> pl.DataFrame | None:
    """The rows in the lake whose keys may equal some of `rows`; None where no file may hold any."""
    contract, layout = target.contract, target.layout
    last_key = contract.own_key[-1]
    paths = files_for(target, owner, rows)
    if not paths:
        return None
    values = rows.get_column(last_key)
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
        return rows, 0, rows.head(0)
    key = list(contract.own_key)
    if rows.height == known.height and rows.equals(known.sort(contract.time)):
        return rows.head(0), rows.height, rows.clear()
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
