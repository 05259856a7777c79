from __future__ import annotations

import pytest

from cq.errors import UnknownSymbol, UsageError
from cq.strategies import resolve, with_quote


def test_a_base_alone_means_the_configured_quote():
    assert with_quote(["BTC", "ETH-USDT"], "BRL") == ("BTC-BRL", "ETH-USDT")
    assert resolve(["BTC"], "BRL", ["BTC-BRL", "BTC-USDT"]) == (("BTC-BRL",), [])


def test_the_only_other_market_of_a_base_is_taken_and_said():
    symbols, notes = resolve(["BTC"], "BRL", ["BTC-USDT", "ETH-BRL"])
    assert symbols == ("BTC-USDT",)
    assert notes == ["BTC: the lake has no BTC-BRL, taking BTC-USDT"]


def test_two_other_markets_are_a_question():
    with pytest.raises(
        UnknownSymbol, match="say which of BTC-EUR and BTC-USDT: --set symbols=BTC-EUR"
    ):
        resolve(["BTC"], "BRL", ["BTC-USDT", "BTC-EUR"])


def test_a_symbol_in_full_is_never_replaced():
    with pytest.raises(UnknownSymbol, match="no BTC-BRL here; there is BTC-USDT"):
        resolve(["BTC-BRL"], "BRL", ["BTC-USDT"])


def test_an_empty_lake_says_so():
    with pytest.raises(UnknownSymbol, match="nothing yet"):
        resolve(["BTC"], "BRL", [])


@pytest.mark.parametrize(("quote", "held"), [("BRL", "BTC-BRL"), ("USDT", "BTC-BRL")])
def test_two_names_of_one_market_are_refused(quote, held):
    told = "symbols: BTC and BTC-BRL are one market, BTC-BRL; name it once"
    with pytest.raises(UsageError, match=f"^{told}$"):
        resolve(["ETH", "BTC", "BTC-BRL"], quote, [held, f"ETH-{quote}"])
