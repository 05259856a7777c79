from decimal import Decimal

import pytest

from cq.errors import UsageError
from cq.exchanges.mercado_bitcoin.assets import (
    AssetFees,
    Network,
    fees,
    fees_from,
    networks,
    networks_from,
)
from cq.exchanges.mercado_bitcoin.errors import Unreadable

D = Decimal


def test_the_recorded_fees_read_as_the_reference_says(shared):
    path = shared / "mercado_bitcoin/fixtures/rest_v4/asset_fees_BTC_20251119.json"
    assert fees_from(path.read_bytes()) == AssetFees(
        asset="BTC",
        network="bitcoin",
        withdrawal_fee=D("0.00016"),
        withdraw_minimum=D("0.0003"),
        deposit_minimum=D("0.00001"),
        deposit_confirmations=3,
    )


def test_what_is_absent_null_or_no_number_says_nothing():
    body = '{"asset":"X","withdrawal_fee":null,"deposit_minimum":"","withdraw_minimum":"NaN"}'
    assert fees_from(body) == AssetFees("X", None, None, None, None, None)
    assert fees_from('{"asset":"X","deposit_confirmations_required":2}').deposit_confirmations == 2


def test_networks_are_pairs_in_the_exchanges_order_or_none():
    body = '[{"coin":"USDT","network":"tron"},{"coin":"USDT","network":"ethereum"}]'
    assert networks_from(body) == (Network("USDT", "tron"), Network("USDT", "ethereum"))
    assert networks_from("[]") == networks_from("null") == ()


@pytest.mark.parametrize("body", ["<html>", "[]", '{"network":"x"}', '{"asset":null}', ""])
def test_what_is_no_reply_of_fees_is_worth_another_try(body):
    with pytest.raises(Unreadable):
        fees_from(body)


@pytest.mark.parametrize("body", ["<html>", "{}", "[1]", '[{"coin":"X"}]', '[{"network":"x"}]'])
def test_what_is_no_list_of_networks_is_worth_another_try(body):
    with pytest.raises(Unreadable):
        networks_from(body)


def test_the_request_names_asset_and_network():
    assert (fees("BTC").path, fees("BTC").params) == ("/BTC/fees", {})
    assert fees("USDT", "tron").params == {"network": "tron"}
    assert (fees("BTC").endpoint, networks("XLM").endpoint) == ("asset_fees", "asset_networks")
    assert networks("XLM").path == "/XLM/networks"


@pytest.mark.parametrize("asset", ["btc", "BTC-BRL", "../x", ""])
def test_what_is_no_asset_is_refused_before_anything_is_sent(asset):
    with pytest.raises(UsageError, match="is not an asset"):
        fees(asset)
