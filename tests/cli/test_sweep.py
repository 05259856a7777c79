"""`cq sweep`: what it prints, keeps and refuses."""

import json
import math
import re
import shutil
from pathlib import Path

import makers
import numpy as np
import polars as pl
import pytest

from cq.backtest.tried import tried as tried_in
from cq.cli.main import run
from cq.cli.stopping import Terminated
from cq.ingest.backfill import backfill
from cq.lake import Lake
from cq.project import create
from cq.sim.market import GeneratedMarket
from cq.sweeps.unfinished import FOLDER, Unfinished
from cq.utils.time import parse_time

START, END = parse_time("2025-01-01"), parse_time("2025-03-01")
TEXT = "kind: crossover\nsymbols: [BTC]\ninterval: 1h\nfast: 5\nslow: 20\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweeps") / "project"
    create(folder)
    market = GeneratedMarket(START, END, name="mercadobitcoin")
    backfill(
        Lake(folder / "lake"), market, ["BTC-BRL"], "1h", START, END, now_ns=END, page_bars=5000
    )
    (folder / "cross.yaml").write_text(TEXT)
    return folder


def sweep(project, *more):
    return run(["--project", str(project), "sweep", str(project / "cross.yaml"), *more])


def test_a_sweep_shows_the_best_says_what_they_are_worth_and_is_in_runs(project, capsys):
    assert sweep(project, "--grid", "fast=5:25:10", "--grid", "slow=20:40:10", "--top", "3") == 0
    said = capsys.readouterr().out
    assert "8 trials" in said
    assert "combinations that make no sense: 1, the first: --grid fast: fast (25)" in said
    assert "DSR" in said
    assert "PBO" in said
    assert run(["--project", str(project), "runs", "list"]) == 0
    assert "and 8 trials of sweeps: --trials lists them too" in capsys.readouterr().err
    (folder,) = (project / "runs").glob("*-cross-sweep")
    assert (folder / "heat_map.png").read_bytes()[:4] == b"\x89PNG"
    lake = Lake(project / "lake", runs=project / "runs")
    rows = lake.sql("select * from runs where mode = 'trial' order by run")
    assert rows.height == 8
    assert set(rows["strategy"]) == {"cross"}
    assert rows["symbols"].to_list()[0] == ["BTC-BRL"]
    best = json.loads((folder / "sweep.json").read_text())["best"][0]
    assert rows["sharpe"].max() == best["metrics"]["sharpe"]
    config = json.loads(rows.filter(pl.col("sharpe") == pl.col("sharpe").max())["config"][0])
    assert {name: config["strategy"][name] for name in best["params"]} == best["params"]


def test_json_says_it_all_and_a_folder_may_be_named(project, tmp_path, capsys):
    out = tmp_path / "mine"
    assert sweep(project, "--grid", "fast=3,4", "--out", str(out), "--json", "--sort", "fees") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trials"] == 2
    assert found["folder"] == str(out)
    assert found["best"][0]["metrics"]["fees"] <= found["best"][1]["metrics"]["fees"]
    assert pl.read_parquet(out / "trials.parquet")["fast"].to_list() == [3, 4]
    assert not (out / "heat_map.png").exists()


