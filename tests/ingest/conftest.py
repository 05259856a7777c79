"""A lake of a test's own, and what landed in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from cq.errors import Stumbled
from cq.ingest.files import FileReport, import_files
from cq.ingest.pieces import Piece, Request
from cq.ingest.source import opened
from cq.lake import Lake

NOW = 1_795_000_000_000_000_000  # 2026-11-18

Importing = Callable[..., list[FileReport]]


@pytest.fixture
def now_ns() -> int:
    return NOW


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def importing(lake: Lake) -> Importing:
    """Import into the test's lake; every report keeps the books balanced, and cq is at no fault."""

    def run(*paths: Path, dataset: str, **options: object) -> list[FileReport]:
        reports = import_files(lake, paths, dataset, now_ns=NOW, **options)
        for one in reports:
            assert not isinstance(one.error, Stumbled), one.error
            counts = one.report
            assert counts.read == counts.landed + counts.already_there + counts.rejected
        return reports

    return run


@pytest.fixture
def stored(lake: Lake) -> Callable[[str], pl.DataFrame]:
    """All rows of a dataset, as the files hold them."""

    def read(dataset: str) -> pl.DataFrame:
        files = (lake.root / dataset).rglob("*.parquet")
        frames = [pl.read_parquet(one, hive_partitioning=False) for one in files]
        frames = [one for one in frames if one.height]
        return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()

    return read


@pytest.fixture
def reading() -> Callable[..., Piece]:
    """Read one file with a layout, without a lake."""

    def read(path: Path, layout: object, dataset: str = "ohlcv", **options: object) -> Piece:
        asked = Request(dataset=dataset, now_ns=NOW, **options)
        return layout.read(opened(path), asked)

    return read
