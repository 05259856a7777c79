"""Other histories of a run, drawn again from what it did."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
from wandering import BARE, market

import cq
from cq.backtest.kept import Kept
from cq.errors import DataError, UsageError
from cq.lake import Lake
from cq.strategies import load
from cq.sweeps.montecarlo import daily_returns, monte_carlo, trip_returns


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project's lake, and a run of 40 days in its folder."""
    project = tmp_path_factory.mktemp("monte") / "project"
    lake = Lake(project / "lake")
    lake.write("ohlcv", market(960, seed=5).with_columns(interval=pl.lit("1h")), source="test",
               now_ns=1)  # fmt: skip
    (project / "cross.yaml").write_text(BARE.format(symbols="BTC-BRL"))
    result = cq.backtest(lake, load(project / "cross.yaml"))
    folder = project / "runs" / "one"
    result.write(folder)
    return project, lake, Kept.of(folder), result


def test_the_same_seed_draws_the_same_histories(made):
    project, lake, kept, _ = made
    one, same, other = (
        [s.as_json() for s in monte_carlo(lake, kept, project, samples=200, starts=4, seed=seed)]
        for seed in (3, 3, 4)
    )
    assert one == same
    assert one != other
    assert [s["method"] for s in one] == ["trades", "blocks", "starts"]
    assert [s["samples"] for s in one] == [200, 200, 4]


def test_a_method_draws_the_same_whether_others_are_asked_for_or_not(made):
    project, lake, kept, _ = made
    (alone,) = monte_carlo(lake, kept, project, methods=["blocks"], samples=50)
    both = monte_carlo(lake, kept, project, methods=["trades", "blocks"], samples=50)
    assert alone.returns.tolist() == both[1].returns.tolist()


def test_moves_are_those_of_the_run_so_that_in_their_order_they_make_it_again(made):
    _, _, kept, result = made
    days = daily_returns(kept)
    assert days.size == 40
    assert np.prod(1 + days) == pytest.approx(1 + result.metrics["total_return"])
    trips = trip_returns(kept)
    assert trips.size == result.metrics["round_trips"]
    closed = result.trades.filter(pl.col("side") == "sell")["ts"][-1]
    after = result.equity.filter(pl.col("ts") >= closed)["equity"][0]
    assert np.prod(1 + trips) == pytest.approx(after / 100_000, rel=1e-6)


@pytest.mark.parametrize(
    "rules", [{"fill": "next_open"}, {"fill": "next_close"}, {"profile": "vectorbt"}]
)
def test_trips_in_their_order_make_the_run_whatever_its_fills_are_made_at(made, tmp_path, rules):
    project, lake, _, _ = made
    costs = {"fees": {"taker": 0.01}, "slippage": {"bps": 20}}
    result = cq.backtest(lake, load(project / "cross.yaml"), **rules, **costs)
    result.write(tmp_path / "run")
    trips = trip_returns(Kept.of(tmp_path / "run"))
    last = result.trades.filter(pl.col("side") == "sell")["ts"][-1]
    after = result.equity.filter(pl.col("ts") >= last)["equity"][0]
    assert trips.size == result.metrics["round_trips"] > 9
    assert np.prod(1 + trips) == pytest.approx(after / 100_000, rel=1e-9)


@pytest.mark.parametrize("rules", [{"fill": "next_open"}, {"fill": "next_close"}])
def test_a_trip_that_begins_with_a_turn_is_a_share_of_what_the_one_before_left(
    made, tmp_path, rules
):
    project, *_ = made
    strategy = load(project / "cross.yaml", ["shorts=true"])
    bars = market(960, seed=5).with_columns(open=pl.col("close").shift(1).fill_null(pl.col("open")))
    bars = bars.with_columns(
        high=pl.max_horizontal("open", "high"), low=pl.min_horizontal("open", "low")
    )
    result = cq.backtest(bars, strategy, allow_short=True, **rules)
    assert result.metrics["round_trips"] == result.trades.height - 1 > 9
    result.write(tmp_path / "run")
    trips = trip_returns(Kept.of(tmp_path / "run"))
    sides = pl.when(pl.col("side") == "buy").then(1).otherwise(-1)
    held = result.trades.select((sides * pl.col("qty")).sum()).item()
    last = result.trades.row(-1, named=True)
    cost, entry = last["fee"] + last["slippage"], abs(held) / last["qty"]
    left = result.equity.filter(pl.col("ts") < last["ts"])["equity"][-1]
    left += cost * entry if rules["fill"] == "next_close" else -cost * (1 - entry)
    assert np.prod(1 + trips) == pytest.approx(left / 100_000, rel=1e-9)


def test_histories_spread_around_what_happened_and_never_fall_below_nothing(made):
    project, lake, kept, result = made
    for one in monte_carlo(lake, kept, project, samples=2_000, methods=["trades", "blocks"]):
        low, high = np.percentile(one.returns, [5, 95])
        assert low < result.metrics["total_return"] < high
        assert ((one.drawdowns <= 0) & (one.drawdowns >= -1)).all()
        assert (one.drawdowns <= np.minimum(one.returns, 0) + 1e-12).all()


