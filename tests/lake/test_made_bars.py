"""Bars made of finer ones in memory, through `Lake.bars`: the same as Polars' own plan makes."""

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cq.lake import Lake, made_bars
from cq.lake.made_bars import MadeBars
from cq.utils.time import DAY, HOUR, MINUTE

DAYS = 40
SYMBOLS = ("AAA-BRL", "BBB-BRL", "CCC-BRL")


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Forty days of minutes of three symbols, over two months, with holes."""
    lake = Lake(tmp_path_factory.mktemp("made") / "lake")
    for seed, symbol in enumerate(SYMBOLS):
        random = np.random.default_rng(seed)
        minutes = np.flatnonzero(random.random(DAYS * 1440) > 0.2)
        close = 100 * np.exp(np.cumsum(random.normal(0, 0.001, minutes.size)))
        rows = pl.DataFrame({
            "ts": 54 * 365 * DAY + minutes * MINUTE, "open": close, "high": close * 1.01,
            "low": close * 0.99, "close": close,
            "volume": random.lognormal(0, 3, minutes.size).round(8),
        })  # fmt: skip
        named = {"symbol": symbol, "exchange": "x", "interval": "1m"}
        rows = rows.with_columns(pl.lit(value).alias(name) for name, value in named.items())
        lake.write("ohlcv", rows, source="test", now_ns=10**18 * 5)
    return lake


@pytest.fixture
def by_plan(monkeypatch):
    """Nothing is folded."""

    def disable():
        monkeypatch.setattr(MadeBars, "folds", lambda _self, large: False)

    return disable


def questions(lake):
    for interval in ("15m", "1h", "1d", "1w", "1M"):
        whole = lake.bars(SYMBOLS, interval)
        yield whole
        yield whole.filter(pl.col("high") > 101).select("symbol", "close")
        yield whole.filter(pl.col("exchange") == "x", pl.col("volume") > 3).select("ts").head(7)
        yield lake.bars(SYMBOLS[0], interval, columns=("volume",))


def test_the_answers_are_those_of_polars_own_plan(lake, by_plan):
    folded = [one.collect() for one in questions(lake)]
    by_plan()
    for found, question in zip(folded, questions(lake), strict=True):
        assert_frame_equal(found, question.collect(), check_exact=True)
    assert folded[0].height > 3 * 2 * 1440


def test_little_is_not_folded_before_numpy_is_there(monkeypatch):
    made = MadeBars(lambda parts: pl.LazyFrame(), "1h", lambda bars: bars)
    assert made.folds(large=False)
    monkeypatch.setattr(made_bars, "sys", type("Modules", (), {"modules": {}}))
    assert not made.folds(large=False)
    assert made.folds(large=True)


def test_only_the_columns_asked_for_are_read(lake, monkeypatch):
    seen = []
    collect_all = pl.collect_all

    def spied(frames, **keywords):
        found = collect_all(frames, **keywords)
        seen.extend(rows.columns for rows in found)
        return found

    monkeypatch.setattr(pl, "collect_all", spied)
    lake.bars(SYMBOLS[0], "1h").select("close").collect()
    assert seen == [["ts", "close"]]


JOINED = """
import sys
from concurrent.futures import ThreadPoolExecutor
import numpy
import polars as pl
from cq.lake import Lake
lake = Lake(sys.argv[1])
hours, symbols = lake.bars({symbols!r}, "1h"), {symbols!r}

def ask(engine):
    joined = hours
    for symbol in symbols:
        joined = joined.join(lake.bars(symbol, "1d").select("ts", "close"), on="ts", how="left",
                             suffix=symbol)
    return joined.collect(engine=engine).height

with ThreadPoolExecutor(4) as pool:
    print(len(set(pool.map(ask, ["streaming", "in-memory"] * 4))))
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_folding_never_waits_for_a_thread_that_waits_for_it(lake, threads):
    command = [sys.executable, "-c", JOINED.format(symbols=SYMBOLS), str(lake.root)]
    environment = os.environ | {"POLARS_MAX_THREADS": threads}
    found = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert found.stdout == "1\n"


def test_bars_open_where_they_should(lake):
    hours = lake.bars(SYMBOLS[0], "1h").collect()
    assert (hours["ts"] % HOUR == 0).all()
    assert hours["ts"].is_sorted()
    assert hours["symbol"].unique().to_list() == [SYMBOLS[0]]
