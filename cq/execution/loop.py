"""The loop's one step: fill what waited, look, ask the risk rules, decide, write it all down.

Live paper trading and a replay of stored bars both call `Trader.step`, bar by bar; the arithmetic
is that of `cq.backtest.account`, so that a replay makes the backtest's trades.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cq.backtest.account import Account, Fill, Intent
from cq.execution.decisions import NO_BAR, Decision
from cq.execution.journal import Journal
from cq.execution.orders import Order
from cq.execution.paper import Broker, Report
from cq.execution.plan import Terms, part, planned
from cq.execution.risk import NO_RULES, Prospect, Rules, verdict
from cq.utils.clock import stopwatch
from cq.utils.time import DAY, bar_end, interval_ns, iso


class Bar(NamedTuple):
    """What a step needs of a bar."""

    open: float
    close: float


class Answer(NamedTuple):
    """What the broker said of an order, and how long it took to."""

    order: Order
    report: Report
    latency_ms: float


class Wish(NamedTuple):
    """The last row of the strategy's targets: null while it warms up."""

    signal: int | None
    target: float | None
    act: bool = False


Look = Callable[[int, Collection[str]], Mapping[str, Wish]]
"""What the strategy wants at the close of the bars that opened at a time, for some symbols."""

Say = Callable[..., None]
"""Where events go: `say(action, level=…, symbol=…, …)`."""


@dataclass(frozen=True)
class Stepped:
    """What one step did."""

    ts: int
    fills: tuple[Fill, ...]
    decisions: tuple[Decision, ...]
    equity: float
    cash: float


