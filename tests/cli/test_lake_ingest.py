import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Timer

import duckdb
import pytest
from exchange import Fault, bars

import cq
from cq.cli.ingest_output import bars as bars_kind
from cq.cli.ingest_output import say
from cq.cli.lake_ingest import warn_of_skew
from cq.cli.main import run
from cq.errors import LakeBusy, Unavailable
from cq.ingest.backfill import Ingested
from cq.ingest.coverage import covered
from cq.lake import Lake
from cq.project import create
from cq.utils.time import DAY, HOUR, MINUTE, iso, parse_time

pytestmark = pytest.mark.usefixtures("lake_db_stays")

SINCE, UNTIL = "2026-01-01", "2026-01-05"
START = parse_time(SINCE)


@pytest.fixture
def project(tmp_path, monkeypatch, exchange):
    """A project whose exchange is the loopback one."""
    create(tmp_path)
    (tmp_path / "configs" / "local.yaml").write_text(
        f"""
        symbols: [BTC-BRL, ETH-BRL]
        ingestion:
          rest_base_url: {exchange.url}
          rate_limits: {{requests_per_minute: 60000000, requests_per_second: 1000000}}
          retry: {{max_tries: 2, backoff_base_ms: 0, backoff_cap_ms: 0, backoff_jitter_ms: 0}}
        """
    )
    monkeypatch.chdir(tmp_path)
    for symbol in ("BTC-BRL", "ETH-BRL"):
        exchange.markets[symbol, "1h"] = bars(START, HOUR, set(range(100)) - {5, 6})
    return tmp_path


