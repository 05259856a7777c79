"""SYMBOLS of every command that takes them, as typed."""

import json
import re
from shutil import copytree

import polars as pl
import pytest

from cq.cli.main import run
from cq.lake import Lake
from cq.project import create
from cq.utils.time import HOUR, parse_time

START = parse_time("2024-03-04")
OWNERS = (
    ("BTC-BRL", "mercadobitcoin"),
    ("BTC-USDT", "binance"),
    ("ETH-USDT", "binance"),
    ("SOL-USDT", "binance"),
    ("SOL-EUR", "kraken"),
)
COMMANDS = (
    "gaps {} --json",
    "repair {} --dry-run --json",
    "repair {} --no-fetch --json",
    "verify {} --json",
    "quality {} --check missing_bars --json",
    "quality --symbol {} --check missing_bars --json",
    "compact --symbol {} --dry-run --json",
    "files {} --json",
    "fingerprint {} --json",
    "diff lake other --symbol {} --json",
)


def bars(symbol: str, exchange: str) -> pl.DataFrame:
    rows = pl.DataFrame({"ts": [START + hour * HOUR for hour in (0, 1, 4, 5)]})
    values = dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0)
    names = {"symbol": symbol, "exchange": exchange, "interval": "1h"}
    return rows.with_columns(**{name: pl.lit(one) for name, one in (values | names).items()})


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = tmp_path_factory.mktemp("project")
    create(project)
    held = pl.concat([bars(*owner) for owner in OWNERS])
    Lake(project / "lake").write("ohlcv", held, source="test", now_ns=1)
    other = held.with_columns(high=pl.lit(2.0))
    Lake(project / "other").write("ohlcv", other, source="test", now_ns=1)
    return project


@pytest.fixture
def lake(project, monkeypatch):
    """A lake that is only looked at."""
    monkeypatch.chdir(project)
    return Lake(project / "lake")


@pytest.fixture
def own_lake(project, tmp_path, monkeypatch):
    """One to write into."""
    monkeypatch.chdir(copytree(project, tmp_path / "project"))
    return Lake("lake")


def told(capsys, command: str, symbol: str) -> tuple[int, object, str]:
    """Exit code, answer without what takes time, and what was said beside it."""
    code = run(["lake", *command.format(symbol).split()])
    shown = capsys.readouterr()
    answer = json.loads(shown.out) if shown.out else None
    if isinstance(answer, dict):
        answer.pop("seconds", None)
        answer.pop("checked_at", None)
    return code, answer, shown.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_base_alone_is_the_market_in_the_configured_quote(lake, capsys, command):
    assert told(capsys, command, "BTC") == told(capsys, command, "BTC-BRL")


def test_another_quote_is_another_market(lake, capsys, monkeypatch):
    monkeypatch.setenv("CQ_QUOTE", "USDT")
    assert told(capsys, "files {} --json", "BTC") == told(capsys, "files {} --json", "BTC-USDT")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_only_other_market_of_a_base_is_taken_and_said(lake, capsys, command):
    code, answer, said = told(capsys, command, "ETH")
    assert code in (0, 1)
    assert said.startswith("ETH: there is no ETH-BRL, taking ETH-USDT\n")
    assert {"BTC-BRL", "ETH-BRL"}.isdisjoint(re.findall(r"[A-Z]+-[A-Z]+", json.dumps(answer)))


