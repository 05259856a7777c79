"""One step at a time gives what the backtest's account gives, also when it is killed in between."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from settling import settle

from cq.backtest.account import Account, Costs, Fill, Intent
from cq.errors import StrategyError
from cq.execution.journal import Journal
from cq.execution.loop import Bar, Trader, Wish
from cq.execution.orders import Order
from cq.execution.paper import PaperBroker, Report
from cq.execution.plan import Terms
from cq.execution.risk import (
    MaxDailyLoss,
    MaxGrossExposure,
    MaxPosition,
    Prospect,
    Rules,
    StaleData,
)
from cq.utils.time import DAY, HOUR

SYMBOLS = ("BTC-BRL", "ETH-BRL", "SOL-BRL")
COSTS = Costs(taker=0.007, minimum_fee=0.01, slippage_bps=5, quantity_decimals=8, min_notional=1)
TERMS = Terms("1h", 1000.0, COSTS)

Market = list[tuple[int, dict[str, Bar], dict[str, Wish]]]


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """Hours of a few symbols, some bars missing, each with what the strategy wants then."""
    price = st.floats(0.5, 500)
    wish = st.sampled_from([None, 0.0, 0.0, 0.3, 0.35, 0.6, 1.0])
    found: Market = []
    for hour in range(draw(st.integers(1, 14))):
        names = draw(st.lists(st.sampled_from(SYMBOLS), unique=True))
        bars = {name: Bar(draw(price), draw(price)) for name in names}
        wishes = {name: Wish(1, draw(wish), draw(st.booleans())) for name in names}
        if bars:
            found.append((hour * HOUR, bars, wishes))
    return found


def reference(market: Market, terms: Terms) -> tuple[list[Fill], list[tuple[int, float, float]]]:
    """The same market, with the semantics written out once more and no journal at all."""
    account, fills, equity = Account(terms.cash), [], []
    acted: dict[str, float] = {}
    pending: dict[str, Intent] = {}
    closes: dict[str, float] = {}
    for ts, bars, wishes in market:
        at = {s: bar.open if terms.fill == "next_open" else bar.close for s, bar in bars.items()}
        due = [pending.pop(symbol) for symbol in bars if symbol in pending]
        when = ts if terms.fill == "next_open" else ts + HOUR
        account, done = (
            settle(account, due, at, closes, when, terms.costs) if due else (account, [])
        )
        fills += done
        closes |= {symbol: bar.close for symbol, bar in bars.items()}
        for symbol, (_, wanted, act) in wishes.items():
            if wanted is None:
                continue
            target, before = min(wanted, terms.max_position), acted.get(symbol, 0.0)
            moved = (target == 0) != (before == 0) or abs(target - before) > terms.rebalance
            if moved or (act and target):
                acted[symbol] = target
                pending[symbol] = Intent(symbol, target, ts)
        equity.append((ts, account.equity(closes), account.cash))
    return fills, equity


def looking_at(market: Market) -> Any:
    wishes = {ts: wished for ts, _, wished in market}
    return lambda ts, symbols: {s: wish for s, wish in wishes[ts].items() if s in symbols}


def begun(path: Path) -> Journal:
    journal = Journal.open(path)
    if not journal.session():
        journal.begin({"id": "s", "cash": TERMS.cash})
    return journal


def run(journal: Journal, market: Market, terms: Terms = TERMS, **options: Any) -> Trader:
    """Step through what the journal has not seen yet."""
    broker = options.pop("broker", PaperBroker(terms.costs))
    forming = options.pop("forming", False)
    trader = Trader(journal, terms, looking_at(market), broker, **options)
    trader.resume(0)
    done = max(trader.seen.values(), default=-1)
    for ts, bars, _ in market:
        if ts > done:
            if forming:
                trader.fill_forming(ts, {one: bar.open for one, bar in bars.items()}, ts + 1)
            trader.step(ts, bars, ts + HOUR)
    return trader


def equity_of(journal: Journal) -> list[tuple[Any, ...]]:
    return journal.rows("select ts, equity, cash from equity order by ts")


@pytest.mark.parametrize("fill", ["next_open", "next_close"])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(market=markets(), rebalance=st.sampled_from([0.0, 0.1]))
def test_stepping_trades_what_the_accounts_rules_say(
    tmp_path_factory: pytest.TempPathFactory, market: Market, rebalance: float, fill: Any
) -> None:
    terms = replace(TERMS, fill=fill, rebalance=rebalance)
    with begun(tmp_path_factory.mktemp("loop") / "paper.db") as journal:
        run(journal, market, terms)
        fills, equity = reference(market, terms)
        assert journal.fills() == fills
        assert equity_of(journal) == equity
        assert all(cash >= 0 for _, _, cash in equity)
        assert journal.account(terms.cash, COSTS).equity(
            {symbol: close for symbol, (_, close) in journal.last_bars().items()}
        ) == (equity[-1][1] if equity else terms.cash)


class KilledError(BaseException):
    """The process is gone."""


class Mortal(Journal):
    """A journal whose process dies around its n-th commit."""

    lives = 10**9
    before = True

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.lives -= 1
        with super().transaction():
            yield
            if self.lives == 0 and self.before:
                raise KilledError
        if self.lives == 0:
            raise KilledError


@pytest.mark.parametrize("forming", [True, False], ids=["bars in progress", "closed bars"])
@pytest.mark.parametrize("before", [True, False], ids=["before a commit", "after a commit"])
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(market=markets(), lives=st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_a_process_that_dies_again_and_again_makes_the_same_trades(
    tmp_path_factory: pytest.TempPathFactory,
    market: Market,
    lives: list[int],
    before: bool,
    forming: bool,
) -> None:
    path = tmp_path_factory.mktemp("mortal") / "paper.db"
    begun(path).close()
    for count in lives:
        with Mortal.open(path) as mortal:
            mortal.lives, mortal.before = count, before
            try:
                run(mortal, market, forming=forming)
            except KilledError:
                continue
    with begun(path) as journal:
        run(journal, market, forming=forming)
        fills, equity = reference(market, TERMS)
        assert journal.fills() == fills
        assert equity_of(journal) == equity
        assert journal.unanswered() == []


UP: Market = [
    (0, {"BTC-BRL": Bar(10.0, 10.0)}, {"BTC-BRL": Wish(1, 1.0)}),
    (HOUR, {"BTC-BRL": Bar(11.0, 12.0)}, {"BTC-BRL": Wish(1, 1.0)}),
    (2 * HOUR, {"BTC-BRL": Bar(13.0, 14.0)}, {"BTC-BRL": Wish(0, 0.0)}),
    (3 * HOUR, {"BTC-BRL": Bar(15.0, 16.0)}, {"BTC-BRL": Wish(0, 0.0)}),
]


class Watching(PaperBroker):
    """A broker that looks into the journal when an order comes in."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(COSTS)
        object.__setattr__(self, "journal", journal)
        object.__setattr__(self, "seen", [])

    def submit(self, order: Order) -> Report:
        with Journal.read(self.journal.path) as other:  # type: ignore[attr-defined]
            self.seen.append(  # type: ignore[attr-defined]
                other.rows("select status from orders where client_id = ?", (order.client_id,))
            )
        return super().submit(order)