@pytest.fixture
def cq_lake_ingest(project, capsys):
    """Run the command; exit code, standard output and error."""

    def called(*arguments):
        code = run(["lake", "ingest", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


def stamps(project, symbol="BTC-BRL", interval="1h"):
    return Lake(project / "lake").bars(symbol, interval).collect()["ts"].to_list()


def test_what_the_exchange_keeps_no_longer_is_told_and_no_other_symbol_suffers(
    project, exchange, cq_lake_ingest, capsys
):
    cq_lake_ingest("--since", SINCE, "--until", "2026-01-02")
    exchange.markets["BTC-BRL", "1h"] = bars(START, HOUR, range(48, 100))
    code, out, err = cq_lake_ingest("--until", UNTIL, "--json")
    said = json.loads(out)
    assert code == 4
    assert "BTC-BRL: the exchange does not keep 1h bars from 2026-01-02T00:00:00Z" in said["error"]
    assert said["error"].endswith("--since 2026-01-03T00:00:00Z leaves them out")
    assert [one["unkept"] for one in said["symbols"]] == [
        [["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"]],
        [],
    ]
    assert [one["landed"] for one in said["symbols"]] == [48, 72]
    assert "cq: BTC-BRL: the exchange does not keep" in err
    assert run(["lake", "gaps", "BTC-BRL", "--strict"]) == 1
    assert "never_fetched" in capsys.readouterr().out
    code, _, _ = cq_lake_ingest("BTC-BRL", "--since", "2026-01-03", "--until", UNTIL)
    assert code == 0


def test_bars_land_and_a_table_says_so(project, exchange, cq_lake_ingest):
    code, out, err = cq_lake_ingest("BTC-BRL", "--since", SINCE, "--until", UNTIL)
    assert code == 0
    assert stamps(project) == sorted(exchange.markets["BTC-BRL", "1h"])[:94]
    assert "BTC-BRL" in out
    assert "94" in out
    assert "100 %, 94 bars in the lake" in err


def test_json_is_one_object(cq_lake_ingest):
    code, out, _ = cq_lake_ingest("BTC-BRL", "--since", SINCE, "--until", UNTIL, "--json")
    said = json.loads(out)
    assert code == 0
    assert said["error"] is None
    (report,) = said["symbols"]
    assert report["from"] == iso(START)
    assert (report["landed"], report["empty_buckets"], report["differing"]) == (94, 2, 0)


def test_the_configured_symbols_are_the_default_but_for_the_excluded(
    project, exchange, cq_lake_ingest, monkeypatch
):
    monkeypatch.setenv("CQ_EXCLUSIONS", "BTC-BRL")
    assert cq_lake_ingest("--since", SINCE, "--until", UNTIL)[0] == 0
    assert {one["symbol"] for one in exchange.asked} == {"ETH-BRL"}


def test_an_excluded_symbol_is_not_fetched_even_when_named(exchange, cq_lake_ingest, monkeypatch):
    monkeypatch.setenv("CQ_EXCLUSIONS", "BTC-BRL")
    code, _, err = cq_lake_ingest("BTC-BRL", "--since", SINCE)
    assert code == 2
    assert "BTC-BRL is among the `exclusions`" in err
    assert exchange.asked == []


def test_a_base_alone_has_the_configured_quote_and_no_symbol_is_fetched_twice(
    exchange, cq_lake_ingest
):
    assert cq_lake_ingest("BTC", "BTC-BRL", "--since", SINCE, "--until", UNTIL)[0] == 0
    assert [one["symbol"] for one in exchange.asked] == ["BTC-BRL"]


def test_without_since_it_goes_on_where_it_ended(project, exchange, cq_lake_ingest):
    cq_lake_ingest("BTC-BRL", "--since", SINCE, "--until", "2026-01-02")
    exchange.asked.clear()
    assert cq_lake_ingest("BTC-BRL", "--until", UNTIL)[0] == 0
    assert exchange.asked[0]["from"] == str(parse_time("2026-01-02") // 10**9)
    assert len(stamps(project)) == 94


def test_without_since_it_begins_at_the_first_gap(project, exchange, cq_lake_ingest):
    for since, until in ((SINCE, "2026-01-02"), ("2026-01-03", UNTIL)):
        cq_lake_ingest("BTC-BRL", "--since", since, "--until", until)
    exchange.asked.clear()
    assert cq_lake_ingest("BTC-BRL", "--until", UNTIL)[0] == 0
    assert exchange.asked[0]["from"] == str(parse_time("2026-01-02") // 10**9)
    assert len(stamps(project)) == 94


def test_without_since_and_without_history_it_asks_for_since(exchange, cq_lake_ingest):
    code, _, err = cq_lake_ingest("BTC-BRL", "ETH-BRL")
    assert code == 2
    assert "nothing of BTC-BRL, ETH-BRL at 1h was fetched before" in err
    assert "--since 2024-01-01" in err
    assert exchange.asked == []


def test_the_second_run_asks_for_nothing_and_says_zero(exchange, cq_lake_ingest):
    for _ in range(2):
        _, out, _ = cq_lake_ingest("BTC-BRL", "--since", SINCE, "--until", UNTIL, "--json")
    assert len(exchange.asked) == 1
    assert json.loads(out)["symbols"][0]["requests"] == 0


def test_up_to_now_the_bar_in_progress_stays_out(project, exchange, cq_lake_ingest):
    now = time.time_ns()
    first = now // MINUTE * MINUTE - 30 * MINUTE
    exchange.markets["BTC-BRL", "1m"] = bars(first, MINUTE, range(60))
    assert cq_lake_ingest("BTC-BRL", "--interval", "1m", "--since", iso(first))[0] == 0
    held = stamps(project, interval="1m")
    assert 29 <= len(held) <= 32
    assert max(held) + MINUTE <= time.time_ns()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["BTC-BRL", "--since", "2999-01-01"], "--since 2999-01-01 lies in the future"),
        (["BTC-BRL", "--since", UNTIL, "--until", SINCE], "is not after the beginning"),
        (["BTC-BRL", "--since", "soon"], "'soon' is not a date"),
        (["btc-brl", "--since", SINCE], "did you mean BTC-BRL?"),
        (["BTCBRL", "--since", SINCE], "did you mean BTC-BRL?"),
        (["btc", "--since", SINCE], "did you mean BTC-BRL?"),
        (["BTC-BRL", "--since", SINCE, "--interval", "5m"], "ingest 1m"),
        (["BTC-BRL", "--since", SINCE, "--interval", "hourly"], "is not an interval"),
        (["BTC-BRL", "--since", SINCE, "--dataset", "news"], "'ohlcv'"),
    ],
)
def test_wrong_usage_is_one_line_and_no_request(exchange, cq_lake_ingest, arguments, said):
    code, out, err = cq_lake_ingest(*arguments)
    assert code == 2
    assert out == ""
    assert said in err
    assert err.startswith("cq: ")
    assert err.count("\n") == 1
    assert exchange.asked == []


def test_an_unknown_symbol_is_one_line_and_the_others_land(project, cq_lake_ingest):
    code, _, err = cq_lake_ingest("NOPE-BRL", "BTC-BRL", "--since", SINCE, "--until", UNTIL)
    assert code == 4
    assert err.splitlines()[-1].startswith("cq: NOPE-BRL: the exchange has no such market")
    assert len(stamps(project)) == 94


def test_two_unknown_symbols_are_a_line_each(cq_lake_ingest):
    code, _, err = cq_lake_ingest("NOPE-BRL", "NADA-BRL", "--since", SINCE, "--until", UNTIL)
    assert code == 4
    assert err.count("no such market") == 2


def test_what_landed_before_the_exchange_failed_is_kept_and_said(project, exchange, cq_lake_ingest):
    def fail_from_the_fourth(_):
        if len(exchange.asked) >= 4:
            exchange.faults.append(Fault(503))

    exchange.on_request = fail_from_the_fourth
    arguments = ("BTC-BRL", "ETH-BRL", "--since", SINCE, "--until", UNTIL)
    code = run(["--set", "ingestion.page_bars=20", "lake", "ingest", *arguments])
    assert code == 4
    assert len(stamps(project)) == 20 + 19 + 19 - 2
    assert {one["symbol"] for one in exchange.asked} == {"BTC-BRL"}
    exchange.on_request = None
    exchange.faults.clear()
    assert cq_lake_ingest(*arguments)[0] == 0
    assert len(stamps(project)) == len(stamps(project, "ETH-BRL")) == 94


def test_a_failure_says_what_landed_in_one_line_after_the_table(exchange, cq_lake_ingest):
    exchange.faults.extend([Fault(502)] * 2)
    code, _, err = cq_lake_ingest("BTC-BRL", "--since", SINCE)
    last, *_ = reversed(err.splitlines())
    assert code == 4
    assert last == "cq: /candles: the exchange answers with status 502; try again later"


def test_nobody_listening_ends_in_exit_4(cq_lake_ingest, monkeypatch):
    monkeypatch.setenv("CQ_INGESTION__REST_BASE_URL", "http://127.0.0.1:1/api/v4")
    code, _, err = cq_lake_ingest("BTC-BRL", "--since", SINCE)
    assert code == 4
    assert err.startswith("cq: http://127.0.0.1:1/api/v4 is out of reach")
    assert err.count("\n") == 1


def test_ctrl_c_during_a_pause_ends_at_once_and_says_that_what_landed_is_kept(project, exchange):
    def fail_from_the_third(_):
        if len(exchange.asked) >= 3:
            exchange.faults.append(Fault(503))

    exchange.on_request = fail_from_the_third
    retry = ("ingestion.retry.backoff_base_ms", "ingestion.retry.backoff_cap_ms")
    options = [part for key in retry for part in ("--set", f"{key}=600000")]
    options += ["--set", "ingestion.page_bars=20", "--set", "log_level=DEBUG"]
    command = [sys.executable, "-m", "cq", *options, "lake", "ingest", "BTC-BRL"]
    environment = os.environ | {"PYTHONPATH": str(Path(cq.__file__).parent.parent)}
    process = subprocess.Popen(
        [*command, "--since", SINCE, "--until", UNTIL],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if '"status": "retry"' in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("cq: interrupted; what had landed is kept")
    assert "Traceback" not in err
    assert len(stamps(project)) >= 20


def test_json_carries_the_error_too(exchange, cq_lake_ingest):
    exchange.faults.extend([Fault(502)] * 2)
    code, out, _ = cq_lake_ingest("BTC-BRL", "--since", SINCE, "--json")
    assert code == 4
    assert "502" in json.loads(out)["error"]


def test_differences_and_broken_bars_are_said(exchange, cq_lake_ingest):
    arguments = ("BTC-BRL", "--since", SINCE, "--until", UNTIL)
    cq_lake_ingest(*arguments)
    known = exchange.markets["BTC-BRL", "1h"]
    known[START] = known[START + HOUR]
    known[START + 5 * HOUR] = ("5", "4", "1", "2", "1")
    _, _, err = cq_lake_ingest(*arguments, "--refetch")
    assert "BTC-BRL: 1 bars differ from those in the lake" in err
    assert "BTC-BRL: 1 bars broke a rule" in err


def test_a_range_without_any_bar_is_said(cq_lake_ingest):
    code, _, err = cq_lake_ingest("BTC-BRL", "--since", "2020-01-01", "--until", "2020-02-01")
    assert code == 0
    assert "BTC-BRL: the exchange has no bar in this range" in err


@pytest.mark.parametrize(("ahead", "said"), [(-5, "behind"), (5, "ahead of")])
def test_the_clock_of_an_exchange_on_this_machine_may_differ(exchange, cq_lake_ingest, ahead, said):
    exchange.clock = lambda: time.time_ns() + ahead * MINUTE
    _, _, err = cq_lake_ingest("BTC-BRL", "--since", SINCE, "--until", UNTIL)
    assert re.search(rf"the exchange's clock is (299|30\d) s {said} this machine's; a bar", err)
    assert "set it right" not in err


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (5, "this machine's clock is 300 s ahead of the exchange's; set it right"),
        (-5, "this machine's clock is 300 s behind the exchange's; set it right"),
        (3 * 24 * 60, "the exchange's clock is 259,200 s behind this machine's; a bar"),
    ],
)
def test_only_a_clock_that_may_be_wrong_is_to_be_set_right(capsys, minutes, said):
    warn_of_skew(minutes * MINUTE, "https://api.mercadobitcoin.net/api/v4")
    assert said in capsys.readouterr().err


