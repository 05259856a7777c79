"""The newest window of bars says what all of history says."""

from __future__ import annotations

from pathlib import Path

import comparing
import makers
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cq import signals
from cq.errors import StrategyError
from cq.execution.loop import Wish
from cq.execution.windows import KEPT_WINDOWS, Windows
from cq.strategies import Strategy, load

TEXTS = {
    "sma": "{kind: crossover, symbols: [A-B, C-B], interval: 1h, fast: 2, slow: 5}",
    "ema": "{kind: crossover, symbols: [A-B, C-B], interval: 1h, average: ema, fast: 1, slow: 2}",
    "volatility": "{kind: crossover, symbols: [A-B, C-B], interval: 1h, fast: 2, slow: 4,"
    " sizing: {kind: volatility_target, window: 6}}",
    "equal": "{kind: equal_weight, symbols: [A-B, C-B], interval: 1h, every: 5}",
}


@pytest.fixture(scope="module", params=TEXTS)
def strategy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Strategy:
    path: Path = tmp_path_factory.mktemp("strategies") / f"{request.param}.yaml"
    path.write_text(TEXTS[request.param])
    return load(path)


@settings(max_examples=15, deadline=None)
@given(bars=makers.bars(symbols=("A-B", "C-B"), min_size=1, max_size=80), data=st.data())
def test_every_wish_is_the_backtests_target_of_that_bar(
    strategy: Strategy, bars: pl.DataFrame, data: st.DataObject
) -> None:
    whole = signals.targets(bars.lazy(), strategy).collect(engine="in-memory")
    windows = Windows(strategy, bars)
    ts = data.draw(st.sampled_from(sorted(set(bars["ts"]))))
    expected = {
        row["symbol"]: Wish(row["signal"], row["target"], bool(row.get("act")))
        for row in whole.filter(pl.col("ts") == ts).iter_rows(named=True)
    }
    assert windows.wishes(ts, ("A-B", "C-B")) == expected


@settings(max_examples=6, deadline=None)
@given(bars=makers.bars(symbols=("A-B", "C-B"), min_size=8, max_size=24))
def test_bars_that_come_one_by_one_lead_to_the_same_wishes(
    strategy: Strategy, bars: pl.DataFrame
) -> None:
    whole, growing = Windows(strategy, bars), Windows(strategy, bars.head(0))
    for ts in sorted(set(bars["ts"])):
        growing.extend(bars.filter(pl.col("ts") == ts))
        assert growing.wishes(ts, ("A-B", "C-B")) == whole.wishes(ts, ("A-B", "C-B"))


def test_a_bar_that_comes_twice_counts_once(strategy: Strategy) -> None:
    bars = makers.hourly("A-B", [float(n % 7 + 1) for n in range(60)])
    once, twice = Windows(strategy, bars), Windows(strategy, bars)
    twice.extend(bars.tail(9))
    last = bars["ts"][-1]
    assert twice.wishes(last, ("A-B",)) == once.wishes(last, ("A-B",))


def test_memory_stays_small(strategy: Strategy) -> None:
    windows = Windows(strategy, makers.hourly("A-B", [1.0]))
    for number in range(1, KEPT_WINDOWS * strategy.warmup + 50):
        windows.extend(makers.hourly("A-B", [1.0], start=number * makers.HOUR))
    assert windows.height("A-B") == KEPT_WINDOWS * strategy.warmup


def test_a_symbol_without_a_bar_then_wishes_nothing(strategy: Strategy) -> None:
    bars = pl.concat(
        [makers.hourly("A-B", [1.0] * 4), makers.hourly("C-B", [1.0], start=9 * makers.HOUR)]
    )
    windows = Windows(strategy, bars)
    assert set(windows.wishes(0, ("A-B", "C-B"))) == {"A-B"}
    assert set(windows.wishes(9 * makers.HOUR, ("A-B", "C-B"))) == {"C-B"}
    assert windows.wishes(0, ("C-B",)) == {}
    assert windows.wishes(5 * makers.HOUR, ("A-B", "C-B")) == {}
    assert windows.newest() == {"A-B": 3 * makers.HOUR, "C-B": 9 * makers.HOUR}


