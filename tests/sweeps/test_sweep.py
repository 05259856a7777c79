"""A sweep is its trials run one by one, to the bit."""

import json
import math
from datetime import UTC, datetime

import makers
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wandering import BARE, CROSS, market

import cq
from cq.backtest.bars import Period
from cq.backtest.door import settings_of
from cq.errors import CqError, UsageError
from cq.lake import Lake
from cq.lake.raw import FIGURES
from cq.report.sweep_map import sweep_map
from cq.stats import backtest_overfitting
from cq.strategies import load
from cq.sweeps import sweep
from cq.sweeps.cpcv import cross_validate
from cq.sweeps.door import How, Setting, recipe_of
from cq.sweeps.figures import LAST, of_sums
from cq.sweeps.folds import Groups
from cq.sweeps.kernel import SUMS
from cq.sweeps.runner import Runner
from cq.sweeps.space import axes_of
from cq.sweeps.walkforward import Spans, walk_forward
from cq.utils.time import HOUR


@pytest.fixture
def strategy(tmp_path):
    def written(text: str = CROSS, symbols: str = "BTC-BRL"):
        path = tmp_path / "cross.yaml"
        path.write_text(text.format(symbols=symbols))
        return path

    return written


def one_by_one(source, path, found, **more):
    """The metrics of each trial's own backtest."""
    for row in found.trials.select("trial", *found.params, *FIGURES).rows(named=True):
        each = ((name, row[name]) for name in found.params)
        said = [f"{n}={v if isinstance(v, str) else json.dumps(v)}" for n, v in each]
        own = cq.backtest(source, load(path, said), **more)
        yield row, {name: own.metrics[name] for name in FIGURES}


def assert_same(source, path, found, **more):
    assert found.trials.height > 1
    for row, own in one_by_one(source, path, found, **more):
        assert {name: row[name] for name in FIGURES} == own, row


NEVER = {"min_notional": 1e12}
"""Settings by which nothing is ever traded."""
GRIDS = {
    "crossings": (CROSS, {"fast": "3:9:3", "slow": [9, 20, 50], "sizing.fraction": [0.4, 1.0]}),
    "exponential": (CROSS + "average: ema\n", {"fast": [3, 5], "slow": [9, 20]}),
    "volatility": (
        BARE + "sizing: {{kind: volatility_target, window: 24}}\n",
        {"fast": [3, 5], "sizing.annual_volatility": [0.2, 0.9], "sizing.rebalance": [0.0, 0.2]},
    ),
    "stops": (
        CROSS + "orders: {{trailing_stop: 0.05, max_bars: 90}}\n",
        {"orders.trailing_stop": [0.02, 0.05], "orders.take_profit": [0.05, 0.1], "fast": [3, 5]},
    ),
    "true ranges": (
        CROSS + "orders: {{stop_loss: {{atr: 2.0}}}}\n",
        {"orders.stop_loss.atr": [1.0, 2.5], "orders.stop_loss.window": [10, 14]},
    ),
    "costs": (
        CROSS,
        {
            "backtest.fees.taker": [0.0, 0.003], "backtest.slippage.bps": [0.0, 20.0],
            "backtest.latency_bars": [0, 2], "backtest.fill": ["next_open", "next_close"],
        },
    ),
    "volume": (
        CROSS + "backtest: {{slippage: {{kind: square_root, participation: 0.2}}}}\n",
        {"fast": [3, 5], "backtest.slippage.impact": [0.5, 1.5]},
    ),
    "liquidity": (
        CROSS + "liquidity: {{min_turnover: 2400, min_active: 0.5, window: 24}}\n",
        {"fast": [3, 5], "slow": [9, 20]},
    ),
    "sizings": (
        BARE + "sizing: {{fraction: 0.7}}\n",
        {
            "sizing.fraction": [0.2, 0.5], "sizing.kind": ["fixed_fraction", "inverse_volatility"],
        },
    ),
    "macd": (
        "kind: macd\nsymbols: [{symbols}]\ninterval: 1h\nfast: 5\nslow: 12\nsignal: 4\n",
        {"fast": [4, 5], "trend": [0, 30], "backtest.allow_short": [True], "shorts": [True]},
    ),
    "bollinger": (
        "kind: bollinger\nsymbols: [{symbols}]\ninterval: 1h\nwindow: 20\nmax_bars: 48\n",
        {"window": [12, 20], "k": [1.5, 2.0], "exit": ["middle", "opposite"]},
    ),
}  # fmt: skip