def test_what_the_exchange_has_not_reached_by_its_clock_was_not_fetched(exchange, cq_lake_ingest):
    exchange.clock = lambda: START + 50 * HOUR + 30 * MINUTE
    _, out, err = cq_lake_ingest("BTC-BRL", "--since", SINCE, "--until", UNTIL)
    assert "2026-01-03 02:00" in out
    assert "2026-01-05" not in out
    assert "100 %, 48 bars in the lake" in err


def test_a_symbol_that_is_refused_has_stopped_nothing(cq_lake_ingest):
    code, _, err = cq_lake_ingest("XXX-BRL", "BTC-BRL", "--since", SINCE, "--until", UNTIL)
    assert code == 4
    assert "94 new bars landed\n" in err
    assert "stopped" not in err
    assert "landed" not in cq_lake_ingest("XXX-BRL", "--since", SINCE)[2]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LakeBusy("it", "another"), "; once that is mended, the same command goes on from there"),
        (Unavailable("/candles", 503), " before it stopped; the same command goes on from there"),
    ],
)
def test_the_same_command_goes_on_after_what_stopped_it(capsys, error, said):
    done = Ingested("BTC-BRL", "1h", START, START + DAY, landed=5)
    say(bars_kind("1h"), [done], error, as_json=False)
    assert f"5 new bars landed before it stopped{said.removeprefix(' before it stopped')}" in (
        capsys.readouterr().err
    )
    say(bars_kind("1h"), [replace(done, landed=0)], error, as_json=False)
    assert "landed before" not in capsys.readouterr().err


