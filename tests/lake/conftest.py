"""Rows to write into a lake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from cq.lake import Lake
from cq.utils.time import interval_ns, parse_time

Bars = Callable[..., pl.DataFrame]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="session")
def bars() -> Bars:
    """`count` plain bars from `since` on; the price of bar i is 100 + i."""

    def made(
        count: int,
        symbol: str = "BTC-BRL",
        interval: str = "1h",
        since: str = "2024-01-01",
        exchange: str = "mercadobitcoin",
    ) -> pl.DataFrame:
        price = 100.0 + pl.int_range(count, eager=True).cast(pl.Float64)
        step = interval_ns(interval)
        return pl.DataFrame(
            {
                "ts": parse_time(since) + pl.int_range(count, eager=True) * step,
                "open": price,
                "high": price + 2,
                "low": price - 2,
                "close": price + 1,
                "volume": price / 100,
            }
        ).with_columns(symbol=pl.lit(symbol), exchange=pl.lit(exchange), interval=pl.lit(interval))

    return made
