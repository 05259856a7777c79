"""`cq backtest` as a user meets it."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys

import makers
import polars as pl
import pytest

from cq.backtest.definitions import LUCK, METRICS
from cq.cli.main import run
from cq.lake import Lake
from cq.project import create

BTC = "configs/strategies/crossover_btc.yaml"
QUICK = ["--set", "fast=3", "--set", "slow=12"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    create(folder)
    closes = [100 + 10 * math.sin(i / 9) for i in range(600)]
    bars = makers.hourly(
        "BTC-BRL", closes, start=1_600_000_000 * 10**9 // makers.HOUR * makers.HOUR
    )
    Lake(folder / "lake").write(
        "ohlcv", bars.with_columns(interval=pl.lit("1h")), source="test", now_ns=2 * 10**18
    )
    return folder


@pytest.fixture
def project(made, monkeypatch):
    monkeypatch.chdir(made)
    return made


def test_a_run_prints_its_metrics_and_where_the_results_lie(project, capsys):
    assert run(["backtest", BTC, *QUICK]) == 0
    said = capsys.readouterr().out
    assert said.startswith("crossover_btc: BTC-BRL, 600 bars of 1h, 2020-09-13T12:00:00Z to ")
    for word in ("total return", "Sharpe ratio", "max drawdown", "hit rate", "payoff", "turnover"):
        assert word in said
    folder = project / said.split("results in ")[1].split(";")[0]
    assert sorted(one.name for one in folder.iterdir()) == [
        "config.json", "data.json", "equity.parquet", "metrics.json",
        "report.html", "run.json", "trades.csv",
    ]  # fmt: skip
    assert folder.name.split("-")[1] == "crossover_btc"
    assert json.loads((folder / "run.json").read_text())["id"] == folder.name


def test_json_is_one_object_and_notes_go_elsewhere(project, capsys, tmp_path):
    arguments = ["backtest", BTC, *QUICK, "--json", "--no-report", "--out", str(tmp_path / "o")]
    assert run([*arguments, "--set", "backtest.cash=0.5"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["folder"] == str(tmp_path / "o")
    assert said["symbols"] == ["BTC-BRL"]
    assert said["period"]["bars"] == 600
    assert said["metrics"]["trades"] == 0
    assert said["metrics"]["sharpe"] is None
    assert any("nothing of BTC-BRL was traded" in one for one in said["warnings"])
    assert said["data"]["rows"] == 600


def test_the_same_command_twice_writes_the_same_bytes(project, tmp_path):
    for name in ("one", "two"):
        assert run(["backtest", BTC, *QUICK, "--no-report", "--out", str(tmp_path / name)]) == 0
    for file in ("trades.csv", "equity.parquet", "metrics.json", "config.json", "data.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_run_without_report_leaves_no_older_one_behind(project, tmp_path):
    arguments = ["backtest", BTC, *QUICK, "--out", str(tmp_path)]
    assert run(arguments) == 0
    assert (tmp_path / "report.html").exists()
    assert run([*arguments, "--no-report"]) == 0
    assert not (tmp_path / "report.html").exists()


def test_plots_are_drawn_where_they_are_asked_for(project, tmp_path, capsys):
    arguments = ["backtest", BTC, *QUICK, "--out", str(tmp_path)]
    assert run([*arguments, "--plots"]) == 0
    assert (tmp_path / "equity.png").exists()
    assert run([*arguments, "--no-report"]) == 0
    assert not list(tmp_path.glob("*.png"))
    assert run([*arguments, "--no-report", "--plots"]) == 2
    assert "leave out --no-report" in capsys.readouterr().err


def test_every_metric_is_printed_where_it_is_asked_for(project, tmp_path, capsys):
    arguments = ["backtest", BTC, *QUICK, "--no-report", "--out", str(tmp_path)]
    assert run(arguments) == 0
    assert "Ulcer index" not in capsys.readouterr().out
    assert run([*arguments, "--metrics"]) == 0
    said = capsys.readouterr().out
    for metric in (*METRICS, *LUCK):
        assert metric.label in said


def test_two_runs_get_two_folders(project):
    before = set((project / "runs").glob("*"))
    for _ in range(2):
        assert run(["backtest", BTC, *QUICK, "--no-report"]) == 0
    assert len(set((project / "runs").glob("*")) - before) == 2


def test_a_period_is_the_one_that_was_asked_for(project, capsys):
    times = ["--start", "2020-09-20", "--end", "2020-09-25T12:00"]
    assert run(["backtest", BTC, *QUICK, "--no-report", "--json", *times]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["period"] == {
        "start": "2020-09-20T00:00:00Z",
        "end": "2020-09-25T12:00:00Z",
        "bars": 132,
    }
    assert said["data"]["rows"] == 132 + 11


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([BTC, "--set", "fsat=3"], 2, "--set fsat: unknown key; did you mean fast?"),
        ([BTC, "--set", "fast=500"], 2, "fast (500) needs fewer bars than slow (480)"),
        (["no.yaml"], 3, "no such file: no.yaml"),
        ([BTC, "--set", "symbols=DOGE"], 3, "no DOGE-BRL here; there is BTC-BRL"),
        ([BTC, "--start", "2031-01-01"], 3, "no bars of BTC-BRL from 2031-01-01T00:00:00Z"),
        ([BTC, "--start", "2021-02-03", "--end", "2021-02-03"], 2, "is not before"),
        ([BTC, "--start", "soon"], 2, "'soon' is not a date"),
        ([BTC, "--start", ""], 2, "'' is not a date"),
        ([BTC, "--end", ""], 2, "'' is not a date"),
        ([BTC, "--set", "slow=5000"], 3, "needs 5000 bars of 1h"),
        ([BTC, "--set", "backtest.fees.taker=2"], 2, "--set backtest.fees.taker: found 2"),
        ([BTC, "--set", "interval=5m"], 3, "no bars of BTC-BRL at 5m"),
    ],
)
def test_a_mistake_is_one_line_and_the_documented_exit_code(project, capsys, arguments, code, said):
    assert run(["backtest", *arguments]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert shown.err.startswith("cq: ")


def test_an_excluded_symbol_is_never_traded(project, capsys):
    assert run(["--set", "exclusions=BTC-BRL", "backtest", BTC]) == 2
    assert "BTC-BRL is never traded" in capsys.readouterr().err


def test_an_excluded_symbol_is_not_traded_for_a_base_alone_either(project, capsys):
    said = ["--set", "quote=USDT", "--set", "exclusions=BTC-BRL", "backtest", BTC]
    assert run([*said, "--set", "symbols=BTC"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "cq: BTC-BRL is never traded: it stands in `exclusions`\n"


def test_the_settings_of_the_project_count(project, capsys):
    arguments = ["--set", "backtest.cash=777", "backtest", BTC, *QUICK, "--no-report"]
    assert run(arguments) == 0
    assert "777.00" in capsys.readouterr().out


HEAVY = (
    "duckdb",
    "pyarrow",
    "rich",
    "loguru",
    "matplotlib",
    "httpx",
    "pandas",
    "pydantic_settings",
)


def test_a_run_without_report_loads_only_what_it_needs(project, tmp_path):
    file, out = str(project / BTC), str(tmp_path / "out")
    arguments = ["--project", str(project), "backtest", file, "--no-report", "--out", out]
    program = (
        "import sys\n"
        "from cq.cli.main import run\n"
        f"code = run({arguments!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], code)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[] 0"


def test_bars_of_a_damaged_file_are_not_traded(tmp_path, capsys):
    create(tmp_path)
    lake, hour = Lake(tmp_path / "lake"), makers.HOUR
    bars = makers.hourly("BTC-BRL", [100 + 10 * math.sin(i / 9) for i in range(200)], start=0)
    bars = bars.with_columns(interval=pl.lit("1h"))
    late = pl.col("ts") >= 190 * hour
    for part in (bars.filter(~late), bars.filter(late)):
        lake.write("ohlcv", part, source="test", now_ns=10**18)
    newest = max(lake.files("BTC-BRL", "1h"), key=lambda one: one.name)
    close = struct.pack("<d", bars["close"][-1])
    content = newest.read_bytes()
    assert close in content
    newest.write_bytes(content.replace(close, struct.pack("<d", 1e6)))
    assert run(["--project", str(tmp_path), "backtest", str(tmp_path / BTC), *QUICK]) == 3
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"cq: {newest} cannot be read (its bytes are not those its name says")
    assert said.endswith("`cq lake ingest` or `cq lake import`")
    assert not list((tmp_path / "runs").glob("*"))
