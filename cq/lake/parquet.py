"""A Parquet file that appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from io import FileIO
from itertools import accumulate
from pathlib import Path
from threading import get_ident
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cq.lake import disk, places
from cq.lake.layout import ROW_GROUP as ROW_GROUP

TEMPORARY = ".parquet.tmp"
FEW = 16
"""Rows that gain nothing by compression and dictionaries."""
REPEATS = 4
"""How often a number must come, on average, for a dictionary to be smaller than the numbers."""
DICTIONARY_BYTES = 256 * 1024
"""Where a later row group has more different numbers than this holds, the rest of it is plain."""


def encoded(
    rows: pl.DataFrame | pa.Table,
    metadata: Mapping[str, str] | None = None,
    required: Collection[str] = (),
) -> pa.Buffer:
    """`rows` as the bytes of a Parquet file: zstd, delta-coded integers, dictionaries.

    Those are for text, and for numbers that repeat themselves. A few rows are left plain, which is
    smaller and takes half the time. `metadata` are keys and values that the file's footer holds;
    `required` are columns of a frame that lack no value: a tenth less to decode.
    """
    (table,) = tables([rows], required) if isinstance(rows, pl.DataFrame) else [rows]
    sink = pa.BufferOutputStream()
    with _writer(sink, table) as file:
        file.write_table(table, row_group_size=ROW_GROUP)
        if metadata:
            file.add_key_value_metadata(dict(metadata))
    return sink.getvalue()


def tables(frames: Sequence[pl.DataFrame], required: Collection[str] = ()) -> list[pa.Table]:
    """Frames of one schema in Arrow, by one conversion."""
    if not frames:
        return []
    one = pl.concat(frames, rechunk=len(frames) > 1)
    whole = one.to_arrow(compat_level=pl.CompatLevel.oldest())
    if required:
        kinds = [kind.with_nullable(kind.name not in required) for kind in whole.schema]
        whole = pa.Table.from_arrays(whole.columns, schema=pa.schema(kinds))
    starts = accumulate((one.height for one in frames), initial=0)
    return [whole.slice(start, one.height) for start, one in zip(starts, frames, strict=False)]


def _writer(sink: Any, first: pa.Table) -> pq.ParquetWriter:
    """A writer of rows like the first ones."""
    few = first.num_rows <= FEW
    repeating = () if few else _repeating(first.slice(0, ROW_GROUP))
    return pq.ParquetWriter(sink, first.schema, **_options(first.schema, repeating, few=few))


def _repeating(rows: pa.Table) -> tuple[str, ...]:
    """The columns of floats that a dictionary makes smaller, and twice as fast to decode."""
    floats = [one.name for one in rows.schema if one.type == pa.float64()]
    counts = {name: pc.count_distinct(rows[name]).as_py() for name in floats}
    return tuple(name for name, count in counts.items() if 0 < count * REPEATS <= rows.num_rows)


@lru_cache(maxsize=64)
def _options(schema: pa.Schema, repeating: tuple[str, ...], *, few: bool) -> dict[str, Any]:
    whole = [one.name for one in schema if one.type == pa.int64()]
    words = [one.name for one in schema if is_text(one.type)]
    return {
        "compression": "none" if few else "zstd",
        "compression_level": None if few else 3,
        "use_dictionary": False if few else [*words, *repeating],
        "dictionary_pagesize_limit": DICTIONARY_BYTES,
        "column_encoding": dict.fromkeys(whole, "DELTA_BINARY_PACKED") or None,
        "store_schema": False,
        "write_statistics": [*whole, *words],
        "write_page_checksum": True,
    }


def is_text(kind: pa.DataType) -> bool:
    """Whether a column is text, in whichever of Arrow's forms."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


