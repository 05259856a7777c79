"""`cq live` as a user types it: one look at a loopback exchange, replays, refusals, clean stops."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from exchange import Bar, Exchange

from cq.cli.main import run
from cq.execution.journal import Journal
from cq.execution.session import locked
from cq.execution.stopping import Stopped, Told
from cq.lake import Lake
from cq.utils.time import DAY, SECOND

TODAY = time.time_ns() // DAY * DAY
"""Daily bars, so that no bar ends while these tests run."""

STRATEGY = "kind: crossover\nsymbols: [BTC]\ninterval: 1d\nfast: 2\nslow: 4\n"


def rising(days: int, *, last: int = TODAY) -> dict[int, Bar]:
    """Bars of a market that rises by one a day; the last one may be in progress."""
    return {
        last - n * DAY: (*(f"{1000 - n + step:.8f}" for step in (0, 1, 0, 1)), "2.00000000")
        for n in range(days)
    }  # type: ignore[return-value]


@dataclass(frozen=True)
class Project:
    root: Path
    url: str = "http://127.0.0.1:9/api/v4"

    @property
    def strategy(self) -> Path:
        return self.root / "configs" / "strategies" / "mine.yaml"

    @property
    def journal(self) -> Path:
        return self.root / "runs" / "paper.db"

    def arguments(self, *arguments: str, **settings: str) -> list[str]:
        said = {
            "ingestion.rest_base_url": self.url,
            "ingestion.rate_limits.requests_per_second": "1000",
            "ingestion.retry.max_tries": "1",
            "live.poll_interval_seconds": "0.05",
        } | {name.replace("__", "."): value for name, value in settings.items()}
        options = [part for key, value in said.items() for part in ("--set", f"{key}={value}")]
        return ["--project", str(self.root), *options, "live", *arguments]

    def live(self, *arguments: str, **settings: str) -> int:
        return run(self.arguments(*arguments, **settings))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with Journal.read(self.journal) as journal:
            return journal.rows(query)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "configs" / "strategies").mkdir(parents=True)
    (tmp_path / "configs" / "default.yaml").write_text("{}\n")
    found = Project(tmp_path)
    found.strategy.write_text(STRATEGY)
    return found


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with Exchange() as one:
        one.markets["BTC-BRL", "1d"] = rising(40)
        yield one


@pytest.fixture
def online(project: Project, exchange: Exchange) -> Project:
    return Project(project.root, exchange.url)


def test_one_look_fetches_decides_fills_and_writes_it_all_down(
    online: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    log_file = online.root / "cq.jsonl"
    once = ("--paper", "--once", str(online.strategy))
    assert online.live(*once, log_file=str(log_file)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "BTC-BRL: 1 of equity at the next bar" in out
    assert "bought 99.2" in out
    assert "BTC-BRL" in out.partition("positions")[2]
    lines = [json.loads(line) for line in log_file.read_text().splitlines()]
    (bought,) = [one for one in lines if one["action"] == "buy"]
    assert bought["component"] == "live"
    assert bought["symbol"] == "BTC-BRL"
    assert bought["client_id"].endswith(online.rows("select client_id from orders")[0][0][-12:])
    assert online.rows("select ts, side from fills") == [(TODAY, "buy")]
    assert online.rows("select event from order_events order by id") == [("created",), ("filled",)]
    stored = Lake(online.root / "lake").bars("BTC-BRL", "1d").collect()
    assert stored["ts"].max() == TODAY - DAY  # the bar in progress stays out


def test_cron_looks_once_the_bar_that_has_just_ended_is_known_to_be_over(
    online: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cq.utils.clock.now_ns", lambda: TODAY + SECOND // 2)
    waited: list[float] = []
    monkeypatch.setattr(Told, "pause", lambda _, seconds: waited.append(seconds))
    assert online.live("--paper", "--once") == 0
    assert waited == [1.5]
    assert online.rows("select count(*) from steps") == [(1,)]


def test_told_to_stop_cron_waits_for_no_bar(
    online: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(self: Told, seconds: float) -> None:
        del seconds
        self.set()
        raise Stopped

    monkeypatch.setattr(Told, "pause", stop)
    assert online.live("--paper", "--once") == 0
    assert online.rows("select count(*) from steps") == [(0,)]
    assert "stopped; all is in" in capsys.readouterr().err


def test_a_second_look_goes_on_and_finds_nothing_new(
    online: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert online.live("--paper", "--once", "--json", str(online.strategy)) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["trades"], found["mode"], found["pending"]) == (1, "paper", [])
    assert online.rows("select count(*) from decisions") == [(1,)]


def test_status_shows_where_the_journal_stands(
    online: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert online.live("--status") == 3
    assert "no journal there; `cq live --paper FILE` begins one" in capsys.readouterr().err
    online.live("--paper", "--once", str(online.strategy))
    before = capsys.readouterr().out
    with locked(online.journal):  # also while somebody trades on it
        assert online.live("--status") == 0
    shown = capsys.readouterr().out
    assert "trades    1" in shown
    assert "decided yet" not in shown
    assert shown in before
    files = [one.name for one in online.journal.parent.iterdir() if one.is_file()]
    assert files == ["paper.db"]


def test_status_after_a_first_look_that_failed_says_that_nothing_is_decided(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.live("--paper", "--once", str(project.strategy)) == 4
    capsys.readouterr()
    assert project.live("--status") == 0
    assert "nothing has been decided yet" in capsys.readouterr().out
    assert [one.name for one in project.journal.parent.iterdir()] == ["paper.db"]


def test_old_bars_lead_to_no_order_and_are_said(
    online: Project, exchange: Exchange, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange.markets["BTC-BRL", "1d"] = rising(40, last=TODAY - 10 * DAY)
    assert online.live("--paper", "--once", str(online.strategy)) == 0
    out, err = capsys.readouterr()
    # from nine whole days to ten, by the time of day
    assert re.search(r"no order in BTC-BRL: the newest bar closed (9\.\d|10\.0) intervals", out)
    assert err == ""
    assert online.rows("select state from decisions") == [("blocked",)]
    assert online.rows("select rule from alerts") == [("stale_data",)]
    assert online.rows("select count(*) from orders") == [(0,)]


def test_a_limit_stops_a_decision_and_says_which(
    online: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    limited = {"live__max_position": "0.5"}
    assert online.live("--paper", "--once", str(online.strategy), **limited) == 0
    assert "blocked: 1 of equity in BTC-BRL is beyond live.max_position (0.5)" in (
        capsys.readouterr().out
    )
    assert online.rows("select count(*) from orders") == [(0,)]


def test_an_exchange_out_of_reach_is_one_line_and_exit_4(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.live("--paper", "--once", str(project.strategy)) == 4
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("cq: ")
    assert "is out of reach" in said


def test_a_market_that_the_exchange_lacks_is_one_line_and_exit_4(
    online: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    online.strategy.write_text(STRATEGY.replace("BTC", "NOPE"))
    assert online.live("--paper", "--once", str(online.strategy)) == 4
    assert "cq: NOPE-BRL: the exchange has no such market" in capsys.readouterr().err


def test_a_market_that_is_gone_leaves_the_others_traded_and_is_one_line_and_exit_4(
    online: Project, exchange: Exchange, capsys: pytest.CaptureFixture[str]
) -> None:
    online.strategy.write_text(STRATEGY.replace("BTC", "BTC, ETH"))
    exchange.markets["ETH-BRL", "1d"] = rising(40)
    exchange.clock = lambda: time.time_ns() - DAY
    assert online.live("--paper", "--once", str(online.strategy)) == 0
    del exchange.markets["ETH-BRL", "1d"]
    exchange.clock = time.time_ns
    capsys.readouterr()
    assert online.live("--paper", "--once", str(online.strategy)) == 4
    out, err = capsys.readouterr()
    assert "no answer for ETH-BRL (ETH-BRL: the exchange has no such market" in out
    assert "cq: ETH-BRL: the exchange has no such market" in err
    assert online.rows("select count(*) from decisions where symbol = 'BTC-BRL'") == [(2,)]


def test_another_strategy_on_the_same_journal_is_refused_until_fresh(
    online: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    once = ("--paper", "--once", str(online.strategy))
    assert online.live(*once) == 0
    assert online.live(*once, "--set", "fast=3") == 2
    (said,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("cq:")]
    assert "was begun with strategy.fast 2 (now 3); go on in another file" in said
    assert online.live(*once, "--cash", "500") == 2
    assert "cash 100000.0 (now 500.0)" in capsys.readouterr().err
    assert online.live(*once, "--set", "fast=3", "--journal", str(online.root / "b.db")) == 0
    assert online.live(*once, "--set", "fast=3", "--fresh") == 0
    assert len(list(online.journal.parent.glob("paper.until-*.db"))) == 1


def test_a_journal_in_use_is_one_line_and_exit_3(
    online: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    online.journal.parent.mkdir()
    with locked(online.journal):
        assert online.live("--paper", "--once", str(online.strategy)) == 3
    assert f"is in use by process {os.getpid()}; stop that one" in capsys.readouterr().err


def test_a_damaged_journal_is_one_line_and_exit_3_at_status_and_at_the_next_look(
    online: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert online.live("--paper", "--once") == 0
    connection = sqlite3.connect(online.journal)
    with connection:
        connection.execute("update fills set price = 'abc'")
    connection.close()
    capsys.readouterr()
    for arguments in (("--status",), ("--paper", "--once", str(online.strategy))):
        assert online.live(*arguments) == 3
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"cq: {online.journal}: the journal is damaged (a price of fills")
    assert online.live("--paper", "--once", "--fresh") == 0


def test_the_status_of_what_holds_no_session_is_one_line_and_exit_3(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    Journal.open(project.journal).close()
    assert project.live("--status") == 3
    assert "`cq live --paper FILE` begins one" in capsys.readouterr().err
    assert project.live("--paper", "--once", "--journal", str(project.root)) == 3
    assert "it is a folder" in capsys.readouterr().err


def test_the_only_strategy_need_not_be_named(
    online: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert online.live("--paper", "--once") == 0
    assert "strategy: configs/strategies/mine.yaml" in capsys.readouterr().err
    (online.strategy.parent / "yours.yaml").write_text(STRATEGY)
    assert online.live("--paper", "--once") == 2
    assert capsys.readouterr().err == (
        "cq: which strategy? configs/strategies/mine.yaml, configs/strategies/yours.yaml: "
        "name a FILE\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say --paper"),
        (("--paper", "--live"), "exclude each other"),
        (("--paper", "--once", "--replay"), "say one of them"),
        (("--paper", "--since", "2026-01-01"), "add --replay"),
        (("--paper", "--since", ""), "add --replay"),
        (("--paper", "--replay", "--until", ""), "'' is not a date"),
        (("--paper", "--cash", "0"), "--cash"),
        (("--paper", "--once", "--cash", "nan"), "--cash"),
        (("--paper", "--once", "--cash", "inf"), "inf is not an amount; expected a number above 0"),
        (("--paper", "nothing.yaml"), "nothing.yaml"),
        (("--paper", "--replay", "--since", "2026-02-01", "--until", "2026-01-01"), "not before"),
        (("--paper", "--replay", "--since", "soon"), "'soon' is not a date"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    project: Project, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert project.live(*arguments) in (2, 3)
    (line,) = (
        capsys.readouterr().err.replace("strategy: configs/strategies/mine.yaml\n", "").splitlines()
    )
    assert line.startswith("cq: ")
    assert said in line
    assert not project.journal.parent.exists()


def test_real_money_is_refused_with_a_line_for_each_thing_missing(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.live("--live", str(project.strategy)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "cq: --live is refused:"
    assert [line.split()[0] for line in lines[1:]] == [
        "paper_trading",
        "no",
        "live.max_daily_loss",
        "this",
    ]
    monkeypatch.setenv("CQ_CREDENTIALS__CLIENT_ID", "id")
    monkeypatch.setenv("CQ_CREDENTIALS__CLIENT_SECRET", "hush")
    consent = {"paper_trading": "false", "live__max_daily_loss": "0.05"}
    assert project.live("--live", str(project.strategy), **consent) == 2
    said = capsys.readouterr().err
    assert said.splitlines()[1:] == [
        "  this version trades on paper only; use `cq live --paper FILE`"
    ]
    assert "hush" not in said


def stored(project: Project, days: int) -> None:
    closes = [100.0 + (n % 14 if n % 28 < 14 else 14 - n % 14) for n in range(days)]
    bars = pl.DataFrame(
        {
            "ts": [n * DAY for n in range(days)],
            "open": closes,
            "high": closes,
            "low": closes,
            "close": closes,
            "volume": 1.0,
            "symbol": "BTC-BRL",
            "exchange": "mercadobitcoin",
            "interval": "1d",
        }
    )
    Lake(project.root / "lake").write("ohlcv", bars, source="test", now_ns=days * DAY)


def test_a_replay_needs_no_network_and_ends_with_a_summary(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(project, 200)
    period = ("--since", "1970-02-01", "--until", "1970-06-01")
    assert project.live("--paper", "--replay", *period) == 0
    out, err = capsys.readouterr()
    assert "replayed 120 bars" in err
    assert "equity" in out
    assert project.live("--paper", "--replay", *period, "--json") == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["mode"], found["finished"], found["bars"]) == ("replay", True, 120)
    assert found["trades"] > 4
    assert "all 120 bars were replayed before; --fresh replays them again" in err
    assert not project.journal.exists()  # live paper's own
    assert len(list(project.journal.parent.glob("replay-mine-*.db"))) == 1


@pytest.mark.parametrize(
    ("arguments", "unused"),
    [
        (("--fresh",), "--fresh"),
        (("--cash", "5"), "--cash"),
        (("--once",), "--once"),
        (("--live",), "--live"),
        (("--set", "fast=3"), "--set"),
        (("--paper", "--replay", "--since", "2026-01-01"), "--replay, --since"),
        (("--until", "2026-01-01"), "--until"),
        (("mine.yaml",), "mine.yaml"),
    ],
)
def test_the_status_ignores_nothing(
    online: Project, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], unused: str
) -> None:
    assert online.live("--paper", "--once") == 0
    before = sorted(online.journal.parent.iterdir())
    capsys.readouterr()
    assert online.live("--status", *arguments) == 2
    assert capsys.readouterr().err == f"cq: --status only looks; leave out {unused}\n"
    assert online.live("--status", "--paper", "--journal", str(online.journal), "--json") == 0
    assert sorted(online.journal.parent.iterdir()) == before


def test_a_replay_of_an_excluded_symbol_is_refused(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(project, 200)
    assert project.live("--paper", "--replay", exclusions="BTC-BRL") == 2
    err = capsys.readouterr().err
    assert err.splitlines()[-1] == "cq: BTC-BRL is never traded: it stands in `exclusions`"
    assert not project.journal.parent.exists()


def test_a_replay_says_in_its_last_line_what_a_live_limit_blocked(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(project, 60)
    period = ("--paper", "--replay", "--since", "1970-02-01", "--json")
    assert project.live(*period, live__max_position="0.5") == 0
    out, err = capsys.readouterr()
    blocked = json.loads(out)["blocked"]["max_position"]
    assert blocked > 1
    assert err.splitlines()[-1] == (
        f"replayed 29 bars; {blocked} decisions blocked by live.max_position: "
        "the backtest knows no such limit"
    )
    assert "{" not in err


def test_a_replay_of_a_period_without_bars_is_one_line_and_exit_3(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(project, 60)
    assert project.live("--paper", "--replay", "--since", "2031-01-01") == 3
    assert "no bars of BTC-BRL from 2031-01-01" in capsys.readouterr().err


def started(arguments: list[str]) -> subprocess.Popen[str]:
    """The command line in a process of its own, with pipes for what it says."""
    return subprocess.Popen(
        [sys.executable, "-m", "cq", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_loop_stops_cleanly_when_told(online: Project, how: signal.Signals) -> None:
    process = started(online.arguments("--paper", str(online.strategy)))
    assert process.stdout is not None
    first = process.stdout.readline()
    for line in process.stdout:
        if "bought" in line:
            break
    process.send_signal(how)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert first.startswith("mine on paper: BTC-BRL 1d from mercadobitcoin; journal ")
    assert "stopping after this step" in err
    assert "stopped; all is in" in err
    assert "trades    1" in out
    assert "Traceback" not in err


def test_the_loop_goes_on_when_nobody_reads_what_it_says(online: Project) -> None:
    process = started(online.arguments("--paper", str(online.strategy)))
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    process.stderr.close()
    try:
        until = time.monotonic() + 30
        while not online.rows("select ts from fills"):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        time.sleep(1)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert Lake(online.root / "lake").sql("select count(*) from fills").item() == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("once", [("--once",), ()])
def test_a_pause_between_two_tries_ends_at_once_when_told(
    project: Project, how: signal.Signals, once: tuple[str, ...]
) -> None:
    arguments = project.arguments(
        "--paper",
        *once,
        str(project.strategy),
        log_level="DEBUG",
        ingestion__retry__max_tries="6",
        ingestion__retry__backoff_base_ms="600000",
        ingestion__retry__backoff_cap_ms="600000",
    )
    process = started(arguments)
    assert process.stderr is not None
    for line in process.stderr:
        if '"status": "retry"' in line:
            break
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err.splitlines()[-1].startswith("stopped; all is in")
    assert "Traceback" not in err