def test_nothing_known_is_nothing_wished(strategy: Strategy) -> None:
    windows = Windows(strategy, makers.hourly("A-B", []))
    assert windows.wishes(0, ("A-B",)) == {}
    assert windows.newest() == {}


SYMBOLS = ("A-B", "C-B")

OWN = """
import polars as pl
from cq.strategies import StrategyConfig

class Config(StrategyConfig):
    warmup = property(lambda self: 3)

def generate_signals(bars, config):
    busy = pl.col("volume") > pl.col("volume").shift(2).over("symbol", order_by="ts")
    return bars.with_columns(signal=busy.cast(pl.Int8)).sort("ts")

def size_positions(bars, config):
    return bars.with_columns(target=%s)
"""


def own(folder: Path, target: str) -> Strategy:
    (folder / "own.py").write_text(OWN % target)
    (folder / "own.yaml").write_text("python: own.py\nsymbols: [A-B, C-B]\ninterval: 1h\n")
    return load(folder / "own.yaml")


def busy(symbol: str, volumes: list[float]) -> pl.DataFrame:
    bars = makers.hourly(symbol, [10.0] * len(volumes))
    return bars.with_columns(volume=pl.Series(volumes))


def test_a_users_own_strategy_reads_any_column_and_may_sort_as_it_likes(tmp_path: Path) -> None:
    bars = pl.concat([busy("A-B", [1.0, 2.0, 3.0, 4.0]), busy("C-B", [9.0, 8.0, 7.0, 6.0])])
    windows = Windows(own(tmp_path, "pl.col('signal') * 0.5"), bars)
    assert windows.wishes(3 * makers.HOUR, ("A-B", "C-B")) == {
        "A-B": Wish(1, 0.5),
        "C-B": Wish(0, 0.0),
    }
    assert windows.wishes(0, ("A-B",)) == {"A-B": Wish(None, None)}


def test_what_is_compared_with_a_market_that_is_traded_seldom_is_the_backtests(
    tmp_path: Path,
) -> None:
    strategy, bars = comparing.strategy(tmp_path, SYMBOLS), comparing.markets(*SYMBOLS)
    whole = signals.targets(bars.lazy(), strategy).collect()
    growing = Windows(strategy, bars.filter(pl.col("ts") < 90 * makers.HOUR))
    for hour in range(90, 300):
        now = pl.col("ts") == hour * makers.HOUR
        growing.extend(bars.filter(now))
        found = growing.wishes(hour * makers.HOUR, SYMBOLS)
        expected = dict(whole.filter(now).select("symbol", "target").iter_rows())
        assert {symbol: wish.target for symbol, wish in found.items()} == expected
    assert growing.height("A-B") < 150


TWICE = ".pipe(lambda rows: pl.concat([rows, rows.filter(pl.col('ts') > 0)]))"


@pytest.mark.parametrize(
    "ending",
    [".filter(pl.col('ts') > 0)", ".unique('symbol', keep='last')", ".with_columns(ts=0)", TWICE],
    ids=["without the first", "the newest alone", "at another moment", "twice"],
)
def test_a_users_own_strategy_keeps_every_bar_once(tmp_path: Path, ending: str) -> None:
    windows = Windows(own(tmp_path, f"1.0){ending}.with_columns("), busy("A-B", [1.0, 2.0, 3.0]))
    with pytest.raises(StrategyError, match=r"own.py: its frame has \d rows for 3 bars, or other"):
        windows.wishes(2 * makers.HOUR, ("A-B",))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("pl.lit(float('nan'))", "own.py: the target of A-B at 1970-01-01T03:00:00Z is nan"),
        ("pl.lit('x').str.to_integer()", "own.py: its frame cannot be computed"),
    ],
)
def test_what_a_users_own_strategy_gets_wrong_is_said_with_its_file(
    tmp_path: Path, target: str, said: str
) -> None:
    windows = Windows(own(tmp_path, target), busy("A-B", [1.0, 2.0, 3.0, 4.0]))
    with pytest.raises(StrategyError, match=said):
        windows.wishes(3 * makers.HOUR, ("A-B",))