def test_a_start_is_a_backtest_from_there(made):
    project, lake, kept, _ = made
    (found,) = monte_carlo(lake, kept, project, methods=["starts"], starts=3, seed=9)
    chance = np.random.default_rng([9, 2])
    first, last = market(960)["ts"][0], market(960)["ts"][-1]
    starts = np.sort(chance.integers(first, first + (last - first) // 5 + 1, 3)).tolist()
    own = [cq.backtest(lake, load(project / "cross.yaml"), start=one) for one in starts]
    assert found.returns.tolist() == [one.metrics["total_return"] for one in own]
    assert found.drawdowns.tolist() == [one.metrics["max_dd"] for one in own]


def test_what_looks_back_on_nothing_is_run_from_other_dates_too(made, tmp_path):
    project, lake, _, _ = made
    hold = tmp_path / "hold.yaml"
    hold.write_text("kind: buy_and_hold\nsymbols: [BTC-BRL]\ninterval: 1h\n")
    cq.backtest(lake, load(hold)).write(tmp_path / "hold")
    kept = Kept.of(tmp_path / "hold")
    (found,) = monte_carlo(lake, kept, project, methods=["starts"], starts=3, seed=9)
    chance = np.random.default_rng([9, 2])
    first, last = market(960)["ts"][0], market(960)["ts"][-1]
    starts = np.sort(chance.integers(first, first + (last - first) // 5 + 1, 3)).tolist()
    own = [cq.backtest(lake, load(hold), start=one) for one in starts]
    assert found.returns.tolist() == [one.metrics["total_return"] for one in own]


def keep_trades(folder, trades):
    """Let these be all trades of the run in a folder."""
    trades.write_csv(folder / "trades.csv")
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | {"trades": trades.height}))


def test_a_history_that_lost_everything_stays_lost(made, tmp_path):
    """Three shorts of 100,000 each: one gains a tenth, the others lose half as much again."""
    project, lake, kept, _ = made
    ruined = shutil.copytree(kept.folder, tmp_path / "ruined")
    curve = pl.DataFrame({"ts": range(7), "equity": [1e5] * 7, "exposure": [0.0] * 7})
    curve.write_parquet(ruined / "equity.parquet")
    sides, prices = ["sell", "buy"] * 3, [100.0, 90.0, 100.0, 250.0, 100.0, 250.0]
    trades = pl.DataFrame({"ts": range(1, 7), "side": sides, "price": prices})
    keep_trades(
        ruined, trades.with_columns(symbol=pl.lit("BTC-BRL"), qty=1_000.0, fee=0.0, slippage=0.0)
    )
    (found,) = monte_carlo(lake, Kept.of(ruined), project, methods=["trades"])
    ends = {round(1.1**3 - 1, 6), *(round(-0.5 * 1.1**won - 1, 6) for won in range(3))}
    assert set(found.returns.round(6).tolist()) == ends
    assert (found.returns > 0).mean() == pytest.approx(1 / 27, abs=0.02)


def test_a_trip_that_began_with_nothing_left_is_no_move(made, tmp_path):
    _, _, kept, _ = made
    ruined = shutil.copytree(kept.folder, tmp_path / "ruined")
    curve = pl.read_parquet(ruined / "equity.parquet")
    curve.with_columns(equity=pl.lit(-5.0)).write_parquet(ruined / "equity.parquet")
    assert set(trip_returns(Kept.of(ruined))[1:].tolist()) == {0.0}


def test_a_run_without_round_trips_is_told_by_the_other_methods(made, tmp_path):
    project, lake, kept, _ = made
    folder = shutil.copytree(kept.folder, tmp_path / "held")
    keep_trades(folder, pl.read_csv(folder / "trades.csv").head(1))
    held = Kept.of(folder)
    said: list[str] = []
    found = monte_carlo(lake, held, project, samples=20, starts=2, say=said.append)
    assert [one.method for one in found] == ["blocks", "starts"]
    assert said == ["trades is left out: held has 0 closed round trips, two are needed"]
    with pytest.raises(DataError, match="0 closed round trips; expected at least two: --method bl"):
        monte_carlo(lake, held, project, methods=["trades"])


def test_what_cannot_be_drawn_from_is_said_in_a_line(made, tmp_path):
    project, lake, kept, _ = made
    with pytest.raises(UsageError, match="at least one sample"):
        monte_carlo(lake, kept, project, samples=0)
    with pytest.raises(UsageError, match="--seed -1 is below 0; expected a whole number"):
        monte_carlo(lake, kept, project, seed=-1)
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in ("config.json", "metrics.json"):
        (empty / name).write_text(json.dumps(kept.config))
    with pytest.raises(DataError, match=r"equity.parquet cannot be read"):
        monte_carlo(lake, Kept.of(empty), project)
