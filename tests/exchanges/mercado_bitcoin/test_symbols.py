import pytest

from cq.errors import UsageError
from cq.exchanges.mercado_bitcoin.symbols import checked


@pytest.mark.parametrize("symbol", ["BTC-BRL", "USDT-BRL", "1INCH-BRL", "BTC-USDC"])
def test_a_symbol_of_the_exchange_passes_unchanged(symbol):
    assert checked(symbol) == symbol


@pytest.mark.parametrize("symbol", ["btc-brl", "BTC/BRL", "BTC_BRL", "btc/brl"])
def test_a_symbol_written_otherwise_is_refused_with_the_right_form(symbol):
    with pytest.raises(UsageError, match="did you mean BTC-BRL"):
        checked(symbol)


@pytest.mark.parametrize("symbol", ["BTCBRL", "", "-BRL", "BTC-", "BTC BRL", "BTC-BRL&to=1"])
def test_what_cannot_be_a_symbol_is_refused(symbol):
    with pytest.raises(UsageError, match="expected BASE-QUOTE"):
        checked(symbol)
