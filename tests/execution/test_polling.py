"""Live paper: the newest bar decides, the bar in progress fills, nothing of the past is traded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cq.backtest.single import run as backtest
from cq.errors import ExchangeError, NoSuchMarket, Refused, Unavailable, UsageError
from cq.execution.journal import Journal
from cq.execution.polling import Polled, Poller, polling, run, settling_s
from cq.execution.start import Setup
from cq.execution.stopping import Heeding, Stopped, Told
from cq.execution.summary import summary, trades
from cq.ingest.coverage import covered
from cq.lake import Lake
from cq.strategies import load
from cq.utils.config import defaults
from cq.utils.settings import Settings
from cq.utils.time import HOUR, SECOND, parse_time

BEGIN = parse_time("2026-03-01")
FIRST_LOOK = BEGIN + 40 * HOUR + 1
"""Forty bars are closed, the next is in progress."""


@dataclass
class Exchange:
    """Bars that become visible as the clock goes on; `silent` ones never do."""

    bars: pl.DataFrame
    now_ns: int = 0
    asked: int = 0
    name: str = "mercadobitcoin"
    intervals: tuple[str, ...] = ("1m", "1h", "1d")
    fails: list[ExchangeError] = field(default_factory=list)
    gone: dict[str, ExchangeError] = field(default_factory=dict)
    """What asking for a symbol ends in."""
    late: dict[str, int] = field(default_factory=dict)
    """How long after its opening a symbol's bar has its first trade."""
    lag_ns: int = 0
    """How late its clock may be, as far as anybody knows."""
    ahead_ns: int = 0
    """How far its clock is ahead of the local one, which is known from its first answer on."""

    def candles(self, symbol: str, interval: str, start_ns: int, end_ns: int) -> pl.DataFrame:
        self.asked += 1
        if self.fails:
            raise self.fails.pop(0)
        if symbol in self.gone:
            raise self.gone[symbol]
        now_ns = self.now_ns - self.late.get(symbol, 0)
        seen = pl.col("ts").is_between(start_ns, min(end_ns - 1, now_ns))
        return self.bars.filter(seen, pl.col("symbol") == symbol)

    def time_ns(self, now_ns: int) -> int:
        return now_ns - self.lag_ns + (self.ahead_ns if self.asked else 0)


def hours(symbol: str, closes: list[float]) -> pl.DataFrame:
    opens = [closes[0], *closes[:-1]]
    return pl.DataFrame(
        {
            "ts": [BEGIN + n * HOUR for n in range(len(closes))],
            "open": opens,
            "high": [max(pair) for pair in zip(opens, closes, strict=True)],
            "low": [min(pair) for pair in zip(opens, closes, strict=True)],
            "close": closes,
            "volume": 1.0,
            "symbol": symbol,
            "exchange": "mercadobitcoin",
            "interval": "1h",
        }
    )


def waves(symbol: str, count: int, length: int) -> pl.DataFrame:
    """Prices that rise for `length` hours and fall for as long, again and again."""
    rising = [n // length % 2 == 0 for n in range(count)]
    closes, price = [], 100.0
    for up in rising:
        price += 2.0 if up else -1.5
        closes.append(price)
    return hours(symbol, closes)


RISING = pl.concat([hours(one, [100.0 + n for n in range(60)]) for one in ("BTC-BRL", "ETH-BRL")])
TWO = pl.concat([waves("BTC-BRL", 120, 7), waves("ETH-BRL", 120, 11)])
TEXT = "kind: crossover\nsymbols: [BTC, ETH]\ninterval: 1h\nfast: 2\nslow: 4\n"


@dataclass
class Place:
    root: Path
    settings: Settings
    exchange: Exchange
    said: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    text: str = TEXT

    @property
    def journal(self) -> Path:
        return self.root / "paper.db"

    @property
    def lake(self) -> Lake:
        return Lake(self.root / "lake")

    def setup(self) -> Setup:
        path = self.root / "two.yaml"
        path.write_text(self.text)
        strategy = load(path)
        return Setup(
            self.lake,
            strategy,
            strategy.backtest(self.settings.backtest),
            self.settings.live,
            now_ns=1,
            journal=self.journal,
            say=lambda action, **fields: self.said.append({"action": action, **fields}),
            note=self.notes.append,
        )

    @contextmanager
    def poller(self, **options: Any):
        with polling(self.setup(), self.exchange, **options) as poller:
            yield poller

    def look(self, poller: Poller, now_ns: int) -> Polled:
        self.exchange.now_ns = now_ns
        return poller.poll(lambda: now_ns)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with Journal.read(self.journal) as journal:
            return journal.rows(query)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "default.yaml").write_text("{}\n")
    return Place(tmp_path, defaults(tmp_path), Exchange(TWO))


