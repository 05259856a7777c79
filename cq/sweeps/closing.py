"""What a stretch of time still holds at its end is sold there, at the costs of a market order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cq.backtest.account import Account, Fill
from cq.backtest.arithmetic import priced
from cq.backtest.engine import Simulation
from cq.backtest.grid import impact_of
from cq.backtest.market import Market, Rules
from cq.backtest.tape import Tape
from cq.utils.time import bar_end

REASON: Final = "fold_end"


def closed(made: Simulation, markets: Sequence[Market], rules: Rules) -> Simulation:
    """`made` with every position closed at its market's last close: fills, account, last bar.

    Fees and slippage are those of market orders; neither volume nor least notional holds it up.
    """
    account, fills = made.account, []
    for market in markets:
        held = account.held(market.symbol)
        if held:
            fills.append(_fill(held, market, rules, bar_end(int(made.ts[-1]), rules.interval)))
            account = _after(account, fills[-1])
    if not fills:
        return made
    equity, cash, exposure = made.equity.copy(), made.cash.copy(), made.exposure.copy()
    equity[-1] = cash[-1] = account.cash
    exposure[-1] = 0.0
    return made._replace(
        fills=made.fills + Tape.of(fills), account=account, equity=equity, cash=cash,
        exposure=exposure,
    )  # fmt: skip


def _fill(held: float, market: Market, rules: Rules, ts: int) -> Fill:
    costs, close, qty = rules.costs.at(ts), float(market.close[-1]), abs(held)
    impact = 0.0
    if costs.impact is not None and market.volume is not None:
        window = costs.impact_window or 2
        impact = float(impact_of(market.close, market.volume, costs.impact, window)[-1])
    move, half = costs.slippage_bps / 10_000, costs.half_ticks or 0.0
    price = priced(int(held < 0), close, qty, move, half, costs.tick or 0.0, impact)
    return Fill(
        ts, market.symbol, "sell" if held > 0 else "buy", qty, price,
        costs.fee(qty, price), abs(price - close) * qty, REASON, at_close=True,
    )  # fmt: skip


def _after(account: Account, fill: Fill) -> Account:
    """The account without that position; what a short cost may be more than there is."""
    worth = fill.qty * fill.price * (1 if fill.side == "sell" else -1)
    others = {name: qty for name, qty in account.positions.items() if name != fill.symbol}
    return Account(account.cash + worth - fill.fee, others)