MANY = "BTC-BRL, ETH-BRL, XRP-BRL"


@pytest.mark.parametrize(
    ("name", "symbols"),
    [
        *((name, "BTC-BRL") for name in GRIDS if name not in ("volatility", "volume")),
        *((name, MANY) for name in ("crossings", "volatility", "stops", "volume", "macd")),
    ],
)
def test_every_trial_is_its_own_backtest_to_the_bit(strategy, name, symbols):
    text, grid = GRIDS[name]
    path = strategy(text, symbols)
    names = symbols.split(", ")
    bars = pl.concat(
        market(400 + 50 * i, one, seed=i, skip=0.02 * i) for i, one in enumerate(names)
    )
    found = sweep(bars, path, grid)
    assert_same(bars, path, found)
    assert found.trials["trades"].max() > 4


@pytest.mark.parametrize("name", ["crossings", "exponential", "true ranges", "costs"])
def test_bars_of_a_lake_before_the_period_are_those_of_the_trials_own_run(tmp_path, strategy, name):
    lake = Lake(tmp_path / "lake")
    lake.write(
        "ohlcv", market(700, skip=0.01).with_columns(interval=pl.lit("1h")), source="test", now_ns=1
    )
    text, grid = GRIDS[name]
    path = strategy(text)
    found = sweep(lake, path, grid, start=300 * HOUR, end=650 * HOUR)
    assert_same(lake, path, found, start=300 * HOUR, end=650 * HOUR)
    assert found.config["data"]["last_ts"] < 650 * HOUR


def test_machine_code_gives_the_same_bits(strategy, monkeypatch):
    monkeypatch.setattr("cq.sweeps.bench.is_worth_it", lambda *_: True)
    bars = market(3_000, skip=0.003)
    flat = bars.with_columns(
        pl.when(pl.col("ts") > 2_400 * HOUR).then(100.1).otherwise(pl.col(one)).alias(one)
        for one in ("open", "close")
    )
    path = strategy()
    grid = {
        "fast": [1, 7, 48], "slow": [3, 400], "sizing.fraction": [0.3, 1.0],
        "backtest.fill": ["next_open", "next_close"], "backtest.latency_bars": [0, 3],
    }  # fmt: skip
    found = sweep(flat, path, grid)
    assert_same(flat, path, found)
    grid = {
        "sizing.rebalance": [0.0, 0.3], "backtest.tick": [None, 0.5],
        "backtest.fees.minimum": [0.0, 40.0], "backtest.quantity_decimals": [0, None],
    }  # fmt: skip
    text = (
        BARE + "sizing: {{kind: volatility_target, window: 24}}\nbacktest: {{min_notional: 30}}\n"
    )
    path = strategy(text)
    assert_same(flat, path, sweep(flat, path, grid))


