"""Walk-forward and cross-validation: chosen on one stretch of time, tried on another."""

import math
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandering import BARE, market

import cq
from cq.backtest.bars import Period
from cq.backtest.door import settings_of
from cq.errors import DataError, UsageError
from cq.lake import Lake
from cq.strategies import load
from cq.sweeps.cpcv import cross_validate
from cq.sweeps.door import How, Setting, recipe_of
from cq.sweeps.folds import Groups, walk
from cq.sweeps.space import axes_of
from cq.sweeps.walkforward import Spans, walk_forward

AXES = axes_of({"fast": [3, 6], "slow": [12, 24, 48]})


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("walk") / "cross.yaml"
    path.write_text(BARE.format(symbols="BTC-BRL"))
    return path


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("walked") / "lake")
    rows = market(1_500, skip=0.01, seed=5).with_columns(interval=pl.lit("1h"))
    lake.write("ohlcv", rows, source="test", now_ns=1)
    return lake


def setting(source, path, period=None, say=lambda _: None):
    return Setting(source, recipe_of(path), settings_of({}), period or Period(), "BRL", say)


@given(
    st.integers(0, 50), st.integers(20, 400), st.integers(1, 100), st.integers(1, 60),
    st.integers(0, 30), st.booleans(),
)  # fmt: skip
def test_tests_follow_each_other_and_nothing_is_chosen_on_what_comes_later(
    first, size, train, test, purge, anchored
):
    end = first + size
    if purge >= train or train >= size:
        with pytest.raises(UsageError):
            walk(first, end, train, test, purge, anchored=anchored)
        return
    folds = walk(first, end, train, test, purge, anchored=anchored)
    assert folds[0].test_start == first + train
    assert folds[-1].test_end == end
    assert all(one.test_end == two.test_start for one, two in pairwise(folds))
    for one in folds:
        assert first <= one.train_start < one.train_end == one.test_start - purge
        assert one.train_start == (first if anchored else one.test_start - train)
        assert 0 < one.test_end - one.test_start <= test


@pytest.mark.parametrize("anchored", [False, True])
def test_each_fold_is_the_best_backtest_of_the_past_and_the_test_its_own_backtest(
    lake, path, anchored
):
    found = walk_forward(setting(lake, path), AXES, How(), Spans("400", "200", anchored))
    assert found.config["walk"]["purge_bars"] == 47
    cash, sold = 100_000.0, 0
    for row in found.folds.to_dicts():
        ratios = {}
        for fast in (3, 6):
            for slow in (12, 24, 48):
                own = cq.backtest(
                    lake, load(path, [f"fast={fast}", f"slow={slow}"]),
                    start=row["train_start"], end=row["train_end"],
                )  # fmt: skip
                ratios[fast, slow] = own.metrics["sharpe"]
        best = max(ratios, key=lambda one: ratios[one])
        assert (row["fast"], row["slow"]) == best
        assert row["train_sharpe"] == ratios[best]
        said = [f"fast={best[0]}", f"slow={best[1]}"]
        own = cq.backtest(
            lake, load(path, said), start=row["test_start"], end=row["test_end"], cash=cash
        )
        part = found.equity.filter(pl.col("fold") == row["fold"])
        assert part["equity"][:-1].to_list() == own.equity["equity"][:-1].to_list()
        assert part["exposure"][:-1].to_list() == own.equity["exposure"][:-1].to_list()
        assert part["exposure"][-1] == 0
        left = own.positions.filter(pl.col("ts") == own.equity["ts"][-1])
        if left.is_empty():
            assert row["test_sharpe"] == own.metrics["sharpe"]
            assert row["test_return"] == own.metrics["total_return"]
        else:
            sold += 1
            price = left["close"][0] * (1 - 5 / 10_000)
            paid = left["qty"][0] * price * (1 - 0.007)
            assert part["equity"][-1] == pytest.approx(own.equity["cash"][-1] + paid, rel=1e-12)
            assert row["test_return"] == part["equity"][-1] / cash - 1
        cash = part["equity"][-1]
    assert 0 < sold < found.folds.height
    assert found.trades.filter(pl.col("reason") == "fold_end").height == sold
    assert found.metrics["total_return"] == cash / 100_000 - 1
    assert found.equity["ts"].is_sorted()
    assert found.equity["ts"].is_unique().all()
    assert found.trials.height == 6 * found.folds.height
    assert found.trials["trial"].is_unique().all()


