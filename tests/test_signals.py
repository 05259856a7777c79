"""Signals are exact: no later bar, no engine, no source and no thread changes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import makers
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cq import signals
from cq.errors import StrategyError
from cq.indicators import one_market
from cq.strategies import KINDS, Strategy, StrategyConfig
from cq.strategies.own import OwnCode

SIZINGS = [
    {"kind": "fixed_fraction", "fraction": 0.5},
    {"kind": "volatility_target", "annual_volatility": 0.4, "window": 5},
]
PARAMETERS = {
    "crossover": [
        {"fast": 2, "slow": 5},
        {"fast": 2, "slow": 3, "average": "ema"},
    ],
    "macd": [
        {"fast": 2, "slow": 3, "signal": 1, "shorts": True},
        {
            "fast": 1,
            "slow": 2,
            "signal": 2,
            "trend": 9,
            "volatility_window": 8,
            "max_volatility": 9,
        },
    ],
    "bollinger": [
        {"window": 5, "k": 1.0, "max_bars": 7, "shorts": True},
        {"window": 4, "k": 0.8, "max_bars": 9, "entry": "touch", "exit": "opposite"},
    ],
    "buy_and_hold": [{"sizing": {"kind": "kelly", "window": 12}, "liquidity": {"window": 30}}],
    "equal_weight": [{"every": 5}],
    "pairs": [{"window": 10, "max_bars": 8, "entry": 1.0, "sizing": {"kind": "hedge_ratio"}}],
}
ALL = [
    (kind, {"sizing": sizing} | parameters)
    for kind in KINDS
    for number, parameters in enumerate(PARAMETERS[kind])
    for sizing in (SIZINGS if kind == "crossover" else SIZINGS[number : number + 1])
]
every_strategy = pytest.mark.parametrize(("kind", "parameters"), ALL)


def strategy(kind, parameters):
    made = KINDS[kind]
    symbols = ["A-B", "C-D"] if kind == "pairs" else ["A-B"]
    config = made.config(symbols=symbols, interval="1h", **parameters)
    return Strategy(config, made.generate_signals, made.size_positions)


def rows(bars, of):
    return signals.targets(bars.lazy(), of).collect()


@every_strategy
@settings(max_examples=40)
@given(bars=makers.bars(symbols=("A-B", "C-D"), min_size=20), cut=st.integers(1, 40))
def test_later_bars_never_change_earlier_rows(kind, parameters, bars, cut):
    of = strategy(kind, parameters)
    early = bars.filter(pl.col("ts") < cut * makers.HOUR)
    before = pl.col("ts") < cut * makers.HOUR
    assert_frame_equal(rows(bars, of).filter(before), rows(early, of), check_exact=True)


@every_strategy
@settings(max_examples=25, deadline=None)
@given(bars=makers.bars(min_size=90, max_size=120))
def test_a_window_of_warmup_bars_ends_as_all_history_does(kind, parameters, bars):
    of = strategy(kind, parameters)
    whole = rows(bars, of)
    for end in range(of.warmup, bars.height + 1, 7):
        window = bars.slice(end - of.warmup, of.warmup)
        found = signals.latest(window.lazy(), of).collect(engine="in-memory")  # as live does
        assert_frame_equal(found, whole.slice(end - 1, 1), check_exact=True)


@every_strategy
@settings(max_examples=30, deadline=None)
@given(bars=makers.bars(min_size=20, max_size=120))
def test_one_market_alone_needs_no_grouping_and_gives_the_same_bits(kind, parameters, bars):
    of = strategy(kind, parameters)
    with one_market():
        alone = signals.targets(bars.lazy(), of).collect()
    grouped = rows(bars, of)
    assert_frame_equal(alone.drop("target"), grouped.drop("target"), check_exact=True)
    assert_frame_equal(alone, grouped, rel_tol=0, abs_tol=1e-9)


def test_rows_and_their_order_are_those_of_the_bars():
    bars = pl.concat([makers.hourly("A-B", [1.0, 2.0, 3.0]), makers.hourly("C-D", [3.0, 2.0, 1.0])])
    of = strategy("crossover", {"fast": 1, "slow": 2})
    found = rows(bars, of)
    assert found.columns == ["ts", "symbol", "close", "signal", "target"]
    assert found.schema["signal"] == pl.Int8
    assert_frame_equal(found.select("ts", "symbol", "close"), bars.select("ts", "symbol", "close"))
    assert found["signal"].to_list() == [None, 1, 1, None, 0, 0]
    assert found["target"].to_list() == [None, 1.0, 1.0, None, 0.0, 0.0]


def test_latest_is_the_newest_row_of_each_symbol():
    bars = pl.concat([makers.hourly("C-D", [3.0, 2.0]), makers.hourly("A-B", [1.0, 2.0, 3.0])])
    of = strategy("crossover", {"fast": 1, "slow": 2})
    found = signals.latest(bars.lazy(), of).collect()
    assert found["symbol"].to_list() == ["A-B", "C-D"]
    assert found["ts"].to_list() == [2 * makers.HOUR, 1 * makers.HOUR]


def short(bars, config):
    return bars.with_columns(signal=pl.lit(-1))


def own(generate, size=None):
    class Config(StrategyConfig):
        @property
        def warmup(self):
            return 1

    config = Config(symbols=["A-B"], interval="1h")
    code = OwnCode(Path("own.py"), "", {})
    made = Strategy(config, generate, code=code)
    return made if size is None else Strategy(config, generate, size, code=code)


def test_a_short_signal_is_a_target_below_zero_which_only_research_trades():
    found = rows(makers.hourly("A-B", [1.0, 2.0]), own(short))
    assert found["signal"].to_list() == [-1, -1]
    assert found["target"].to_list() == [-1.0, -1.0]


def test_a_users_own_sizing_is_used():
    of = own(short, lambda bars, config: bars.with_columns(target=pl.lit(0.3)))
    assert rows(makers.hourly("A-B", [1.0]), of)["target"].to_list() == [0.3]


@pytest.mark.parametrize(
    ("generate", "said"),
    [
        (lambda bars, config: bars.select("ts", "symbol", "signal"), "builds no frame"),
        (lambda bars, config: bars.with_columns(sign=1), "builds no frame"),
        (lambda bars, config: 1 / 0, "generate_signals fails: ZeroDivisionError"),
        (lambda bars, config: bars.collect(), "generate_signals returned DataFrame"),
        (lambda bars, config: short(bars, config).drop("close"), "its frame lacks close"),
    ],
)
def test_a_mistake_in_a_users_own_strategy_names_its_file(generate, said):
    with pytest.raises(StrategyError, match=rf"own\.py: .*{said}"):
        rows(makers.hourly("A-B", [1.0]), own(generate))


def test_legs_of_a_pair_are_decided_once_the_ranges_of_their_orders_are_there_for_both():
    early, late = (makers.hourly(name, [9.0, 8.0] * 5) for name in ("A-B", "C-D"))
    bars = pl.concat([early, late.filter(pl.col("ts") >= 2 * makers.HOUR)])
    config = KINDS["pairs"].config(
        symbols=["A-B", "C-D"], interval="1h", orders={"stop_loss": {"atr": 2, "window": 3}}
    )
    always = Strategy(config, lambda bars, _: bars.with_columns(signal=pl.lit(1)))
    found = rows(bars, always).filter(pl.col("target").is_not_null())
    assert found.group_by("symbol").agg(pl.col("ts").min()).sort("symbol").rows() == [
        ("A-B", 5 * makers.HOUR),
        ("C-D", 5 * makers.HOUR),
    ]
    assert found["signal"].null_count() == 0


PROGRAM = """
import sys, polars as pl
from cq import signals
from cq.strategies import load
path, engine, source, *files = sys.argv[1:]
bars = pl.scan_parquet(path) if source == "parquet" else pl.read_parquet(path).lazy()
for file in files:
    found = signals.targets(bars, load(file)).collect(engine=engine)
    print(pl.thread_pool_size(), found.hash_rows().sum(), found["target"].null_count())
