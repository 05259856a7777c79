import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from exchange import Fault
from trade_market import Market, trades

import cq
from cq.cli.feeds import advise
from cq.cli.main import run
from cq.exchanges.feed import Batch, Hole
from cq.exchanges.trade_pages import ids_of
from cq.ingest.built_bars import bars_of
from cq.ingest.closing import Closing
from cq.ingest.coverage import covered
from cq.ingest.rolling import Rolling, Rotation
from cq.ingest.stream import Tally
from cq.lake import Lake
from cq.lake.datasets import ORDERBOOK_L2
from cq.project import create
from cq.utils.time import MINUTE, SECOND, iso, parse_time

pytestmark = pytest.mark.usefixtures("lake_db_stays")

SINCE, UNTIL = "2026-01-01", "2026-01-02"
START = parse_time(SINCE)
FIRST = START // SECOND


@pytest.fixture
def project(tmp_path, monkeypatch, exchange):
    """A project whose exchange is the loopback one, with a day of trades, and one before it."""
    create(tmp_path)
    (tmp_path / "configs" / "local.yaml").write_text(
        f"""
        symbols: [BTC-BRL]
        ingestion:
          rest_base_url: {exchange.url}
          rate_limits: {{requests_per_minute: 60000000, requests_per_second: 1000000}}
          retry: {{max_tries: 2, backoff_base_ms: 0, backoff_cap_ms: 0, backoff_jitter_ms: 0}}
        """
    )
    monkeypatch.chdir(tmp_path)
    exchange.trades["BTC-BRL"] = Market(trades(range(FIRST - 16, FIRST + 86_400, 16), 699))
    return tmp_path


