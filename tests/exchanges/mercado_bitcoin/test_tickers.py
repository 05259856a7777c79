import json

import pytest

from cq.errors import UsageError
from cq.exchanges.mercado_bitcoin.errors import Unreadable
from cq.exchanges.mercado_bitcoin.tickers import A_REQUEST, questions, tickers_from
from cq.utils.time import SECOND

ROW = {
    "pair": "A-B", "high": "3", "low": "1", "vol": "0.5", "last": "2", "buy": "1.9", "sell": "2.1",
    "open": "1.5", "date": 1790513243,
}  # fmt: skip
COLUMNS = ["ts", "last", "bid", "ask", "open", "high", "low", "volume", "symbol", "exchange"]


def read(*changes):
    return tickers_from(json.dumps([ROW | change for change in changes]))


@pytest.mark.parametrize(
    ("day", "values"),
    [
        ("20230124", (1674561363, 119548.04744932, 119457.96889001, 119546.04397687,
                      119353.86994450, 120700.0, 117000.00001, 52.00314436)),
        ("20251224_par", (1766612439, 485685.0, 485686.0, 486123.0,
                          484943.0, 486459.0, 478731.0, 17.24253808)),
        ("20260927", (1790513243, 441600.0, 441602.0, 441603.0,
                      437008.0, 442065.0, 435801.0, 5.65367181)),
    ],
)  # fmt: skip
def test_the_recorded_tickers_read_as_the_reference_says(shared, day, values):
    path = shared / f"mercado_bitcoin/fixtures/rest_v4/tickers_BTC-BRL_{day}.json"
    rows = tickers_from(path.read_bytes())
    assert rows.columns == COLUMNS
    assert rows.rows() == [(values[0] * SECOND, *values[1:], "BTC-BRL", "mercadobitcoin")]


def test_unknown_symbols_give_no_row(shared):
    path = shared / "mercado_bitcoin/fixtures/rest_v4/tickers_unknown_symbol_20260923.json"
    rows = tickers_from(path.read_bytes())
    assert (rows.height, rows.columns) == (0, COLUMNS)


def test_a_market_without_a_trade_has_no_last_price():
    rows = read({"last": "0.00000000", "open": "0", "vol": "0.00000000", "buy": None})
    assert rows.select("last", "open", "bid", "volume").row(0) == (None, None, None, 0.0)


def test_a_dead_market_keeps_its_old_date():
    assert read({"date": 1690000000})["ts"].item() == 1690000000 * SECOND


@pytest.mark.parametrize("date", [1790513243000, 1790513243 * SECOND, 10**11, None, "soon", 1.5])
def test_a_date_that_is_not_in_seconds_is_refused_as_the_reference_is_wrong_about_it(date):
    with pytest.raises(Unreadable, match="whole seconds"):
        read({}, {"date": date})


@pytest.mark.parametrize("body", ["<html>", "{}", '[{"last":"1"}]', "[1]"])
def test_what_is_no_ticker_reply_is_worth_another_try(body):
    with pytest.raises(Unreadable):
        tickers_from(body)


def test_many_symbols_are_asked_for_in_few_requests_each_once():
    names = [f"C{number}-BRL" for number in range(A_REQUEST + 1)]
    first, second = questions([*names, *names])
    assert first.params["symbols"].count(",") == A_REQUEST - 1
    assert second.params == {"symbols": names[-1]}
    assert first.endpoint == "tickers"


def test_no_symbol_and_lower_case_are_refused_before_anything_is_sent():
    with pytest.raises(UsageError, match="no symbol"):
        questions([])
    with pytest.raises(UsageError, match="did you mean BTC-BRL"):
        questions(["btc-brl"])