def test_it_begins_at_the_newest_closed_bar_and_trades_no_past(place: Place) -> None:
    with place.poller() as poller:
        polled = place.look(poller, FIRST_LOOK)
    assert [one.ts for one in polled.steps] == [BEGIN + 39 * HOUR]
    assert place.rows("select distinct ts from decisions") == [(BEGIN + 39 * HOUR,)]
    assert place.lake.bars("BTC-BRL", "1h").collect().height >= 8  # its window landed


def test_a_decision_is_filled_in_the_same_look_at_the_bar_in_progress(place: Place) -> None:
    place.exchange.bars = hours("BTC-BRL", [100.0 + n for n in range(60)])
    place.text = TEXT.replace(", ETH", "")
    with place.poller() as poller:
        polled = place.look(poller, FIRST_LOOK)
        (fill,) = polled.fills
        assert (fill.ts, fill.side) == (BEGIN + 40 * HOUR, "buy")
        assert fill.price == 139.0 * (1 + 5 / 10_000)
        again = place.look(poller, FIRST_LOOK + 1)
        assert not again.steps
        assert not again.fills


@pytest.mark.parametrize("opened", [0.0, -5.0, float("nan"), float("inf")])
def test_an_open_that_is_no_price_is_waited_for(place: Place, opened: float) -> None:
    whole = place.exchange.bars = hours("BTC-BRL", [100.0 + n for n in range(60)])
    place.text = TEXT.replace(", ETH", "")
    garbled = pl.when(pl.col("ts") == BEGIN + 40 * HOUR).then(opened).otherwise("open")
    with place.poller() as poller:
        place.exchange.bars = whole.with_columns(open=garbled)
        assert not place.look(poller, FIRST_LOOK).fills
        place.exchange.bars = whole
        (fill,) = place.look(poller, FIRST_LOOK + SECOND).fills
    assert fill.price == 139.0 * (1 + 5 / 10_000)


def test_hour_by_hour_it_makes_the_trades_of_a_backtest(place: Place) -> None:
    with place.poller() as poller:
        for hour in range(28):
            place.look(poller, FIRST_LOOK + hour * HOUR)
    with Journal.read(place.journal) as journal:
        made = trades(journal)
    setup = place.setup()
    expected = backtest(
        place.lake,
        setup.strategy,
        place.settings.backtest,
        BEGIN + 39 * HOUR,
        BEGIN + 67 * HOUR,
    ).trades
    fills_at_last_open = made.filter(pl.col("ts") >= BEGIN + 67 * HOUR).height
    assert expected.height >= 4
    assert_frame_equal(made.head(made.height - fills_at_last_open), expected, rel_tol=1e-9)


ROTATING = """
import polars as pl
from cq.strategies import StrategyConfig

class Config(StrategyConfig):
    warmup = property(lambda self: 1)

def generate_signals(bars, config):
    third = pl.col("ts") // 3_600_000_000_000 % 9 // 3
    wanted = pl.when(third == 2).then(0.4).when((third == 1) == (pl.col("symbol") == "ETH-BRL"))
    return bars.with_columns(signal=pl.lit(1, pl.Int8), target=wanted.then(1.0).otherwise(0.0))

def size_positions(bars, config):
    return bars
"""
"""All in one market, all in the other, 40 % of each."""


