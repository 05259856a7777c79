"""The public endpoints, with the quirks that were seen on the wire."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from aiohttp import web

from cq.sim.answers import answer, eight, no_route, plain, refused
from cq.sim.books import WHOLE
from cq.sim.history import MOST, History
from cq.sim.listing import Listing
from cq.sim.simulation import Simulation
from cq.utils.time import SECOND


def routes(sim: Simulation) -> list[web.RouteDef]:
    """GET only; the names are those that limits and faults go by."""
    public, history = Public(sim), History(sim)
    pair = "{symbol:[^/-]+-[^/-]+}"
    return [
        web.get("/symbols", public.symbols, name="symbols"),
        web.get("/tickers", public.tickers, name="tickers"),
        web.get("/candles", history.candles, name="candles"),
        web.get(f"/{pair}/orderbook", public.orderbook, name="orderbook"),
        web.get(f"/{pair}/trades", history.trades, name="trades"),
        web.get("/{asset:[^/-]+}/fees", public.fees, name="asset_fees"),
        web.get("/{asset:[^/-]+}/networks", public.networks, name="asset_networks"),
    ]


class Public:
    """Handlers over one simulation."""

    def __init__(self, sim: Simulation) -> None:
        self.sim, self.tape, self.switches = sim, sim.tape, sim.switches
        self.calls = 0

    async def symbols(self, request: web.Request) -> web.Response:
        """Parallel arrays; the order of the rows is another one in every answer."""
        asked = [one for one in request.query.get("symbols", "").split(",") if one]
        known = self.tape.listings
        unknown = [one for one in asked if one not in known]
        if unknown and self.switches.unknown_symbols == "refused":
            return refused(
                400, "PUBLIC_DATA|LIST_SYMBOLS|SYMBOL_IS_INVALID", "The param {symbols} is invalid"
            )
        found = [known[one] for one in asked if one in known] if asked else list(known.values())
        self.calls += 1
        random.Random(f"{self.tape.seed}/{self.calls}").shuffle(found)  # noqa: S311
        now = self.sim.now_ns()
        rows = [self._terms(listing, now) for listing in found]
        names = list(rows[0]) if rows else list(self._terms(next(iter(known.values())), now))
        return answer({name: [row[name] for row in rows] for name in names})

    def _terms(self, listing: Listing, now: int) -> dict[str, Any]:
        least, most = self.tape.price_band(listing.symbol, now)
        movement, scale = _tick(listing, self.switches.tick_encoding)
        lot = f"{Decimal(listing.lot) / 100_000_000:.8f}"
        row = {
            "symbol": listing.symbol,
            "description": listing.description,
            "currency": listing.quote,
            "base-currency": listing.base,
            "exchange-listed": True,
            "exchange-traded": True,
            "minmovement": movement,
            "pricescale": scale,
            "type": listing.kind,
            "timezone": "America/Sao_Paulo",
            "session-regular": "24x7",
            "withdrawal-fee": plain(listing.withdrawal_fee),
            "withdraw-minimum": plain(listing.withdraw_minimum),
            "deposit-minimum": plain(listing.deposit_minimum),
            "min-price": plain(least),
            "max-price": plain(most),
            "min-volume": plain(listing.min_quantity),
            "max-volume": plain(listing.max_quantity),
            "min-cost": plain(listing.min_cost),
            "max-cost": plain(listing.max_cost),
        }
        if self.switches.round_lot != "absent":
            row["round-lot"] = lot if self.switches.round_lot == "text" else float(lot)
        return row

    async def tickers(self, request: web.Request) -> web.Response:
        """The rolling day of each symbol; unknown ones are dropped without a word."""
        asked = [one for one in request.query.get("symbols", "").split(",") if one]
        if not asked:
            return refused(
                400,
                "PUBLIC_DATA|LIST_TICKERS|SYMBOLS_IS_REQUIRED",
                "The param {symbols} must not be empty",
            )
        now = self.sim.now_ns()
        skew = self.sim.told_ns() - now
        known = [one for one in dict.fromkeys(asked) if one in self.tape.listings]
        return answer([{"pair": one} | ticker(self.sim, one, now, skew) for one in known])

    async def orderbook(self, request: web.Request) -> web.Response:
        """Bids best first, whatever the reference says."""
        symbol, limit = request.match_info["symbol"], request.query.get("limit", "")
        if symbol not in self.tape.listings:
            return refused(
                400,
                "PUBLIC_DATA|GET_ORDERBOOK|INVALID_BASE_QUOTE",
                "This BASE-QUOTE is invalid or not found",
            )
        depth = MOST if self.switches.whole_book == "thousand" else WHOLE
        if limit.isascii() and limit.isdigit():
            if int(limit) > MOST:
                return refused(
                    400, "PUBLIC_DATA|GET_ORDERBOOK|LIMIT_MAX_ALLOWED", "Max limit allowed is 1000."
                )
            depth = int(limit) or depth
        now = self.sim.now_ns()
        book, scale = self.tape.book_arrays(symbol, now, depth), self.tape.listings[symbol].scale
        skew = self.sim.told_ns() - now
        return answer(
            {
                "asks": _levels(book.ask * scale, book.ask_size),
                "bids": _levels(book.bid * scale, book.bid_size),
                "timestamp": book.timestamp_ns + skew,
            }
        )

    async def fees(self, request: web.Request) -> web.Response:
        """What a withdrawal costs."""
        found = self._coin(request.match_info["asset"])
        network = request.query.get("network")
        if found is None or (network and network not in found.networks):
            return refused(
                400,
                "PUBLIC_DATA|GET_ASSET_FEES|ASSET_OR_NETWORK_INVALID",
                "The asset couldn't exist or the withdrawal is not active.",
            )
        return answer(
            {
                "asset": found.base,
                "network": network or found.networks[0],
                "deposit_minimum": plain(found.deposit_minimum),
                "deposit_confirmations_required": "3",
                "withdraw_minimum": plain(found.withdraw_minimum),
                "withdrawal_fee": plain(found.withdrawal_fee),
            }
        )

    async def networks(self, request: web.Request) -> web.Response:
        """Where a coin lives."""
        found = self._coin(request.match_info["asset"])
        if found is None:
            return no_route()
        return answer([{"coin": found.base, "network": network} for network in found.networks])

    def _coin(self, asset: str) -> Listing | None:
        return next((one for one in self.tape.listings.values() if one.base == asset), None)


def ticker(sim: Simulation, symbol: str, now: int, skew: int = 0) -> dict[str, Any]:
    """The rolling 24 hours as REST and WebSocket write them."""
    found, scale = sim.tape.ticker(symbol, now), sim.tape.listings[symbol].scale
    return {
        "high": eight(found.high * scale),
        "low": eight(found.low * scale),
        "vol": eight(found.volume),
        "last": eight(found.last * scale),
        "buy": eight(found.bid * scale),
        "sell": eight(found.ask * scale),
        "open": eight(found.open * scale),
        "date": (found.last_ns or sim.tape.begin_ns) // SECOND + skew // SECOND,
    }


def _tick(listing: Listing, encoding: str) -> tuple[str, int]:
    if encoding == "price":
        return plain(listing.tick), 100_000_000
    if encoding == "ratio":
        return str(listing.scale), 100_000_000
    return "0.00000001", 100_000_000


def _levels(prices: Any, sizes: Any) -> list[list[str]]:
    return [
        [eight(price), eight(size)]
        for price, size in zip(prices.tolist(), sizes.tolist(), strict=True)
    ]
