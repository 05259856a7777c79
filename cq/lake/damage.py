"""Files of a lake that cannot be read: which one it is, and what to do about it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from cq.errors import DataError, Unreadable
from cq.lake.datasets import DATASETS
from cq.lake.places import at, readable

MAGIC = b"PAR1"
SHORT = re.compile(r'column ("\w+") was read from the original file .* could not be found in file')
"""What DuckDB says of a file that lacks a column."""
ENDS = 12
"""Bytes that the shortest Parquet file has."""
PIECE = 4 * 2**20
"""Bytes that are read at a time to be hashed."""

BROKEN = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What Polars raises over bytes that make no sense; some of them make it panic."""


def collected(rows: pl.LazyFrame, root: Path) -> pl.DataFrame:
    """The rows; a file of the lake that cannot be read is an error of the data."""
    with reading(root):
        return rows.collect()


@contextmanager
def reading(root: Path) -> Iterator[None]:
    """A block that reads the lake at `root`: what Polars cannot read is an error of the data."""
    try:
        yield
    except (*BROKEN, OSError) as error:
        raise damage(root, error) from error


def damage(root: Path, error: BaseException) -> DataError:
    """The error that names the file which cannot be read."""
    named = found_in(root, str(error))
    said = (str(error).splitlines() or [type(error).__name__])[0]
    if named is not None:
        absent = SHORT.search(str(error))
        short = f"it lacks {absent[1]}, which other files have" if absent else ""
        return Unreadable(named, short or problem(named, whole=True) or said)
    try:
        paths = sorted(path for name in DATASETS for path in (root / name).rglob("*.parquet"))
    except OSError as closed:
        return Unreadable(closed.filename or root, closed.strerror or said)
    for whole in (False, True):
        for path in paths:
            if wrong := problem(path, whole=whole):
                return Unreadable(path, wrong)
    return DataError(f"the lake {root} cannot be read ({said}); look with `cq lake status`")


def damaged_run(path: Path, said: str) -> DataError:
    """The error that names a run's file, which nothing else can bring back."""
    return DataError(
        f"{path} cannot be read ({problem(path, whole=False) or said}); take the folder away, and "
        "run it again"
    )


def found_in(root: Path, said: str) -> Path | None:
    """The Parquet file below `root` that a message names."""
    found = re.search(rf"{re.escape(str(root))}/[^'\"\n]*?\.parquet", said)
    return at(root, found[0]) if found else None


def digest(path: Path) -> str:
    """Twelve hexadecimal digits that name the content of a file."""
    sha, buffer = hashlib.sha256(), bytearray(PIECE)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            sha.update(view[:count])
    return sha.hexdigest()[:12]


def altered(path: Path) -> str:
    """What is wrong with the bytes of a file that cq named: its name carries their digest."""
    found, named = digest(path), path.stem.rpartition("-")[2]
    return "" if found == named else f"its bytes are not those its name says, but {found}"


def problem(path: Path, *, whole: bool = True) -> str:
    """What is wrong with a file: its two ends are looked at, and with `whole` all of it."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            head = file.read(len(MAGIC))
            file.seek(max(0, size - len(MAGIC)))
            if size < ENDS or (head, file.read()) != (MAGIC, MAGIC):
                return "it is damaged, no whole Parquet file"
        if whole:
            contract = next((DATASETS[one] for one in path.parts[::-1] if one in DATASETS), None)
            schema = dict(contract.schema) if contract else None
            pl.scan_parquet(
                readable([path]),
                schema=schema,
                hive_partitioning=False,
                missing_columns="insert" if schema else "raise",
                extra_columns="ignore" if schema else "raise",
                glob=False,
            ).collect()
    except OSError as error:
        return error.strerror or str(error)
    except BROKEN as error:
        return (str(error).splitlines() or ["it is damaged"])[0]
    return ""
