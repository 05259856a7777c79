"""All intents of one moment, filled against an account: the plain statement of it."""

from collections.abc import Iterable, Mapping

from cq.backtest.account import Account, Costs, Fill, Intent, filled, in_order, sized


def settle(
    account: Account,
    intents: Iterable[Intent],
    references: Mapping[str, float],
    marks: Mapping[str, float],
    ts: int,
    costs: Costs,
    *,
    at_close: bool = False,
) -> tuple[Account, list[Fill]]:
    """Fill all intents of one moment: the account afterwards and what was traded.

    `references` are the prices of the filling bars, by symbol; `marks` the last known closes of
    the others. Where a symbol has both, its reference counts.
    """
    marks = {**marks, **references}
    equity = account.equity(marks)
    fills: list[Fill] = []
    for intent in in_order(intents, account, equity, references):
        order = sized(intent, account, equity, references[intent.symbol], marks, costs)
        if order is not None:
            fills.append(filled(order, ts, costs, at_close=at_close))
            account = account.after(fills[-1], costs)
    return account, fills