def test_a_missing_lake_db_is_made(project, cq_lake_ingest):
    cq_lake_ingest("BTC-BRL", "--since", SINCE, "--until", UNTIL)
    with duckdb.connect(str(project / "lake.db"), read_only=True) as shell:
        assert shell.sql("select count(*) from bars").fetchall() == [(94,)]


def test_a_terminal_sees_a_bar_that_leaves_nothing_behind(cq_lake_ingest, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    code, out, _ = cq_lake_ingest("BTC-BRL", "--since", SINCE, "--until", UNTIL)
    assert code == 0
    assert "94" in out


@pytest.mark.parametrize(("request_number", "delay_ms"), [(1, 0), (13, 0), (20, 5), (40, 30)])
def test_killed_anywhere_the_same_command_completes_it(project, exchange, request_number, delay_ms):
    exchange.markets["BTC-BRL", "1h"] = bars(START, HOUR, set(range(500)) - {70, 71, 72, 300})
    options = ("--set", "ingestion.page_bars=10")
    until = iso(START + 500 * HOUR)
    command = [sys.executable, "-m", "cq", *options, "lake", "ingest", "BTC-BRL"]
    command += ["--since", SINCE, "--until", until]
    environment = os.environ | {"PYTHONPATH": str(Path(cq.__file__).parent.parent)}

    def start():
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def kill_at(_):
        if len(exchange.asked) == request_number:
            Timer(delay_ms / 1000, os.kill, (victim.pid, signal.SIGKILL)).start()

    exchange.on_request = kill_at
    victim = start()
    victim.communicate()
    assert victim.returncode in (-signal.SIGKILL, 0)
    exchange.on_request = None
    again = start()
    said = again.communicate()[1].decode()
    assert again.returncode == 0, said
    assert stamps(project) == sorted(exchange.markets["BTC-BRL", "1h"])
    lake = Lake(project / "lake")
    assert covered(lake, "ohlcv", "mercadobitcoin", "BTC-BRL", "1h") == [
        (START, START + 500 * HOUR)
    ]
    assert not list(lake.root.rglob("*.tmp"))
    assert lake.sql("select count(*) from rejected").item() == 0


def test_a_day_is_a_day_in_the_configured_time_zone(exchange, cq_lake_ingest, monkeypatch):
    monkeypatch.setenv("CQ_TIMEZONE", "America/Sao_Paulo")
    cq_lake_ingest("BTC-BRL", "--since", "2026-01-02", "--until", "2026-01-03")
    assert exchange.asked[0]["from"] == str((START + DAY + 3 * HOUR) // 10**9)