@pytest.fixture
def cq_trades(project, capsys):
    """Fetch trades; exit code, standard output and error."""

    def called(*arguments):
        code = run(["lake", "ingest", "--dataset", "trades", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


def give_candles(exchange):
    """The exchange gives the bars that its trades of the day make; these bars."""
    held = exchange.trades["BTC-BRL"].held.filter(pl.col("ts") >= START)
    bars = bars_of(held, "1m")
    exchange.markets["BTC-BRL", "1m"] = {
        ts: tuple(f"{value:.8f}" for value in row)
        for ts, *row in bars.select("ts", "open", "high", "low", "close", "volume").iter_rows()
    }
    return bars


def known(project):
    return covered(Lake(project / "lake"), "trades", "mercadobitcoin", "BTC-BRL", None)


def ids(project):
    rows = Lake(project / "lake").sql("select trade_id from trades")
    return sorted(rows["trade_id"].cast(int).to_list())


def test_up_to_now_the_progress_ends_at_its_whole(exchange, cq_trades):
    first = time.time_ns() // SECOND - 3_600
    exchange.clock = lambda: time.time_ns() - 2 * SECOND
    exchange.trades["BTC-BRL"] = Market(trades(range(first, first + 3_500, 16)))
    code, _, err = cq_trades("BTC-BRL", "--since", iso(first * SECOND))
    assert code == 0
    assert "100 %, " in [line for line in err.splitlines() if " %, " in line][-1]


def test_every_trade_lands_and_a_table_says_so(project, cq_trades):
    code, out, err = cq_trades("BTC-BRL", "--since", SINCE, "--until", UNTIL)
    assert code == 0
    assert ids(project) == list(range(700, 6100))
    assert out.splitlines()[0] == "trades"
    assert "5,400" in out
    assert "BTC-BRL: 100 %, 5,400 trades in the lake" in err


def test_json_is_one_object(cq_trades):
    code, out, _ = cq_trades("BTC-BRL", "--since", SINCE, "--until", UNTIL, "--json")
    said = json.loads(out)
    (report,) = said["symbols"]
    assert (code, said["dataset"], said["error"]) == (0, "trades", None)
    assert (report["from"], report["landed"], report["lost"]) == (iso(START), 5400, [])
    assert report["comparison"] is None


def test_it_goes_on_where_it_ended_and_twice_changes_nothing(project, exchange, cq_trades):
    cq_trades("BTC-BRL", "--since", SINCE, "--until", "2026-01-01T12:00")
    cq_trades("BTC-BRL", "--until", UNTIL)
    assert ids(project) == list(range(700, 6100))
    exchange.asked.clear()
    _, out, _ = cq_trades("BTC-BRL", "--since", SINCE, "--until", UNTIL, "--json")
    assert exchange.asked == []
    assert json.loads(out)["symbols"][0]["landed"] == 0


def test_the_command_that_a_stream_prints_of_lost_trades_fetches_them_or_covers_none(
    project, exchange, capsys
):
    rows = exchange.trades["BTC-BRL"].held.filter(pl.col("ts") >= START)
    hole = Hole("BTC-BRL", 2000, 2002)
    lake = Lake(project / "lake")
    closing = Closing("BTC-BRL", "mercadobitcoin", known_from=START, edge=START)
    rolling = Rolling(lake, [closing], source="test", rotation=Rotation(1, 1), now_ns=START)
    streamed = rows.filter(~ids_of(rows).is_between(2000, 2002))
    seen = {"BTC-BRL": parse_time(UNTIL)}
    rolling.add(Batch(streamed, ORDERBOOK_L2.empty(), pl.DataFrame(), seen, lost=[hole]))
    landed = rolling.write(rolling.take(START), START, last=True)
    advise(lake, landed, Tally(lost=[hole]))
    (command,) = re.findall(r"`cq ([^`]*)`", capsys.readouterr().err)
    exchange.trades["BTC-BRL"].given_from = 2003
    lost = rows.filter(ids_of(rows).is_between(2000, 2002))["ts"]
    assert run(command.split()) == 4
    assert not any(start <= ts < end for start, end in known(project) for ts in lost)
    exchange.trades["BTC-BRL"].given_from = 0
    assert run(command.split()) == 0
    assert ids(project) == list(range(700, 6100))


def test_trades_are_held_against_the_candles_of_the_lake(exchange, cq_trades):
    bars = give_candles(exchange)
    arguments = ("BTC-BRL", "--since", SINCE, "--until", UNTIL)
    assert run(["lake", "ingest", "--interval", "1m", *arguments]) == 0
    code, _, err = cq_trades(*arguments)
    assert code == 0
    assert f"BTC-BRL: {bars.height:,} 1m bars made of the trades equal the exchange's" in err


def test_differences_from_the_candles_are_counted_and_shown_and_no_failure(exchange, cq_trades):
    exchange.markets["BTC-BRL", "1m"] = {START + 3 * MINUTE: ("1.0", "9.0", "1.0", "2.0", "5.0")}
    arguments = ("BTC-BRL", "--since", SINCE, "--until", "2026-01-01T00:05")
    assert run(["lake", "ingest", "--interval", "1m", *arguments]) == 0
    code, out, err = cq_trades(*arguments, "--json")
    assert code == 0
    assert "BTC-BRL: 5 of 5 1m bars made of the trades differ from the exchange's" in err
    found = json.loads(out[out.index("{") :])["symbols"][0]["comparison"]
    assert (found["compared"], found["differences"], len(found["first"])) == (1, 5, 3)
    assert found["first"][0].startswith("2026-01-01T00:00:00Z: trades make a bar that")


def test_trades_that_the_exchange_keeps_back_are_told_in_one_line(project, exchange, cq_trades):
    market = exchange.trades["BTC-BRL"]
    whole = market.held
    market.held = whole.filter(~ids_of(whole).is_between(2000, 2002))
    arguments = ("BTC-BRL", "--since", SINCE, "--until", UNTIL)
    code, out, err = cq_trades(*arguments, "--json")
    assert code == 4
    assert json.loads(out)["symbols"][0]["lost"] == [[2000, 2002]]
    assert err.splitlines()[-1].startswith(
        "cq: BTC-BRL: the exchange does not give 3 trades (ids 2000 to 2002)"
    )
    market.held = whole
    assert cq_trades(*arguments)[0] == 0
    assert ids(project) == list(range(700, 6100))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["BTC-BRL", "--since", "2999-01-01"], "--since 2999-01-01 lies in the future"),
        (["BTC-BRL", "--since", UNTIL, "--until", SINCE], "is not after the beginning"),
        (["btc-brl", "--since", SINCE], "did you mean BTC-BRL?"),
        (["BTC-BRL", "--since", SINCE, "--interval", "1h"], "trades have no --interval"),
        (["BTC-BRL"], "no trades of BTC-BRL were fetched before; say where to begin"),
    ],
)
def test_wrong_usage_is_one_line_and_no_request(exchange, cq_trades, arguments, said):
    code, out, err = cq_trades(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("cq: ")
    assert err.count("\n") == 1
    assert exchange.asked == []


def test_an_unknown_symbol_is_one_line_and_the_others_land(project, cq_trades):
    code, _, err = cq_trades("NOPE-BRL", "BTC-BRL", "--since", SINCE, "--until", UNTIL)
    assert code == 4
    assert err.splitlines()[-1].startswith("cq: NOPE-BRL: the exchange has no such market")
    assert len(ids(project)) == 5400


@pytest.mark.parametrize("stamps", [[FIRST - 9], [FIRST + 86_400]])
def test_a_market_without_a_trade_in_the_range_is_said(project, exchange, cq_trades, stamps):
    exchange.trades["BTC-BRL"].held = trades(stamps)
    code, _, err = cq_trades("BTC-BRL", "--since", SINCE, "--until", UNTIL)
    assert code == 0
    assert "BTC-BRL: the exchange has no trade in this range" in err
    assert known(project) == [(START, parse_time(UNTIL))]


def test_a_market_without_any_trade_is_said_and_proves_nothing(project, exchange, cq_trades):
    exchange.trades["BTC-BRL"].held = trades([])
    code, _, err = cq_trades("BTC-BRL", "--since", SINCE, "--until", UNTIL)
    assert code == 0
    assert "BTC-BRL: the exchange gives no trade of this market at all" in err
    assert known(project) == []


def test_trades_that_are_kept_no_more_are_missing_after_a_pause_and_stay_uncovered(
    project, exchange, cq_trades
):
    noon = "2026-01-01T12:00"
    assert cq_trades("BTC-BRL", "--since", SINCE, "--until", noon)[0] == 0
    exchange.trades["BTC-BRL"].given_from = 4000
    code, out, err = cq_trades("BTC-BRL", "--until", UNTIL, "--json")
    (report,) = json.loads(out)["symbols"]
    assert (code, report["lost"], report["unkept"]) == (4, [[3400, 3999]], [])
    assert err.splitlines()[-1].startswith(
        "cq: BTC-BRL: the exchange does not give 600 trades (ids 3400 to 3999)"
    )
    first = (FIRST + 16 * (4000 - 700) + 1) * SECOND
    assert known(project) == [(START, parse_time(noon)), (first, parse_time(UNTIL))]
    exchange.trades["BTC-BRL"].given_from = 0
    assert cq_trades("BTC-BRL", "--until", UNTIL)[0] == 0
    assert ids(project) == list(range(700, 6100))
    assert known(project) == [(START, parse_time(UNTIL))]


def test_what_was_before_the_first_trade_that_is_kept_is_not_known_and_one_line_says_so(
    project, exchange, cq_trades
):
    exchange.trades["BTC-BRL"].given_from = 4000
    code, out, err = cq_trades("BTC-BRL", "--since", SINCE, "--until", UNTIL, "--json")
    first = (FIRST + 16 * (4000 - 700) + 1) * SECOND
    (report,) = json.loads(out)["symbols"]
    assert (code, report["lost"], report["unkept"]) == (4, [], [[iso(START), iso(first)]])
    assert err.splitlines()[-1] == (
        f"cq: BTC-BRL: the exchange keeps trades only from {iso(first)} on: what was traded "
        f"from {iso(START)} until then is not known"
    )
    assert ids(project) == list(range(4000, 6100))
    assert known(project) == [(first, parse_time(UNTIL))]


def test_minutes_of_trades_that_are_kept_no_more_were_never_fetched_and_repair_fetches_them(
    project, exchange, cq_trades, capsys
):
    give_candles(exchange)
    noon, one = "2026-01-01T12:00", ("lake", "gaps", "BTC-BRL", "--interval", "1m", "--json")
    candles = ["lake", "ingest", "BTC-BRL", "--interval", "1m"]
    run([*candles, "--since", SINCE, "--until", noon])
    run([*candles, "--since", "2026-01-01T23:00", "--until", UNTIL])
    cq_trades("BTC-BRL", "--since", SINCE, "--until", noon)
    exchange.trades["BTC-BRL"].given_from = 4000
    code, _, err = cq_trades("BTC-BRL", "--until", UNTIL)
    assert code == 4
    assert "differ from the exchange's" not in err
    assert run(list(one)) == 0
    found = json.loads(capsys.readouterr().out)["gaps"]
    assert {gap["class"] for gap in found} == {"never_fetched", "lost"}
    assert (found[0]["time"], found[0]["class"]) == (iso(parse_time(noon)), "never_fetched")
    assert run(["lake", "repair", "BTC-BRL"]) == 0
    capsys.readouterr()
    assert run(list(one)) == 0
    assert json.loads(capsys.readouterr().out)["gaps"] == []


def test_passing_faults_on_the_way_lose_nothing(project, exchange, cq_trades):
    seen = iter([Fault(503), Fault(kind="half"), Fault(429), Fault(kind="drop")])

    def fail_now_and_then(_):
        if len(exchange.asked) % 4 == 1:
            exchange.faults.extend([one for one in [next(seen, None)] if one])

    exchange.on_request = fail_now_and_then
    assert cq_trades("BTC-BRL", "--since", SINCE, "--until", UNTIL)[0] == 0
    assert ids(project) == list(range(700, 6100))


@pytest.mark.parametrize("request_number", [5, 21, 40])
def test_a_kill_at_any_request_is_completed_by_the_same_command(project, exchange, request_number):
    market = exchange.trades["BTC-BRL"]
    market.held = trades(range(FIRST - 16, FIRST + 86_400, 16), 699).with_columns(
        ts=pl.col("ts") // (4 * SECOND) * (4 * SECOND)
    )
    market.cap = 150
    child: list[subprocess.Popen[bytes]] = []

    def kill(_):
        if child and len(exchange.asked) == request_number:
            child[0].kill()

    exchange.on_request = kill
    command = [sys.executable, "-m", "cq", "lake", "ingest", "--dataset", "trades"]
    arguments = ["BTC-BRL", "--since", SINCE, "--until", UNTIL]
    environment = os.environ | {"PYTHONPATH": str(Path(cq.__file__).parent.parent)}
    child.append(
        subprocess.Popen([*command, *arguments], env=environment, stderr=subprocess.DEVNULL)
    )
    assert child[0].wait(60) == -signal.SIGKILL
    lake = Lake(project / "lake")
    proven = covered(lake, "trades", "mercadobitcoin", "BTC-BRL", None)
    due = market.held.filter(
        pl.any_horizontal(
            pl.lit(value=False), *(pl.col("ts").is_between(s, e - 1) for s, e in proven)
        )
    )
    if due.height:
        assert set(ids_of(due)) <= set(ids(project))
    exchange.on_request = None
    assert run(["lake", "ingest", "--dataset", "trades", *arguments]) == 0
    assert ids(project) == list(range(700, 6100))
