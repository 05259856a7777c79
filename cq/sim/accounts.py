"""Accounts, and a ledger in which every movement has two ends, so that nothing is made or lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import sha256

from cq.errors import UsageError
from cq.sim.fees import Volume
from cq.sim.money import UNIT, ZERO, is_multiple


class Overdrawn(ArithmeticError):
    """More was taken from a purse than is in it: a fault of the engine, never of a client."""


@dataclass(frozen=True)
class Purse:
    """One asset of one account: what is free, and what open orders keep."""

    available: Decimal = ZERO
    on_hold: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """All of it."""
        return self.available + self.on_hold

    def moved(self, available: Decimal, on_hold: Decimal) -> Purse:
        """With so much more of each; neither may end below zero."""
        purse = replace(self, available=self.available + available, on_hold=self.on_hold + on_hold)
        if purse.available < 0 or purse.on_hold < 0:
            raise Overdrawn(f"{self} cannot move by {available} available, {on_hold} on hold")
        return purse


@dataclass
class Account:
    """Whose the orders are."""

    id: str
    name: str = "main"
    opened_ns: int = 0
    purses: dict[str, Purse] = field(default_factory=dict)
    volume: Volume = field(default_factory=Volume)

    def purse(self, asset: str) -> Purse:
        """What it has of an asset; an empty purse where it never had any."""
        return self.purses.get(asset, Purse())

    def hold(self, asset: str, amount: Decimal) -> None:
        """Set aside for an order."""
        self.purses[asset] = self.purse(asset).moved(-amount, amount)

    def release(self, asset: str, amount: Decimal) -> None:
        """Give back what an order kept."""
        self.hold(asset, -amount)


@dataclass
class Ledger:
    """All accounts, the market they trade with, and the fees that were taken.

    Over accounts, `market` and `fees` together the amount of an asset never changes.
    """

    accounts: dict[str, Account] = field(default_factory=dict)
    market: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(lambda: ZERO))
    fees: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(lambda: ZERO))

    def open(self, account: Account, balances: Mapping[str, Decimal] | None = None) -> Account:
        """Add an account with what it has at the start."""
        account.purses |= {asset: Purse(amount) for asset, amount in (balances or {}).items()}
        self.accounts[account.id] = account
        return account

    def pay(self, account: Account, asset: str, amount: Decimal) -> None:
        """From what an order keeps to the market."""
        account.purses[asset] = account.purse(asset).moved(ZERO, -amount)
        self.market[asset] += amount

    def receive(self, account: Account, asset: str, amount: Decimal, fee: Decimal) -> None:
        """From the market to the account, less the fee."""
        self.market[asset] -= amount
        self.fees[asset] += fee
        account.purses[asset] = account.purse(asset).moved(amount - fee, ZERO)

    def total(self, asset: str) -> Decimal:
        """All there is of an asset, wherever it is."""
        held = sum((one.purse(asset).total for one in self.accounts.values()), ZERO)
        return held + self.market.get(asset, ZERO) + self.fees.get(asset, ZERO)


def account_id(login: str) -> str:
    """The 64 hex digits that a login's account is known by."""
    return sha256(login.encode()).hexdigest()


def balances_of(words: Iterable[str]) -> dict[str, Decimal]:
    """`BRL=100000` and the like → what an account starts with; a UsageError names a wrong one."""
    found: dict[str, Decimal] = {}
    for word in words:
        asset, equals, amount = word.partition("=")
        asset = asset.strip().upper()
        if not (equals and asset.isalnum()):
            raise UsageError(f"a balance is ASSET=AMOUNT, such as BRL=100000; not {word!r}")
        if asset in found:
            raise UsageError(f"two balances of {asset}; state it once")
        found[asset] = amount_of(amount, word)
    return found


def amount_of(amount: object, where: object) -> Decimal:
    """A plain number from 0 to 1e15 with at most 8 decimals."""
    try:
        value = Decimal(str(amount).strip().replace("_", ""))
    except ArithmeticError:
        value = Decimal("NaN")
    if not (value.is_finite() and 0 <= value <= Decimal("1e15") and is_multiple(value, UNIT)):
        raise UsageError(
            f"{where!r}: an amount is a number from 0 to 1e15 with at most 8 decimals, "
            "such as BRL=100000"
        )
    return value.quantize(UNIT)
