"""Assets: what moving one in or out costs, and over which networks it moves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from cq.errors import UsageError
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.numbers import decimal, parsed
from cq.exchanges.mercado_bitcoin.question import Question

_NAME: Final = re.compile(r"[A-Z0-9]+")


@dataclass(frozen=True)
class AssetFees:
    """What the exchange takes and asks for when an asset moves; None is what it did not say."""

    asset: str
    network: str | None
    withdrawal_fee: Decimal | None
    withdraw_minimum: Decimal | None
    deposit_minimum: Decimal | None
    deposit_confirmations: int | None


@dataclass(frozen=True)
class Network:
    """A network over which an asset moves."""

    asset: str
    network: str


def fees(asset: str, network: str | None = None) -> Question[AssetFees]:
    """Ask what moving `asset` costs, over its default network unless told."""
    path = f"/{named(asset)}/fees"
    query = {} if network is None else {"network": network}
    return Question("asset_fees", path, lambda body: fees_from(body, path), query)


def networks(asset: str) -> Question[tuple[Network, ...]]:
    """Ask over which networks `asset` moves; none for what is not listed yet, or no more."""
    path = f"/{named(asset)}/networks"
    return Question("asset_networks", path, lambda body: networks_from(body, path))


def named(asset: str) -> str:
    """`asset` itself; UsageError where the exchange would not read it as one."""
    if _NAME.fullmatch(asset):
        return asset
    near = asset.partition("-")[0].upper()
    advice = f"; did you mean {near}?" if _NAME.fullmatch(near) else ""
    raise UsageError(f"{asset!r} is not an asset; expected upper case such as BTC{advice}")


def fees_from(body: str | bytes, path: str = "/fees") -> AssetFees:
    """The reply in the digits that were sent."""
    said = parsed(body, path)
    if not isinstance(said, dict) or not isinstance(said.get("asset"), str):
        raise Unreadable(path, "it names no asset")
    confirmations = decimal(said.get("deposit_confirmations_required"))
    whole = confirmations is not None and confirmations == confirmations.to_integral_value()
    return AssetFees(
        asset=said["asset"],
        network=_text(said, "network"),
        withdrawal_fee=decimal(said.get("withdrawal_fee")),
        withdraw_minimum=decimal(said.get("withdraw_minimum")),
        deposit_minimum=decimal(said.get("deposit_minimum")),
        deposit_confirmations=int(confirmations) if confirmations is not None and whole else None,
    )


def networks_from(body: str | bytes, path: str = "/networks") -> tuple[Network, ...]:
    """The networks in the exchange's order."""
    said = parsed(body, path)
    rows = [] if said is None else said
    if not isinstance(rows, list) or any(
        not isinstance(row, dict) or not _text(row, "coin") or not _text(row, "network")
        for row in rows
    ):
        raise Unreadable(path, "it is no list of coins and networks")
    return tuple(Network(row["coin"], row["network"]) for row in rows)


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) and value else None
