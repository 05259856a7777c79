import asyncio
import json
from decimal import Decimal

import pytest
from exchange import Fault
from key_exchange import ACCOUNT

from cq.errors import Refused, UsageError
from cq.exchanges import Account
from cq.exchanges.account import AccountInfo, Balance, Position, TradingFees
from cq.exchanges.mercado_bitcoin import (
    AsyncMercadoBitcoinAccount,
    AsyncRest,
    MercadoBitcoinAccount,
    Rest,
    accounts,
)
from cq.exchanges.mercado_bitcoin.errors import Unreadable

BALANCES = f"/accounts/{ACCOUNT}/balances"


@pytest.fixture
def private(shared):
    """The recorded answers to private calls."""
    folder = shared / "mercado_bitcoin" / "fixtures" / "rest_v4" / "private"
    return lambda name: (folder / f"{name}_20251224_par.json").read_bytes()


def balances(*rows):
    names = ("symbol", "available", "on_hold", "total")
    body = json.dumps([dict(zip(names, row, strict=True)) for row in rows])
    return accounts.balances_from(body.encode(), BALANCES)


def test_the_recorded_accounts(private):
    assert accounts.accounts().read(private("accounts")) == [
        AccountInfo(id=ACCOUNT, name="main", currency="BRL", kind="NORMAL")
    ]


def test_the_recorded_balances_come_by_name_zeros_included(private):
    found = accounts.balances(ACCOUNT).read(private("balances_head"))
    assert list(found) == ["CARTAO48", "MLTPLK11", "OP", "VINE"]
    assert found["OP"] == Balance("OP", Decimal(0), Decimal(0), Decimal(0))
    assert f"{found['OP'].total}" == "0E-8"  # eight decimals, as it was sent


def test_the_recorded_positions_are_open_orders(private):
    assert accounts.positions(ACCOUNT).read(private("positions_head")) == [
        Position(
            order_id="01KD94WJJTE8BEBW13Q35ZH96Y",
            symbol="BTC-BRL",
            side="sell",
            kind="limit",
            quantity=Decimal("0.00001000"),
            average_price=None,
        )
    ]


def test_an_amount_keeps_its_digits_whether_text_or_number():
    body = b'[{"symbol":"BTC","available":"123456789.123456789012345","on_hold":0.1,"total":7}]'
    found = accounts.balances_from(body, BALANCES)["BTC"]
    assert (str(found.available), str(found.on_hold), str(found.total)) == (
        "123456789.123456789012345",
        "0.1",
        "7",
    )


@pytest.mark.parametrize(
    "row",
    [
        ("BTC", "1", "0", "-1"),
        ("BTC", "1", "0", "NaN"),
        ("BTC", "1", None, "1"),
        ("BTC", "", "0", "1"),
        ("BTC", True, "0", "1"),
        ("", "1", "0", "1"),
    ],
)
def test_a_balance_in_doubt_is_unreadable(row):
    with pytest.raises(Unreadable, match="its field"):
        balances(("ETH", "1", "0", "1"), row)


def test_an_asset_named_twice_is_unreadable():
    with pytest.raises(Unreadable, match="twice"):
        balances(("BTC", "1", "0", "1"), ("BTC", "2", "0", "2"))


@pytest.mark.parametrize("body", [b"", b"{}", b"[7]", b"<html>", b'{"error":{}}'])
def test_an_answer_of_another_form_is_unreadable(body):
    for question in (
        accounts.accounts(),
        accounts.balances(ACCOUNT),
        accounts.positions(ACCOUNT),
        accounts.fees(ACCOUNT, "BTC-BRL"),
    ):
        with pytest.raises(Unreadable):
            question.read(body)


def test_fees_are_fractions():
    body = b'{"base":"BTC","quote":"BRL","maker_fee":"0.00300000","taker_fee":"0.00700000"}'
    found = accounts.fees(ACCOUNT, "BTC-BRL").read(body)
    assert found == TradingFees("BTC-BRL", Decimal("0.003"), Decimal("0.007"))
    with pytest.raises(Unreadable, match="no fractions"):
        accounts.fees(ACCOUNT, "BTC-BRL").read(body.replace(b"0.003", b"3.003"))


@pytest.mark.parametrize(
    ("body", "tier"),
    [(b'[{"tier":"13"}]', "13"), (b'{"tier":13}', "13"), (b"[]", None), (b"[{}]", None)],
)
def test_a_tier_comes_in_any_form(body, tier):
    assert accounts.tier_from(body, "/tier") == tier


@pytest.mark.parametrize("account", ["", "../wallet", "a b", "x?y=1"])
def test_an_account_that_is_none_is_never_asked_for(account):
    with pytest.raises(UsageError, match="no account's id"):
        accounts.balances(account)


def test_symbols_are_checked_before_they_are_asked_for():
    with pytest.raises(UsageError, match="BTC-BRL"):
        accounts.positions(ACCOUNT, ["btc-brl"])
    query = accounts.positions(ACCOUNT, ["BTC-BRL", "ETH-BRL"]).params
    assert query == {"symbols": "BTC-BRL,ETH-BRL"}


def all_of(account: Account):
    """Every reading, in one line each."""
    (first,) = account.accounts()
    return [
        first,
        account.balances(first.id),
        account.fees(first.id, "BTC-BRL"),
        account.positions(first.id),
        account.tier(first.id),
    ]


async def all_later(account):
    (first,) = await account.accounts()
    return [
        first,
        await account.balances(first.id),
        await account.fees(first.id, "BTC-BRL"),
        await account.positions(first.id),
        await account.tier(first.id),
    ]


def test_threads_and_event_loops_read_the_same(locked):
    locked.answers[f"/accounts/{ACCOUNT}/positions"] = []
    with Rest(locked.ingestion(), credentials=locked.key()) as rest:
        found = all_of(MercadoBitcoinAccount(rest))

    async def run():
        async with AsyncRest(locked.ingestion(), credentials=locked.key()) as later:
            return await all_later(AsyncMercadoBitcoinAccount(later))

    assert asyncio.run(run()) == found
    assert found[1]["BTC"].total == Decimal("1.5")
    assert found[-1] is None


def test_a_tier_that_is_refused_otherwise_is_an_error(locked):
    locked.faults[f"/accounts/{ACCOUNT}/tier"].append(Fault(400, '{"code":"A|B|C","message":"x"}'))
    with (
        Rest(locked.ingestion(), credentials=locked.key()) as rest,
        pytest.raises(Refused, match="400"),
    ):
        MercadoBitcoinAccount(rest).tier(ACCOUNT)