def test_a_users_own_strategy_is_run_trial_by_trial(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    path = tmp_path / "mine.yaml"
    path.write_text("python: mine.py\nsymbols: [BTC-BRL]\ninterval: 1h\n")
    bars = market(500)
    assert_same(bars, path, sweep(bars, path, {"window": [5, 10, 20]}))


OWN = '''
import polars as pl
from cq.indicators import in_time_order
from cq.strategies import StrategyConfig


class Config(StrategyConfig):
    """Long above the highest of some bars."""
    window: int = 10

    @property
    def warmup(self) -> int:
        return 20 * self.window


def generate_signals(bars, config):
    above = pl.col("close") > pl.col("close").shift(1).rolling_max(config.window)
    below = pl.col("close") < pl.col("close").shift(1).rolling_min(config.window)
    signal = pl.when(above).then(1).when(below).then(0).forward_fill()
    return bars.with_columns(signal=in_time_order(signal).cast(pl.Int8))
'''


CLASHING = OWN.replace(
    "window: int = 10",
    "window: int = 10\n    exposure: float = 0.0\n    trial: int = 0\n    test_return: float = 0.0",
).replace("rolling_max(config.window)", "rolling_max(config.window) * (1 + config.exposure)")


@pytest.fixture
def clashing(tmp_path):
    (tmp_path / "mine.py").write_text(CLASHING)
    path = tmp_path / "mine.yaml"
    path.write_text("python: mine.py\nsymbols: [BTC-BRL]\ninterval: 1h\n")
    return path


def test_a_parameter_that_is_called_like_a_metric_keeps_what_was_tried(clashing, tmp_path):
    bars = market(500)
    grid = {"exposure": [0.0, 0.005, 0.02], "trial": [7, 8]}
    found = sweep(bars, clashing, grid)
    asked = [(one, two) for one in grid["exposure"] for two in grid["trial"]]
    columns = ["params.exposure", "params.trial"]
    assert found.trials.select(columns).rows() == asked
    assert found.trials["trial"].to_list() == [1, 2, 3, 4, 5, 6]
    for one in found.best:
        assert (one.params["exposure"], one.params["trial"]) == asked[one.number - 1]
        said = [f"{name}={value}" for name, value in one.params.items()]
        own = cq.backtest(bars, load(clashing, said))
        assert {name: own.metrics[name] for name in FIGURES} == one.figures
    found.write(tmp_path, datetime(2026, 1, 1, tzinfo=UTC))
    assert pl.read_parquet(tmp_path / "trials.parquet").select(columns).rows() == asked
    config = [json.loads(one)["strategy"] for one in found.identities["config"]]
    assert [(one["exposure"], one["trial"]) for one in config] == asked
    sweep_map(found)


def test_tables_of_a_walk_keep_parameters_that_are_called_like_their_columns(clashing):
    made = Setting(
        market(500), recipe_of(clashing), settings_of({}), Period(), "BRL", lambda _: None
    )
    axes = axes_of({"exposure": [0.02], "test_return": [0.5]})
    columns = ["params.exposure", "params.test_return"]
    walked = walk_forward(made, axes, How(), Spans("300", "100", purge="10"))
    crossed = cross_validate(made, axes, How(), Groups.of("3:1"), "10")
    for table in (walked.folds, walked.trials, crossed.splits, crossed.trials):
        assert set(table.select(columns).rows()) == {(0.02, 0.5)}


def test_combinations_that_make_no_sense_are_skipped_and_counted(strategy):
    found = sweep(market(300), strategy(), {"fast": [5, 10, 30], "slow": [10, 30]})
    assert found.trials.select("fast", "slow").rows() == [(5, 10), (5, 30), (10, 30)]
    assert found.trials["trial"].to_list() == [1, 2, 4]
    count, why = found.skipped
    assert count == 3
    assert "fast (10) needs fewer bars than slow (10)" in why


def test_what_needs_more_bars_than_there_are_is_counted_as_failed(strategy):
    found = sweep(market(100), strategy(), {"slow": [20, 50, 500]})
    assert found.trials["slow"].to_list() == [20, 50]
    assert found.failed[0] == 1
    assert "needs 500 bars" in found.failed[1]
    with pytest.raises(CqError, match="needs 500 bars"):
        sweep(market(100), strategy(), {"slow": [500, 600]})


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"fats": [1, 2]}, "did you mean fast"),
        ({"sizing.fractoin": [0.1]}, "did you mean fraction"),
        ({"backtest.fees.takre": [0.1]}, "did you mean taker"),
        ({"fast": [50, 60]}, "needs fewer bars"),
        ({"fast": ["x"]}, "--grid fast: found 'x'"),
        ({}, "nothing to try"),
        ({"fast": []}, "expected values"),
    ],
)
def test_a_mistake_is_said_in_a_line(strategy, grid, said):
    with pytest.raises(UsageError, match=said) as error:
        sweep(market(100), strategy(), grid)
    assert "\n" not in str(error.value)


def test_more_cash_than_can_be_counted_is_refused_in_a_line(strategy):
    found = sweep(market(300), strategy(), {"backtest.cash": [100, 1e308]})
    assert found.trials["backtest.cash"].to_list() == [100]
    assert found.failed[0] + found.skipped[0] == 1
    why = found.failed[1] or found.skipped[1]
    assert "backtest.cash: found 1e+308, which should be less than or equal to" in why
    with pytest.raises(CqError, match="less than or equal to"):
        cq.backtest(market(300), load(strategy()), cash=1e308)


def test_figures_of_a_trial_that_are_no_numbers_are_none():
    sums = np.ones(len(SUMS))
    sums[LAST["returned"]] = sums[LAST["fees"]] = math.inf
    sums[LAST["squared"]] = math.nan
    found = of_sums(sums, np.arange(64) * HOUR, "1h", 1.0, 1.0)
    assert (found["sharpe"], found["fees"]) == (None, None)
    assert all(one is None or math.isfinite(one) for one in found.values())