def test_an_order_is_on_disk_before_the_broker_sees_it(tmp_path: Path) -> None:
    with begun(tmp_path / "paper.db") as journal:
        broker = Watching(journal)
        run(journal, UP, broker=broker)
        assert broker.seen == [[("new",)], [("new",)]]  # type: ignore[attr-defined]


def test_a_decision_is_filled_no_earlier_than_the_next_open(tmp_path: Path) -> None:
    with begun(tmp_path / "paper.db") as journal:
        run(journal, UP)
        assert [(fill.ts, fill.side) for fill in journal.fills()] == [
            (HOUR, "buy"),
            (3 * HOUR, "sell"),
        ]
        assert [row[0] for row in journal.rows("select state from decisions order by ts")] == [
            "sent",
            "none",
            "sent",
            "none",
        ]


def test_client_ids_are_those_of_the_decision(tmp_path: Path) -> None:
    ids = []
    for name in ("one.db", "two.db"):
        with begun(tmp_path / name) as journal:
            run(journal, UP)
            ids.append(journal.rows("select client_id from orders order by rowid"))
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_the_forming_bars_open_fills_at_once_and_only_once(tmp_path: Path) -> None:
    with begun(tmp_path / "early.db") as early, begun(tmp_path / "late.db") as late:
        trader = Trader(early, TERMS, looking_at(UP), PaperBroker(COSTS))
        trader.resume(0)
        for ts, bars, _ in UP:
            opens = {symbol: bar.open for symbol, bar in bars.items()}
            trader.fill_forming(ts, opens, ts + 1)
            trader.fill_forming(ts, opens, ts + 2)
            trader.step(ts, bars, ts + HOUR)
        run(late, UP)
        assert early.fills() == late.fills()
        assert equity_of(early) == equity_of(late)