@pytest.mark.parametrize("looks", [(2, 17), (2,)], ids=["a later look", "one look a bar"])
@pytest.mark.parametrize("late", ["BTC-BRL", "ETH-BRL"])
def test_a_market_that_trades_late_in_each_bar_changes_no_trade(
    place: Place, late: str, looks: tuple[int, ...]
) -> None:
    (place.root / "rotating.py").write_text(ROTATING)
    place.text = "python: rotating.py\nsymbols: [BTC, ETH]\ninterval: 1h\n"
    place.exchange.bars = TWO.with_columns(open=pl.col("open") + pl.col("ts") // HOUR % 5)
    place.exchange.bars = place.exchange.bars.with_columns(high=pl.max_horizontal("open", "high"))
    place.exchange.late = {late: 10 * SECOND}
    with place.poller() as poller:
        for hour in range(21):
            for second in looks:
                place.look(poller, FIRST_LOOK + hour * HOUR + second * SECOND)
    with Journal.read(place.journal) as journal:
        made = trades(journal).filter(pl.col("ts") < BEGIN + 60 * HOUR)
    assert place.rows("select * from decisions where state = 'nothing'") == []
    period = (BEGIN + 39 * HOUR, BEGIN + 60 * HOUR)
    setup = place.setup()
    expected = backtest(place.lake, setup.strategy, place.settings.backtest, *period).trades
    assert expected.height >= 12
    assert_frame_equal(made, expected, rel_tol=1e-9)


def test_restarted_at_every_look_it_makes_the_same_trades(place: Place, tmp_path: Path) -> None:
    with place.poller() as poller:
        for hour in range(14):
            place.look(poller, FIRST_LOOK + hour * HOUR)
    whole = place.rows("select ts, symbol, side, quantity, price from fills order by id")
    other = replace(place, root=tmp_path / "other")
    other.root.mkdir()
    for hour in range(14):
        with other.poller() as poller:
            other.look(poller, FIRST_LOOK + hour * HOUR)
    assert other.rows("select ts, symbol, side, quantity, price from fills order by id") == whole
    assert len(whole) >= 2


def test_two_looks_in_the_same_bar_decide_once(place: Place) -> None:
    with place.poller() as poller:
        for second in range(5):
            place.look(poller, FIRST_LOOK + second)
    assert place.rows("select count(*) from decisions") == [(2,)]


def test_the_exchange_is_left_in_peace_while_no_bar_can_have_closed(place: Place) -> None:
    with place.poller() as poller:
        place.look(poller, FIRST_LOOK)
        place.look(poller, FIRST_LOOK + 1)  # a decision may have waited for the bar in progress
        before = place.exchange.asked
        for minute in range(2, 59):
            place.look(poller, FIRST_LOOK + minute * HOUR // 60)
        assert place.exchange.asked == before
        assert len(place.look(poller, FIRST_LOOK + HOUR).steps) == 1


def test_after_a_pause_only_the_newest_bar_is_decided_on(place: Place) -> None:
    place.text = TEXT + "backtest: {fill: next_close}\n"  # so that the decision has to wait
    with place.poller() as poller:
        for hour in range(12):
            place.look(poller, FIRST_LOOK + hour * HOUR)
            if poller.trader.pending:
                break
        (waiting, *_) = poller.trader.pending.values()
        place.said.clear()
        polled = place.look(poller, FIRST_LOOK + (hour + 9) * HOUR)
    newest = BEGIN + (39 + hour + 9) * HOUR
    assert {one.ts for step in polled.steps for one in step.decisions} == {newest}
    fills = place.rows(f"select ts from fills where symbol = '{waiting.symbol}' order by id")
    assert (waiting.decided_ts + 2 * HOUR,) in fills  # the true next bar's close, not the newest's
    missed = [one for one in place.said if one["action"] == "catch_up"]
    assert {one["symbol"] for one in missed} == {"BTC-BRL", "ETH-BRL"}
    assert "8 bars passed unseen" in missed[0]["reason"]
    assert place.rows("select count(*) from equity") == [(hour + 10,)]  # the curve has no hole


def test_what_the_exchange_keeps_no_longer_after_a_pause_is_said_once_and_not_asked_for_again(
    place: Place,
) -> None:
    with place.poller() as poller:
        place.look(poller, FIRST_LOOK)
        kept = pl.col("ts") >= BEGIN + 70 * HOUR
        place.exchange.bars = place.exchange.bars.filter(kept)
        place.look(poller, FIRST_LOOK + 60 * HOUR)
        told = [one for one in place.said if one.get("status") == "not_kept"]
        asked = place.exchange.asked
        for hour in range(61, 64):
            place.look(poller, FIRST_LOOK + hour * HOUR)
        again = [one for one in place.said if one.get("status") == "not_kept"]
    assert [one["symbol"] for one in told] == ["BTC-BRL", "ETH-BRL"]
    assert "from 2026-03-02T16:00:00Z to 2026-03-03T22:00:00Z any more" in told[0]["reason"]
    assert again == told
    assert place.exchange.asked == asked + 3 * 2
    known = covered(place.lake, "ohlcv", "mercadobitcoin", "BTC-BRL", "1h")
    assert known[-1] == (BEGIN + 70 * HOUR, BEGIN + 103 * HOUR)
    assert known[-2][1] == BEGIN + 40 * HOUR


def test_a_look_just_after_a_bars_end_fills_at_the_bar_that_came_next(place: Place) -> None:
    place.exchange.lag_ns = SECOND
    with place.poller() as poller:
        for hour in range(12):
            place.look(poller, FIRST_LOOK + hour * HOUR)
    waited = "select distinct fill_ts - decided_ts from orders"
    assert place.rows(waited) == [(HOUR,)]


def test_a_bar_that_another_process_lands_early_waits_for_those_of_the_other_symbols(
    place: Place,
) -> None:
    place.exchange.lag_ns = SECOND
    place.exchange.bars = RISING
    place.text = TEXT + "backtest: {fill: next_close}\n"  # so that a decision waits
    with place.poller() as poller:
        place.look(poller, FIRST_LOOK + 30 * SECOND)
        ended = place.exchange.bars.filter(pl.col("ts") == BEGIN + 40 * HOUR).head(1)
        place.lake.write("ohlcv", ended, source="stream", now_ns=FIRST_LOOK + HOUR)
        assert place.look(poller, FIRST_LOOK + HOUR).steps == []
        (step,) = place.look(poller, FIRST_LOOK + HOUR + 2 * SECOND).steps
    assert [one.symbol for one in step.decisions] == ["BTC-BRL", "ETH-BRL"]


@pytest.mark.parametrize(
    ("now", "interval", "seconds"),
    [
        ("2026-03-02T10:00:00.100", "1h", 1.9),
        ("2026-03-02T10:00:02", "1h", 0),
        ("2026-03-02T10:59:59.999", "1h", 0),
        ("2026-03-02T10:00:00", "1d", 0),
        ("2026-03-02T00:00:01", "1d", 1),
        ("2026-03-02T00:00:01", "1w", 1),
        ("2026-03-05T00:00:01", "1M", 1),  # a month may begin on any day
        ("2026-03-05T09:00:01", "1M", 0),
    ],
)
def test_a_bar_that_has_only_just_ended_is_known_to_be_over_two_seconds_later(
    now: str, interval: str, seconds: float
) -> None:
    assert settling_s(parse_time(now), interval) == pytest.approx(seconds)


def test_a_silent_market_is_an_alert_once_and_no_order(place: Place) -> None:
    place.exchange.bars = TWO.filter(pl.col("ts") < BEGIN + 40 * HOUR)
    with place.poller() as poller:
        first = place.look(poller, FIRST_LOOK + 10 * HOUR)
        assert set(first.stale) == {"BTC-BRL", "ETH-BRL"}
        assert "10.0 intervals ago" in first.stale["BTC-BRL"]
        assert place.look(poller, FIRST_LOOK + 11 * HOUR).stale.keys() == first.stale.keys()
    assert place.rows("select count(*) from orders") == [(0,)]
    assert sorted(place.rows("select symbol, rule from alerts")) == [
        ("BTC-BRL", "stale_data"),
        ("ETH-BRL", "stale_data"),
    ]
    assert len([one for one in place.said if one["action"] == "alert"]) == 2


def test_a_market_without_any_bar_is_waited_for(place: Place) -> None:
    place.exchange.bars = TWO.filter(pl.col("symbol") == "BTC-BRL")
    with place.poller() as poller:
        polled = place.look(poller, FIRST_LOOK)
        assert polled.stale == {"ETH-BRL": "no closed bar has come yet"}
        assert [[d.symbol for d in one.decisions] for one in polled.steps] == [["BTC-BRL"]]
        place.exchange.bars = TWO.filter(
            (pl.col("symbol") == "BTC-BRL") | (pl.col("ts") >= BEGIN + 40 * HOUR)
        )
        assert place.look(poller, FIRST_LOOK + HOUR).stale == {}
    place.exchange.bars = TWO.head(0)
    empty = replace(place, root=place.root / "empty")
    empty.root.mkdir()
    with empty.poller() as poller:
        assert set(empty.look(poller, FIRST_LOOK).stale) == {"BTC-BRL", "ETH-BRL"}


def test_a_symbol_that_lags_is_decided_on_at_its_own_newest_bar(place: Place) -> None:
    late = (pl.col("symbol") == "BTC-BRL") | (pl.col("ts") < BEGIN + 38 * HOUR)
    place.exchange.bars = TWO.filter(late)
    with place.poller() as poller:
        polled = place.look(poller, FIRST_LOOK)
    assert [(one.ts, [d.symbol for d in one.decisions]) for one in polled.steps] == [
        (BEGIN + 37 * HOUR, ["ETH-BRL"]),
        (BEGIN + 39 * HOUR, ["BTC-BRL"]),
    ]


def test_a_failed_look_is_said_and_tried_again(place: Place) -> None:
    seen: list[Polled] = []
    with place.poller() as poller:
        place.exchange.now_ns = FIRST_LOOK
        place.exchange.fails = [Unavailable("/candles", 503), Unavailable("/candles", 503)]
        place.exchange.fails[0].request_id = "7"
        run(
            poller,
            clock=lambda: FIRST_LOOK,
            wait=lambda _: len(seen) == 2,
            interval_s=15,
            on_poll=seen.append,
        )
    assert "status 503" in seen[0].failed
    assert (seen[1].failed, len(seen[1].steps)) == ("", 1)
    failed, done = [one for one in place.said if one["action"] == "poll"]
    assert (failed["status"], failed["request_id"], done["status"]) == ("failed", "7", "done")
    assert failed["latency_ms"] > 0
    assert done["latency_ms"] > 0
    (step,) = [one for one in place.said if one["action"] == "step"]
    assert step["latency_ms"] > 0


def run_once(poller: Poller, now_ns: int = FIRST_LOOK) -> None:
    """Told to stop after the first look."""
    run(
        poller,
        clock=lambda: now_ns,
        wait=lambda _: True,
        interval_s=15,
        on_poll=lambda _: None,
    )


def test_a_first_look_that_fails_is_an_alert_without_a_bar(place: Place) -> None:
    with place.poller() as poller:
        place.exchange.fails = [Unavailable("/candles", 503), Unavailable("/candles", 503)]
        run_once(poller)
        alerts = summary(poller.trader.journal)["alerts"]
    assert [(one["bar"], one["reason"]) for one in alerts] == [
        (None, "no closed bar has come yet")
    ] * 2


BOOM_AND_BUST = pl.concat(
    [
        hours("BTC-BRL", [100.0 + n for n in range(46)] + [146 * 0.9**n for n in range(40)]),
        waves("ETH-BRL", 120, 11),
    ]
)
"""BTC rises for 46 hours, then falls and falls."""

GONE = [
    Unavailable("/candles", 503),
    NoSuchMarket("ETH-BRL", "/candles", 400, "SYMBOL_IS_INVALID", "gone"),
]


def held(poller: Poller) -> dict[str, float]:
    return dict(poller.trader.account.positions)


@pytest.mark.parametrize("error", GONE, ids=["no answer", "delisted"])
def test_a_market_without_an_answer_stops_no_sale_of_another(
    place: Place, error: ExchangeError
) -> None:
    place.exchange.bars = BOOM_AND_BUST
    with place.poller() as poller:
        for hour in range(4):
            place.look(poller, FIRST_LOOK + hour * HOUR)
        assert "BTC-BRL" in held(poller)
        place.exchange.gone = {"ETH-BRL": error}
        looks = [place.look(poller, FIRST_LOOK + hour * HOUR) for hour in range(4, 16)]
        assert "BTC-BRL" not in held(poller)
    assert {symbol for one in looks for symbol in one.unanswered} == {"ETH-BRL"}
    alerts = place.rows("select symbol, rule, reason from alerts order by id")
    assert alerts[0] == ("ETH-BRL", "no_answer", str(error))
    assert [one[:2] for one in alerts] == [("ETH-BRL", "no_answer"), ("ETH-BRL", "stale_data")]


def test_a_market_that_answers_again_leaves_the_curve_of_the_others_as_it_was(
    place: Place,
) -> None:
    place.exchange.bars = BOOM_AND_BUST
    with place.poller() as poller:
        place.look(poller, FIRST_LOOK)
        place.exchange.gone = {"ETH-BRL": GONE[0]}
        for hour in range(1, 12):
            place.look(poller, FIRST_LOOK + hour * HOUR)
        before = place.rows("select * from equity order by ts")
        place.exchange.gone = {}
        steps = place.look(poller, FIRST_LOOK + 12 * HOUR).steps
    assert len(steps) == 12
    assert {one.ts for step in steps for one in step.decisions} == {BEGIN + 51 * HOUR}
    assert place.rows("select * from equity order by ts")[:-1] == before


def test_a_bar_that_comes_after_that_of_another_market_leaves_the_worth_of_their_time_as_told(
    place: Place,
) -> None:
    place.exchange.bars = BOOM_AND_BUST
    with place.poller() as poller:
        place.look(poller, FIRST_LOOK)
        for hour in range(1, 12):
            place.exchange.gone = {"ETH-BRL": GONE[0]}
            place.look(poller, FIRST_LOOK + hour * HOUR)
            told = place.rows("select * from equity order by ts")
            place.exchange.gone = {}
            place.look(poller, FIRST_LOOK + hour * HOUR)
            assert place.rows("select * from equity order by ts") == told
    assert place.rows("select count(*) from fills") != [(0,)]


@pytest.mark.parametrize(
    "by", ["features: {place: {use: rank, of: close}}", "sizing: {kind: inverse_volatility}"]
)
def test_markets_that_are_compared_wait_for_each_other(place: Place, by: str) -> None:
    place.text = f"{TEXT}{by}\n"
    with place.poller() as poller:
        assert poller.strategy.compared
        place.exchange.gone = {"ETH-BRL": GONE[0]}
        with pytest.raises(Unavailable):
            place.look(poller, FIRST_LOOK)


def halted(closes: list[float]) -> pl.DataFrame:
    """BTC: these 40 hours, then nothing for 500, then two bars at 300."""
    before = hours("BTC-BRL", closes)
    after = hours("BTC-BRL", [300.0] * 542).filter(pl.col("ts") >= BEGIN + 540 * HOUR)
    return pl.concat([before, after])


def test_a_purchase_that_waited_through_a_long_silence_is_blocked_and_tried_again(
    place: Place,
) -> None:
    place.text = TEXT.replace(", ETH", "")
    place.exchange.bars = halted([100.0 + n for n in range(40)])
    with place.poller() as poller:
        assert place.look(poller, FIRST_LOOK).steps[0].decisions[0].state == "pending"
        polled = place.look(poller, BEGIN + 540 * HOUR + 60 * SECOND)
        assert not polled.fills
        assert poller.trader.acted == {}
        (fill,) = place.look(poller, BEGIN + 541 * HOUR + 60 * SECOND).fills
    assert (fill.side, fill.ts) == ("buy", BEGIN + 541 * HOUR)
    states = place.rows("select state, reason from decisions order by id")
    assert [state for state, _ in states] == ["blocked", "sent"]
    assert "opened 500.0 intervals after the one before it had closed" in states[0][1]


def test_a_sale_that_waited_through_a_long_silence_is_filled_at_the_next_bar(place: Place) -> None:
    place.text = TEXT.replace(", ETH", "")
    place.exchange.bars = halted([100.0 + n for n in range(39)] + [100.0])
    with place.poller() as poller:
        for hour in range(30, 41):
            place.look(poller, BEGIN + hour * HOUR + 1)
        assert "BTC-BRL" in held(poller)
        assert [one.target for one in poller.trader.pending.values()] == [0.0]
        (fill,) = place.look(poller, BEGIN + 540 * HOUR + 60 * SECOND).fills
    assert (fill.side, fill.ts) == ("sell", BEGIN + 540 * HOUR)


def test_bars_are_as_old_as_they_are_when_they_have_come(place: Place) -> None:
    place.exchange.bars, place.exchange.now_ns = RISING, FIRST_LOOK
    moments = iter([FIRST_LOOK, FIRST_LOOK + 5 * HOUR])
    with place.poller() as poller:
        polled = poller.poll(lambda: next(moments))
    assert [one.state for step in polled.steps for one in step.decisions] == ["blocked", "blocked"]
    assert "5.0 intervals ago" in polled.stale["BTC-BRL"]
    assert not polled.fills


@pytest.mark.parametrize("ahead", [-5 * HOUR, -HOUR, 5 * HOUR // 2, 9 * HOUR])
def test_a_local_clock_that_is_off_changes_no_trade_and_makes_no_alert(
    place: Place, tmp_path: Path, ahead: int
) -> None:
    made = []
    for name, off in (("right", 0), ("off", ahead)):
        one = replace(place, root=tmp_path / name, exchange=Exchange(TWO, ahead_ns=off))
        one.root.mkdir()
        with one.poller() as poller:
            for hour in range(14):
                one.exchange.now_ns = now_ns = FIRST_LOOK + hour * HOUR
                assert not poller.poll(lambda now_ns=now_ns, off=off: now_ns - off).stale
                one.exchange.gone = {"ETH-BRL": GONE[0], "BTC-BRL": GONE[0]}
                with suppress(Unavailable):
                    run_once(poller, now_ns - off)
                one.exchange.gone = {}
        assert one.rows("select * from alerts where rule = 'stale_data'") == []
        made.append(one.rows("select ts, symbol, side, quantity, price from fills order by id"))
    assert len(made[0]) >= 2
    assert made[0] == made[1]


def test_bars_that_the_exchange_does_not_send_are_refused_with_those_that_it_does(
    place: Place,
) -> None:
    place.exchange.intervals = ("15m", "1d")
    with (
        pytest.raises(UsageError, match=r"bars of 1h, .* sends: 15m, 1d; .* --replay"),
        place.poller(),
    ):
        pass


def test_told_to_stop_it_leaves_the_exchange_and_keeps_its_journal(place: Place) -> None:
    told = Told()
    with polling(place.setup(), Heeding(place.exchange, told)) as poller:
        assert len(place.look(poller, FIRST_LOOK).steps) == 1
        told.set()
        with pytest.raises(Stopped):
            place.look(poller, FIRST_LOOK + HOUR)
    assert place.rows("select count(*) from equity") == [(1,)]


def test_told_to_stop_it_leaves_the_rest_of_what_it_catches_up_with_to_the_next_look(
    place: Place, tmp_path: Path
) -> None:
    made = []
    for name, stops in (("whole", False), ("stopped", True)):
        one = replace(place, root=tmp_path / name, exchange=Exchange(TWO))
        one.root.mkdir()
        with one.poller() as poller:
            one.look(poller, FIRST_LOOK)
        if stops:
            answers = iter([False, False, False, True])
            with (
                polling(
                    one.setup(), one.exchange, stop=lambda answers=answers: next(answers)
                ) as poller,
                pytest.raises(Stopped),
            ):
                one.look(poller, FIRST_LOOK + 9 * HOUR)
            assert one.rows("select count(*) from equity") == [(4,)]
        with one.poller() as poller:
            one.look(poller, FIRST_LOOK + 9 * HOUR)
        made.append([one.rows(f"select * from {table}") for table in ("equity", "steps")])
    assert made[0] == made[1]


def test_what_no_other_try_mends_ends_it(place: Place) -> None:
    with place.poller() as poller:
        place.exchange.fails = [Refused("/candles", 400, "X", "no") for _ in range(2)]
        with pytest.raises(Refused):
            run_once(poller)


def test_a_market_that_is_refused_at_the_first_look_is_a_wrong_name(place: Place) -> None:
    with place.poller() as poller:
        place.exchange.gone = {"ETH-BRL": GONE[1]}
        with pytest.raises(NoSuchMarket):
            run_once(poller)


def test_excluded_symbols_are_not_traded(place: Place) -> None:
    with place.poller(exclusions=("ETH-BRL",)) as poller:
        assert poller.symbols == ["BTC-BRL"]
    assert place.notes == ["ETH-BRL is among `exclusions`: not traded"]
    with (
        pytest.raises(UsageError, match="nothing to trade"),
        place.poller(exclusions=("ETH-BRL", "BTC-BRL")),
    ):
        pass


def test_a_market_that_is_named_twice_is_refused(place: Place) -> None:
    place.text = TEXT.replace("ETH", "BTC-BRL")
    with (
        pytest.raises(UsageError, match="BTC and BTC-BRL are one market, BTC-BRL; name it once"),
        place.poller(),
    ):
        pass


def test_a_strategy_for_another_exchange_is_refused(place: Place) -> None:
    place.text = TEXT + "exchange: binance\n"
    with pytest.raises(UsageError, match="two is for binance, but"), place.poller():
        pass


def test_the_tail_in_memory_serves_look_after_look(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.poller() as poller:
        place.look(poller, FIRST_LOOK)
        tail: Callable[..., Any] = Lake.bars_before
        monkeypatch.setattr(Lake, "bars_before", lambda *_, **__: pytest.fail(f"{tail} read"))
        assert len(place.look(poller, FIRST_LOOK + HOUR).steps) == 1
