"""What a session has done, where SQL finds it: in the lake, and in a folder among the runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from cq.errors import CqError
from cq.execution.journal import Journal
from cq.execution.orders import OVER
from cq.execution.summary import equity, trades
from cq.lake import parquet
from cq.utils.files import write_text
from cq.utils.time import iso

if TYPE_CHECKING:
    from cq.lake import Lake

WAIT_S = 1
"""How long another writer of the same account is waited for."""
ORDERS = """
select o.created_ts, o.client_id, o.side, 'market', o.reference, o.quantity, o.status, f.fee,
    o.symbol
from orders o left join fills f using (client_id) where o.status in ({}) order by o.rowid
"""
FILLS = """
select ts, client_id, side, 'market', price, quantity, 'filled', fee, symbol from fills order by id
"""
COLUMNS = ("ts", "client_id", "side", "type", "price", "size", "status", "fee", "symbol")


def mirror(lake: Lake, journal: Journal, now_ns: int, note: Callable[[str], None]) -> None:
    """Bring the lake's `orders` and `fills` and the folder of runs up to date with the journal.

    The same again changes nothing. The session never fails by it: what cannot be written now is
    noted, and written when the next session ends.
    """
    try:
        account = account_of(journal)
        folder = lake.runs / account
        said = _said(journal, account)
        if _known(folder) == said:
            return
        for name, rows in (("orders", _orders(journal)), ("fills", _fills(journal))):
            if rows.height:
                rows = rows.with_columns(exchange=pl.lit(account))
                lake.write(name, rows, source="journal", now_ns=now_ns, wait_s=WAIT_S)
        _keep(folder, journal, said)
    except (CqError, OSError) as error:
        note(f"cq: orders and fills of {journal.path} are not in the lake yet: {error}")


def account_of(journal: Journal) -> str:
    """The name of the session's account, such as `paper-3f9c0e12ab77`."""
    session = journal.session()
    return f"{session['mode']}-{session['id']}"


def _said(journal: Journal, account: str) -> dict[str, Any]:
    """How far the journal is; the same where nothing came since."""
    (over,), (last,) = journal.rows(
        "select count(*) from order_events union all select coalesce(max(ts), 0) from equity"
    )
    session = journal.session()
    started = iso(session["started_ts"] // 10**9 * 10**9)
    return {"id": account, "mode": session["mode"], "started": started, "events": over, "ts": last}


def _known(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _orders(journal: Journal) -> pl.DataFrame:
    over = [status.value for status in OVER]
    rows = journal.rows(ORDERS.format(", ".join("?" * len(over))), over)
    return _frame(rows).with_columns(order_id=pl.lit(None, pl.String))


def _fills(journal: Journal) -> pl.DataFrame:
    """One fill an order, so it has the order's name."""
    return _frame(journal.rows(FILLS)).with_columns(
        order_id=pl.lit(None, pl.String), fill_id="client_id"
    )


def _frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    numbers = {"price", "size", "fee"}
    data = {
        name: [
            float(Decimal(row[i])) if name in numbers and row[i] is not None else row[i]
            for row in rows
        ]
        for i, name in enumerate(COLUMNS)
    }
    kinds = {name: pl.Float64 if name in numbers else pl.String for name in COLUMNS}
    return pl.DataFrame(data, schema=kinds | {"ts": pl.Int64})


def _keep(folder: Path, journal: Journal, said: dict[str, Any]) -> None:
    """The files that a backtest leaves too; `run.json` comes last and says that all are there."""
    session, filled, worth = journal.session(), trades(journal), equity(journal)
    curve = worth.with_columns(exposure=1 - pl.col("cash") / pl.col("equity"))
    parquet.place(parquet.encoded(curve), folder, "equity.parquet")
    cash = session["cash"]
    figures = {
        "total_return": curve["equity"][-1] / cash - 1 if curve.height else 0.0,
        "trades": filled.height,
        "fees": float(filled["fee"].sum()),
        "slippage": float(filled["slippage"].sum()),
    }
    strategy = session["strategy"]
    config = {"strategy": strategy, "symbols": strategy.get("symbols"), "backtest": {"cash": cash}}
    write_text(folder / "trades.csv", filled.write_csv())
    write_text(folder / "config.json", json.dumps(config, indent=2, default=str) + "\n")
    write_text(folder / "metrics.json", json.dumps(figures, indent=2) + "\n")
    write_text(folder / "run.json", json.dumps(said, indent=2) + "\n")
