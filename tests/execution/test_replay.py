"""A replay makes the backtest's trades on real bars, also when it is killed again and again."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import makers
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cq.backtest.single import run
from cq.errors import DataError, JournalDiffers, NoBars, UnknownSymbol, UsageError
from cq.execution.journal import Journal
from cq.execution.replay import Replayed, moments, replay
from cq.execution.start import Setup, replaying
from cq.execution.summary import equity, summary, trades
from cq.lake import Lake
from cq.strategies import Strategy, load
from cq.utils.settings import Settings
from cq.utils.time import iso, parse_time

THREE = """
kind: crossover
symbols: [BTC-USDT, ETH-USDT, SOL-USDT]
interval: 1h
fast: 10
slow: 30
"""
SIZINGS = {
    "a fixed fraction, closes fill": "sizing: {kind: fixed_fraction, fraction: 0.4}\n"
    "backtest: {fill: next_close}\n",
    "a volatility target": "sizing: {kind: volatility_target}\n",
}
YEAR = (parse_time("2021-06-01"), parse_time("2022-06-01"))
LAST = parse_time("2026-01-01")
QUARTER = (parse_time("2021-09-01"), parse_time("2021-12-01"))
MONTH = (parse_time("2021-09-01"), parse_time("2021-10-01"))
DAYS = (parse_time("2021-09-26"), parse_time("2021-10-01"))  # the exchange was out in them, too


def strategy_at(path: Path, text: str) -> Strategy:
    path.write_text(text)
    return load(path)


@dataclass(frozen=True)
class Place:
    """What a replay needs, on one journal."""

    lake: Lake
    settings: Settings
    strategy: Strategy
    journal: Path

    def setup(self, *, fresh: bool = False) -> Setup:
        backtest = self.strategy.backtest(self.settings.backtest)
        return Setup(
            self.lake,
            self.strategy,
            backtest,
            self.settings.live,
            now_ns=1,
            journal=self.journal,
            fresh=fresh,
        )

    def replayed(self, start: int, end: int, steps: int | None = None) -> Replayed:
        done = 0

        def stop() -> bool:
            nonlocal done
            done += 1
            return steps is not None and done > steps

        with replaying(self.setup(), start, end) as (trader, bars):
            return replay(trader, bars, stop=stop)

    def assert_equals_backtest(self, start: int, end: int) -> int:
        """The journal's trades and equity are the backtest's, to the last digit that counts."""
        expected = run(self.lake, self.strategy, self.settings.backtest, start, end)
        with Journal.read(self.journal) as journal:
            made, curve = trades(journal), equity(journal)
        close = {"rel_tol": 1e-9, "abs_tol": 1e-9}
        assert_frame_equal(made, expected.trades, **close)
        assert_frame_equal(curve, expected.equity.select("ts", "equity", "cash"), **close)
        return made.height


@pytest.fixture
def place(tmp_path: Path, lake: Lake, settings: Settings) -> Place:
    text = THREE + SIZINGS["a volatility target"]
    strategy = strategy_at(tmp_path / "three.yaml", text)
    return Place(lake, settings, strategy, tmp_path / "replay.db")


@pytest.mark.parametrize(
    ("sizing", "period", "least"),
    [("a fixed fraction, closes fill", YEAR, 500), ("a volatility target", QUARTER, 125)],
    ids=["a year", "a quarter"],
)
def test_three_markets_trade_like_the_backtest(
    tmp_path: Path,
    lake: Lake,
    settings: Settings,
    sizing: str,
    period: tuple[int, int],
    least: int,
) -> None:
    strategy = strategy_at(tmp_path / "three.yaml", THREE + SIZINGS[sizing])
    place = Place(lake, settings, strategy, tmp_path / "replay.db")
    assert place.replayed(*period).finished
    assert place.assert_equals_backtest(*period) > least


@pytest.mark.parametrize(
    "text",
    [
        "average: ema\nbacktest: {quantity_decimals: 3, min_notional: 500}\n",
        "average: ema\nsizing: {kind: volatility_target, window: 48, rebalance: 0.02}\n"
        "backtest: {fees: {minimum: 5}, max_position: 0.5, max_gross_exposure: 0.8}\n",
        "sizing: {kind: fixed_fraction, fraction: 1.0}\nbacktest: {quantity_decimals: null}\n",
    ],
)
def test_a_month_under_other_rules_trades_like_the_backtest(
    tmp_path: Path, lake: Lake, settings: Settings, text: str
) -> None:
    strategy = strategy_at(tmp_path / "three.yaml", THREE + text)
    place = Place(lake, settings, strategy, tmp_path / "replay.db")
    assert place.replayed(*MONTH).finished
    assert place.assert_equals_backtest(*MONTH) > 20


def test_a_replay_that_was_stopped_goes_on(place: Place) -> None:
    first = place.replayed(*DAYS, steps=30)
    assert (first.steps, first.before, first.finished) == (30, 0, False)
    second = place.replayed(*DAYS)
    assert (second.before, second.finished) == (30, True)
    assert place.replayed(*DAYS) == Replayed(0, first.total, first.total)
    assert place.assert_equals_backtest(*DAYS)


def test_another_period_or_strategy_needs_another_journal(place: Place) -> None:
    place.replayed(*MONTH, steps=1)
    with pytest.raises(
        JournalDiffers, match=r"since 2021-09-01T00:00:00Z \(now 2021-09-01T00:00:00.000000001Z\)"
    ):
        place.replayed(MONTH[0] + 1, MONTH[1])


def test_every_replay_has_a_journal_of_its_own(
    lake: Lake, settings: Settings, place: Place
) -> None:
    found = set()
    for start in (MONTH[0], MONTH[1]):
        backtest = place.strategy.backtest(settings.backtest)
        setup = Setup(lake, place.strategy, backtest, settings.live, now_ns=1)
        with replaying(setup, start, start + 10 * 3_600_000_000_000) as (trader, _):
            found.add(trader.journal.path)
    assert len(found) == 2
    assert {path.parent for path in found} == {settings.live.journal.parent}
    assert all(path.name.startswith("replay-three-") for path in found)


def hours(closes: list[float]) -> pl.DataFrame:
    return makers.hourly("BTC-USDT", closes, start=MONTH[0]).with_columns(interval=pl.lit("1h"))


def test_replays_that_may_trade_differently_have_names_of_their_own(
    tmp_path: Path, settings: Settings
) -> None:
    closes = [100.0 + n % 7 for n in range(40)]
    text = "kind: crossover\nsymbols: [BTC-USDT]\ninterval: 1h\nfast: 2\nslow: 4\n"
    strategy = strategy_at(tmp_path / "one.yaml", text)
    lakes = {"as it was": closes, "mended": [*closes[:-1], 90.0]}
    for name, known in lakes.items():
        Lake(tmp_path / name).write("ohlcv", hours(known), source="test", now_ns=LAST)
    tight = settings.model_copy(
        update={"live": settings.live.model_copy(update={"max_daily_loss": 0.02})}
    )
    ids, cases = [], [("as it was", settings)] * 2 + [("mended", settings), ("as it was", tight)]
    for number, (name, said) in enumerate(cases):
        place = Place(Lake(tmp_path / name), said, strategy, tmp_path / f"{number}.db")
        assert place.replayed(*MONTH).finished
        with Journal.read(place.journal) as journal:
            ids.append(journal.session()["id"])
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_a_replay_that_goes_on_keeps_its_name_and_its_limits(
    place: Place, settings: Settings
) -> None:
    place.replayed(*DAYS, steps=10)
    with Journal.read(place.journal) as journal:
        begun = journal.session()
    live = settings.live.model_copy(update={"max_daily_loss": 0.02})
    changed = replace(place, settings=settings.model_copy(update={"live": live}))
    with pytest.raises(JournalDiffers, match=r"limits.max_daily_loss unset \(now 0.02\)"):
        changed.replayed(*DAYS)
    assert place.replayed(*DAYS).before == 10
    with Journal.read(place.journal) as journal:
        assert journal.session() == begun


def test_a_period_without_bars_is_refused_like_in_a_backtest(place: Place) -> None:
    with pytest.raises(NoBars):
        place.replayed(parse_time("2031-01-01"), parse_time("2031-02-01"))
    assert not place.journal.exists()


def test_an_unknown_symbol_is_refused_before_a_journal_is_made(
    tmp_path: Path, lake: Lake, settings: Settings
) -> None:
    strategy = strategy_at(tmp_path / "doge.yaml", THREE.replace("SOL-", "DOGE-"))
    place = Place(lake, settings, strategy, tmp_path / "replay.db")
    with pytest.raises((UnknownSymbol, DataError), match="DOGE-USDT"):
        place.replayed(*MONTH)
    assert not place.journal.exists()


def test_excluded_symbols_are_refused_as_the_lake_names_them(
    tmp_path: Path, lake: Lake, settings: Settings
) -> None:
    strategy = strategy_at(tmp_path / "base.yaml", THREE.replace("ETH-USDT", "ETH"))
    setup = Place(lake, settings, strategy, tmp_path / "replay.db").setup()
    with (
        pytest.raises(UsageError, match=r"ETH-USDT is never traded: it stands in `exclusions`"),
        replaying(setup, *MONTH, exclusions=("ETH-USDT",)),
    ):
        pass
    assert not setup.journal.exists()


def test_the_summary_adds_up(place: Place) -> None:
    place.replayed(*DAYS)
    with Journal.read(place.journal) as journal:
        found, made, curve = summary(journal), trades(journal), equity(journal)
    values = sum(one["value"] for one in found["positions"])
    assert found["equity"] == pytest.approx(found["cash"] + values, rel=1e-12)
    assert found["equity"] == pytest.approx(curve["equity"][-1], rel=1e-12)
    assert found["fees"] == pytest.approx(made["fee"].sum())
    assert found["last_bar"] == iso(int(curve["ts"][-1]))
    assert {one["symbol"] for one in found["decisions"]} == {"BTC-USDT", "ETH-USDT", "SOL-USDT"}


def test_moments_hold_the_bars_of_all_symbols() -> None:
    bars = pl.DataFrame(
        {
            "ts": [1, 2, 2, 3],
            "symbol": ["A-B", "A-B", "C-B", "C-B"],
            "open": [1.0, 2.0, 3.0, 4.0],
            "close": [5.0, 6.0, 7.0, 8.0],
        }
    ).sort("symbol", "ts")
    assert list(moments(bars)) == [
        (1, {"A-B": (1.0, 5.0)}),
        (2, {"A-B": (2.0, 6.0), "C-B": (3.0, 7.0)}),
        (3, {"C-B": (4.0, 8.0)}),
    ]


# ---- as a process of its own


@dataclass(frozen=True)
class Command:
    """`cq live --paper --replay` in a process, and its journal as seen from outside."""

    project: Path
    strategy: Path
    journal: Path

    def start(self) -> subprocess.Popen[str]:
        period = ["--since", iso(MONTH[0]), "--until", iso(MONTH[1])]
        command = ["live", "--paper", "--replay", *period, "--journal", str(self.journal)]
        root = Path(__file__).resolve().parents[2]
        return subprocess.Popen(
            [sys.executable, "-m", "cq", "--project", str(self.project), *command, self.strategy],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )

    def steps(self) -> int:
        if not self.journal.exists():
            return 0
        try:
            uri = f"{self.journal.as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                (count,) = connection.execute("select count(*) from equity").fetchone()
                return int(count)
        except sqlite3.OperationalError:  # its tables are not there yet
            return 0

    def ended(self, at: int, how: signal.Signals) -> tuple[int, str, str]:
        """Run it until its journal has `at` steps, then send the signal."""
        process = self.start()
        while process.poll() is None and self.steps() < at:
            time.sleep(0.003)
        process.send_signal(how)
        out, err = process.communicate()
        return process.returncode, out, err


@pytest.fixture
def command(tmp_path: Path, project: Path) -> Command:
    strategy = tmp_path / "three.yaml"
    strategy.write_text(THREE + SIZINGS["a volatility target"])
    return Command(project, strategy, tmp_path / "replay.db")


TABLES = {
    "fills": "select * from fills order by id",
    "orders": "select client_id, decided_ts, symbol, side, quantity, reference, target, fill_ts,"
    " status from orders order by rowid",
    "decisions": "select * from decisions order by id",
    "equity": "select * from equity order by ts",
    "steps": "select * from steps order by symbol",
}


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with Journal.read(path) as journal:
        return {name: journal.rows(query) for name, query in TABLES.items()}


def test_killed_with_9_again_and_again_the_journal_is_the_same_to_the_bit(
    command: Command, place: Place
) -> None:
    points = sorted(random.Random(7).sample(range(20, 680), 4))
    for at in points:
        code, _, _ = command.ended(at, signal.SIGKILL)
        assert code == -signal.SIGKILL
        assert at <= command.steps() < 718
    code, out, _ = command.ended(10**9, signal.SIGKILL)
    assert code == 0, out
    place.replayed(*MONTH)
    assert contents(command.journal) == contents(place.journal)
    assert Place(
        place.lake, place.settings, place.strategy, command.journal
    ).assert_equals_backtest(*MONTH)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_ends_between_two_steps_and_says_how_to_go_on(
    command: Command, how: signal.Signals
) -> None:
    code, out, err = command.ended(30, how)
    assert code == 0, err
    assert "stopping after this step" in err
    assert f"stopped after {command.steps()} of 718 bars" in err  # the exchange was out for two
    assert "the same command goes on" in err
    assert "equity" in out
    assert "Traceback" not in err
