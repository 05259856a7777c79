"""A Parquet file that appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import get_ident

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from cq.lake import disk

ROW_GROUP = 131_072
TEMPORARY = ".parquet.tmp"
FEW = 16
"""Rows that are turned into Arrow one by one."""


def encoded(rows: pl.DataFrame, metadata: Mapping[str, str] | None = None) -> pa.Buffer:
    """`rows` as the bytes of a Parquet file: zstd, delta-coded integers, dictionaries on text.

    `metadata` are keys and values that its footer holds.
    """
    table = as_arrow(rows)
    words = [name for name, kind in rows.schema.items() if kind == pl.String]
    whole = {n: "DELTA_BINARY_PACKED" for n, kind in rows.schema.items() if kind == pl.Int64}
    pruned = [name for name, kind in rows.schema.items() if kind in (pl.Int64, pl.String)]
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=words,
        column_encoding=whole or None,
        store_schema=False,
        write_statistics=pruned,
        write_page_checksum=True,
    ) as file:
        file.write_table(table, row_group_size=ROW_GROUP)
        if metadata:
            file.add_key_value_metadata(dict(metadata))
    return sink.getvalue()


def as_arrow(rows: pl.DataFrame) -> pa.Table:
    """`rows` in Arrow; a few of them by hand, which waits for no other thread of Polars."""
    if rows.height <= FEW:
        return pa.Table.from_pydict(
            rows.to_dict(as_series=False), schema=_arrow_schema(*rows.schema.items())
        )
    return rows.to_arrow(compat_level=pl.CompatLevel.oldest())


@cache
def _arrow_schema(*columns: tuple[str, pl.DataType]) -> pa.Schema:
    return pl.DataFrame(schema=columns).to_arrow(compat_level=pl.CompatLevel.oldest()).schema


def digest(content: pa.Buffer) -> str:
    """Twelve hexadecimal digits that name a file's content."""
    return hashlib.sha256(content).hexdigest()[:12]


def place(content: pa.Buffer, folder: Path, name: str) -> Path:
    """Put `content` at `folder/name`: written beside, synced, then renamed."""
    target = folder / name
    writer = f"{get_ident()}.{os.getpid()}"
    beside = folder / f"{name.removesuffix('.parquet')}.{writer}{TEMPORARY}"
    with disk.writing(folder):
        disk.make_folder(folder)
        sweep(folder)
        try:
            with disk.create(beside) as file:
                disk.append(file, content)
                disk.sync_file(file)
            disk.replace(beside, target)
        except BaseException:
            with suppress(OSError):
                disk.remove(beside)
            raise
        disk.sync_folder(folder)
    return target


def sweep(folder: Path) -> None:
    """Remove what writers that are no longer alive left half written in `folder`."""
    for name in os.listdir(folder):  # noqa: PTH208 (thousands of names, all but none of them left)
        pid = name.removesuffix(TEMPORARY).rpartition(".")[2] if name.endswith(TEMPORARY) else ""
        if pid.isdigit() and not alive(int(pid)):
            disk.remove(folder / name)


def alive(pid: int) -> bool:
    """Whether a process of this number runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
