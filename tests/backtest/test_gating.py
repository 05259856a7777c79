"""A gate in a strategy's file: trained with the run, refused the future, live as in the batch."""

import shutil
from dataclasses import replace

import polars as pl
import pytest
from gated_strategy import TEXT
from polars.testing import assert_frame_equal

import cq
from cq import backtest, signals
from cq.backtest.gating import with_gate
from cq.cli.main import run
from cq.errors import StrategyError, UsageError
from cq.execution.windows import Windows
from cq.features.gate import save
from cq.lake import Lake
from cq.strategies import load
from cq.utils.config import defaults
from cq.utils.time import HOUR, iso

OWN = """
import polars as pl
from cq.features import feature
from cq.indicators import CLOSE, in_time_order, sma
from cq.strategies import StrategyConfig


@feature(warmup=1)
def tomorrow(values):
    return values.shift(-24) / values


class Config(StrategyConfig):
    @property
    def warmup(self):
        return 24


def generate_signals(bars, config):
    return bars.with_columns(signal=in_time_order((sma(CLOSE, 24) < CLOSE).cast(pl.Int8)))
"""


@pytest.fixture(scope="module")
def project(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gated")
    (folder / "configs").mkdir()
    (folder / "configs/default.yaml").touch()
    bars = pl.read_parquet(shared / "market/ohlcv/hourly_binance_usdt_12.parquet").filter(
        pl.col("symbol").is_in(["BTCUSDT", "ETHUSDT"]), pl.col("ts") >= 1_600_000_000 * 10**9
    )
    Lake(folder / "lake").write(
        "ohlcv",
        bars.with_columns(
            symbol=pl.col("symbol").str.replace("USDT$", "-USDT"), interval=pl.lit("1h")
        ),
        source="test",
        now_ns=2 * 10**18,
    )
    (folder / "gated.yaml").write_text(TEXT)
    (folder / "peeking.py").write_text(OWN)
    (folder / "peeking.yaml").write_text(
        TEXT.replace("kind: crossover", "python: peeking.py")
        .replace("fast: 24\nslow: 120\n", "")
        .replace("rsi_14: {use: rsi, window: 14}", "rsi_14: {use: tomorrow}")
    )
    return folder


@pytest.fixture(scope="module")
def result(project):
    return backtest.run(
        Lake(project / "lake"), load(project / "gated.yaml"), defaults(project).backtest
    )


def test_the_run_says_what_each_model_has_learned_from(result, project, tmp_path):
    told = result.config["gate"]
    assert len(told) > 10
    assert all(one["labels_known"] <= one["since"] for one in told)
    assert all(one["rows"] >= 200 and len(one["digest"]) == 16 for one in told)
    result.write(tmp_path)
    assert (tmp_path / "gate.joblib").exists()


def test_a_gate_lets_some_signals_through_and_makes_none(result, project):
    lake, strategy = Lake(project / "lake"), load(project / "gated.yaml")
    bars = lake.bars(["BTC-USDT", "ETH-USDT"], "1h").collect()
    gated = with_gate(strategy, bars)
    rows = signals.with_targets(bars.lazy(), gated).collect()
    before, after = rows["signal_before_gate"], rows["signal"]
    assert 0 < after.sum() < before.sum()
    assert ((after == before) | (after == 0) | after.is_null()).all()


def test_a_saved_gate_decides_live_bar_by_bar_as_in_the_batch(result, project, tmp_path):
    result.write(tmp_path)
    strategy = load(project / "gated.yaml", [f"gate.trained={tmp_path / 'gate.joblib'}"])
    strategy = with_gate(strategy, None)
    bars = Lake(project / "lake").bars(["BTC-USDT", "ETH-USDT"], "1h").collect()
    whole = signals.targets(bars.lazy(), strategy).collect()
    windows = Windows(strategy, bars)
    moments = bars["ts"].unique().sort().to_list()
    for ts in moments[5_000::487]:
        wishes = windows.wishes(ts, ["BTC-USDT", "ETH-USDT"])
        expected = whole.filter(pl.col("ts") == ts)
        for symbol, signal, target in expected.select("symbol", "signal", "target").rows():
            assert (wishes[symbol].signal, wishes[symbol].target) == (signal, target)


def test_a_run_that_starts_later_has_the_models_of_the_whole(result, project):
    start = (result.equity["ts"].min() + 9_000 * HOUR) // (1_000 * HOUR) * 1_000 * HOUR + 7 * HOUR
    later = backtest.run(
        Lake(project / "lake"), load(project / "gated.yaml"), defaults(project).backtest, start
    )
    known = {one["since"]: one for one in result.config["gate"]}
    assert later.config["gate"][0]["since"] <= iso(start)
    for one in later.config["gate"]:
        assert {**one, "digest": ""} == {**known[one["since"]], "digest": ""}  # features settled


def test_a_gate_over_a_frame_is_trained_as_over_the_lake_that_it_came_from(result, project):
    bars = Lake(project / "lake").bars(["BTC-USDT", "ETH-USDT"], "1h")
    framed = cq.backtest(bars, load(project / "gated.yaml"))
    assert framed.config["gate"] == result.config["gate"]
    assert framed.trades.equals(result.trades)
    assert framed.equity.equals(result.equity)
    start = (result.equity["ts"].min() + 9_000 * HOUR) // HOUR * HOUR
    later = cq.backtest(bars, load(project / "gated.yaml"), start=start)
    assert 0 < len(later.config["gate"]) < len(framed.config["gate"])


def test_a_gate_has_its_history_in_each_fold_of_a_walk(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    walk = ["walkforward", "gated.yaml", "--grid", "fast=12,24", "--train", "900", "--test", "600"]
    period = ["--start", "2021-06-01", "--end", "2021-09-01", "--workers", "1"]
    assert run([*walk, *period, "--out", "runs/walk"]) == 0, capsys.readouterr().err


def kept(result, project, tmp_path, *changes):
    """The project's strategy with the gate that its run has saved, and what was noted."""
    if not (tmp_path / "gate.joblib").exists():
        result.write(tmp_path)
    notes = []
    named = f"gate.trained={tmp_path / 'gate.joblib'}"
    return with_gate(load(project / "gated.yaml", [named, *changes]), None, notes.append), notes


def test_the_threshold_of_a_saved_gate_is_the_one_that_the_file_says(result, project, tmp_path):
    strategy, notes = kept(result, project, tmp_path, "gate.threshold=1")
    assert (strategy.gate.threshold, notes) == (1.0, [])
    bars = Lake(project / "lake").bars(["BTC-USDT", "ETH-USDT"], "1h").collect()
    passed = signals.with_targets(bars.lazy(), strategy).collect()["signal"]
    assert set(passed.drop_nulls()) == {0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("features.rsi_14.window=7", r"learned on features\.rsi_14: .*14.*7.* now; take the old"),
        ("features.move.bars=2", r"learned on features\.move: "),  # strength is made of it as well
        ("gate.inputs=[rsi_14, move]", r"learned on gate\.inputs: .*strength.*, which is .* now"),
        ("gate.label.horizon=12", r"learned on gate\.label: .*24.*12"),
        ("interval=4h", r"learned on .*(4h|features)"),
        ("fast=12", r"learned on fast: 24, which is 12 now"),
    ],
)
def test_a_saved_gate_that_has_learned_on_something_else_is_refused(
    result, project, tmp_path, change, said
):
    with pytest.raises(UsageError, match=said) as caught:
        kept(result, project, tmp_path, change)
    assert "\n" not in str(caught.value)


def test_what_a_saved_gate_never_saw_may_change(result, project, tmp_path):
    changes = ["features.day_trend.window=9", "gate.train_bars=10", "features.rsi_14.mean=wilder"]
    assert kept(result, project, tmp_path, *changes)[1] == []


def test_of_an_older_file_the_names_of_inputs_are_compared_and_the_rest_is_noted(
    result, project, tmp_path
):
    save(replace(result.gate, learned_on=None), tmp_path / "gate.joblib")
    assert "their names alone" in kept(result, project, tmp_path, "features.move.bars=2")[1][0]
    with pytest.raises(UsageError, match=r"learned on gate\.inputs"):
        kept(result, project, tmp_path, "gate.inputs=[rsi_14]")


def test_paper_trading_refuses_a_gate_that_has_learned_on_something_else(
    result, project, tmp_path, monkeypatch, capsys
):
    result.write(tmp_path)
    monkeypatch.chdir(project)
    named = ["--set", f"gate.trained={tmp_path / 'gate.joblib'}"]
    change = ["--set", "features.rsi_14.window=7"]
    assert run(["live", "--paper", "gated.yaml", "--once", *named, *change]) == 2
    assert "has learned on features.rsi_14" in capsys.readouterr().err


def test_the_same_run_again_has_the_same_trades(result, project):
    again = backtest.run(
        Lake(project / "lake"), load(project / "gated.yaml"), defaults(project).backtest
    )
    assert_frame_equal(again.trades, result.trades)
    assert again.config == result.config


def test_a_gate_is_not_trained_on_the_future(project):
    with pytest.raises(StrategyError, match=r"its gate is not trained: column rsi_14 sees the fut"):
        backtest.run(
            Lake(project / "lake"), load(project / "peeking.yaml"), defaults(project).backtest
        )


def test_live_trading_needs_a_gate_that_was_trained(project):
    with pytest.raises(UsageError, match="has a gate that is not trained"):
        with_gate(load(project / "gated.yaml"), None)


def test_the_commands_run_it_and_show_its_frame(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    assert run(["backtest", "gated.yaml", "--no-report", "--out", "runs/one"]) == 0
    assert (project / "runs/one/gate.joblib").exists()
    assert run(["runs", "rerun", "one"]) == 0
    capsys.readouterr()
    ungated = TEXT.partition("gate:")[0]
    (project / "plain.yaml").write_text(ungated)
    assert run(["features", "plain.yaml", "--symbol", "BTC-USDT", "--tail", "3"]) == 0
    shown = capsys.readouterr().out
    for column in ("rsi_14", "day_trend", "move", "strength", "signal", "target"):
        assert column in shown
    assert len(shown.strip().splitlines()) == 5
    assert run(["features", "plain.yaml", "--symbol", "SOL-USDT"]) == 3
    look = ["--looks", "2", "--end", "2020-11-01"]
    assert run(["check", "lookahead", "plain.yaml", *look]) == 0
    trained = ["--set", "gate.trained=runs/one/gate.joblib"]
    (project / "away").mkdir()
    monkeypatch.chdir(project / "away")
    there = ["--set", "gate.trained=../runs/one/gate.joblib", "--no-report", "--out", "../runs/two"]
    assert run(["backtest", "../gated.yaml", *there]) == 0
    assert run(["runs", "rerun", "two"]) == 0
    monkeypatch.chdir(project)
    assert run(["runs", "rerun", "two"]) == 0
    tried = ["--grid", "gate.train_bars=100,300", *trained]
    assert run(["sweep", "gated.yaml", *tried]) == 2
    said = capsys.readouterr().err
    assert "gate.train_bars is tried, but gate.trained names a gate that is trained" in said
    capsys.readouterr()
    assert run(["features", "gated.yaml", "--symbol", "BTC-USDT", "--tail", "3", *trained]) == 0
    assert "signal_before_gate" in capsys.readouterr().out
    assert run(["check", "lookahead", "gated.yaml", *look, *trained]) == 0
    assert run(["features", "gated.yaml"]) == 2
    assert "--set gate.trained=runs/ID/gate.joblib" in capsys.readouterr().err
    shutil.rmtree(project / "runs")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("gate.inputs=[rsi]", "gate.inputs: 'rsi' is no feature; there is rsi_14"),
        ("gate.threshold=2", "gate.threshold"),
        ("gate.model=os.system", "gate.model: 'os.system' is no step"),
        ("features.rsi_14.windw=3", "features.rsi_14: rsi has no parameter 'windw'"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(project, change, said):
    with pytest.raises(StrategyError) as caught:
        load(project / "gated.yaml", [change])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