def test_bars_in_progress_fill_once_all_that_waits_or_is_held_has_an_open(tmp_path: Path) -> None:
    bars = {"BTC-BRL": Bar(10.0, 10.0), "ETH-BRL": Bar(5.0, 5.0)}
    wishes = [{"BTC-BRL": Wish(1, 0.5)}, {"ETH-BRL": Wish(1, 0.4)}]
    market = [(hour * HOUR, bars, wished) for hour, wished in enumerate(wishes)]
    opens = {"BTC-BRL": 12.0, "ETH-BRL": 6.0}
    with begun(tmp_path / "paper.db") as journal, begun(tmp_path / "late.db") as late:
        trader = run(journal, market)
        assert trader.fill_forming(2 * HOUR, {"ETH-BRL": 6.0}, 2 * HOUR + 1) == ()
        assert trader.fill_forming(2 * HOUR, {"BTC-BRL": 12.0}, 2 * HOUR + 1) == ()
        (fill,) = trader.fill_forming(2 * HOUR, opens, 2 * HOUR + 2)
        closed = {symbol: Bar(opened, opened) for symbol, opened in opens.items()}
        assert run(late, [*market, (2 * HOUR, closed, {})]).account == trader.account
        assert late.fills()[-1] == fill


def test_closes_are_not_filled_at_a_forming_bar(tmp_path: Path) -> None:
    with begun(tmp_path / "paper.db") as journal:
        terms = replace(TERMS, fill="next_close")
        trader = Trader(journal, terms, looking_at(UP), PaperBroker(COSTS))
        trader.step(0, UP[0][1], HOUR)
        assert trader.fill_forming(HOUR, {"BTC-BRL": 11.0}, HOUR + 1) == ()
        assert [fill.ts for fill in trader.step(HOUR, UP[1][1], 2 * HOUR).fills] == [2 * HOUR]


def test_the_bar_of_the_decision_itself_fills_nothing(tmp_path: Path) -> None:
    with begun(tmp_path / "paper.db") as journal:
        trader = Trader(journal, TERMS, looking_at(UP), PaperBroker(COSTS))
        trader.step(0, UP[0][1], HOUR)
        assert trader.fill_forming(0, {"BTC-BRL": 10.0}, HOUR) == ()


def test_a_fill_is_on_disk_before_the_strategy_decides_again(tmp_path: Path) -> None:
    def breaks(ts: int, symbols: Collection[str]) -> Mapping[str, Wish]:
        if ts == HOUR:
            raise StrategyError("mine.py", "boom")
        return looking_at(UP)(ts, symbols)

    with begun(tmp_path / "paper.db") as journal:
        trader = Trader(journal, TERMS, breaks, PaperBroker(COSTS))
        trader.step(0, UP[0][1], HOUR)
        with pytest.raises(StrategyError, match="boom"):
            trader.step(HOUR, UP[1][1], 2 * HOUR)
        assert journal.unanswered() == []
        assert journal.rows("select status from orders") == [("filled",)]
        assert len(journal.fills()) == 1
    with begun(tmp_path / "paper.db") as journal, begun(tmp_path / "whole.db") as whole:
        run(journal, UP)
        run(whole, UP)
        assert journal.fills() == whole.fills()
        assert equity_of(journal) == equity_of(whole)


def test_only_the_symbols_that_decide_are_asked_for(tmp_path: Path) -> None:
    with begun(tmp_path / "paper.db") as journal:
        trader = Trader(journal, TERMS, looking_at(UP), PaperBroker(COSTS))
        assert trader.step(0, UP[0][1], HOUR, deciding=()).decisions == ()
        assert trader.pending == {}


def events() -> tuple[list[dict[str, Any]], Any]:
    said: list[dict[str, Any]] = []
    return said, lambda action, **fields: said.append({"action": action, **fields})