"""


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """150,000 bars of two symbols at prices whose float sums carry noise."""
    import numpy as np

    folder = tmp_path_factory.mktemp("noisy")
    size = 150_000
    rng = np.random.default_rng(11)

    def walk(scale):
        return scale * np.exp(np.cumsum(rng.normal(0, 0.001, size)))

    frames = [
        makers.hourly(name, walk(scale).round(8).tolist())
        for name, scale in [("A-B", 350_000.0), ("C-D", 0.00123)]
    ]
    pl.concat(frames).write_parquet(folder / "bars.parquet", row_group_size=20_000)
    for average in ("sma", "ema"):
        for sizing in SIZINGS:
            lines = "kind: crossover", "symbols: [A-B]", "interval: 1h", "fast: 7", "slow: 90"
            text = "\n".join([*lines, f"average: {average}", f"sizing: {sizing}"])
            (folder / f"{average}_{sizing['kind']}.yaml").write_text(text)
    return folder


def hashes(folder, engine, source, threads):
    files = sorted(map(str, folder.glob("*.yaml")))
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder / "bars.parquet"), engine, source, *files],
        env=os.environ | {"POLARS_MAX_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert {line[0] for line in lines} == {str(threads)}
    assert len(lines) == 4
    return [line[1:] for line in lines]


def test_signals_are_the_same_bits_on_any_engine_source_and_thread_count(noisy):
    expected = hashes(noisy, "in-memory", "frame", 1)
    assert len({one[0] for one in expected}) == 4
    for engine, source, threads in [
        ("streaming", "frame", 2),
        ("streaming", "parquet", 2),
        ("streaming", "parquet", 1),
        ("in-memory", "parquet", 2),
    ]:
        assert hashes(noisy, engine, source, threads) == expected, (engine, source, threads)
