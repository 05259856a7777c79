"""What the footer and the pages of a Parquet file tell: whose rows, of when, and whether whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from cq.lake.damage import BROKEN
from cq.lake.datasets import Dataset
from cq.lake.layout import Layout
from cq.lake.source import scan
from cq.lake.spans import opened, spans
from cq.lake.template import safe

TORN: Final = (pa.ArrowException, OSError, ValueError, OverflowError)
"""What pyarrow raises over bytes that make no sense."""


def misplaced(root: Path, layout: Layout, contract: Dataset, path: Path) -> str:
    """What a file holds that does not fit its folder; also that it is none."""
    try:
        with opened(path, contract.owner) as file:
            held = spans(file, [*contract.owner, contract.time])
    except FileNotFoundError:
        raise
    except TORN as error:
        return said(error)
    here = layout.told(path.parent.relative_to(root))
    for name in contract.owner:
        for value in held.get(name, ()):
            if name in here and isinstance(value, str) and safe(value) != here[name]:
                return f"it holds {name} {value}, its folder is of {here[name]}"
    for ts in held.get(contract.time, ()):
        if isinstance(ts, int) and root / layout.folder(here, ts) != path.parent:
            return (
                f"it holds rows of {layout.folder(here, ts).name}, its folder is {path.parent.name}"
            )
    return ""


def unreadable(path: Path, layout: Layout, contract: Dataset) -> str:
    """Why a file that others made cannot be read as its dataset, a piece at a time."""
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        with file:
            if absent := lacking(file.schema_arrow.names, layout, contract):
                return f"it lacks {', '.join(absent)}, which {contract.name} has"
            for number in range(file.num_row_groups):
                file.read_row_group(number)
        scan([path], contract).head(1).collect()
    except FileNotFoundError:
        raise
    except TORN as error:
        return said(error)
    except BROKEN as error:
        return said(error)
    return ""


def lacking(columns: Collection[str], layout: Layout, contract: Dataset) -> list[str]:
    """What neither a file has nor its folders are named for: SQL reads no row beside such a file.

    That holds of columns that may be null, too.
    """
    folders = () if contract.free_form else layout.hive
    return [name for name in contract.schema if name not in columns and name not in folders]


def said(error: BaseException) -> str:
    """The first line of an error."""
    return (str(error).splitlines() or ["it is damaged, no whole Parquet file"])[0]


def row_groups(path: Path) -> Iterator[pl.DataFrame | None]:
    """Each row group whose pages are what their checksums say; None in the place of any other.

    Pages without a checksum prove nothing: three flipped bits in five change values that every
    reader takes for right.
    """
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except TORN:
        return
    with file, path.open("rb") as raw:
        for number in range(file.num_row_groups):
            try:
                group = file.metadata.row_group(number)
                if not all(_has_checksum(raw, group.column(i)) for i in range(group.num_columns)):
                    yield None
                    continue
                table = file.read_row_group(number)
                plain = pa.Table.from_arrays(table.columns, names=table.column_names)
                yield pl.DataFrame(pl.from_arrow(plain))  # it panics over names that are no text
            except (*TORN, *BROKEN, MemoryError):
                yield None


def _has_checksum(raw: Any, column: pq.ColumnChunkMetaData) -> bool:
    """Whether the first page of a column carries a checksum: field 4 of its header, an int32."""
    start = column.dictionary_page_offset or column.data_page_offset
    raw.seek(start)
    head = raw.read(32)
    at = 0
    for _ in range(3):  # type and the two sizes: one byte that says int32, and a varint
        if at >= len(head) or head[at] != INT32:
            return False
        at += 1
        while at < len(head) and head[at] & 0x80:
            at += 1
        at += 1
    return at < len(head) and head[at] == INT32


INT32: Final = 0x15
"""The next field, an int32, in Thrift's compact form."""