@pytest.mark.parametrize("command", COMMANDS)
def test_several_other_markets_of_a_base_are_a_question(lake, capsys, command):
    code, _, said = told(capsys, command, "SOL")
    assert code == 3
    assert said.startswith("cq: no SOL-BRL here; there is BTC-BRL, ")
    assert said.endswith("; say which of SOL-EUR and SOL-USDT\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_lake_has_nothing_of_is_one_line(lake, capsys, command):
    for symbol, named in (
        ("DOGE", "no DOGE-BRL here; there is BTC-BRL,"),
        ("ETH-BRL", "no ETH-BRL here; there is BTC-BRL,"),
        ("btc-brl", "no btc-brl here (did you mean BTC-BRL?); there is BTC-BRL,"),
        ("btc", "no btc-BRL here (did you mean BTC-BRL?); there is BTC-BRL,"),
    ):
        code, _, said = told(capsys, command, symbol)
        assert (code, said.count("\n")) == (3, 1)
        assert said.startswith(f"cq: {named}")
        assert said.endswith("; `cq lake status` lists what there is\n")


def test_a_market_is_looked_at_once_however_often_it_is_named(lake, capsys):
    once = told(capsys, "fingerprint {} --json", "BTC-BRL")
    assert told(capsys, "fingerprint BTC {} BTC --json", "BTC-BRL") == once


def test_a_base_alone_is_looked_for_where_an_exchange_is_named(lake, capsys):
    code, answer, said = told(capsys, "fingerprint {} --exchange binance --json", "BTC")
    assert said == "BTC: there is no BTC-BRL, taking BTC-USDT\n"
    assert (code, [one["symbol"] for one in answer["series"]]) == (0, ["BTC-USDT"])


def test_a_name_that_rows_were_refused_for_is_no_market_of_its_base(own_lake, capsys):
    own_lake.write("ohlcv", bars("BTC", "binance"), source="test", now_ns=1)
    own_lake.write("ohlcv", bars("DOGE", "binance"), source="test", now_ns=1)
    assert told(capsys, "verify {} --json", "BTC") == told(capsys, "verify {} --json", "BTC-BRL")
    code, answer, said = told(capsys, "fingerprint {} --view rejected --json", "DOGE")
    assert (code, said) == (0, "")
    assert answer["rows"] == 4


def test_trades_alone_are_no_bars_that_could_be_missing(own_lake, capsys):
    trades = {"ts": [START], "price": 1.0, "size": 1.0, "side": "buy", "trade_id": "1"}
    who = {"symbol": "XRP-BRL", "exchange": "mercadobitcoin"}
    own_lake.write("trades", pl.DataFrame(trades | who), source="test", now_ns=1)
    assert told(capsys, "verify {} --json", "XRP")[0] == 0
    for command in COMMANDS[:3]:
        code, _, said = told(capsys, command, "XRP")
        assert code == 3
        assert said.startswith("cq: no XRP-BRL here")
    asked = {"dataset": "trades", "start_ts": START, "end_ts": START + HOUR, "asked_ts": 1}
    own_lake.write("coverage", pl.DataFrame(asked | who | {"rows": 1}), source="test", now_ns=1)
    code, _, said = told(capsys, "gaps {}", "XRP")
    assert code == 3
    assert said.startswith("cq: no XRP-BRL here")


def test_statistics_and_features_understand_a_base_alone(lake, capsys):
    for asked, market in (
        (["BTC"], "BTC-BRL"),
        (["ETH"], "ETH-USDT"),
        (["BTC", "--exchange", "binance"], "BTC-USDT"),
    ):
        assert run(["stats", *asked, "--interval", "1h", "--json"]) == 0
        (one,) = json.loads(capsys.readouterr().out)["symbols"]
        assert one["symbol"] == market
    assert run(["stats", "DOGE"]) == 3
    assert "no DOGE-BRL here; there is BTC-BRL" in capsys.readouterr().err
    strategy = "configs/strategies/crossover_btc.yaml"
    assert run(["features", strategy, "--symbol", "BTC", "--tail", "1", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["symbol"] == "BTC-BRL"
    assert run(["features", strategy, "--symbol", "ETH"]) == 3
    said = capsys.readouterr().err
    assert said == f"cq: no ETH-BRL here; there is BTC-BRL; {strategy} trades these\n"


def test_a_lake_that_is_not_there_is_told_before_any_symbol(tmp_path, monkeypatch, capsys):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/default.yaml").touch()
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS[:-1]:
        code, _, said = told(capsys, command, "BTC")
        assert (code, said[:14]) == (3, "cq: no lake at")