def test_a_blocked_decision_is_journalled_said_and_tried_again(tmp_path: Path) -> None:
    said, say = events()
    with begun(tmp_path / "paper.db") as journal:
        trader = run(journal, UP[:2], rules=Rules(of_decisions=(MaxPosition(0.5),)), say=say)
        assert journal.fills() == []
        assert trader.acted == {}
        assert journal.rows("select state, acted from decisions") == [("blocked", 0)] * 2
        assert len(journal.rows("select rule from alerts where rule = 'max_position'")) == 2
    assert [one["status"] for one in said if one["action"] == "alert"] == ["max_position"] * 2
    with begun(tmp_path / "paper.db") as journal:  # the limit is raised: it goes on at once
        run(journal, UP)
        assert journal.rows("select state from decisions order by ts")[2:] == [("none",)] * 2


@dataclass
class Shut:
    """A rule that says no while it is shut."""

    shut: bool = False
    name = "shut"
    stops_selling = True

    def reason(self, prospect: Prospect) -> str | None:
        del prospect
        return "shut" if self.shut else None


ACTING: Market = [
    (
        hour * HOUR,
        {"BTC-BRL": Bar(10.0 + hour, 10.0 + hour)},
        {"BTC-BRL": Wish(1, 0.5, act=hour == 2)},
    )
    for hour in range(7)
]
"""Half in one market, brought back to half once."""


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("judged", ["of_decisions", "of_orders"])
def test_what_a_rule_stopped_of_an_act_is_tried_at_the_next_bars(
    tmp_path: Path, judged: str, restarted: bool
) -> None:
    rule = Shut()
    rules = Rules(**{judged: (rule,)})
    with begun(tmp_path / "paper.db") as journal:
        trader = run(journal, [], rules=rules)
        trader.look = looking_at(ACTING)
        for ts, bars, _ in ACTING:
            rule.shut = 2 * HOUR <= ts <= 4 * HOUR
            if restarted:
                run(journal, ACTING[: ts // HOUR + 1], rules=rules)
            else:
                trader.step(ts, bars, ts + HOUR)
        states = journal.rows("select ts / ?, state from decisions order by ts", (HOUR,))
        assert len(journal.fills()) == 2
    tried = 5 if judged == "of_decisions" else 4  # the order of 4:00 goes out once it is open
    assert states == [
        (0, "sent"),
        (1, "none"),
        *((hour, "blocked") for hour in range(2, tried)),
        (tried, "sent"),
        *((hour, "none") for hour in range(tried + 1, 7)),
    ]


def test_what_was_stopped_of_an_act_is_over_once_the_target_moves_away(tmp_path: Path) -> None:
    rule, wishes = Shut(), [0.5, 0.5, 0.5, 0.0, 0.5, 0.5, 0.5]
    market = [
        (ts, bars, {"BTC-BRL": Wish(1, wanted, act=ts == 2 * HOUR)})
        for (ts, bars, _), wanted in zip(ACTING, wishes, strict=True)
    ]
    with begun(tmp_path / "paper.db") as journal:
        for ts, _, _ in market:
            rule.shut = 2 * HOUR <= ts <= 3 * HOUR
            run(journal, market[: ts // HOUR + 1], rules=Rules(of_decisions=(rule,)))
        states = [state for (state,) in journal.rows("select state from decisions order by ts")]
    assert states == ["sent", "none", "blocked", "blocked", "none", "none", "none"]


def test_an_order_beyond_the_gross_limit_is_taken_back(tmp_path: Path) -> None:
    rules = Rules(of_orders=(MaxGrossExposure(0.5),))
    with begun(tmp_path / "paper.db") as journal:
        trader = run(journal, UP[:2], rules=rules)
        assert journal.fills() == []
        assert journal.rows("select state, acted from decisions order by ts") == [
            ("blocked", 0),
            ("pending", 1),  # tried again at the close of the bar that would have filled it
        ]
        assert trader.acted == {"BTC-BRL": 1.0}


def test_stale_bars_lead_to_no_order(tmp_path: Path) -> None:
    with begun(tmp_path / "paper.db") as journal:
        rules = Rules(of_decisions=(StaleData(3),))
        trader = Trader(journal, TERMS, looking_at(UP), PaperBroker(COSTS), rules)
        trader.step(0, UP[0][1], 5 * HOUR)
        assert trader.pending == {}
        assert "4.0 intervals ago" in journal.rows("select reason from alerts")[0][0]


def falling(hours: int, wanted: float) -> Market:
    """From 20:00 on: bought at 100, then 10 lower each hour; wanted again after each sale."""
    return [
        (
            20 * HOUR + hour * HOUR,
            {"BTC-BRL": Bar(100.0 - 10 * hour, 95.0 - 10 * hour)},
            {"BTC-BRL": Wish(1, wanted if hour % 2 == 0 else wanted / 2)},
        )
        for hour in range(hours)
    ]


def test_after_the_days_loss_nothing_is_bought_until_midnight(tmp_path: Path) -> None:
    rules = Rules(of_decisions=(MaxDailyLoss(0.1),))
    with begun(tmp_path / "paper.db") as journal:
        run(journal, falling(6, 0.8), rules=rules)
        states = journal.rows("select ts / ?, state from decisions order by ts", (HOUR,))
        assert states == [
            (20, "sent"),
            (21, "sent"),  # half of it is sold: always possible
            (22, "blocked"),  # more than 10 % down since the day began
            (23, "none"),
            (24, "sent"),  # another day
            (25, "pending"),
        ]


@pytest.mark.parametrize(("interval", "days"), [("1d", 1), ("1w", 7)])
def test_bars_as_long_as_a_day_are_judged_by_what_they_lost_themselves(
    tmp_path: Path, interval: str, days: int
) -> None:
    rules = Rules(of_decisions=(MaxDailyLoss(0.1),))
    closes = [100.0, 100.0, 70.0, 69.0, 69.0]
    wanted = [0.8, 0.8, 1.0, 1.0, 1.0]
    market: Market = [
        (n * days * DAY, {"BTC-BRL": Bar(close, close)}, {"BTC-BRL": Wish(1, target)})
        for n, (close, target) in enumerate(zip(closes, wanted, strict=True))
    ]
    terms = replace(TERMS, interval=interval)
    for name, cuts in (("whole", [5]), ("restarted", [1, 2, 3, 4, 5])):
        with begun(tmp_path / f"{name}.db") as journal:
            for cut in cuts:
                run(journal, market[:cut], terms, rules=rules)
            assert journal.rows("select state from decisions order by ts") == [
                ("sent",),
                ("none",),
                ("blocked",),  # 24 % down in one bar
                ("sent",),  # 1 % down in the next
                ("none",),
            ]


def test_the_days_opening_equity_survives_a_restart(tmp_path: Path) -> None:
    rules = Rules(of_decisions=(MaxDailyLoss(0.1),))
    market = falling(4, 0.8)
    with begun(tmp_path / "whole.db") as journal:
        run(journal, market, rules=rules)
        whole = journal.rows("select ts, state from decisions")
    for cut in range(1, 4):
        with begun(tmp_path / f"cut{cut}.db") as journal:
            run(journal, market[:cut], rules=rules)
        with begun(tmp_path / f"cut{cut}.db") as journal:
            run(journal, market, rules=rules)
            assert journal.rows("select ts, state from decisions") == whole


def test_a_rule_that_cannot_read_the_account_lets_nothing_be_bought() -> None:
    prospect = Prospect("BTC-BRL", 0.5, 0.0, 0.5, math.nan, 1.0, 0.0)
    assert not prospect.reduces
    assert prospect.unreadable == "equity is nan"


def test_what_is_written_says_ids_and_prices(tmp_path: Path) -> None:
    said, say = events()
    with begun(tmp_path / "paper.db") as journal:
        run(journal, UP, say=say)
    bought: Mapping[str, Any] = next(one for one in said if one["action"] == "buy")
    assert bought["symbol"] == "BTC-BRL"
    assert bought["status"] == "filled"
    assert bought["client_id"].startswith("19700101BTC-BRLbuy")
    timed = [one for one in said if one["action"] in ("decide", "buy", "sell", "step")]
    assert {one["action"] for one in timed} >= {"decide", "buy", "step"}
    assert all(one["latency_ms"] >= 0 for one in timed)
    assert bought["price"] == 11.0 * (1 + 5 / 10_000)
