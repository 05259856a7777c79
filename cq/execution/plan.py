"""From intents that fill together to the orders that go out: sizes first, then the risk rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cq.backtest.account import Account, Costs, Fill, Intent, filled, in_order, sized
from cq.errors import StrategyError
from cq.execution.orders import Order, exact
from cq.execution.risk import Prospect, Rule, verdict
from cq.utils.ids import client_id
from cq.utils.time import bar_end, interval_ns

if TYPE_CHECKING:
    from cq.strategies import Strategy
    from cq.utils.trading_settings import Backtest


@dataclass(frozen=True)
class Terms:
    """How a session trades: what the backtest of the same strategy takes from its settings."""

    interval: str
    cash: float
    costs: Costs
    fill: Literal["next_open", "next_close"] = "next_open"
    max_position: float = 1.0
    rebalance: float = 0.0

    @classmethod
    def of(cls, strategy: Strategy, backtest: Backtest) -> Terms:
        """The terms of `strategy` under the settings of its backtest.

        StrategyError where they ask for what only a backtest can do.
        """
        if found := research_only(strategy, backtest):
            raise StrategyError(
                strategy.where(()) if strategy.code is None else str(strategy.code),
                f"{found} is for backtests only so far; leave it out to trade on paper or live",
            )
        return cls(
            interval=strategy.config.interval,
            cash=backtest.cash,
            costs=Costs.of(backtest),
            fill=backtest.fill,
            max_position=backtest.max_position,
            rebalance=strategy.rebalance,
        )

    def fill_ts(self, ts: int) -> int:
        """When an order that the bar at `ts` fills is filled: at its open, or at its end."""
        return ts if self.fill == "next_open" else bar_end(ts, self.interval)


def research_only(strategy: Strategy, backtest: Backtest) -> str | None:
    """The first setting under which a paper session could not repeat the backtest; None without."""
    orders = strategy.config.orders
    asked = {
        "orders": orders != type(orders)(),
        "sizing.kind: " + strategy.config.sizing.kind: strategy.config.sizing.unit != "fraction",
        "backtest.latency_bars": backtest.latency_bars,
        "backtest.allow_short": backtest.allow_short,
        "backtest.profile": backtest.profile,
        "backtest.slippage.kind: " + backtest.slippage.kind: backtest.slippage.by_volume,
    }
    return next((name for name, found in asked.items() if found), None)


@dataclass
class Group:
    """What intents that fill together come to: orders, nothing to send, or a rule's no."""

    orders: list[Order] = field(default_factory=list)
    nothing: list[Intent] = field(default_factory=list)
    blocked: list[tuple[Intent, str, str]] = field(default_factory=list)


def planned(
    due: Sequence[Intent],
    account: Account,
    terms: Terms,
    rules: Sequence[Rule],
    ts: int,
    references: Mapping[str, float],
    marks: Mapping[str, float],
    session: str,
) -> Group:
    """The orders of `due` in the backtest's order and sizes, each on the account after the last.

    `references` are the filling bars' prices, `marks` those and the last closes of the others.
    """
    group, equity = Group(), account.equity(marks)
    costs = terms.costs.at(terms.fill_ts(ts))
    for intent in in_order(due, account, equity, references):
        order = sized(intent, account, equity, references[intent.symbol], marks, costs)
        if order is None:
            group.nothing.append(intent)
            continue
        fill = filled(order, terms.fill_ts(ts), costs)
        # the bar at `ts` is the first one after that of the decision
        waited = (ts - bar_end(intent.decided_ts, terms.interval)) / interval_ns(terms.interval)
        if found := verdict(rules, prospect_of(fill, account, equity, marks, waited)):
            group.blocked.append((intent, *found))
            continue
        account = account.after(fill, costs)
        group.orders.append(
            Order(
                client_id=client_id(session, intent.decided_ts, intent.symbol, order.side),
                symbol=intent.symbol,
                side=order.side,
                quantity=exact(order.qty),
                reference=exact(order.reference),
                target=intent.target,
                decided_ts=intent.decided_ts,
                fill_ts=fill.ts,
            )
        )
    return group


def prospect_of(
    fill: Fill, account: Account, equity: float, marks: Mapping[str, float], age_bars: float
) -> Prospect:
    """Where the account would stand after `fill`."""
    values = {symbol: qty * marks[symbol] for symbol, qty in account.positions.items()}
    held = account.held(fill.symbol) * marks[fill.symbol]
    traded = fill.qty * marks[fill.symbol]
    wanted = held + (traded if fill.side == "buy" else -traded)
    return Prospect(
        symbol=fill.symbol,
        target=part(wanted, equity),
        held=part(held, equity),
        gross=part(sum(values.values()) - held + wanted, equity),
        equity=equity,
        day_equity=equity,
        age_bars=age_bars,
    )


def part(value: float, equity: float) -> float:
    """`value` as a fraction of equity; NaN, which no rule lets pass, where there is none."""
    return value / equity if equity > 0 else float("nan")
