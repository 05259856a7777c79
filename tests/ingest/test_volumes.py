import pytest

from cq.errors import UnknownLayout
from cq.ingest.named import LAYOUTS
from cq.ingest.volumes import volumes

BARS = LAYOUTS[0]
PRICES = {"ts": "1700000000", "open": "100", "high": "101", "low": "99", "close": "100"}


@pytest.fixture
def bars(tmp_path, reading):
    """Read one bar with these columns beside its prices."""

    def read(columns, **options):
        path = tmp_path / "bars.csv"
        row = PRICES | columns
        path.write_text(f"{';'.join(row)}\n{';'.join(row.values())}\n")
        return reading(path, BARS, **{"exchange": "x", "interval": "1h"} | options)

    return read


BASE_AND_MONEY = [
    ("Volume BTC", "Volume BRL"),
    ("volume", "volume_brl"),
    ("volume", "Volume (R$)"),
    ("Quantidade", "Volume Financeiro"),
    ("Quantidade", "Volume"),
    ("baseVolume", "quoteVolume"),
    ("Base Currency Volume", "Quote Currency Volume"),
    ("volumefrom", "volumeto"),
    ("Volume_(BTC)", "Volume_(Currency)"),
    ("basevol", "vol_usd"),
    ("Volume BTC", "Volume USDT"),
    ("Volume ETH", "Volume BTC"),
    ("Volume USDT", "Volume BRL"),
    ("volume", "volume_ma"),
    ("volume", "taker_buy_base_asset_volume"),
]


@pytest.mark.parametrize(("base", "money"), BASE_AND_MONEY)
def test_the_bases_volume_is_taken_before_money_in_whatever_order_they_stand(base, money):
    for names in ((base, money), (money, base)):
        assert volumes(names)[0].column == base


@pytest.mark.parametrize(("base", "money"), BASE_AND_MONEY[:5])
def test_money_never_lands_where_a_base_volume_stands_beside_it(bars, base, money):
    for columns in ({base: "7", money: "700"}, {money: "700", base: "7"}):
        assert bars(columns, symbol="BTC-BRL").rows["volume"].to_list() == [7.0]


def test_the_base_of_a_known_market_says_which_of_two_currencies_is_money(bars):
    both = {"Volume BTC": "7", "Volume ETH": "140"}
    assert bars(both, symbol="ETH-BTC").rows["volume"].to_list() == [140.0]
    assert bars(both, symbol="BTC-ETH").rows["volume"].to_list() == [7.0]
    assert bars({"Volume XBT": "7", "Volume USD": "1"}, symbol="BTC-USD").rows["volume"][0] == 7.0


@pytest.mark.parametrize(
    "money", ["Volume BRL", "volume_brl", "Volume Financeiro", "quote_volume", "Volume (R$)"]
)
def test_a_file_whose_volume_is_money_only_is_refused_in_a_line(bars, money):
    with pytest.raises(UnknownLayout) as caught:
        bars({money: "700"}, symbol="BTC-BRL")
    said = f"has its volume as {money}, and the lake's is in BTC; say which column holds BTC"
    assert said in str(caught.value)


def test_the_currency_of_a_volume_has_to_be_the_base_of_the_column_of_symbols(bars):
    assert bars({"symbol": "BTC/USDT", "Volume BTC": "7"}).rows["volume"].to_list() == [7.0]
    for symbol, column in (("ETH-BTC", "Volume BTC"), ("BTC-BRL", "volume_24h")):
        with pytest.raises(UnknownLayout, match=f"has its volume as {column}, and the lake's is"):
            bars({"symbol": symbol, column: "7"})


def test_bars_of_money_in_a_folder_are_an_error_and_not_passed_over(importing, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    row = PRICES | {"volume_brl": "700"}
    (folder / "a.csv").write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    (report,) = importing(folder, dataset="ohlcv", symbol="BTC-BRL", exchange="x", interval="1h")
    assert report.report.read == 0
    assert "volume_brl" in str(report.error)