def test_as_many_bars_of_each_market_are_cut_as_signals_look_back_on(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(BARE.format(symbols="BTC-BRL, SOL-BRL, OLD-BRL"))
    thin = market(1_500, "SOL-BRL", seed=7, skip=0.5)
    ended = market(300, "OLD-BRL", seed=8)
    bars = pl.concat([market(1_500, seed=5), thin, ended])
    found = walk_forward(setting(bars, path), AXES, How(), Spans("500", "200"))
    assert found.folds.height == 5
    for train_end, test_start in found.folds.select("train_end", "test_start").iter_rows():
        cut = thin.filter(pl.col("ts").is_between(train_end, test_start, closed="left"))
        assert cut.height == found.config["walk"]["purge_bars"] == 47


def test_what_was_left_of_the_metric_is_told_of_the_same_folds_before_and_after(lake, path):
    walked = walk_forward(setting(lake, path), AXES, How(), Spans("400", "200"))
    sides = {"train_sharpe": [4.0, 1.0, None], "test_sharpe": [1.0, None, 8.0]}
    assert replace(walked, folds=pl.DataFrame(sides)).degradation == 0.25
    untold = pl.DataFrame(sides).slice(1)
    assert replace(walked, folds=untold).degradation is None


def test_later_bars_change_no_choice_and_no_test_before_them(path):
    bars = market(1_000, seed=5)
    spans = Spans("300", "100")
    whole = walk_forward(setting(bars, path), AXES, How(), spans)
    early = walk_forward(setting(bars.head(700), path), AXES, How(), spans)
    assert whole.folds.head(early.folds.height).equals(early.folds)
    assert whole.equity.head(early.equity.height).equals(early.equity)


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        (Spans("30", "10"), "cut off the end of --train"),
        (Spans("2000", "10"), "as long as all there is"),
        (Spans("x", "10"), "--train x: expected a length"),
        (Spans("200", "0"), "--test 0: expected at least one bar"),
        (Spans("200", "50", purge="-1"), "--purge -1: expected a number of bars"),
    ],
)
def test_a_walk_that_cannot_be_is_refused_in_a_line(path, spans, said):
    with pytest.raises(UsageError, match=said):
        walk_forward(setting(market(500), path), AXES, How(), spans)


def test_cash_is_no_parameter_to_choose_since_tests_go_on_with_what_is_left(path):
    asked, axes = setting(market(500), path), axes_of({"backtest.cash": [1_000, 100_000]})
    with pytest.raises(UsageError, match=r"backtest.cash is not chosen: .* what the one before"):
        walk_forward(asked, axes, How(), Spans("200", "100"))
    with pytest.raises(UsageError, match=r"backtest.cash is not chosen"):
        cross_validate(asked, axes, How(), Groups(3, 1))


def test_the_first_test_begins_with_the_cash_of_the_strategy_file(path):
    axes = axes_of({"backtest.cash": [5_000]})
    found = walk_forward(setting(market(500), path), axes, How(), Spans("200", "100"))
    returns = found.folds["test_return"]
    assert found.metrics["total_return"] == pytest.approx((1 + returns).product() - 1)


def test_a_past_too_short_for_any_combination_is_said_with_its_fold(path):
    axes = axes_of({"slow": [250, 260]})
    with pytest.raises(DataError, match=r"fold 1: .*needs 2[56]0 bars.*longer --train"):
        walk_forward(setting(market(600), path), axes, How(), Spans("200", "50", purge="0"))


