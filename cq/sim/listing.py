"""What the simulated exchange lists: the terms of every market, and the networks of its coins."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from cq.sim.market import COINS, Coin

UNIT: Final = 100_000_000
"""Sizes are counted in 1e-8, and prices are written with 8 decimals."""

GENERATED: Final = (
    *COINS,
    Coin("XRP-BRL", 12.5, 0.001, 9_000.0, silence=0.4, scale=1.4),
    Coin("ADA-BRL", 4.1, 0.001, 12_000.0, silence=0.6, scale=1.5),
    Coin("LTC-BRL", 520, 0.01, 60.0, silence=0.7, scale=1.2),
    Coin("DOGE-BRL", 1.1, 0.0001, 40_000.0, silence=0.6, scale=1.8),
    Coin("BTC-USDT", 67_000, 0.01, 0.3, silence=0.8),
)
"""The coins of a generated exchange, all of them traded."""

QUANTITY_DECIMALS: Final = {
    **dict.fromkeys(("BTC", "ETH"), 8),
    **dict.fromkeys(("BCH", "TAO", "ZEC"), 7),
    **dict.fromkeys(("AAVE", "HYPE", "LTC", "SOL"), 6),
    **dict.fromkeys(("AVAX", "LINK", "UNI"), 5),
    **dict.fromkeys(("ADA", "APT", "DOT", "NEAR", "SUI", "TRX", "USDT", "XRP"), 4),
    **dict.fromkeys(("ALGO", "ARB", "DOGE", "HBAR", "OP", "XLM"), 3),
    "SHIB": 0,
}
NAMES: Final = {
    "BTC": "Bitcoin",
    "ETH": "Ethereum",
    "SOL": "Solana",
    "USDT": "Tether",
    "LINK": "Chainlink",
    "XRP": "XRP",
    "ADA": "Cardano",
    "LTC": "Litecoin",
    "DOGE": "Dogecoin",
    "CLV": "Clover Finance",
}
NETWORKS: Final = {
    "BTC": ("bitcoin",),
    "ETH": ("ethereum",),
    "SOL": ("solana",),
    "USDT": ("tron", "ethereum"),
    "LINK": ("ethereum",),
    "XRP": ("ripple",),
    "ADA": ("cardano",),
    "LTC": ("litecoin",),
    "DOGE": ("dogecoin",),
    "XLM": ("stellar",),
}


@dataclass(frozen=True)
class Listing:
    """The terms of one market. Prices move in `tick`, sizes in 10 to the −`quantity_decimals`."""

    symbol: str
    base: str
    quote: str
    tick: Decimal
    quantity_decimals: int = 8
    description: str = ""
    kind: str = "CRYPTO"
    min_quantity: Decimal = Decimal("0.00000001")
    max_quantity: Decimal = Decimal("1000000000")
    min_cost: Decimal = Decimal("1")
    max_cost: Decimal = Decimal("10000000")
    withdrawal_fee: Decimal = Decimal("0.0004")
    withdraw_minimum: Decimal = Decimal("0.001")
    deposit_minimum: Decimal = Decimal("0.00001")

    @property
    def wire(self) -> str:
        """Its name on the WebSocket: BRLBTC for BTC-BRL."""
        return f"{self.quote}{self.base}"

    @property
    def scale(self) -> int:
        """One tick in units of 1e-8."""
        return int(self.tick * UNIT)

    @property
    def lot(self) -> int:
        """The smallest step of a size in units of 1e-8."""
        return int(10 ** (8 - self.quantity_decimals))

    @property
    def networks(self) -> tuple[str, ...]:
        """Where its coin is deposited and withdrawn."""
        return NETWORKS.get(self.base, (self.base.lower(),))

    def price(self, ticks: int) -> Decimal:
        """The price of so many ticks."""
        return int(ticks) * self.tick

    def ticks(self, price: Decimal) -> int:
        """How many ticks a price is; it must lie on one."""
        return int(price / self.tick)


def listing(symbol: str, tick: Decimal, **terms: object) -> Listing:
    """The usual terms of `symbol`."""
    base, _, quote = symbol.partition("-")
    known = {
        "quantity_decimals": QUANTITY_DECIMALS.get(base, 8),
        "description": NAMES.get(base, base),
    }
    return Listing(symbol, base, quote, tick, **{**known, **terms})  # type: ignore[arg-type]


def generated_listings(coins: tuple[Coin, ...] = GENERATED) -> dict[str, Listing]:
    """The coins, then two that never trade: an empty book, and a token that is only listed."""
    found = {
        coin.symbol: listing(coin.symbol, Decimal(str(coin.tick)).normalize()) for coin in coins
    }
    found["CLV-BRL"] = listing("CLV-BRL", Decimal("0.0001"))
    found["MBTOKEN1-BRL"] = listing("MBTOKEN1-BRL", Decimal("0.01"), kind="DIGITAL_ASSET")
    return found
