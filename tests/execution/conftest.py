"""A lake of real hourly bars, and a project around it, for replays."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from cq.lake import Lake
from cq.utils.config import defaults
from cq.utils.settings import Settings
from cq.utils.time import parse_time

SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT")
FIRST, LAST = parse_time("2021-04-01"), parse_time("2022-06-08")


@pytest.fixture(scope="session")
def project(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder whose lake holds a year and more of three real markets."""
    root = tmp_path_factory.mktemp("project")
    (root / "configs" / "strategies").mkdir(parents=True)
    (root / "configs" / "default.yaml").write_text("{}\n")
    bars = (
        pl.scan_parquet(shared / "market" / "ohlcv" / "hourly_binance_usdt_12.parquet")
        .with_columns(symbol=pl.col("symbol").str.replace("USDT", "-USDT"), interval=pl.lit("1h"))
        .filter(pl.col("symbol").is_in(SYMBOLS), pl.col("ts").is_between(FIRST, LAST))
        .collect()
    )
    Lake(root / "lake").write("ohlcv", bars, source="test", now_ns=LAST)
    return root


@pytest.fixture(scope="session")
def settings(project: Path) -> Settings:
    """The shipped settings in that project."""
    return defaults(project)


@pytest.fixture(scope="session")
def lake(settings: Settings) -> Lake:
    """That project's lake."""
    return Lake(settings.data_root)
