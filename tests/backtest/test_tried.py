"""How often a strategy was tried is read off the runs, as the view `runs` has them."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import makers
import numpy as np
import polars as pl
import pytest
from scipy import stats

import cq
from cq.backtest.result import write_run
from cq.backtest.tried import deflated, key_of, kind_of, trial_of, tried
from cq.lake.raw import TRIALS

WHEN = datetime(2024, 1, 1, tzinfo=UTC)
CLOSES = 100 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.01, 2_000)))
BARS = makers.hourly("A-B", CLOSES.tolist())


def result(seed=0):
    wanted = (pl.Series(np.random.default_rng(seed).uniform(0, 1, BARS.height)) > 0.5).cast(float)
    return cq.backtest(BARS.with_columns(target=wanted), interval="1h", fees={"taker": 0})


def keep(runs, folder, one, **changes):
    one.write(runs / folder)
    config = json.loads((runs / folder / "config.json").read_text())
    config["strategy"] |= changes
    (runs / folder / "config.json").write_text(json.dumps(config))
    write_run(runs / folder, WHEN, 0.1, {"trials": 1, "dsr": None})


def test_runs_of_one_kind_count_once_a_set_of_parameters(tmp_path):
    one = result()
    keep(tmp_path, "a", one, kind="crossover", name="x")
    keep(tmp_path, "b", one, kind="crossover", name="y")  # another name only
    keep(tmp_path, "c", one, kind="crossover", interval="2h")
    keep(tmp_path, "d", one, kind="macd")
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "config.json").write_text("{broken")
    asked = {**one.config, "strategy": {**one.config["strategy"], "kind": "crossover"}}
    assert len(tried(tmp_path, asked)) == 2
    assert set(tried(tmp_path, asked).values()) == {one.metrics["sharpe"]}
    assert tried(tmp_path / "none", asked) == {}


def test_a_trial_whose_ratio_is_no_number_counts_as_one_that_has_none(tmp_path):
    makers.sweep_folder(tmp_path, "a", [0.5, math.nan, math.inf, None])
    found = tried(tmp_path, {"strategy": {"kind": "crossover"}})
    assert sorted(found.values()) == [0.0, 0.0, 0.0, 0.5]
    one = result()
    assert 0 <= deflated(one, found)["dsr"] <= 1


def test_what_a_run_keeps_of_itself_counts_the_same(tmp_path):
    one = result()
    keep(tmp_path, "a", one)
    slowly = tried(tmp_path, one.config)
    said = {"trial": trial_of(one.config, one.metrics)}
    write_run(tmp_path / "a", WHEN, 0.1, {"trials": 1, "dsr": None}, said)
    (tmp_path / "a" / "config.json").unlink()
    (tmp_path / "a" / "metrics.json").unlink()
    (tmp_path / "file").write_text("")
    assert tried(tmp_path, one.config) == slowly != {}
    assert tried(tmp_path, {**one.config, "strategy": {"kind": "macd"}}) == {}


def test_sessions_on_paper_are_no_trials(tmp_path):
    one = result()
    keep(tmp_path, "a", one)
    (tmp_path / "a" / "run.json").write_text('{"mode": "paper"}')
    assert tried(tmp_path, one.config) == {}


def test_each_trial_of_a_sweep_counts_once_however_often_it_is_repeated(tmp_path):
    one = result()
    rows = [
        {"sharpe": ratio, "config": json.dumps({**one.config, "symbols": [f"{i}-B"]})}
        for i, ratio in enumerate((1.0, 2.0, None))
    ]
    frame = pl.DataFrame(rows, schema={name: TRIALS[name] for name in ("sharpe", "config")})
    for name in ("s1", "s2"):
        (tmp_path / name).mkdir()
        frame.write_parquet(tmp_path / name / "trials.parquet")
    assert sorted(tried(tmp_path, one.config).values()) == [0.0, 1.0, 2.0]
    assert tried(tmp_path, {**one.config, "strategy": {"kind": "macd"}}) == {}


def test_the_newest_of_the_same_set_of_parameters_counts_whether_run_or_swept(tmp_path):
    one = result()

    def swept(name, ratio):
        (tmp_path / name).mkdir()
        row = {"sharpe": ratio, "config": json.dumps(one.config), "key": key_of(one.config)}
        pl.DataFrame([row]).write_parquet(tmp_path / name / "trials.parquet")
        return list(tried(tmp_path, one.config).values())

    assert swept("a", 7.0) == [7.0]
    keep(tmp_path, "b", one)
    assert list(tried(tmp_path, one.config).values()) == [one.metrics["sharpe"]]
    assert swept("c", 8.0) == [8.0]


@pytest.mark.parametrize("ratios", [(1.0, -2.0), (-2.0, 1.0)])
def test_of_a_sweep_over_costs_the_best_of_each_set_counts_in_whatever_order(tmp_path, ratios):
    one = result()
    said = [json.dumps({**one.config, "backtest": {"fees": {"taker": fee}}}) for fee in (0, 0.01)]
    (tmp_path / "s").mkdir()
    rows = [{"sharpe": ratio, "config": config} for ratio, config in zip(ratios, said, strict=True)]
    pl.DataFrame(rows).write_parquet(tmp_path / "s" / "trials.parquet")
    assert list(tried(tmp_path, one.config).values()) == [1.0]


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [("max_position", 0.5, True), ("max_gross_exposure", 2.0, True), ("allow_short", True, True),
     ("latency_bars", 3, False), ("cash", 5.0, False)],
)  # fmt: skip
def test_caps_are_parameters_and_the_rest_of_the_backtest_is_costs(name, value, other):
    config = result().config
    changed = {**config, "backtest": {**config["backtest"], name: value}}
    assert (key_of(changed) != key_of(config)) == other


def test_one_try_is_not_deflated_and_many_are_as_the_formula_says():
    one = result()
    alone = deflated(one, {})
    assert alone == {"trials": 1, "dsr": pytest.approx(one.metrics["psr"])}
    others = {str(i): ratio for i, ratio in enumerate((0.5, -1.0, 2.0, 0.1))}
    found = deflated(one, others)
    ratios = [*others.values(), one.metrics["sharpe"]]
    deviation, n = np.std(ratios, ddof=1) / math.sqrt(365), 5
    best = deviation * (
        (1 - np.euler_gamma) * stats.norm.ppf(1 - 1 / n)
        + np.euler_gamma * stats.norm.ppf(1 - 1 / (n * math.e))
    )
    day = pl.col("ts") // (24 * makers.HOUR)
    days = one.equity.group_by(day, maintain_order=True).agg(pl.col("equity").last())
    curve = np.array([one.cash, *days["equity"]])
    r = curve[1:] / curve[:-1] - 1
    sr, skew, kurt = r.mean() / r.std(ddof=1), stats.skew(r), stats.kurtosis(r, fisher=False)
    spread = math.sqrt(1 - skew * sr + (kurt - 1) / 4 * sr**2)
    expected = stats.norm.cdf((sr - best) * math.sqrt(r.size - 1) / spread)
    assert found == {"trials": 5, "dsr": pytest.approx(expected, rel=1e-6)}


def test_the_same_again_is_not_one_more_try(tmp_path):
    one = result()
    keep(tmp_path, "a", one)
    assert deflated(one, tried(tmp_path, one.config))["trials"] == 1


def test_other_code_of_the_user_is_another_try():
    def key(**own):
        return key_of({"strategy": {"kind": "own"}, "symbols": [], "code": {"cq": "1", **own}})

    before, without = key(python="a"), key(python="a", imports={})
    helped, edited = (key(python="a", imports={"helper.py": said}) for said in "xy")
    assert before == without  # a run that does not say what was imported is of the same code
    assert len({before, key(python="b"), helped, edited}) == 4


def test_of_a_users_own_strategy_the_file_is_the_kind():
    assert kind_of({"strategy": {"kind": "own", "python": "mine.py"}}) == "mine.py"
    assert kind_of({"strategy": {"kind": "macd", "python": None}}) == "macd"
