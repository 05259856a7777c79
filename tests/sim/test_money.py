from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.errors import UsageError
from cq.sim.accounts import Account, Overdrawn, Purse, account_id, balances_of
from cq.sim.fees import TIERS, Volume, next_refresh_ns, rates_of, tier_of
from cq.sim.money import UNIT, is_multiple, lot_of, number, rounded, text
from cq.utils.time import DAY, HOUR, parse_time

amounts = st.decimals(0, 10**9, places=12)


@given(amounts)
def test_rounding_up_and_down_are_at_most_one_unit_apart(value):
    assert 0 <= rounded(value, "up") - rounded(value, "down") <= UNIT
    assert rounded(value, "down") <= value <= rounded(value, "up")


def test_amounts_have_eight_decimals_and_no_exponent():
    assert text(Decimal("1E-8")) == "0.00000001"
    assert text(Decimal("1E+3")) == "1000.00000000"
    assert text(Decimal(0)) == "0.00000000"


def test_prices_are_json_numbers_that_are_whole_where_they_can_be():
    assert number(Decimal("242842.000")) == 242842
    assert isinstance(number(Decimal("242842.000")), int)
    assert number(Decimal("5.1234")) == 5.1234


def test_steps_are_exact():
    assert is_multiple(Decimal("0.3"), Decimal("0.1"))
    assert not is_multiple(Decimal("242842.5"), Decimal(1))
    assert is_multiple(Decimal("0.00001"), lot_of(8))


def test_no_purse_goes_below_zero():
    with pytest.raises(Overdrawn):
        Purse(Decimal(1)).moved(Decimal(-2), Decimal(2))


def test_a_hold_moves_from_available_and_back():
    account = Account("a", purses={"BRL": Purse(Decimal(10))})
    account.hold("BRL", Decimal(4))
    assert account.purse("BRL") == Purse(Decimal(6), Decimal(4))
    account.release("BRL", Decimal(4))
    assert account.purse("BRL").total == account.purse("BRL").available == 10


def test_balances_are_read_from_words():
    assert balances_of(["BRL=100_000", "btc=0.5"]) == {
        "BRL": Decimal(100000),
        "BTC": Decimal("0.5"),
    }


@pytest.mark.parametrize(
    "word", ["BRL", "BRL=", "=5", "BRL=-1", "BRL=nan", "BRL=1e99", "BRL=0.000000001", "B L=1"]
)
def test_a_wrong_balance_is_named(word):
    with pytest.raises(UsageError, match="BRL=100000"):
        balances_of([word])


def test_a_balance_is_stated_once():
    with pytest.raises(UsageError, match="two balances of BRL"):
        balances_of(["BRL=1", "brl=2"])


def test_account_ids_are_64_hex_digits():
    assert len(account_id("x")) == 64
    assert int(account_id("x"), 16)


def test_the_fee_table_falls_with_volume():
    rates = [rates for _, rates in TIERS]
    assert len(rates) == 13
    assert [one.maker for one in rates] == sorted((one.maker for one in rates), reverse=True)
    assert (rates[0].maker, rates[0].taker) == (Decimal("0.0030"), Decimal("0.0070"))
    assert (rates[-1].maker, rates[-1].taker) == (Decimal("0.00015"), Decimal("0.0025"))


def test_tiers_hold_up_to_and_with_their_volume():
    assert [tier_of(Decimal(one)) for one in ("0", "10000", "10000.01", "2e8", "3e8")] == [
        1,
        1,
        2,
        12,
        13,
    ]


def test_coin_against_coin_is_free():
    assert rates_of(1, "USDT").taker == 0


def test_tiers_change_at_two_in_brasilia():
    day = parse_time("2026-01-05")
    assert next_refresh_ns(day) == day + 5 * HOUR
    assert next_refresh_ns(day + 5 * HOUR) == day + DAY + 5 * HOUR


def test_volume_counts_for_thirty_days_from_the_next_refresh_on():
    volume, day = Volume(), parse_time("2026-01-05")
    volume.add(day, Decimal(60_000))
    assert volume.tier == 1
    volume.refresh(day + DAY)
    assert volume.tier == 3
    volume.refresh(day + 30 * DAY)
    assert volume.tier == 1
