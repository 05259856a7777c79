"""Rows that take the place of those the lake holds under the same key.

The files that hold the old rows are written anew without them, and the new rows into a file of
their own, beside the folder; then both change places in one step (`cq.lake.swap`). All of it
happens under the folder's lock, so nobody writes between looking and changing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from cq.errors import CompactionFailed, LakeBusy, LakeUnwritable, Unreadable
from cq.lake import disk, keys, parquet, rules, swap
from cq.lake.damage import altered, collected
from cq.lake.judging import Target, files_for
from cq.lake.layout import is_ours
from cq.lake.merging import Merge, Piece, fingerprint, plain
from cq.lake.origin import Origin, origin_of
from cq.lake.writer import WriteReport, keep, write

AS_MANY_AS_BEFORE = (0, sys.maxsize)
"""Limits of a file's size that make one file of one."""


def replace(
    target: Target, rejects: Target, rows: pl.DataFrame, *, origin: Origin, wait_s: float
) -> WriteReport:
    """Land rows as `write` does; those that contradict stored ones take their place."""
    with swap.bench(target.root) as bench:
        work = _Replacing(target, rejects, bench, origin, wait_s)
        return write(target, rejects, rows, origin=origin, wait_s=wait_s, settling=work.settled)


@dataclass(frozen=True)
class _Prepared:
    """A folder's new content, what it takes the place of, and the file of new rows in it."""

    place: swap.Place
    folder: Path
    inputs: Mapping[str, swap.Stamp]
    name: str
    new: pl.DataFrame


@dataclass(frozen=True)
class _Replacing:
    """Replaces rows of one dataset."""

    target: Target
    rejects: Target
    bench: swap.Bench
    origin: Origin
    wait_s: float

    @property
    def merge(self) -> Merge:
        """How files of the dataset are read and written."""
        return Merge(self.target.contract)

    def settled(self, owner: Mapping[str, Any], rows: pl.DataFrame) -> pl.DataFrame:
        """Put rows of one owner in the place of those they contradict; those that could not be."""
        contract = self.target.contract
        new, old, rest = self._chosen(rows, self._holding(owner, rows), owner)
        if new.is_empty():
            return rest
        ready = [
            self._prepared(Path(str(folder)), old.filter(folder=folder), some.drop("folder"))
            for (folder,), some in new.partition_by(
                "folder", as_dict=True, maintain_order=True
            ).items()
        ]
        gone = old.select(*contract.schema)
        reasons = gone.with_columns(broken=pl.lit([rules.REPLACED]))
        keep(self.rejects, contract, gone, reasons, self.origin, self.wait_s)
        for one in ready:
            if not self.bench.exchanged(one.place, one.folder, one.inputs):
                raise LakeBusy(str(one.folder), "somebody who does not wait for its lock")
            keys.remember(self.target.root, contract, owner, one.folder / one.name, one.new)
        return rest

    def _holding(self, owner: Mapping[str, Any], rows: pl.DataFrame) -> pl.DataFrame:
        """The stored rows of these keys, with the path of the file that holds each."""
        contract, key = self.target.contract, list(self.target.contract.key)
        there = pl.scan_parquet(
            files_for(self.target, owner, rows),
            schema=dict(contract.schema),
            hive_partitioning=False,
            missing_columns="insert",
            extra_columns="ignore",
            glob=False,
            include_file_paths="path",
        )
        same = there.join(rows.lazy().select(key), on=key, how="semi", nulls_equal=True)
        return collected(same, self.target.root)

    def _chosen(
        self, rows: pl.DataFrame, old: pl.DataFrame, owner: Mapping[str, Any]
    ) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Rows that can replace others, with their folder; those others; and the rows that cannot.

        A file of somebody else is not ours to change, and two folders do not change in one step.
        """
        contract, key = self.target.contract, list(self.target.contract.key)
        ours = {path: self._is_ours(Path(path)) for path in old["path"].unique()}
        folder = pl.Series("folder", [str(Path(path).parent) for path in old["path"]], pl.String)
        free = pl.Series("free", [ours[path] for path in old["path"]], pl.Boolean)
        old = old.with_columns(folder, free)
        goes = [
            str(self.target.root / self.target.layout.folder(owner, ts))
            for ts in rows[contract.time]
        ]
        placed = rows.with_columns(folder=pl.Series(goes, dtype=pl.String))
        fits = (
            old.join(placed.select(*key, goes="folder"), on=key, nulls_equal=True)
            .group_by(key)
            .agg(((pl.col("folder") == pl.col("goes")) & pl.col("free")).all().alias("fits"))
            .filter("fits")
        )
        on: dict[str, Any] = {"on": key, "nulls_equal": True, "maintain_order": "left"}
        return (
            placed.join(fits, how="semi", **on),
            old.join(fits, how="semi", **on),
            rows.join(fits, how="anti", **on),
        )

    def _is_ours(self, path: Path) -> bool:
        """Whether cq wrote a file, with the dataset's columns and no others."""
        if not is_ours(path.name):
            return False
        if altered(path):
            raise Unreadable(path, "it is damaged, not what its name says")
        return self.merge.pieces(path) is not None

    def _prepared(self, folder: Path, old: pl.DataFrame, new: pl.DataFrame) -> _Prepared:
        """Write what a folder is to hold instead of the files with the old rows."""
        there = swap.listing(folder)
        if not swap.is_plain(folder):
            raise LakeUnwritable(folder, "a symbolic link leads to it, or a folder lies in it")
        place = self.bench.place()
        names = sorted({Path(path).name for path in old["path"]})
        for name in names:
            self._rewrite(folder / name, old, place.content)
        content = parquet.encoded(new, self.origin.as_metadata(), self.target.contract.required)
        first = int(new.item(0, self.target.contract.time))
        name = self.target.layout.file_name(first, parquet.digest(content))
        parquet.place(content, place.content, name)
        return _Prepared(place, folder, {one: there[one] for one in names}, name, new)

    def _rewrite(self, path: Path, old: pl.DataFrame, to: Path) -> None:
        """The rows of a file but for the old ones, as a file that says what it said of itself."""
        pieces = self.merge.pieces(path) or []
        said = origin_of(path)
        before, after = [0, 0], [0, 0]
        rest = self._others(pieces, old, before)
        with disk.writing(self.target.root):
            metadata = said.as_metadata() if said else None
            for one in self.merge.write(rest, to, AS_MANY_AS_BEFORE, metadata, pieces):
                for table in self.merge.again(one.path):
                    _count(after, table)
                disk.replace(one.path, to / self.target.layout.file_name(one.first, one.digest))
        dropped = old.filter(path=str(path)).height
        if before != after or before[0] != sum(one.rows for one in pieces) - dropped:
            raise CompactionFailed(path.parent)

    def _others(self, pieces: list[Piece], old: pl.DataFrame, count: list[int]) -> Iterator[Any]:
        """The rows that are not replaced, a window at a time."""
        key = old.select(self.target.contract.key)
        for window in self.merge.windows(pieces):
            rows = pl.DataFrame(plain(self.merge.rows(window)))
            rest = rows.join(key, on=key.columns, how="anti", nulls_equal=True,
                             maintain_order="left")  # fmt: skip
            table = self.merge.typed(rest.to_arrow())
            _count(count, table)
            yield table


def _count(total: list[int], rows: pa.Table) -> None:
    """Add rows to a number of rows and their fingerprint."""
    total[0] += rows.num_rows
    total[1] = (total[1] + fingerprint(rows)) % (1 << 64)
