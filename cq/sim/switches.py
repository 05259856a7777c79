"""What is not known of the exchange, each as a named switch with a stated default."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cq.sim.trading_switches import TradingSwitches


class Switches(TradingSwitches):
    """How the simulated exchange behaves where nobody knows, or sources disagree.

    The table in docs/sim.md says why each default was chosen.
    """

    # limits
    limit_time: Literal["real", "exchange"] = Field(
        "real", description="which clock the rate limits go by"
    )
    limit_scope: Literal["endpoint", "symbol"] = Field(
        "endpoint", description="what the limit of one a second is counted for"
    )
    limit_factor: float = Field(
        1.0, gt=0, description="0.5: only half of the documented rate is allowed"
    )
    limit_slack_ms: float = Field(
        250.0, ge=0, description="a request may come so much early; the rate in the long run stays"
    )
    unstated_per_second: float | None = Field(
        None, gt=0, description="limit of the endpoints for which none is documented"
    )
    limit_retry_after: Literal["none", "seconds", "date"] = Field(
        "none", description="the header Retry-After of a 429"
    )
    limit_body: Literal["application", "gateway", "html"] = Field(
        "application", description="the form of a 429's body"
    )

    # candles
    max_candles: int | None = Field(None, ge=1, description="most bars of one reply")
    candles_kept: Literal["newest", "oldest"] = Field(
        "newest", description="which bars stay where max_candles cuts"
    )
    minute_history_days: float | None = Field(None, gt=0, description="how far back 1m bars reach")
    week_starts: Literal["monday", "thursday"] = Field(
        "monday", description="when 1w bars open; thursday is the epoch's weekday"
    )

    # trades
    trades_kept: Literal["newest", "oldest"] = Field(
        "newest", description="which trades of a from/to window stay where 1000 are too few"
    )
    trades_order: Literal["by_parameters", "ascending", "descending"] = Field(
        "by_parameters", description="by_parameters: descending where limit stands alone"
    )
    since: Literal["after", "from", "ignored"] = Field(
        "after", description="after: ids above the value, oldest first; from: the value as well"
    )
    tid: Literal["after", "from", "exact", "ignored"] = Field(
        "after", description="what `tid` selects"
    )
    trades_to: Literal["inclusive", "exclusive"] = Field(
        "inclusive", description="whether a trade of the second `to` is in the window"
    )
    trades_half_window: Literal["refused", "open"] = Field(
        "refused", description="`from` without `to`, or `to` without `from`"
    )
    trades_history_days: float | None = Field(None, gt=0, description="how far back trades reach")

    # listing and book
    tick_encoding: Literal["price", "ratio", "constant"] = Field(
        "price",
        description="price: minmovement is the tick; ratio: minmovement / pricescale is; "
        "constant: both always say 8 decimals",
    )
    round_lot: Literal["text", "number", "absent"] = Field("text", description="type of round-lot")
    unknown_symbols: Literal["dropped", "refused"] = Field(
        "dropped", description="an unknown name in /symbols?symbols="
    )
    whole_book: Literal["all", "thousand"] = Field("all", description="the book without `limit`")

    # sockets
    ws_max_connections: int | None = Field(None, ge=1, description="sockets open at once")
    ws_max_life_s: float | None = Field(None, gt=0, description="age at which a socket is dropped")
    ws_idle_s: float = Field(
        60.0, gt=0, description="a socket without traffic is dropped after so long; 5 in the docs"
    )
    ws_one_book_limit: bool = Field(
        True, description="the last book limit sent on a socket applies to all its books"
    )
