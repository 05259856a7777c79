"""Trades of one made-up market, answered as exchanges may answer: cut, at either end, or oddly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from cq.exchanges.trade_pages import After, Ask, Between, Plan
from cq.utils.time import SECOND

AFTER = ("above", "from", "newest", "ignored", "nothing")
"""What an exchange may do when it is asked for the trades after an id."""

SCHEMA = {
    "ts": pl.Int64,
    "price": pl.Float64,
    "size": pl.Float64,
    "side": pl.String,
    "trade_id": pl.String,
    "symbol": pl.String,
    "exchange": pl.String,
}


def trades(stamps: Sequence[int], first_id: int = 1, symbol: str = "BTC-BRL") -> pl.DataFrame:
    """A trade at each of these seconds (rising), with neighbouring ids."""
    rows = [
        (
            second * SECOND,
            100.0 + number % 7,
            (1 + number % 1000) / 10**8,
            ("buy", "sell")[number % 2],
            str(first_id + number),
            symbol,
            "mercadobitcoin",
        )
        for number, second in enumerate(stamps)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@dataclass
class Market:
    """What the exchange holds, and its unknown ways."""

    held: pl.DataFrame
    cap: int = 1000
    keep: Literal["oldest", "newest"] = "newest"
    after: Literal["above", "from", "newest", "ignored", "nothing"] = "above"
    open_ended: bool = False
    """Whether `from` and `to` themselves are outside of the window."""
    given_from: int = 0
    """The oldest id that is still given; what is older is kept no more."""
    going: int = 0
    """How many more ids each reply takes away from what is kept."""
    forgets: Literal["before", "after"] = "before"
    """Whether what is kept no more is left out before a reply is cut, or after."""
    asked: list[Ask] = field(default_factory=list)

    def answer(self, ask: Ask) -> pl.DataFrame:
        """The reply to a plan's wish, by rising id."""
        self.asked.append(ask)
        self.given_from += self.going
        if isinstance(ask, After):
            return self.since(ask.trade_id)
        if isinstance(ask, Between):
            return self.window(max(0, ask.start_ns // SECOND - 1), -(-ask.end_ns // SECOND))
        return self.cut(self.held, "newest")

    def cut(self, found: pl.DataFrame, keep: Literal["oldest", "newest"]) -> pl.DataFrame:
        """What fits into a reply, without what is kept no more."""
        if self.forgets == "before":
            found = self.kept(found)
        return self.kept(found.tail(self.cap) if keep == "newest" else found.head(self.cap))

    def kept(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows without those that are kept no more."""
        return rows.filter(rows["trade_id"].cast(pl.Int64) >= self.given_from)

    def window(self, first: int, last: int) -> pl.DataFrame:
        """The reply to `from` and `to`, in seconds."""
        if self.open_ended:
            first, last = first + 1, last - 1
        found = self.held.filter(pl.col("ts").is_between(first * SECOND, last * SECOND))
        return self.cut(found, self.keep)

    def since(self, trade_id: int) -> pl.DataFrame:
        """The reply to `since` or `tid`."""
        ids = self.held["trade_id"].cast(pl.Int64)
        match self.after:
            case "above":
                return self.cut(self.held.filter(ids > trade_id), "oldest")
            case "from":
                return self.cut(self.held.filter(ids >= trade_id), "oldest")
            case "newest":
                return self.cut(self.held.filter(ids > trade_id), "newest")
            case "ignored":
                return self.cut(self.held, "newest")
            case "nothing":
                return self.held.clear()

    def reply(self, query: Mapping[str, str]) -> list[dict[str, object]]:
        """The body of a reply on the wire; newest first where a limit is named."""
        if "since" in query or "tid" in query:
            rows = self.since(int(query.get("since") or query["tid"]))
        elif "from" in query:
            rows = self.window(int(query["from"]), int(query["to"]))
        else:
            rows = self.kept(self.held.tail(min(self.cap, int(query.get("limit", self.cap)))))
        said: list[dict[str, object]] = [
            {
                "tid": int(row["trade_id"]),
                "date": row["ts"] // SECOND,
                "type": row["side"],
                "price": f"{row['price']:.8f}",
                "amount": f"{row['size']:.8f}",
            }
            for row in rows.iter_rows(named=True)
        ]
        return said[::-1] if "limit" in query else said

    def follow(self, plan: Plan, most: int = 10_000) -> int:
        """Answer a plan to its end; how many questions it asked."""
        try:
            ask = next(plan)
            for _ in range(most):
                ask = plan.send(self.answer(ask))
        except StopIteration:
            return len(self.asked)
        raise AssertionError("the plan does not end")