def test_a_project_that_cannot_be_written_needs_no_more_than_another_folder(
    project, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("cq.cli.sweep.can_write_in", lambda _: False)
    monkeypatch.setattr("cq.sweeps.unfinished._row", None)  # nothing is kept aside
    assert sweep(project, "--grid", "fast=3,4", "--out", str(tmp_path / "mine")) == 0
    assert "cannot be written: a sweep that is stopped cannot go on" in capsys.readouterr().err
    assert sweep(project, "--grid", "fast=3,4") == 3
    said = capsys.readouterr().err
    assert said.endswith("/runs cannot be written; name a folder elsewhere with --out DIR\n")


def test_a_folder_keeps_no_picture_of_an_older_sweep(project, tmp_path, capsys):
    out = ("--out", str(tmp_path / "mine"))
    two = ("--grid", "fast=3,4", "--grid", "slow=20,30")
    assert sweep(project, *two, *out) == 0
    assert (tmp_path / "mine" / "heat_map.png").exists()
    assert sweep(project, *two, "--grid", "average=sma,ema", *out) == 0
    assert not (tmp_path / "mine" / "heat_map.png").exists()
    assert "heat_map" not in capsys.readouterr().out.splitlines()[-1]


def test_a_folder_is_of_one_kind_of_results_and_never_of_somebody_else(project, tmp_path, capsys):
    base, file = ["--project", str(project)], str(project / "cross.yaml")
    grid = ("--grid", "fast=3,4", "--train", "20d", "--test", "15d")
    commands = {
        "backtest": ["backtest", file, "--no-report"],
        "sweep": ["sweep", file, *grid[:2]],
        "walkforward": ["walkforward", file, *grid],
        "cpcv": ["walkforward", file, *grid[:2], "--cpcv", "3:1"],
    }
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text('{"my": "own"}')
    for what, command in commands.items():
        for _ in range(2):  # its own folder is written over
            assert run([*base, *command, "--out", str(tmp_path / what)]) == 0
    for what, command in commands.items():
        for other in {*commands, "mine"} - {what}:
            capsys.readouterr()
            before = contents(tmp_path / other)
            assert run([*base, *command, "--out", str(tmp_path / other)]) == 2
            (error,) = capsys.readouterr().err.splitlines()
            found = f"no results of cq {what}" if other == "mine" else f"results of cq {other}"
            assert f"{found} there, which would be written over; name a new or an empty" in error
            assert contents(tmp_path / other) == before
        assert run([*base, *command, "--out", ""]) == 2
        assert "--out: found an empty name; name a folder" in capsys.readouterr().err
        assert run([*base, *command, "--out", str(tmp_path / "mine" / "config.json")]) == 3
        assert "Not a directory; name another folder" in capsys.readouterr().err


def contents(folder):
    return {one.name: one.read_bytes() for one in folder.iterdir()}


PEEKING = """
from typing import ClassVar
import polars as pl
from cq.indicators import in_time_order
from cq.strategies import StrategyConfig

class Config(StrategyConfig):
    ahead: int = 1
    warmup: ClassVar[int] = 2

def generate_signals(bars, config):
    later = in_time_order(pl.col("close").shift(-config.ahead))
    return bars.with_columns(signal=(later > pl.col("close")).cast(pl.Int8))
"""


def test_what_is_doubtful_about_the_best_is_said(project, capsys):
    (project / "peeking.py").write_text(PEEKING)
    (project / "peeking.yaml").write_text("python: peeking.py\nsymbols: [BTC]\ninterval: 1h\n")
    said = ["--project", str(project), "sweep", str(project / "peeking.yaml"), "--json"]
    assert run([*said, "--grid", "ahead=1,2", "--grid", "sizing.fraction=0.5,1.0"]) == 0
    found = capsys.readouterr()
    assert "warning: of the best: " in found.err
    assert "the strategy sees the future" in found.err
    assert any("sees the future" in one for one in json.loads(found.out)["warnings"])
    said[2] = "walkforward"
    for more in (["--train", "20d", "--test", "15d"], ["--cpcv", "3:1"]):
        assert run([*said, "--grid", "ahead=1,2", *more]) == 0
        found = capsys.readouterr()
        assert "the strategy sees the future" in found.err
        assert any("sees the future" in one for one in json.loads(found.out)["warnings"])


@pytest.mark.parametrize(
    ("stop", "code", "word"), [(KeyboardInterrupt, 130, "interrupted"), (Terminated, 143, "ended")]
)
def test_a_sweep_that_is_stopped_goes_on_by_the_same_command(
    project, monkeypatch, capsys, stop, code, word
):
    class Stopped(Unfinished):
        def keep(self, outcome):
            super().keep(outcome)
            if len(self.numbers) == 3:
                raise stop

    before = sorted((project / "runs").glob("*-sweep"))
    asked = ("--grid", "fast=2:7", "--set", "slow=33")
    monkeypatch.setattr("cq.sweeps.unfinished.Unfinished", Stopped)
    assert sweep(project, *asked) == code
    assert capsys.readouterr().err.endswith(
        f"cq: {word}; what had landed is kept, 3 trials; go on by the same command with --resume\n"
    )
    assert sorted((project / "runs").glob("*-sweep")) == before
    monkeypatch.undo()
    assert sweep(project, *asked, "--resume") == 0
    assert "6 trials" in capsys.readouterr().out
    assert list((project / "runs" / FOLDER).glob("*")) == []
    assert sweep(project, *asked, "--resume") == 2
    assert "--resume: no sweep that was stopped had this" in capsys.readouterr().err
    assert sweep(project, *asked, "--resume", "--optuna", "3") == 2
    assert "a sampler does not go on" in capsys.readouterr().err


def test_what_concerns_all_trials_is_said_once(project, capsys):
    bare = project / "bare.yaml"
    bare.write_text(TEXT)
    said = ["--project", str(project), "--set", "quote=USDT", "sweep", str(bare), "--json"]
    assert run([*said, "--grid", "interval=1h,2h"]) == 0
    err = capsys.readouterr().err
    assert err.count("the lake has no BTC-USDT, taking BTC-BRL") == 1


@pytest.mark.parametrize("command", ["sweep", "walkforward"])
def test_an_excluded_symbol_is_not_tried_for_a_base_alone_either(project, capsys, command):
    said = ["--project", str(project), "--set", "quote=USDT", "--set", "exclusions=BTC-BRL"]
    assert run([*said, command, str(project / "cross.yaml"), "--grid", "fast=2:3"]) == 2
    err = capsys.readouterr().err
    assert err == "cq: BTC-BRL is never traded: it stands in `exclusions`\n"


@pytest.fixture
def small(tmp_path):
    create(tmp_path)
    lake, hours = Lake(tmp_path / "lake"), 600
    for base, first in (("BTC", 0), ("ETH", 48)):
        closes = [100 + 10 * math.sin(i / 9) for i in range(first, hours)]
        bars = makers.hourly(f"{base}-BRL", closes, start=START + first * makers.HOUR)
        bars = bars.with_columns(interval=pl.lit("1h"))
        lake.write("ohlcv", bars, source="test", now_ns=END)
    (tmp_path / "cross.yaml").write_text(TEXT)
    return tmp_path


def json_of(capsys, project, *arguments):
    assert run(["--project", str(project), *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_each_trial_is_kept_under_its_own_symbols_interval_and_bars(small, capsys):
    grid = ("--grid", "symbols=BTC,ETH-BRL", "--grid", "interval=1h,4h", "--start", "2025-01-10")
    assert sweep(small, *grid, "--set", "fast=2") == 0
    capsys.readouterr()
    rows = json_of(capsys, small, "lake", "sql", "select * from runs order by run")
    assert [(row["symbols"], row["interval"]) for row in rows] == [
        (["BTC-BRL"], "1h"), (["BTC-BRL"], "4h"), (["ETH-BRL"], "1h"), (["ETH-BRL"], "4h"),
    ]  # fmt: skip
    for row in rows:
        one = ("--set", f"symbols={row['symbols'][0]}", "--set", f"interval={row['interval']}")
        one += ("--set", "fast=2", "--start", "2025-01-10", "--no-report")
        own = json_of(capsys, small, "backtest", str(small / "cross.yaml"), *one)
        assert row["rows"] == own["data"]["rows"]
        assert row["first_time"][:19] == own["data"]["first"][:19].replace("T", " ")
        assert row["last_time"][:19] == own["data"]["last"][:19].replace("T", " ")
        assert json.loads(row["config"])["symbols"] == row["symbols"]
        assert run(["--project", str(small), "runs", "show", row["run"]]) == 0
        shown = dict(re.findall(r"^(\w+) +(.*)$", capsys.readouterr().out, re.MULTILINE))
        assert shown["symbols"] == row["symbols"][0]
        assert f"interval={row['interval']}" in shown["parameters"]


def test_trials_of_a_sweep_that_was_stopped_say_the_bars_that_they_were_run_over(
    small, monkeypatch, capsys
):
    class Stopped(Unfinished):
        def keep(self, outcome):
            super().keep(outcome)
            raise KeyboardInterrupt

    asked = ("--grid", "slow=60,20", "--start", "2025-01-10")
    monkeypatch.setattr("cq.sweeps.unfinished.Unfinished", Stopped)
    assert sweep(small, *asked) == 130
    monkeypatch.undo()
    assert sweep(small, *asked, "--resume") == 0
    assert "2 trials" in capsys.readouterr().out
    query = "select rows, first_time from runs where mode = 'trial' order by run"
    long, short = json_of(capsys, small, "lake", "sql", query)
    assert long["rows"] == short["rows"] + 40
    assert long["first_time"] < short["first_time"]


def test_a_set_of_parameters_counts_once_in_backtests_and_sweeps(small, capsys):
    file = str(small / "cross.yaml")

    def tried():
        found = json_of(capsys, small, "backtest", file, "--no-report")
        return found["trials"]

    assert tried() == 1
    swept = json_of(capsys, small, "sweep", file, "--grid", "fast=5")
    assert swept["best"][0]["tried"] == 1
    costs = ("--grid", "fast=5", "--grid", "backtest.fees.taker=0,0.001")
    assert json_of(capsys, small, "sweep", file, *costs)["best"][0]["tried"] == 1
    sizes = ("--grid", "sizing.fraction=0.5,1", "--grid", "orders.stop_loss=0.02")
    assert json_of(capsys, small, "sweep", file, *sizes)["best"][0]["tried"] == 3
    walked = ("--grid", "fast=4:6", "--train", "10d", "--test", "5d")
    json_of(capsys, small, "walkforward", file, *walked)
    json_of(capsys, small, "walkforward", file, "--grid", "fast=4:6", "--cpcv", "3:1")
    assert tried() == 5
    stopped = ("--set", "orders.stop_loss=0.02", "--set", "sizing.fraction=1")
    found = json_of(capsys, small, "backtest", file, "--no-report", *stopped)
    assert found["trials"] == 5
    in_full = json_of(capsys, small, "backtest", file, "--no-report", "--set", "symbols=BTC-BRL")
    assert in_full["trials"] == 5
    twice = ("--grid", "symbols=BTC,BTC-BRL", "--grid", "fast=5")
    assert json_of(capsys, small, "sweep", file, *twice)["best"][0]["tried"] == 5
    documented = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    query = documented.split("```sql\n")[1].split("```")[0]
    (counted,) = json_of(capsys, small, "lake", "sql", query)
    assert (counted["kind"], counted["trials"]) == ("crossover", 5)
    json_of(capsys, small, "walkforward", file, *walked)  # its folds have one moment in common
    (counted,) = json_of(capsys, small, "lake", "sql", query)
    newest = max((small / "runs").glob("*/config.json"))
    ratios = tried_in(small / "runs", json.loads(newest.read_text()))
    assert counted["variance"] == pytest.approx(np.var(list(ratios.values()), ddof=1) / 365)


def test_a_users_own_strategy_counts_once_in_backtests_and_sweeps(small, capsys):
    (small / "peeking.py").write_text(PEEKING)
    file = small / "peeking.yaml"
    file.write_text("python: peeking.py\nsymbols: [BTC]\ninterval: 1h\n")
    json_of(capsys, small, "sweep", str(file), "--grid", "ahead=1,2")
    said = ("--no-report", "--set", "ahead=2")
    assert json_of(capsys, small, "backtest", str(file), *said)["trials"] == 2
    (small / "peeking.py").write_text(PEEKING + "# otherwise\n")
    assert json_of(capsys, small, "backtest", str(file), *said)["trials"] == 3


def test_a_map_over_numbers_and_words_has_its_best_whichever_it_is(small, capsys):
    for values in ("100,auto", "auto,100"):
        grid = ("--grid", f"backtest.warmup={values}", "--grid", "fast=5,10")
        assert sweep(small, *grid, "--start", "2025-01-10") == 0
        assert "heat_map.png" in capsys.readouterr().out


def test_more_trials_make_the_same_result_less_sure(project, capsys):
    assert sweep(project, "--grid", "fast=5", "--grid", "slow=30", "--json") == 0
    few = json.loads(capsys.readouterr().out)["best"][0]
    assert sweep(project, "--grid", "fast=2:18", "--grid", "slow=21:60:3", "--json") == 0
    capsys.readouterr()
    assert sweep(project, "--grid", "fast=5", "--grid", "slow=30", "--json") == 0
    many = json.loads(capsys.readouterr().out)["best"][0]
    assert few["metrics"] == many["metrics"]
    assert many["tried"] > few["tried"] + 200
    assert many["dsr"] < few["dsr"]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--grid", "fats=1:3"], 2, "--grid fats: unknown key; did you mean fast?"),
        (["--grid", "fast"], 2, "expected NAME=FIRST:LAST:STEP"),
        (["--grid", "fast=1:2:0"], 2, "a step of 0"),
        (["--grid", "fast=1:2", "--grid", "fast=3"], 2, "fast is said twice"),
        (["--grid", "kind=macd"], 2, "makes another strategy"),
        (["--grid", "sizing.fraction=0.1:0.9"], 2, "has no step"),
        (["--grid", "fast=1:2", "--sort", "sharp"], 2, "no metric 'sharp'"),
        (["--grid", "fast=1:2", "--random", "0"], 2, "--random 0; expected at least 1"),
        (["--grid", "fast=1:2", "--random", "3", "--optuna", "3"], 2, "take one"),
        (["--grid", "fast=1:2000000"], 2, "1,000,000 at the most"),
        (["--grid", "slow=5000,6000"], 3, "needs 5000 bars"),
        (["--grid", "fast=1:2", "--start", "2031-01-01"], 3, "no bars"),
        (["--grid", "fast=1:2", "--end", ""], 2, "'' is not a date"),
        (["--grid", "fast=1:2", "--set", "symbols=XYZ"], 3, "XYZ"),
        (["--grid", "fast=5,10", "--set", "fast=banana"], 2, "fast is set for all trials, and"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_folder(project, capsys, more, code, said):
    before = sorted((project / "runs").glob("*"))
    assert sweep(project, *more) == code
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert sorted((project / "runs").glob("*")) == before


@pytest.mark.parametrize("command", ["sweep", "walkforward", "backtest"])
def test_a_file_that_is_none_is_the_same_to_every_command(project, tmp_path, capsys, command):
    more = () if command == "backtest" else ("--grid", "fast=1")
    cases = (("", 2, "cannot be read (Is a directory)"), ("nope.yaml", 3, "no such file: "))
    for name, code, said in cases:
        assert run(["--project", str(project), command, str(tmp_path / name), *more]) == code
        (error,) = capsys.readouterr().err.splitlines()
        assert said in error


def walk(project, *more):
    return run(["--project", str(project), "walkforward", str(project / "cross.yaml"), *more])


def test_a_walk_shows_its_folds_and_keeps_the_curve_that_no_choice_saw(project, tmp_path, capsys):
    out = tmp_path / "walk"
    grid = ("--grid", "fast=5,10", "--grid", "slow=20,40")
    assert walk(project, *grid, "--out", str(out), "--train", "20d", "--test", "5d") == 0
    said = capsys.readouterr().out
    assert "all tests, one after the other: total_return" in said
    found = json.loads((out / "walkforward.json").read_text())
    curve = pl.read_parquet(out / "out_of_sample.parquet")
    assert found["metrics"]["total_return"] == curve["equity"][-1] / 100_000 - 1
    assert [one["fold"] for one in found["folds"]] == list(range(1, 9))
    assert pl.read_parquet(out / "trials.parquet").height == 32
    assert walk(project, *grid, "--cpcv", "4:2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["splits"]) == 6
    assert len(found["paths"]) == 3


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--train", "9y"], "--train 9y: expected a length such as 90d"),
        (["--train", "1d"], "nothing is left of it; take a longer one"),
        (["--cpcv", "3"], "--cpcv 3: expected GROUPS:TESTED"),
        (["--cpcv", "6:2", "--train", "180d"], "groups of bars; leave --train out"),
        (["--cpcv", "6:2", "--test", "30d"], "groups of bars; leave --test out"),
        (["--cpcv", "6:2", "--anchored"], "groups of bars; leave --anchored out"),
        (["--cpcv", "6:2", "--sort", "max_dd"], "leave --sort out"),
    ],
)
def test_a_walk_that_cannot_be_is_one_line(project, capsys, more, said):
    assert walk(project, "--grid", "slow=20,40", *more) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_other_histories_of_the_newest_run_are_drawn_by_name(project, capsys):
    base = ["--project", str(project)]
    assert run([*base, "backtest", str(project / "cross.yaml"), "--no-report"]) == 0
    capsys.readouterr()
    assert run([*base, "montecarlo", "last", "--samples", "50", "--starts", "2"]) == 0
    assert "of the histories lose money" in capsys.readouterr().out
    assert run([*base, "montecarlo", "cross", "--method", "blocks", "--json"]) == 0
    (spread,) = json.loads(capsys.readouterr().out)["spreads"]
    assert spread["samples"] == 1_000
    assert spread["total_return"]["p5"] <= spread["total_return"]["p95"]
    assert run([*base, "montecarlo", "nothing"]) == 3
    assert "no run 'nothing'" in capsys.readouterr().err


def test_a_sweep_that_is_cut_off_while_it_writes_lists_no_trial(
    project, tmp_path, capsys, monkeypatch
):
    def full(path, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    out = project / "runs" / "cut"
    assert sweep(project, "--grid", "fast=3,4", "--out", str(out)) == 3
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert len(error.splitlines()) == 1
    lake = Lake(project / "lake", runs=project / "runs")
    assert lake.sql("select count(*) from runs where run like 'cut%'").item() == 0


def test_bars_of_a_damaged_file_are_not_tried(project, tmp_path, capsys):
    shutil.copytree(project / "lake", tmp_path / "lake")
    shutil.copy(project / "cross.yaml", tmp_path)
    create(tmp_path)
    path = Lake(tmp_path / "lake").files("BTC-BRL", "1h")[-1]
    rows = pl.read_parquet(path, hive_partitioning=False)
    rows.with_columns(pl.col("close") * 2).write_parquet(path)
    assert sweep(tmp_path, "--grid", "fast=3,4") == 3
    assert run(["--project", str(tmp_path), "walkforward", str(tmp_path / "cross.yaml"),
                "--grid", "fast=3,4"]) == 3  # fmt: skip
    said = capsys.readouterr().err
    assert said.count(f"{path} cannot be read (its bytes are not those its name says") == 2
    assert not list((tmp_path / "runs").glob("*"))
