"""Which files of a lake may hold given keys: told by what each file's keys lie between.

A file that cq wrote never changes: its name carries the digest of its content. So what its keys lie
between is read once a process, and a small write beside thousands of files opens none of them.
Which files there are is looked up each time: others write too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from cq.lake.damage import collected
from cq.lake.datasets import Dataset
from cq.lake.layout import is_ours

Ranges = tuple[tuple[int, Any, Any], ...]
"""Least and greatest key of each length: text of digits is in the order of its numbers only then.

Numbers are of one length. Two equal keys lie within the same range, whatever text they are.
"""

MOST: Final = 200_000
"""Files of one owner that are remembered at most."""

FEW: Final = 16
"""Rows that are looked at one by one."""

_known: dict[tuple[Path, str, tuple[str | None, ...]], dict[str, Ranges]] = {}


def ranges_of(rows: pl.DataFrame, key: str) -> Ranges:
    """What the values of `key` lie between."""
    if rows.height <= FEW:  # a query would take a hundred times as long
        held: dict[int, list[Any]] = {}
        for one in rows.get_column(key).to_list():
            if one is not None:
                held.setdefault(len(one.encode()) if isinstance(one, str) else 0, []).append(one)
        return tuple((length, min(ones), max(ones)) for length, ones in held.items())
    return tuple(_ranges(rows.lazy().select(key), rows.schema[key], key).collect().rows())


def candidates(
    root: Path, contract: Dataset, owner: Mapping[str, Any], paths: Sequence[str], wanted: Ranges
) -> list[str]:
    """Those of the files that may hold a key within `wanted`; ask under the owner's lock.

    Files that somebody else named may change, and always may.
    """
    known = _of(root, contract, owner)
    new = [path for path in paths if path not in known and is_ours(path)]
    if new:
        if len(known) + len(new) > MOST:
            known.clear()
        known.update(_read(root, contract, new))
    spans = {length: (low, high) for length, low, high in wanted}
    return [path for path in paths if _meet(known.get(path), spans)]


def remember(
    root: Path, contract: Dataset, owner: Mapping[str, Any], path: Path, rows: pl.DataFrame
) -> None:
    """A file that was just written holds `rows`."""
    _of(root, contract, owner)[str(path)] = ranges_of(rows, contract.own_key[-1])


def _of(root: Path, contract: Dataset, owner: Mapping[str, Any]) -> dict[str, Ranges]:
    values = tuple(owner.get(name) for name in contract.owner)
    return _known.setdefault((root, contract.name, values), {})


def _read(root: Path, contract: Dataset, paths: list[str]) -> dict[str, Ranges]:
    """What the keys of files lie between: the keys themselves, since a footer may be damaged."""
    key = contract.own_key[-1]
    rows = pl.scan_parquet(
        paths,
        schema=dict(contract.schema),
        hive_partitioning=False,
        missing_columns="insert",
        extra_columns="ignore",
        glob=False,
        include_file_paths="path",
    )
    found = collected(_ranges(rows, contract.schema[key], key, "path"), root)
    ranges: dict[str, Ranges] = dict.fromkeys(paths, ())
    for path, *one in found.rows():
        ranges[path] += (tuple(one),)
    return ranges


def _ranges(rows: pl.LazyFrame, kind: pl.DataType, key: str, *groups: str) -> pl.LazyFrame:
    one = pl.col(key)
    length = one.str.len_bytes().cast(pl.Int64) if kind == pl.String else pl.lit(0, pl.Int64)
    return (
        rows.filter(one.is_not_null())
        .group_by(*groups, length.alias("length"))
        .agg(one.min().alias("least"), one.max().alias("greatest"))
    )


def _meet(held: Ranges | None, spans: Mapping[int, tuple[Any, Any]]) -> bool:
    """Whether two sets of keys may have one in common; None is not known."""
    if held is None:
        return True
    for length, least, greatest in held:
        span = spans.get(length)
        if span is not None and span[0] <= greatest and least <= span[1]:
            return True
    return False
