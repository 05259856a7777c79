"""What nobody knows of trading on the exchange, each as a named switch with a stated default.

A client that is right under every setting of a switch need not know the answer.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TradingSwitches(BaseModel):
    """The private side of `Switches`; a default is what was recorded, else what is likelier."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # signing in
    oauth2: bool = Field(True, description="`POST /oauth2/token` is there")
    authorize: bool = Field(True, description="`POST /authorize` is there still")
    token_seconds: int = Field(3600, gt=0, description="life of a token, by the exchange's clock")
    gateway_text: Literal["recorded", "reference"] = Field(
        "reference", description="wording of the gateway's 401 and 403: of 2026, or seen in 2024"
    )
    tier_reply: Literal["missing", "documented"] = Field(
        "missing", description="GET …/tier: 404 as in every recording, or the documented rows"
    )

    # placing
    async_delay_ms: int = Field(
        200, ge=0, description="how long an order placed with async stays `created`"
    )
    new_order_hidden_ms: int = Field(
        0, ge=0, description="how long a new id is answered with ORDER_NOT_FOUND"
    )
    duplicate_external_id: Literal["allowed", "refused"] = Field(
        "allowed", description="a second order with the same externalId: fine, or ORDER_DUPLICATE"
    )
    post_only_crossing: Literal["cancelled", "rejected"] = Field(
        "cancelled",
        description="a post-only order that would cross: taken and cancelled, or refused",
    )
    buy_stop: Literal["refused", "accepted"] = Field(
        "refused", description="a stoplimit that buys: INVALID_SIDE, or an order like any other"
    )
    market_cost: Literal["accepted", "rejected"] = Field(
        "accepted", description="a market buy by `cost`: an order, or INVALID_PARAMETER"
    )
    off_tick_code: str = Field(
        "INVALID_LIMIT_PRICE", description="error name of a price that is no multiple of the tick"
    )

    # filling
    resting_fill: Literal["queue", "touch", "through"] = Field(
        "queue",
        description="a trade at a resting order's price fills it behind the size that the book "
        "showed there, or at once, or not before the price has gone through it",
    )
    fee_rounding: Literal["up", "down", "half_even"] = Field(
        "up", description="how the fee of an order is brought to 8 decimals"
    )
    new_account_free_hours: int = Field(
        0, ge=0, description="hours from the start without fees (the fee page says 48)"
    )

    # cancelling and listing
    cancel_delay_ms: int = Field(
        500, ge=0, description="how long an order lives on after an asynchronous cancel"
    )
    cancel_reply: Literal["empty", "queued"] = Field(
        "empty", description="body of a cancel: {}, or {status: queued_to_cancel}"
    )
    cancel_all_reply: Literal["array", "object"] = Field(
        "array", description="body of cancel_all_open_orders: one item an order, or one object"
    )
    status_case: Literal["lower", "upper", "mixed"] = Field(
        "lower", description="letter case of `status`; mixed changes from order to order"
    )
    trigger_order_id: Literal["all", "stops"] = Field(
        "all", description="which orders carry `triggerOrderId`"
    )
    list_rows: int = Field(100, gt=0, description="most orders in one reply of a list")
