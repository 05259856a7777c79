"""Where a session stands, from its journal alone."""

from __future__ import annotations

from typing import Any

import polars as pl

from cq.backtest.account import Account, Costs
from cq.backtest.tape import Tape
from cq.execution.decisions import NO_BAR
from cq.execution.journal import Journal
from cq.utils.time import iso

EQUITY = {"ts": pl.Int64, "equity": pl.Float64, "cash": pl.Float64}


def trades(journal: Journal) -> pl.DataFrame:
    """Every fill, in the columns of a backtest's trades."""
    return Tape.of(journal.fills()).frame()


def equity(journal: Journal) -> pl.DataFrame:
    """What the account was worth at the close of every bar stepped through."""
    rows = journal.rows("select ts, equity, cash from equity order by ts")
    return pl.DataFrame(rows, schema=EQUITY, orient="row")


def summary(journal: Journal, *, recent: int = 5) -> dict[str, Any]:
    """Positions, cash, equity, what waits, the last decisions and alerts, and what was blocked.

    `blocked` counts, by rule, how often it said no.
    """
    session = journal.session()
    account = journal.account(session["cash"], Costs.said(session["costs"]))
    bars = journal.last_bars()
    closes = {symbol: close for symbol, (_, close) in bars.items()}
    worth = account.equity(closes)
    traded = trades(journal)
    return {
        "journal": str(journal.path),
        "mode": session["mode"],
        "strategy": session["strategy"]["name"],
        "started": iso(session["started_ts"]),
        "last_bar": iso(max(ts for ts, _ in bars.values())) if bars else None,
        "cash": account.cash,
        "equity": worth,
        "total_return": worth / session["cash"] - 1,
        "trades": traded.height,
        "fees": float(traded["fee"].sum()),
        "slippage": float(traded["slippage"].sum()),
        "positions": _positions(account, closes),
        "pending": [
            {"symbol": one.symbol, "target": one.target, "decided": iso(one.decided_ts)}
            for one in journal.pending()
        ],
        "decisions": _decisions(journal),
        "alerts": [
            {
                "bar": None if ts == NO_BAR else iso(ts),
                "symbol": symbol,
                "rule": rule,
                "reason": reason,
            }
            for ts, symbol, rule, reason in journal.rows(
                "select ts, symbol, rule, reason from alerts order by id desc limit ?", [recent]
            )
        ],
        "blocked": dict(
            journal.rows("select rule, count(*) from alerts group by rule order by rule")
        ),
    }


def _positions(account: Account, closes: dict[str, float]) -> list[dict[str, Any]]:
    return [
        {
            "symbol": symbol,
            "qty": qty,
            "close": closes[symbol],
            "value": qty * closes[symbol],
        }
        for symbol, qty in sorted(account.positions.items())
    ]


def _decisions(journal: Journal) -> list[dict[str, Any]]:
    """The newest decision of each symbol."""
    rows = journal.rows(
        "select max(ts), symbol, signal, target, state, reason from decisions"
        " group by symbol order by symbol"
    )
    return [
        {
            "bar": iso(ts),
            "symbol": symbol,
            "signal": signal,
            "target": target,
            "state": state,
            "reason": reason,
        }
        for ts, symbol, signal, target, state, reason in rows
    ]
