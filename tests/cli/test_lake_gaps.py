"""`cq lake gaps`, as typed."""

import json
import re

import polars as pl
import pytest

from cq.cli.main import run
from cq.lake import Lake
from cq.utils.time import HOUR, parse_time

pytestmark = pytest.mark.usefixtures("lake_db_stays")

START = parse_time("2024-03-04")


@pytest.fixture
def lake(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").touch()
    monkeypatch.chdir(tmp_path)
    lake = Lake(tmp_path / "lake")
    bars = pl.DataFrame({"ts": [START + hour * HOUR for hour in (0, 1, 4, 5)]})
    values = dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0)
    names = {"symbol": "BTC-BRL", "exchange": "mercadobitcoin", "interval": "1h"}
    rows = bars.with_columns(**{name: pl.lit(one) for name, one in (values | names).items()})
    lake.write("ohlcv", rows, source="test", now_ns=1)
    return lake


def test_a_table_of_runs_and_a_summary_are_printed(lake, capsys):
    assert run(["lake", "gaps", "BTC-BRL"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"BTC-BRL +1h +2024-03-04 02:00 +2024-03-04 04:00 +2 +never_fetched", shown)
    assert re.search(r"never_fetched +1 +2\n", shown)


def test_json_has_every_run(lake, capsys):
    assert run(["lake", "gaps", "--interval", "1h", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["classes"]["never_fetched"] == {"runs": 1, "bars": 2}
    assert said["gaps"][0]["time"] == "2024-03-04T02:00:00Z"


def test_strict_ends_with_1_where_bars_could_be_had(lake, capsys):
    assert run(["lake", "gaps", "--strict"]) == 1
    assert (
        "2 bars never fetched or lost; mend that with `cq lake repair`" in capsys.readouterr().err
    )
    assert run(["lake", "gaps", "--strict", "--since", "2024-03-04T04:00"]) == 0
    assert "no bar is missing" in capsys.readouterr().err
    assert run(["lake", "gaps", "--strict", "--class", "no_trade"]) == 0


def test_a_symbol_that_the_lake_does_not_know_is_one_line(lake, capsys):
    assert run(["lake", "gaps", "BTC-BLR"]) == 3
    assert "did you mean BTC-BRL?" in capsys.readouterr().err


def test_a_plan_says_what_a_repair_would_do(lake, capsys):
    assert run(["lake", "repair", "--dry-run"]) == 0
    assert re.search(r"04:00 +2 +never_fetched +fetch\n", capsys.readouterr().out)
    assert run(["lake", "repair", "--dry-run", "--no-fetch", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["plan"]
    assert one["do"] == "nothing: not without fetching"


def test_an_excluded_symbol_is_not_fetched_by_a_repair(lake, capsys, monkeypatch):
    monkeypatch.setenv("CQ_EXCLUSIONS", "BTC-BRL")
    monkeypatch.setenv("CQ_INGESTION__REST_BASE_URL", "http://127.0.0.1:9")
    assert run(["lake", "repair", "--dry-run", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["plan"]
    assert one["do"] == "nothing: among the exclusions"
    assert run(["lake", "repair"]) == 0
    assert (
        "BTC-BRL is among the `exclusions` of the settings: not fetched" in capsys.readouterr().err
    )


def test_a_repair_moves_damaged_files_away_first(lake, capsys):
    path = next(
        p for p in lake.root.rglob("*.parquet") if "ohlcv/" in str(p) and "none" not in str(p)
    )
    path.write_bytes(path.read_bytes()[:100])
    assert run(["lake", "repair", "--dry-run"]) == 0
    assert f"{path} is damaged" in capsys.readouterr().out
    assert run(["lake", "repair", "--dry-run", "--json"]) == 0
    (damaged,) = json.loads(capsys.readouterr().out)["damaged"]
    assert damaged["path"] == str(path)
    assert path.exists()
    assert run(["lake", "repair", "--no-fetch", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (moved,) = told["quarantined"]
    assert path.name in moved["file"]
    assert not path.exists()
    assert told["left"]["lost"]["bars"] >= 4  # all that the file may have held
    assert run(["lake", "repair", "--no-fetch", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["quarantined"] == []


def test_a_repair_without_a_network_says_what_is_left(lake, capsys):
    assert run(["lake", "repair", "--no-fetch"]) == 0
    shown = capsys.readouterr()
    assert re.search(r"never_fetched +2 +2\n", shown.out)
    assert "2 bars could not be mended" in shown.err
    assert run(["lake", "repair", "--no-fetch", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["rebuilt"], said["left"]["never_fetched"]["bars"]) == (0, 2)


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (["gaps", "--interval", "1x"], 2, "'1x' is not an interval"),
        (["gaps", "--interval", "5m"], 3, "no bars of the lake stored at 5m; the lake holds 1h"),
        (["gaps", "BTC-BLR", "--interval", "1h"], 3, "did you mean BTC-BRL"),
        (["verify", "BTC-BLR"], 3, "did you mean BTC-BRL"),
        (["compact", "--symbol", "BTC-BLR"], 3, "did you mean BTC-BRL"),
        (["files", "BTC-BLR"], 3, "did you mean BTC-BRL"),
        (["files", "--interval", "1x"], 2, "'1x' is not an interval"),
        (["files", "--interval", "5m"], 3, "no bars of the lake stored at 5m; the lake holds 1h"),
        (["files", "--dataset", "trades", "--interval", "1h"], 2, "trades have no interval"),
        (["fingerprint", "--interval", "1x"], 2, "'1x' is not an interval"),
        (["diff", "lake", "lake", "--interval", "1x"], 2, "'1x' is not an interval"),
        (["diff", "lake", "lake", "--interval", "5m"], 3, "no interval 5m here; there is 1h;"),
    ],
)
def test_nothing_is_fine_of_what_was_mistyped(lake, capsys, asked, code, said):
    assert run(["lake", *asked]) == code
    assert said in capsys.readouterr().err


def test_an_interval_that_only_other_markets_have_is_not_whole(lake, capsys):
    day = {"ts": [START], "symbol": "ETH-BRL", "exchange": "mercadobitcoin", "interval": "1d"}
    values = dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0)
    lake.write("ohlcv", pl.DataFrame(day | values), source="test", now_ns=1)
    for asked in (["gaps", "--strict"], ["gaps", "ETH-BRL", "--json"], ["files"]):
        assert run(["lake", *asked, "BTC-BRL", "--interval", "1d"]) == 3
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == "cq: no bars of BTC-BRL stored at 1d; the lake holds 1h\n"
    assert run(["lake", "gaps", "ETH-BRL", "--interval", "1d"]) == 0
    assert run(["lake", "gaps", "--interval", "1d"]) == 0


def test_an_interval_that_was_asked_for_and_is_empty_may_be_named(lake, capsys):
    known = {"dataset": "ohlcv", "exchange": "mercadobitcoin", "symbol": "BTC-BRL"}
    asked = {"interval": "1m", "start_ts": START, "end_ts": START + HOUR, "asked_ts": 1}
    lake.write("coverage", pl.DataFrame([known | asked | {"rows": 0}]), source="test", now_ns=1)
    assert run(["lake", "gaps", "BTC-BRL", "--interval", "1m", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["classes"]
    assert found["no_trade"]["bars"] == 60
    assert run(["lake", "files", "BTC-BRL", "--interval", "1m"]) == 3
    said = "no bars of BTC-BRL stored at 1m; the lake holds 1h"
    assert said in capsys.readouterr().err


def test_that_no_bar_is_missing_is_said_of_the_classes_that_were_asked_for(lake, capsys):
    assert run(["lake", "gaps", "--class", "outage", "--class", "lost"]) == 0
    assert capsys.readouterr().err == "no bar is missing as outage or lost\n"


def test_a_lake_of_trades_alone_is_not_called_whole(lake, capsys, monkeypatch):
    monkeypatch.setenv("CQ_DATA_ROOT", "trades")
    who = {"dataset": "trades", "exchange": "mercadobitcoin", "symbol": "BTC-BRL"}
    asked = {"start_ts": START, "end_ts": START + HOUR, "asked_ts": 1, "rows": 1}
    Lake("trades").write("coverage", pl.DataFrame(who | asked), source="test", now_ns=1)
    assert run(["lake", "gaps"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err[:12]) == ("", "no bars in /")