class Growing:
    """A Parquet file written a piece at a time, with the same encodings; each piece a row group."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self.rows = 0
        self.last_piece = 0
        """Bytes of the last row group."""
        self._sink = _Hashed(path)
        self._writer: pq.ParquetWriter | None = None

    @property
    def size(self) -> int:
        """Bytes so far, without the footer."""
        return self._sink.size

    def add(self, piece: pa.Table) -> None:
        """One more row group."""
        before = self.size
        piece = pa.Table.from_arrays(piece.columns, schema=self.schema)
        self._begun(piece).write_table(piece, row_group_size=max(1, piece.num_rows))
        self.rows += piece.num_rows
        self.last_piece = self.size - before

    def finish(self, metadata: Mapping[str, str] | None = None) -> str:
        """Write the footer, sync; the digest of the whole file."""
        writer = self._begun(self.schema.empty_table())
        if metadata:
            writer.add_key_value_metadata(dict(metadata))
        writer.close()
        return self._sink.finish()

    def _begun(self, first: pa.Table) -> pq.ParquetWriter:
        """The writer; what the first rows are like decides how all are encoded."""
        if self._writer is None:
            self._writer = _writer(pa.PythonFile(self._sink, mode="w"), first)
        return self._writer

    def abandon(self) -> None:
        """Close the file as it is."""
        self._sink.file.close()


class _Hashed:
    """What is written goes to the disk in large pieces, and into a digest."""

    PIECE = 8 << 20
    closed = False

    def __init__(self, path: Path) -> None:
        self.file = disk.create(path)
        self.size = 0
        self._digest = hashlib.sha256()
        self._waiting = bytearray()

    def write(self, content: bytes) -> int:
        self._waiting += content
        self.size += len(content)
        if len(self._waiting) >= self.PIECE:
            self._pass_on()
        return len(content)

    def flush(self) -> None:
        """Nothing is promised before the end."""

    def close(self) -> None:
        """The end is `finish`."""

    def _pass_on(self) -> None:
        content, self._waiting = bytes(self._waiting), bytearray()
        disk.append(self.file, content)
        self._digest.update(content)

    def finish(self) -> str:
        with self.file:
            self._pass_on()
            disk.sync_file(self.file)
        return self._digest.hexdigest()[:12]


def digest(content: pa.Buffer) -> str:
    """Twelve hexadecimal digits that name a file's content."""
    return hashlib.sha256(content).hexdigest()[:12]


def place(content: pa.Buffer, folder: Path, name: str) -> Path:
    """Put `content` at `folder/name`: written beside, synced, then renamed."""
    one = Ready(folder / name)
    try:
        one.write(content)
        one.sync()
        one.appear()
    except BaseException:
        one.drop()
        raise
    one.settle()
    return one.target


class Ready:
    """A file on its way: written under a name that nobody reads, synced, then seen.

    On storage there is no such name: it is sent, and there, where it would be synced.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self._beside: Path | None = None
        self._file: FileIO | None = None
        self._unsent: pa.Buffer | None = None

    def write(self, content: pa.Buffer) -> None:
        """Write it beside the place that it is to have; it stays open until it is synced."""
        folder = self.target.parent
        if places.is_remote(folder):
            self._unsent = content
            return
        writer = f"{get_ident()}.{os.getpid()}"
        beside = folder / f"{self.target.stem}.{writer}{TEMPORARY}"
        with disk.writing(folder):
            try:
                sweep(folder)
            except FileNotFoundError:
                disk.make_folder(folder)
            self._beside = beside
            self._file = disk.create(beside)
            disk.append(self._file, content)

    def sync(self) -> None:
        """Wait until its content is on the disk."""
        with disk.writing(self.target.parent):
            if self._file is not None:
                with self._file:
                    disk.sync_file(self._file)
            else:
                disk.put(self.target, self._unsent)
                self._unsent = None

    def appear(self) -> None:
        """Let readers see it."""
        if self._beside is not None:
            with disk.writing(self.target.parent):
                disk.replace(self._beside, self.target)

    def settle(self) -> None:
        """Wait until its name is on the disk too."""
        if self._beside is not None:
            with disk.writing(self.target.parent):
                disk.sync_folder(self.target.parent)

    def drop(self) -> None:
        """Remove what nobody has seen."""
        if self._file is not None:
            self._file.close()
        if self._beside is not None:
            with suppress(OSError):
                disk.remove(self._beside)


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
