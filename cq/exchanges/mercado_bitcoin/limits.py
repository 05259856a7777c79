"""How often each endpoint may be called, as the exchange documents it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import httpx

from cq.errors import ConfigError
from cq.exchanges.limits import Limits, Rate, shared
from cq.utils.settings import Ingestion

PUBLIC: Final = (
    "symbols",
    "tickers",
    "orderbook",
    "trades",
    "candles",
    "asset_fees",
    "asset_networks",
)
"""One call a second each; `ingestion.rate_limits.requests_per_second` says so."""

PRIVATE: Final = {
    "list_market_orders": Rate(10),
    "list_all_orders": Rate(3),
    "place_order": Rate(3),
    "cancel_order": Rate(3),
    "balances": Rate(3),
    "get_order": Rate(1),
    "positions": Rate(1),
    "cancel_all_orders": Rate(1, 60),
}
"""The private endpoints with a documented rate of their own."""

UNSTATED: Final = ("oauth2_token", "authorize", "accounts", "trading_fees", "tier")
"""Endpoints without a documented rate: they count against the limit of all calls only."""


def rates(requests_per_second: float) -> dict[str, Rate | None]:
    """Endpoint → rate, where a public endpoint may be called `requests_per_second` times.

    The private endpoints keep their documented proportion to the public ones.
    """
    known: dict[str, Rate | None] = dict.fromkeys(UNSTATED)
    known |= dict.fromkeys(PUBLIC, Rate(requests_per_second))
    for endpoint, rate in PRIVATE.items():
        known[endpoint] = Rate(rate.calls * requests_per_second, rate.seconds)
    return known


def limits_for(ingestion: Ingestion) -> Limits:
    """The limits that everything in this process shares towards the exchange in `ingestion`."""
    try:
        host = httpx.URL(ingestion.rest_base_url).netloc.decode()
        urlsplit(ingestion.rest_base_url).port  # noqa: B018 - it is checked as it is read
    except (httpx.InvalidURL, ValueError) as wrong:
        problem = f"{ingestion.rest_base_url}: {wrong}"
        raise ConfigError("ingestion.rest_base_url", problem) from None
    allowed = ingestion.rate_limits
    a_second = allowed.requests_per_second
    return shared(host, allowed.requests_per_minute, a_second, rates(a_second))
