import pytest
from hypothesis import given
from hypothesis import strategies as st

from cq.ingest.symbols import BASES, FIAT, QUOTES, in_name, mapping_of, normalised, quote_first


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("BTCUSDT", "BTC-USDT"),
        ("BTC/USDT", "BTC-USDT"),
        ("btc_usdt", "BTC-USDT"),
        ("BTC-USD", "BTC-USD"),
        ("BTC USD", "BTC-USD"),
        ("USDCUSD", "USDC-USD"),
        ("USDTBRL", "USDT-BRL"),
        ("USDTUSD", "USDT-USD"),
        ("ETHBTC", "ETH-BTC"),
        ("EURUSD", "EUR-USD"),
        ("tBTCUSD", "BTC-USD"),
        ("MATICBRL", "MATIC-BRL"),
        ("SKL-GBP", "SKL-GBP"),
        (" btcbrl ", "BTC-BRL"),
    ],
)
def test_names_of_markets_become_base_and_quote(said, meant):
    assert normalised(said) == meant


@pytest.mark.parametrize(
    ("said", "meant"), [("BNBUSD", "BNB-USD"), ("BTCBUSD", "BTC-BUSD"), ("BTCTUSD", "BTC-TUSD")]
)
def test_a_well_known_base_decides_where_several_cuts_are_possible(said, meant):
    assert normalised(said) == meant


@pytest.mark.parametrize("said", ["", "BTC", "STETH", "WBTC", "FOO", "BTC/USDT:USDT", "B!TC", "€"])
def test_what_cannot_be_told_is_not_guessed(said):
    assert normalised(said) is None


def test_a_lone_base_takes_the_quote_of_its_layout():
    assert normalised("USDC", "USD") == "USDC-USD"
    assert normalised("STETH", "USD") == "STETH-USD"
    assert normalised("BTC-EUR", "USD") == "BTC-EUR"


def test_quote_first_is_only_for_reais():
    assert quote_first("BRLBTC") == "BTC-BRL"
    assert quote_first("BRLUSDT") == "USDT-BRL"
    assert quote_first("BTCBRL") is None
    assert quote_first("BRL") is None


def test_names_that_cannot_be_told_stay_for_the_rules_to_name():
    assert mapping_of(["BTCUSD", "foo"]) == {"BTCUSD": "BTC-USD", "foo": "FOO"}


@pytest.mark.parametrize(
    ("stem", "symbol"),
    [
        ("BTCBRL_1m_20221108", "BTC-BRL"),
        ("Coinbase_BTCUSD_1h", "BTC-USD"),
        ("BTC_USDT-1d", "BTC-USDT"),
        ("candles_BTC-BRL_1h_2bars_20260927", "BTC-BRL"),
        ("BTCUSDT-1m-2021-01", "BTC-USDT"),
        ("LTCUSD_2016_merged", "LTC-USD"),
        ("coin_Bitcoin", None),
        ("18-01-01_00-00-00", None),
        ("my_eur_data", None),
    ],
)
def test_a_market_is_found_in_a_files_name_in_upper_case(stem, symbol):
    assert in_name(stem) == symbol


@given(st.sampled_from(sorted(BASES - QUOTES)), st.sampled_from(sorted(FIAT | {"USDT", "USDC"})))
def test_joined_and_separated_names_mean_the_same(base, quote):
    joined = normalised(base + quote)
    assert joined == f"{base}-{quote}"
    assert normalised(f"{base}/{quote}") == normalised(f"{base.lower()}_{quote.lower()}") == joined


@given(st.text(max_size=12))
def test_a_result_is_always_in_the_lakes_form_and_stays_itself(text):
    symbol = normalised(text)
    if symbol is not None:
        base, quote = symbol.split("-")
        assert base.isalnum()
        assert quote.isalnum()
        assert symbol.isupper() or not any(letter.isalpha() for letter in symbol)
        assert normalised(symbol) == symbol