def test_there_are_only_the_metrics_of_a_trial_to_sort_by(strategy):
    with pytest.raises(UsageError, match="no metric 'sharp'"):
        sweep(market(100), strategy(), {"fast": [2, 3]}, sort="sharp")


def ragged(late: int) -> pl.DataFrame:
    """Two symbols, the second of which is listed so many bars later."""
    second = market(700, "ETH-BRL", seed=2).with_columns(ts=pl.col("ts") + late * HOUR)
    return pl.concat([market(700 + late, seed=5), second]).sort("symbol", "ts")


@pytest.mark.parametrize("grid", [{"fast": [2, 3, 4]}, {"interval": ["1h", "2h"], "fast": [2, 3]}])
def test_overfitting_is_told_of_the_same_time_for_trials_over_different_bars(
    strategy, grid, tmp_path
):
    bars, path = Lake(tmp_path / "lake"), strategy()
    bars.write("ohlcv", ragged(500).with_columns(interval=pl.lit("1h")), source="test", now_ns=1)
    found = sweep(bars, path, {"symbols": ["BTC-BRL", "ETH-BRL"], **grid})
    curves = []
    for row in found.trials.rows(named=True):
        said = [f"{name}={row[name]}" for name in found.params]
        equity = cq.backtest(bars, load(path, said)).equity
        length = HOUR * (2 if row.get("interval") == "2h" else 1)
        curves.append(equity.select(pl.col("ts") + length, pl.col("equity")))
    moments = pl.concat(curves).select("ts").unique().sort("ts")
    each = min(256, moments.height // 16)
    ends = np.arange(1, 16 * each + 1) * moments.height // (16 * each) - 1
    kept = [
        moments.join_asof(one, on="ts")["equity"].fill_null(100_000.0).to_numpy()[ends]
        for one in curves
    ]
    worth = np.column_stack([np.append(100_000.0, one) for one in kept])
    told = backtest_overfitting(worth[1:] / worth[:-1] - 1)
    assert found.overfitting.probability == told.probability
    assert np.sort(found.overfitting.logits) == pytest.approx(np.sort(told.logits))


def test_overfitting_is_the_same_however_many_are_shown_in_whatever_order(strategy):
    grid = {"symbols": ["BTC-BRL", "ETH-BRL"], "fast": [2, 3, 4]}
    told = {
        sweep(ragged(300), strategy(), grid, top=top, sort=sort).overfitting.probability
        for top in (1, 6)
        for sort in ("sharpe", "fees")
    }
    assert len(told) == 1


def test_overfitting_of_trials_that_are_the_same_or_never_trade_is_one_half(strategy):
    for grid, more in (({"backtest.allow_short": [True, False]}, {}), ({"fast": [3, 4]}, NEVER)):
        assert sweep(market(400), strategy(), grid, **more).overfitting.probability == 0.5


def test_overfitting_of_many_trials_is_told_of_sixteen_stretches(strategy):
    found = sweep(market(300), strategy(), {"fast": "2:26", "slow": "30:50"})
    assert found.trials.height == 525
    assert found.overfitting.logits.size == 4_000_000 // 525 // 2 * 2


def test_what_the_grid_tries_is_not_set_for_all_trials(strategy):
    for source in (strategy(), load(strategy())):
        with pytest.raises(UsageError, match=r"backtest\.cash is set for all trials"):
            sweep(market(100), source, {"backtest.cash": [1, 2]}, cash=5)


def test_draws_are_repeated_by_their_seed_and_no_combination_comes_twice(strategy):
    grid = {"fast": "2:10", "slow": "11:40"}
    one, same, other = (
        sweep(market(200), strategy(), grid, random=20, seed=seed).trials for seed in (4, 4, 5)
    )
    assert one.equals(same)
    assert not one.equals(other)
    assert one.select("fast", "slow").is_unique().all()
    wide = sweep(market(200), strategy(), {"sizing.fraction": "0.1:0.9"}, random=5)
    assert wide.trials["sizing.fraction"].is_between(0.1, 0.9).all()


def test_a_strategy_that_is_there_already_is_swept_as_its_file_is(strategy):
    bars, grid = market(300), {"fast": [2, 5], "orders.trailing_stop": [0.05, 0.1]}
    found = sweep(bars, load(strategy()), grid)
    assert found.trials.equals(sweep(bars, strategy(), grid).trials)


def test_settings_that_are_text_are_those_of_a_backtest(strategy):
    bars = market(300)
    said = {"fill": "next_close", "profile": "vectorbt", "slippage": {"kind": "fixed_bps"}}
    found = sweep(bars, strategy(), {"fast": [2, 5]}, **said)
    assert_same(bars, strategy(), found, **said)


def test_as_many_of_the_best_as_there_are_are_shown(strategy):
    assert len(sweep(market(300), strategy(), {"fast": [3, 4]}, top=10**24).best) == 2


def test_the_best_come_first_whatever_best_means(strategy):
    grid = {"fast": "2:6", "slow": [9, 20]}
    by_return = sweep(market(400), strategy(), grid, sort="total_return", top=3)
    values = [one.figures["total_return"] for one in by_return.best]
    assert values == sorted(by_return.trials["total_return"], reverse=True)[:3]
    cheap = sweep(market(400), strategy(), grid, sort="fees", top=3)
    assert [one.figures["fees"] for one in cheap.best] == sorted(cheap.trials["fees"])[:3]


def test_trials_that_the_lake_knows_deflate_the_best(tmp_path, strategy):
    lake = Lake(tmp_path / "lake")
    lake.write("ohlcv", market(700).with_columns(interval=pl.lit("1h")), source="test", now_ns=1)
    grid = {"fast": [3, 5, 8], "slow": [20, 30]}
    alone = sweep(lake, strategy(), grid, top=2)
    assert [one.luck.tried for one in alone.best] == [6, 6]
    makers.sweep_folder(tmp_path / "runs", "before", [0.1 * k for k in range(-40, 40)])
    after = sweep(lake, strategy(), grid, top=2)
    assert after.best[0].luck.tried == 86
    assert after.best[0].luck.deflated < alone.best[0].luck.deflated
    assert after.best[0].luck.probabilistic == alone.best[0].luck.probabilistic


@given(
    st.integers(2, 30), st.integers(3, 60),
    st.lists(st.floats(1, 1e6).map(lambda x: round(x, 2)), min_size=70, max_size=120),
)  # fmt: skip
@settings(max_examples=40)
def test_crossings_by_whole_numbers_are_those_of_the_strategy(fast, more, closes):
    from cq.indicators import CLOSE, sma_above
    from cq.sweeps import kernel

    slow = min(fast + more, 60)
    frame = pl.DataFrame({"close": closes})
    wanted = frame.select(sma_above(CLOSE, fast, slow).cast(pl.Float64)).to_series().to_numpy()
    sums = np.concatenate(([0], np.cumsum(np.rint(np.array(closes) * 1e8).astype(np.int64))))
    size = len(closes)
    table, signs = np.zeros((2, size), np.float32), np.zeros(kernel.TILE, dtype=np.uint8)
    kernel.means(sums, fast, table[0])
    kernel.means(sums, slow, table[1])
    rows, to = np.zeros(size, dtype=np.int64), np.zeros(size)
    count = kernel.cross(*table, sums, fast, slow, 0, 1.0, 1.0, signs, rows, to)
    terms = np.array([1.0, 1.0, *[0.0] * 11])
    plain, there = np.zeros(size, dtype=np.int64), np.zeros(size)
    same = kernel.decide(wanted, 0, terms, plain, there)
    assert rows[:count].tolist() == plain[:same].tolist()
    assert to[:count].tolist() == there[:same].tolist()


@pytest.mark.parametrize("symbols", ["BTC-BRL", "BTC-BRL, ETH-BRL"])
def test_each_distinct_indicator_is_computed_once(strategy, symbols):
    names = symbols.split(", ")
    bars = pl.concat(market(300, one, seed=i) for i, one in enumerate(names))
    path = strategy(CROSS + "average: ema\n", symbols)
    setting = Setting(bars, recipe_of(path), settings_of({}), Period(), "BRL", lambda _: None)
    computed = []

    class Columns(dict):
        def __setitem__(self, name, column):
            computed.append(name)
            super().__setitem__(name, column)

    def ground(strategy):
        made = setting.ground(strategy)
        made._columns = Columns()
        return made

    grid = [{"fast": fast, "slow": slow} for fast in (3, 5, 8) for slow in (20, 30, 40)]
    assert len(Runner(setting.recipe, ground).run(list(enumerate(grid, 1)))) == 9
    assert len(computed) == len(set(computed)) == 6