class Trader:
    """A session between two steps: its account, what it has acted on, what waits to be filled.

    `held_back` are the symbols of which a rule stopped what arose by the strategy's `act` alone:
    their target has not moved, so nothing else would bring it up again.
    """

    def __init__(
        self,
        journal: Journal,
        terms: Terms,
        look: Look,
        broker: Broker,
        rules: Rules = NO_RULES,
        say: Say = lambda *_, **__: None,
    ) -> None:
        self.journal, self.terms, self.look = journal, terms, look
        self.broker, self.rules, self.say = broker, rules, say
        self.session: str = journal.session()["id"]
        self.account = Account(terms.cash)
        self.acted: dict[str, float] = {}
        self.pending: dict[str, Intent] = {}
        self.held_back: set[str] = set()
        self.seen: dict[str, int] = {}
        self.closes: dict[str, float] = {}
        self._day, self._day_equity = -1, terms.cash

    def resume(self, now_ns: int) -> None:
        """Pick up where the journal ends; an order without an answer is asked about first."""
        if waiting := self.journal.unanswered():
            self.say(
                "resume", level="WARNING", status="unanswered", reason=f"{len(waiting)} orders"
            )
            self._record(self._send(waiting), now_ns)
        self.account = self.journal.account(self.terms.cash, self.terms.costs)
        self.acted = self.journal.acted()
        self.pending = {intent.symbol: intent for intent in self.journal.pending()}
        self.held_back = {
            symbol
            for symbol, target in self.journal.blocked().items()
            if not self._arises(target, symbol)
        }
        last = self.journal.last_bars()
        self.seen = {symbol: ts for symbol, (ts, _) in last.items()}
        self.closes = {symbol: close for symbol, (_, close) in last.items()}
        self._day = -1
        if self.seen:
            self._open_day(max(self.seen.values()))

    @property
    def equity(self) -> float:
        """Cash and positions at the last closes."""
        return self.account.equity(self.closes)

    def step(
        self, ts: int, bars: Mapping[str, Bar], now_ns: int, deciding: Collection[str] | None = None
    ) -> Stepped:
        """Go through the bars that opened at `ts` and are closed now.

        Decisions that waited for these bars are filled, then the symbols of `deciding` (all by
        default) are decided at their close.
        """
        elapsed, at_open = stopwatch(), self.terms.fill == "next_open"
        references = {symbol: bar.open if at_open else bar.close for symbol, bar in bars.items()}
        answers = self._fill(ts, references, now_ns)
        self.closes.update((symbol, bar.close) for symbol, bar in bars.items())
        equity = self.equity
        if ts >= max(self.seen.values(), default=ts):  # not of a symbol that comes after others
            self._open_day(ts, equity)
        self.seen.update(dict.fromkeys(bars, ts))
        decided = self._decide(ts, bars if deciding is None else deciding, equity, now_ns)
        with self.journal.transaction():
            self.journal.record_decisions(decision for decision, _ in decided)
            for decision, rule in decided:
                if rule:
                    self._alert(decision.ts, decision.symbol, rule, decision.reason)
            closes = {symbol: bar.close for symbol, bar in bars.items()}
            self.journal.record_step(ts, closes, equity, self.account.cash)
        self.say("step", status="done", bar=iso(ts), equity=equity, latency_ms=elapsed())
        decisions = tuple(decision for decision, _ in decided)
        return Stepped(ts, _fills(answers), decisions, equity, self.account.cash)

    def fill_forming(self, ts: int, opens: Mapping[str, float], now_ns: int) -> tuple[Fill, ...]:
        """Fill what waits at the opens of the bars that opened at `ts` and are not closed yet.

        All of it or nothing: a purchase may need the cash of a sale, and its size what the rest of
        the account is worth at that moment. Where an open is missing, the step over the closed bars
        fills all that waits for them.
        """
        due = {one.symbol for one in self.pending.values() if one.decided_ts < ts}
        if self.terms.fill != "next_open" or not due | set(self.account.positions) <= set(opens):
            return ()
        return _fills(self._fill(ts, opens, now_ns))

    def watch(self, symbols: Collection[str], now_ns: int) -> dict[str, str]:
        """Symbols whose newest bar is too old to trade on, and why; each is an alert once."""
        found = {}
        for symbol in symbols:
            ts = self.seen.get(symbol, NO_BAR)
            prospect = self._prospect(ts, symbol, 0.0, self.equity, now_ns)
            if no := verdict(self.rules.of_decisions, prospect):
                rule, reason = no
                found[symbol] = reason if symbol in self.seen else "no closed bar has come yet"
                with self.journal.transaction():
                    self._alert(ts, symbol, rule, found[symbol])
        return found

    def tell_unanswered(self, reasons: Mapping[str, str]) -> None:
        """An alert for each symbol whose bars could not be had, once a bar that was seen."""
        for symbol, reason in sorted(reasons.items()):
            with self.journal.transaction():
                self._alert(self.seen.get(symbol, NO_BAR), symbol, "no_answer", reason)

    # ---- filling

    def _fill(self, ts: int, references: Mapping[str, float], now_ns: int) -> list[Answer]:
        """Send the orders of all decisions that `references` fill.

        They are on disk before, and what came of them right after, whatever comes next.
        """
        due = [
            intent
            for intent in self.pending.values()
            if intent.symbol in references and intent.decided_ts < ts
        ]
        if not due:
            return []
        marks = {**self.closes, **references}
        group = planned(
            due, self.account, self.terms, self.rules.of_orders, ts, references, marks, self.session
        )
        with self.journal.transaction():
            self.journal.record_orders(group.orders, now_ns)
            for order in group.orders:
                self.journal.record_outcome(
                    Intent(order.symbol, order.target, order.decided_ts), "sent"
                )
            for intent in group.nothing:
                self.journal.record_outcome(
                    intent, "nothing", "too small, or beyond what cash pays"
                )
            for intent, rule, reason in group.blocked:
                self.journal.record_outcome(intent, "blocked", reason)
                self._alert(ts, intent.symbol, rule, reason)
        for intent in due:
            del self.pending[intent.symbol]
        if group.blocked:
            self.acted = self.journal.acted()
            stopped = [intent for intent, _, _ in group.blocked]
            self.held_back |= {s.symbol for s in stopped if not self._arises(s.target, s.symbol)}
        answers = self._send(group.orders)
        self._record(answers, now_ns)
        for fill in _fills(answers):
            self.account = self.account.after(fill, self.terms.costs)
        return answers

    def _send(self, orders: Sequence[Order]) -> list[Answer]:
        answers = []
        for order in orders:
            elapsed = stopwatch()
            answers.append(Answer(order, self.broker.submit(order), elapsed()))
        return answers

    def _record(self, answers: Sequence[Answer], now_ns: int) -> None:
        if answers:
            with self.journal.transaction():
                self._write(answers, now_ns)

    def _write(self, answers: Sequence[Answer], now_ns: int) -> None:
        for order, report, latency_ms in answers:
            order = self.journal.record_event(order, report.event, report.fill, now_ns)
            fill: dict[str, Any] = {}
            if report.fill is not None:
                fill = {"qty": report.fill.qty, "price": report.fill.price, "fee": report.fill.fee}
            self.say(
                order.side,
                symbol=order.symbol,
                status=order.status.value,
                client_id=order.client_id,
                latency_ms=latency_ms,
                **fill,
            )

    # ---- deciding

    def _decide(
        self, ts: int, symbols: Collection[str], equity: float, now_ns: int
    ) -> list[tuple[Decision, str]]:
        """Decisions at the close of the bars at `ts`, each with the rule that blocked it or ''."""
        elapsed = stopwatch()
        wishes = self.look(ts, symbols) if symbols else {}
        decided = [
            self._decision(ts, symbol, wishes[symbol], equity, now_ns) for symbol in sorted(wishes)
        ]
        for one, _ in decided:
            if one.state == "pending":
                facts = {"symbol": one.symbol, "target": one.target, "signal": one.signal}
                self.say("decide", status="pending", latency_ms=elapsed(), **facts)
        return decided

    def _decision(
        self, ts: int, symbol: str, wish: Wish, equity: float, now_ns: int
    ) -> tuple[Decision, str]:
        if wish.target is None:
            return Decision(ts, symbol, wish.signal, None, False, "none"), ""
        target = min(wish.target, self.terms.max_position)
        now = target != 0 and (wish.act or symbol in self.held_back)
        arises = self._arises(target, symbol)
        if not now and not arises:
            return Decision(ts, symbol, wish.signal, target, False, "none"), ""
        prospect = self._prospect(ts, symbol, target, equity, now_ns)
        self.held_back.discard(symbol)
        if found := verdict(self.rules.of_decisions, prospect):
            if not arises:
                self.held_back.add(symbol)
            rule, reason = found
            return Decision(ts, symbol, wish.signal, target, False, "blocked", reason), rule
        self.acted[symbol] = target
        self.pending[symbol] = Intent(symbol, target, ts)
        return Decision(ts, symbol, wish.signal, target, True, "pending"), ""

    def _arises(self, target: float, symbol: str) -> bool:
        acted = self.acted.get(symbol, 0.0)
        return (target == 0) != (acted == 0) or abs(target - acted) > self.terms.rebalance

    def _prospect(
        self, ts: int, symbol: str, target: float, equity: float, now_ns: int
    ) -> Prospect:
        age = now_ns - bar_end(ts, self.terms.interval)
        values = {one: qty * self.closes[one] for one, qty in self.account.positions.items()}
        return Prospect(
            symbol=symbol,
            target=target,
            held=part(values.get(symbol, 0.0), equity),
            gross=part(sum(values.values()), equity),
            equity=equity,
            day_equity=self._day_equity,
            age_bars=age / interval_ns(self.terms.interval),
        )

    def _alert(self, ts: int, symbol: str, rule: str, reason: str) -> None:
        if self.journal.record_alert(ts, symbol, rule, reason):
            self.say("alert", level="WARNING", symbol=symbol, status=rule, reason=reason)

    def _open_day(self, ts: int, equity: float | None = None) -> None:
        """Remember what the account was worth when the day (UTC) of the bar's end began.

        A bar as long as a day, or longer, ends with its last day: there its own opening counts.
        `equity` is what the account is worth at the bar's end; without, the journal has it.
        """
        length, end = interval_ns(self.terms.interval), bar_end(ts, self.terms.interval)
        begin = end // DAY * DAY if length < DAY else ts
        if begin == self._day:
            return
        if equity is None or end != begin:
            # by their opening, since months differ: the newest bar that had ended when it began
            before = self.journal.equity_until(begin - length if length < DAY else ts - 1)
            equity = self.terms.cash if before is None else before
        self._day, self._day_equity = begin, equity


def _fills(answers: Sequence[Answer]) -> tuple[Fill, ...]:
    return tuple(one.report.fill for one in answers if one.report.fill is not None)