def test_a_hole_in_history_is_passed_over_and_counted(path):
    """Bars 400 to 699 are missing: three folds have nothing to test, one nothing to choose on."""
    bars = market(1_200, seed=5)
    holed = bars.filter(~pl.int_range(pl.len()).is_between(400, 699))
    spans = Spans("200", "100")
    found = walk_forward(setting(holed, path), AXES, How(), spans)
    hours = (found.folds["test_start"] // 3_600_000_000_000).to_list()
    assert hours == [200, 300, 800, 900, 1_000, 1_100]
    assert found.empty == 4
    assert found.as_json()["empty"] == 4
    assert found.equity.height == 600
    whole = walk_forward(setting(bars, path), AXES, How(), spans)
    assert whole.empty == 0
    assert found.folds.head(2).equals(whole.folds.head(2))


def test_a_walk_without_any_bars_to_test_is_refused_in_a_line(path):
    bars = market(800, seed=5).filter(~pl.int_range(pl.len()).is_between(300, 798))
    with pytest.raises(DataError, match="BTC-BRL: no fold has bars to choose on and to test"):
        walk_forward(setting(bars, path), AXES, How(), Spans("350", "100"))


NOT_A_NUMBER = """
from typing import ClassVar
import polars as pl
from cq.indicators import in_time_order
from cq.strategies import StrategyConfig

class Config(StrategyConfig):
    over: float = 1.0
    warmup: ClassVar[int] = 2

def generate_signals(bars, config):
    rising = in_time_order(pl.col("close") > pl.col("close").shift(1))
    return bars.with_columns(signal=rising.cast(pl.Int8))

def size_positions(bars, config):
    return bars.with_columns(target=pl.col("signal") / config.over)
"""


@pytest.fixture
def broken(tmp_path):
    """A strategy whose targets are no numbers with one of its parameters."""
    (tmp_path / "broken.py").write_text(NOT_A_NUMBER)
    path = tmp_path / "broken.yaml"
    path.write_text("python: broken.py\nsymbols: [BTC-BRL]\ninterval: 1h\n")
    return path


def test_trials_that_fail_are_counted_with_the_first_reason(broken):
    axes = axes_of({"over": [0.0, 1.0, 2.0]})
    asked = setting(market(400, seed=5), broken)
    walked = walk_forward(asked, axes, How(), Spans("100", "100"))
    crossed = cross_validate(asked, axes, How(), Groups(4, 1))
    for found, count in ((walked, 3), (crossed, 1)):
        assert found.failed[0] == count
        assert "the target of BTC-BRL at" in found.failed[1]
        assert found.as_json()["failed"] == count
    assert walked.trials.height == 6
    none = axes_of({"over": [0.0]})
    with pytest.raises(UsageError, match=r"the target of BTC-BRL at .* is "):
        walk_forward(asked, none, How(), Spans("100", "100"))
    with pytest.raises(UsageError, match=r"the target of BTC-BRL at .* is "):
        cross_validate(asked, none, How(), Groups(4, 1))


# ---- cross-validation


def test_every_split_is_what_a_plain_loop_finds(path):
    bars, groups, purge = market(900, seed=5), Groups(5, 2), 47
    found = cross_validate(setting(bars, path), AXES, How(), groups)
    curves = {}
    for number, (fast, slow) in enumerate(((f, s) for f in (3, 6) for s in (12, 24, 48)), 1):
        own = cq.backtest(bars, load(path, [f"fast={fast}", f"slow={slow}"]))
        equity = np.concatenate(([own.cash], own.equity["equity"].to_numpy()))
        curves[number] = equity[1:] / equity[:-1] - 1
    edges = [900 * k // 5 for k in range(6)]
    year = math.sqrt(365 * 24)
    tested_by = {group: [] for group in range(5)}
    for row, split in zip(found.splits.to_dicts(), combinations(range(5), 2), strict=True):
        test, train = np.zeros(900, dtype=bool), np.ones(900, dtype=bool)
        for group in split:
            test[edges[group] : edges[group + 1]] = True
            train[edges[group] : edges[group + 1] + purge] = False
        train &= ~test
        scores = {n: one[train].mean() / one[train].std(ddof=1) for n, one in curves.items()}
        best = max(scores, key=lambda n: scores[n])
        after = {n: one[test].mean() / one[test].std(ddof=1) for n, one in curves.items()}
        assert row["trial"] == best
        assert row["tested"] == ",".join(str(group + 1) for group in split)
        assert row["train_sharpe"] == pytest.approx(scores[best] * year)
        assert row["test_sharpe"] == pytest.approx(after[best] * year)
        assert row["rank"] == sum(one < after[best] for one in after.values()) / 5
        for group in split:
            tested_by[group].append(best)
    assert found.paths.height == groups.paths == 4
    for row in found.paths.to_dicts():
        parts = [
            curves[tested_by[group][row["path"] - 1]][edges[group] : edges[group + 1]]
            for group in range(5)
        ]
        whole = np.concatenate(parts)
        assert row["total_return"] == pytest.approx(np.prod(1 + whole) - 1)
        assert row["sharpe"] == pytest.approx(whole.mean() / whole.std(ddof=1) * year)


SHORT = NOT_A_NUMBER.replace('pl.col("signal") / config.over', "pl.lit(-config.over)")


def test_a_history_put_together_of_tests_stays_where_everything_was_lost(tmp_path):
    """A jump in the first group ruins the short, which is tested there; the long, which gained by
    it, is tested where the market falls, and makes no debts smaller."""
    (tmp_path / "short.py").write_text(SHORT)
    path = tmp_path / "short.yaml"
    path.write_text("python: short.py\nsymbols: [BTC-BRL]\ninterval: 1h\n")
    row = pl.int_range(pl.len())
    course = pl.when(row < 5).then(1.0).otherwise(2.5 * 0.995 ** (row - 30).clip(lower_bound=0))
    prices = [pl.col(name) * course for name in ("open", "high", "low", "close")]
    bars = market(120, seed=5).with_columns(prices)
    asked = replace(setting(bars, path), settings=settings_of({"allow_short": True}))
    found = cross_validate(asked, axes_of({"over": [1.0, -1.0]}), How(), Groups(4, 1), purge="0")
    assert found.splits["over"].to_list() == [1.0, -1.0, -1.0, -1.0]
    short = cq.backtest(bars, load(path, ["over=1.0"]), allow_short=True)
    owed = short.equity.filter(pl.col("equity") <= 0)["equity"][0]
    assert found.paths["total_return"][0] == pytest.approx(owed / short.cash - 1)
    assert found.paths["max_dd"][0] < -1


@given(
    st.lists(st.lists(st.booleans(), min_size=40, max_size=40), min_size=1, max_size=3),
    st.integers(2, 5), st.integers(0, 12),
)  # fmt: skip
def test_bars_that_look_back_on_a_group_end_where_a_plain_loop_says(opened, count, purge):
    ts = np.flatnonzero(np.any(opened, axis=0)) * 10
    if ts.size < count:
        return
    markets = [np.flatnonzero(one) * 10 for one in opened]
    groups = Groups(count, 1)
    edges = groups.edges(ts.size)
    for group, end in enumerate(groups.looked_back_on(ts, markets, purge).tolist()):
        tested = set(ts[edges[group] : edges[group + 1]].tolist())
        looking = [
            moment
            for own in markets
            for place, moment in enumerate(own.tolist())
            if moment > max(tested) and tested & set(own[max(place - purge, 0) : place].tolist())
        ]
        assert end == np.searchsorted(ts, max(looking, default=max(tested))) + 1


def test_bars_of_a_thin_market_that_look_back_on_a_test_are_not_chosen_on(tmp_path):
    """SOL opens each 20th hour: its signals look back on the first group all over the second."""
    path = tmp_path / "two.yaml"
    path.write_text(BARE.format(symbols="BTC-BRL, SOL-BRL"))
    thin = market(1_500, "SOL-BRL", seed=7).gather_every(20, offset=19)
    bars, axes = pl.concat([market(1_500, seed=5), thin]), axes_of({"slow": [12, 20]})
    found = cross_validate(setting(bars, path), axes, How(), Groups(5, 1))
    curves = []
    for slow in (12, 20):
        own = cq.backtest(bars, load(path, [f"slow={slow}"]))
        equity = np.concatenate(([own.cash], own.equity["equity"].to_numpy()))
        curves.append(equity[1:] / equity[:-1] - 1)
    scores = [one[680:].mean() / one[680:].std(ddof=1) for one in curves]
    assert found.splits["train_sharpe"][0] == pytest.approx(max(scores) * math.sqrt(365 * 24))
    with pytest.raises(DataError, match="nothing is left to choose on where group 1 is tested"):
        cross_validate(setting(bars, path), axes, How(), Groups(2, 1), purge="40")


@pytest.mark.parametrize("text", ["6", "2:2", "0:0", "a:b", "40:20", "6:0", "6:2:1"])
def test_groups_that_make_no_splits_are_refused(text):
    with pytest.raises(UsageError, match="--cpcv"):
        Groups.of(text)


def test_groups_shorter_than_what_signals_look_back_on_are_refused(path):
    with pytest.raises(DataError, match="too few where signals look back on 47"):
        cross_validate(setting(market(300), path), AXES, How(), Groups(10, 2))
    with pytest.raises(UsageError, match="leave --sort out"):
        cross_validate(setting(market(300), path), AXES, How(sort="max_dd"), Groups(4, 2))


def test_choices_between_trials_that_are_the_same_are_as_good_as_chance(path):
    axes = axes_of({"backtest.allow_short": [True, False], "fast": [5]})
    found = cross_validate(setting(market(500), path), axes, How(), Groups(4, 2))
    assert found.splits["rank"].to_list() == [0.5] * 6
    assert found.overfit == 0.5
