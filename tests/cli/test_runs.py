"""`cq runs`: what was run, and whether it still comes out the same."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys

import makers
import polars as pl
import pytest

from cq.backtest.tried import tried
from cq.cli.main import run
from cq.lake import Lake
from cq.project import create

pytestmark = pytest.mark.usefixtures("nothing_lingers")

BTC = "configs/strategies/crossover_btc.yaml"
LATER = {"mode": "replay", "started": "2999-01-01T00:00:00Z"}
QUICK = ["--set", "fast=3", "--set", "slow=12", "--no-report"]
NOW = 2 * 10**18
FIRST = 1_600_000_000 * 10**9 // makers.HOUR * makers.HOUR
OWN = """
import polars as pl
from typing import ClassVar
from cq.indicators import in_time_order
from cq.strategies import StrategyConfig

class Config(StrategyConfig):
    warmup: ClassVar[int] = 2

def generate_signals(bars, config):
    rising = pl.col("close") > pl.col("close").shift(1)
    return bars.with_columns(signal=in_time_order(rising).cast(pl.Int8))
"""


def bars(count=600, **more):
    closes = [100 + 10 * math.sin(i / 9) for i in range(count)]
    made = makers.hourly("BTC-BRL", closes, start=FIRST)
    return made.with_columns(interval=pl.lit("1h"), **more)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "project"
    create(folder)
    Lake(folder / "lake").write("ohlcv", bars(), source="test", now_ns=NOW)
    (folder / "own.py").write_text(OWN)
    (folder / "own.yaml").write_text("python: own.py\nsymbols: [BTC]\ninterval: 1h\n")
    return folder


@pytest.fixture
def entered(tmp_path, monkeypatch):
    """Makes a copy of a project and goes there."""

    def copy(project):
        folder = tmp_path / "project"
        shutil.copytree(project, folder)
        monkeypatch.chdir(folder)
        return folder

    return copy


@pytest.fixture
def project(made, entered):
    return entered(made)


@pytest.fixture(scope="module")
def made_with_two_runs(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two") / "project"
    shutil.copytree(made, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for slow in ("slow=12", "slow=40"):
            assert run(["backtest", BTC, *QUICK, "--set", slow]) == 0
    return folder


@pytest.fixture
def two_runs(made_with_two_runs, entered):
    """The folder of the two runs of a project that one is in."""
    return entered(made_with_two_runs) / "runs"


def went(capsys, *arguments):
    """Exit code, what was printed, what was said beside it."""
    code = run(list(arguments))
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def backtest(capsys, *more, file=BTC, quick=True):
    code, out, _ = went(
        capsys, "backtest", file, *(QUICK if quick else ["--no-report"]), "--json", *more
    )
    assert code == 0
    return json.loads(out)["id"]


def again(capsys, name="last"):
    code, out, err = went(capsys, "runs", "rerun", name, "--json")
    return code, json.loads(out), err


def changed_row(project, *columns, by=1.01, at=300, interval="1h"):
    """One bar says otherwise from now on; its file is written anew under another name."""
    lake = Lake(project / "lake")
    row = lake.bars("BTC-BRL", interval).collect().slice(at, 1)
    row = row.with_columns(pl.col(columns) * by, interval=pl.lit(interval), exchange=pl.lit("test"))
    lake.replace("ohlcv", row, source="test", now_ns=NOW)


def test_runs_are_listed_newest_first_or_best(project, capsys):
    one, other = backtest(capsys), backtest(capsys, "--set", "slow=40")
    code, out, _ = went(capsys, "runs", "list", "--json")
    rows = json.loads(out)
    assert code == 0
    assert {row["run"]: row["trials"] for row in rows} == {one: 1, other: 2}
    assert [row["started"] for row in rows] == sorted(
        (row["started"] for row in rows), reverse=True
    )
    code, out, _ = went(capsys, "runs", "list", "--sort", "sharpe", "--limit", "1", "--json")
    assert json.loads(out)[0]["sharpe"] == max(row["sharpe"] for row in rows)
    code, out, _ = went(capsys, "runs", "list", "--strategy", "crossover_btc")
    assert one in out
    assert "BTC-BRL" in out
    none = "none of 2 runs is such a one; `cq runs list` shows them\n"
    assert went(capsys, "runs", "list", "--strategy", "none")[2] == none
    assert went(capsys, "runs", "list", "--mode", "papre")[0] == 2


def test_a_run_is_shown_in_full(project, capsys):
    name = backtest(capsys)
    code, out, _ = went(capsys, "runs", "show", "last")
    assert code == 0
    for word in (name, "BTC-BRL", "fast=3", "600 rows", "Sortino ratio", "deflated Sharpe ratio"):
        assert word in out
    code, out, _ = went(capsys, "runs", "show", name[-6:], "--json")
    said = json.loads(out)
    assert (said["id"], said["config"]["strategy"]["fast"]) == (name, 3)
    assert said["file"] == BTC
    assert said["metrics"]["trials"] == 1


def test_runs_are_compared_by_metrics_and_by_what_differs(project, capsys):
    one, other = backtest(capsys), backtest(capsys, "--set", "slow=40")
    code, out, _ = went(capsys, "runs", "compare", one, other)
    assert code == 0
    assert "strategy.slow" in out
    assert "strategy.fast" not in out
    code, out, _ = went(capsys, "runs", "compare", one, other, one, "--json")
    said = json.loads(out)
    assert said["configuration"]["strategy.slow"] == [12, 40, 12]
    assert len(said["metrics"]["sortino"]) == 3
    assert went(capsys, "runs", "compare", one)[0] == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("crossover", "may be "),
        ("zzz", "no run 'zzz' among 2; `cq runs list` shows them"),
    ],
)
@pytest.mark.usefixtures("two_runs")
def test_a_name_that_is_none_or_several_is_told_in_a_line(capsys, name, said):
    code, _, err = went(capsys, "runs", "show", name)
    assert (code, err.count("\n")) == (3, 1)
    assert said in err


def test_without_runs_the_next_step_is_named(project, capsys):
    assert went(capsys, "runs", "show", "last")[::2] == (
        3, f"cq: no runs in {project / 'runs'}; make one with `cq backtest FILE`\n"
    )  # fmt: skip
    assert "cq backtest" in went(capsys, "runs", "list")[2]


def test_a_broken_folder_is_told_in_a_line(project, capsys):
    name = backtest(capsys)
    (project / "runs" / name / "metrics.json").write_text("{")
    code, _, err = went(capsys, "runs", "show", name)
    assert (code, err.count("\n")) == (3, 1)
    assert "metrics.json cannot be read" in err


@pytest.mark.parametrize("file", ["config.json", "metrics.json", "run.json"])
@pytest.mark.parametrize("content", ["", '{"strategy": {"na', "[]"])
def test_a_run_that_was_left_half_written_is_passed_over_and_named(two_runs, capsys, file, content):
    whole, half = (path.name for path in sorted(two_runs.glob("2*")))
    (two_runs / half / file).write_text(content)
    code, out, err = went(capsys, "runs", "list", "--json")
    assert (code, [row["run"] for row in json.loads(out)]) == (0, [whole])
    assert err.count("\n") == 1
    assert str(two_runs / half / file) in err
    names = ["equity", "run_files", "run_trades", "runs"]
    asked = " union ".join(f"select '{name}' as view, run from {name}" for name in names)
    found = json.loads(went(capsys, "lake", "sql", "--json", f"{asked} order by view")[1])
    assert found == [{"view": name, "run": whole} for name in names]
    assert went(capsys, "lake", "sql", "select count(*) from positions")[0] == 0


def test_trials_that_cannot_be_read_are_named(project, capsys):
    assert went(capsys, "sweep", BTC, "--grid", "fast=3:5", "--grid", "slow=12")[0] == 0
    path = next((project / "runs").glob("2*/trials.parquet"))
    path.write_bytes(path.read_bytes()[:-100])
    for asked in (("list",), ("list", "--trials"), ("show", f"{path.parent.name}/1")):
        code, out, err = went(capsys, "runs", *asked)
        assert (code, out, err.count("\n")) == (3, "", 1)
        assert f"{path} cannot be read (it is damaged, no whole Parquet file)" in err
    assert went(capsys, "lake", "sql", "select count(*) from bars")[0] == 0
    shutil.rmtree(path.parent)
    assert went(capsys, "runs", "list", "--trials", "--json")[:2] == (0, "[]\n")


def test_a_trial_of_a_sweep_is_shown_and_compared_but_not_run_again(project, capsys):
    assert went(capsys, "sweep", BTC, "--grid", "fast=3:5", "--grid", "slow=12")[0] == 0
    name = next((project / "runs").glob("2*/trials.parquet")).parent.name
    code, out, _ = went(capsys, "runs", "show", f"{name}/2", "--json")
    said = json.loads(out)
    assert code == 0
    assert (said["id"], said["config"]["strategy"]["fast"]) == (f"{name}/2", 4)
    other = backtest(capsys, "--set", "slow=40")
    config = json.loads((project / "runs" / other / "config.json").read_text())
    query = "select count(*) as n from runs where mode in ('backtest', 'trial')"
    counted = json.loads(went(capsys, "lake", "sql", query, "--json")[1])
    assert counted == [{"n": len(tried(project / "runs", config))}] == [{"n": 4}]
    shutil.rmtree(project / "runs" / other)
    code, out, _ = went(capsys, "runs", "compare", f"{name}/1", f"{name}/3")
    assert "strategy.fast" in out
    rows = json.loads(went(capsys, "runs", "list", "--trials", "--json")[1])
    assert [row["run"] for row in rows] == [f"{name}/{i}" for i in (3, 2, 1)]
    assert went(capsys, "runs", "list", "--json")[1] == "[]\n"
    assert went(capsys, "runs", "show", f"{name}/9")[0] == 3
    assert went(capsys, "runs", "show", name)[::2] == (
        3, f"cq: {name} is a sweep; name one of its trials, such as {name}/1\n"
    )  # fmt: skip
    code, _, err = went(capsys, "runs", "rerun", f"{name}/2")
    assert code == 3
    assert f"the mode of {name}/2 is trial" in err


# ---- the same again


def test_the_same_again_is_proven_byte_by_byte(project, capsys):
    name = backtest(capsys)
    code, said, err = again(capsys)
    assert code == 0
    assert said["run"] == name
    assert set(said["results"].values()) == {"same"}
    assert said["same"] is True
    assert not any(said[kind] for kind in ("data", "files", "code", "configuration", "said_now"))
    assert err == ""
    code, out, err = went(capsys, "runs", "rerun", name)
    assert "same bytes" in out
    assert err == f"{name} comes out the same\n"


def test_later_bars_and_other_files_do_not_count(project, capsys):
    backtest(capsys)
    Lake(project / "lake").write("ohlcv", bars(700).tail(100), source="test", now_ns=NOW + 1)
    assert went(capsys, "lake", "compact")[0] == 0
    code, said, _ = again(capsys)
    assert code == 0, said
    assert set(said["results"].values()) == {"same"}


def test_bars_of_another_exchange_that_came_later_do_not_count(project, capsys):
    backtest(capsys)
    others = bars(exchange=pl.lit("elsewhere")).with_columns(close=pl.col("high"))
    Lake(project / "lake").write("ohlcv", others, source="test", now_ns=NOW)
    assert went(capsys, "backtest", BTC, *QUICK)[0] == 3  # a new run has to say which
    code, said, _ = again(capsys)
    assert code == 0, said
    assert said["same"] is True
    assert not any(said[kind] for kind in ("data", "files", "code", "configuration", "said_now"))


def test_of_two_runs_of_one_second_the_last_is_the_one_that_ended_last(project, capsys):
    first = project / "runs" / backtest(capsys)
    second = first.with_name(f"{first.name}-a")
    shutil.copytree(first, second)
    for last, other in ((first, second), (second, first)):
        os.utime(other / "run.json", ns=(1, 10**18))
        os.utime(last / "run.json", ns=(1, 10**18 + 1))
        assert last.name in went(capsys, "runs", "show", "last")[1].split()


def test_the_last_run_that_can_be_run_again_is_the_last_backtest(project, capsys):
    name = backtest(capsys)
    path = project / "runs" / backtest(capsys, "--set", "slow=40") / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **LATER}))
    assert again(capsys)[1]["run"] == name
    assert path.parent.name in went(capsys, "runs", "show", "last")[1]
    code, _, err = went(capsys, "montecarlo", path.parent.name)
    assert (code, err) == (
        3,
        f"cq: the mode of {path.parent.name} is replay; expected a backtest\n",
    )


def test_after_one_row_changes_the_file_is_named(project, capsys):
    name = backtest(capsys)
    (before,) = Lake(project / "lake").files("BTC-BRL", "1h")
    changed_row(project, "close", "high")
    after = Lake(project / "lake").files("BTC-BRL", "1h")
    code, said, err = again(capsys)
    assert code == 1
    assert said["results"]["equity.parquet"] == "differs"
    lake = project / "lake"
    assert said["files"] == {
        "gone": [str(before.relative_to(lake))],
        "new": sorted(str(one.relative_to(lake)) for one in after),
    }
    assert [one["period"] for one in said["data"]] == ["2020-09"]
    assert before.name in err
    assert name in err
    assert "data changed" in err
    assert before.name in went(capsys, "runs", "rerun", name)[1]


def test_a_file_that_somebody_wrote_over_is_named(project, capsys):
    backtest(capsys)
    (path,) = Lake(project / "lake").files("BTC-BRL", "1h")
    rows = pl.read_parquet(path, hive_partitioning=False)
    rows.with_columns(
        close=pl.when(pl.int_range(pl.len()) == 300).then(99.0).otherwise("close")
    ).write_parquet(path)
    assert run(["runs", "rerun", "last"]) == 3
    assert capsys.readouterr().err.startswith(f"cq: {path} cannot be read (its bytes are not those")


def test_a_file_of_somebody_else_that_changed_is_named(project, capsys):
    (path,) = Lake(project / "lake").files("BTC-BRL", "1h")
    path = path.rename(path.with_name("theirs.parquet"))
    backtest(capsys)
    rows = pl.read_parquet(path, hive_partitioning=False)
    rows.with_columns(
        close=pl.when(pl.int_range(pl.len()) == 300).then(99.0).otherwise("close")
    ).write_parquet(path)
    code, said, _ = again(capsys)
    assert code == 1
    assert said["files"] == {"changed": [str(path.relative_to(project / "lake"))]}


def test_what_only_the_strategy_reads_counts(project, capsys):
    backtest(capsys, "--set", "liquidity.min_active=0.5", "--set", "liquidity.window=5")
    changed_row(project, "volume")
    code, said, _ = again(capsys)
    assert code == 1
    assert set(said["results"].values()) == {"same"}
    assert len(said["data"]) == 1
    assert said["files"]["gone"]


def test_finer_bars_count(project, capsys):
    quarters = (
        bars()
        .with_columns(
            ts=pl.concat_list(pl.col("ts") + i * makers.HOUR // 4 for i in range(4)),
            interval=pl.lit("15m"),
        )
        .explode("ts")
    )
    Lake(project / "lake").write("ohlcv", quarters, source="test", now_ns=NOW)
    backtest(
        capsys, "--set", "orders.stop_loss=0.05", "--set", "backtest.detail_interval=15m"
    )  # fmt: skip
    assert again(capsys)[0] == 0
    changed_row(project, "volume", interval="15m")
    assert again(capsys)[0] == 0
    changed_row(project, "high", interval="15m")
    code, said, _ = again(capsys)
    assert code == 1
    assert [one["interval"] for one in said["data"]] == ["15m"]
    assert "interval=15m" in said["files"]["gone"][0]


def test_a_users_own_code_counts(project, capsys):
    backtest(capsys, file="own.yaml", quick=False)
    assert again(capsys)[0] == 0
    (project / "own.py").write_text(OWN.replace("shift(1)", "shift(2)"))
    code, said, err = again(capsys)
    assert code == 1
    assert "code.python" in said["code"]
    assert "code changed" in err


@pytest.fixture
def helped(project, monkeypatch):
    """The project, whose own strategy imports a module beside it, as a new process finds it."""
    (project / "own.py").write_text("from lagged import LAG\n" + OWN.replace("(1)", "(LAG)"))
    (project / "lagged.py").write_text("LAG = 1\n")
    monkeypatch.syspath_prepend(project)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield project
    sys.modules.pop("lagged", None)


def test_a_module_that_a_users_own_code_imports_counts_and_is_named(helped, capsys):
    name = backtest(capsys, file="own.yaml", quick=False)
    assert again(capsys)[0] == 0
    shown = went(capsys, "runs", "show", name)[1]
    assert re.search(r"own code +own.py \w{12}, lagged.py \w{12}\n", shown)
    (helped / "lagged.py").write_text("LAG = 22\n")
    del sys.modules["lagged"]
    code, said, err = again(capsys)
    assert code == 1
    assert list(said["code"]) == ["code.imports.lagged.py"]
    assert "code changed in lagged.py" in err
    backtest(capsys, file="own.yaml", quick=False)
    table = went(capsys, "runs", "compare", name, "last")[1]
    assert "code.imports.lagged.py" in table
    assert "code.python" not in table


def test_a_module_that_is_no_longer_imported_is_named(helped, capsys):
    backtest(capsys, file="own.yaml", quick=False)
    (helped / "own.py").write_text(OWN)
    assert set(again(capsys)[1]["code"]) == {"code.python", "code.imports.lagged.py"}


def test_a_run_that_does_not_say_what_was_imported_says_what_it_can(helped, capsys):
    name = backtest(capsys, file="own.yaml", quick=False)
    path = helped / "runs" / name / "config.json"
    config = json.loads(path.read_text())
    del config["code"]["imports"]
    path.write_text(json.dumps(config))
    code, out, _ = went(capsys, "runs", "rerun", name)
    assert code == 0
    assert re.search(r"code +same\n  lagged.py: what it was then is not known\n", out)
    assert re.search(r"own code +own.py \w{12}\n", went(capsys, "runs", "show", name)[1])
    (helped / "lagged.py").write_text("LAG = 22\n")
    del sys.modules["lagged"]
    code, said, err = again(capsys, name)
    assert (code, said["code"], said["unknown"]) == (1, {}, ["lagged.py"])
    assert "as far as the run says; what lagged.py was then is not known" in err


def test_a_file_edited_since_does_not_count_but_is_told(project, capsys):
    backtest(capsys)
    (project / BTC).write_text((project / BTC).read_text().replace("fast: 72", "fast: 70"))
    path = project / "configs" / "default.yaml"
    path.write_text(path.read_text().replace("cash: 100000 ", "cash: 50000  "))
    code, said, _ = again(capsys)
    assert code == 0
    assert said["said_now"] == {"backtest.cash": [100000.0, 50000.0]}


def test_a_session_on_paper_and_a_frame_are_not_run_again(project, capsys):
    name = backtest(capsys)
    path = project / "runs" / name / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "mode": "paper"}))
    code, _, err = went(capsys, "runs", "rerun", name)
    assert (code, err.count("\n")) == (3, 1)
    assert "only a backtest can be run again" in err


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{}", "strategy: found None, expected an object"),
        ('{"strategy": 5, "data": {}}', "strategy: found 5, expected an object"),
        ('{"strategy": {}, "backtest": []}', "backtest: found [], expected an object"),
        ('{"strategy": {}, "data": {"first": 1}}', "data: no rows"),
    ],
)
def test_a_configuration_that_is_none_is_one_line_everywhere(project, capsys, config, said):
    name = backtest(capsys)
    (project / "runs" / name / "config.json").write_text(config)
    for command in (("runs", "show"), ("runs", "rerun"), ("montecarlo",)):
        code, out, err = went(capsys, *command, name)
        assert (code, out, err.count("\n")) == (3, "", 1)
        assert f"is no configuration of a run ({said})" in err


def test_files_of_a_run_that_are_gone_or_cut_are_named(project, capsys):
    name = backtest(capsys)
    folder = project / "runs" / name
    trades = (folder / "trades.csv").read_text()
    (folder / "trades.csv").write_text("".join(trades.splitlines(keepends=True)[:1]))
    code, _, err = went(capsys, "montecarlo", name, "--samples", "10", "--starts", "1")
    assert (code, err.count("\n")) == (3, 1)
    assert "trades.csv has 0 trades, and metrics.json says" in err
    (folder / "trades.csv").unlink()
    code, out, err = went(capsys, "runs", "rerun", name)
    assert code == 1
    assert "its folder has no trades.csv any more" in err
    (folder / "trades.csv").write_text(trades)
    (folder / "data.json").unlink()
    code, out, err = went(capsys, "runs", "rerun", name)
    assert code == 1
    assert "  data.json (absent): what was read then is not known" in out
