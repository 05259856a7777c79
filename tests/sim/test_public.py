"""The public endpoints, over a socket and with a client that is not ours."""

import itertools
import json
from email.utils import parsedate_to_datetime
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from simulator import START, TAPE, simulation

from cq.sim.server import running
from cq.utils.time import DAY, HOUR, SECOND, to_ns

NOW_S = START // SECOND


def ask(rest, path, **query):
    """status, JSON and headers of one GET."""
    url = f"{rest}{path}" + (f"?{urlencode(query)}" if query else "")
    try:
        with urlopen(url, timeout=20) as reply:
            return reply.status, json.loads(reply.read()), reply.headers
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read()), error.headers


@pytest.fixture(scope="module")
def rest():
    with running(simulation()) as address:
        yield address.rest


@pytest.fixture
def get(rest):
    return lambda path, **query: ask(rest, path, **query)[:2]


def with_switch(path, query, **switches):
    with running(simulation(**switches)) as address:
        return ask(address.rest, path, **query)[:2]


# what every answer has


def test_the_date_is_that_of_the_exchange(rest):
    date = ask(rest, "/tickers", symbols="BTC-BRL")[2]["Date"]
    assert to_ns(parsedate_to_datetime(date)) == START // SECOND * SECOND


@pytest.mark.parametrize("path", ["/nope", "/BRLBTC/orderbook", "/BRLBTC/trades", "/"])
def test_a_path_that_is_none_is_404(get, path):
    said = {"code": "API|ROUTE_NOT_FOUND", "message": "This route not found"}
    assert get(path) == (404, said)


# listing


def test_symbols_are_parallel_arrays_in_another_order_each_time(get):
    first, second = get("/symbols")[1], get("/symbols")[1]
    assert {len(column) for column in first.values()} == {len(TAPE.listings)}
    assert first["symbol"] != second["symbol"]
    assert sorted(first["symbol"]) == sorted(second["symbol"])


def test_two_symbols_give_two_rows(get):
    body = get("/symbols", symbols="BTC-BRL,SOL-BRL,NOPE-BRL")[1]
    assert sorted(body["symbol"]) == ["BTC-BRL", "SOL-BRL"]


def test_the_tick_can_be_said_in_three_ways():
    said = {
        way: with_switch("/symbols", {"symbols": "SOL-BRL"}, tick_encoding=way)[1]
        for way in ("price", "ratio", "constant")
    }
    assert {way: one["minmovement"] for way, one in said.items()} == {
        "price": ["0.01"],
        "ratio": ["1000000"],
        "constant": ["0.00000001"],
    }


# tickers and books


def test_unknown_symbols_are_dropped_from_tickers(get):
    status, body = get("/tickers", symbols="NOPE-BRL,BTC-BRL,btc-brl")
    assert status == 200
    assert [row["pair"] for row in body] == ["BTC-BRL"]
    assert get("/tickers", symbols="NOPE-BRL") == (200, [])


def test_a_ticker_shows_the_best_of_the_book(get):
    [row] = get("/tickers", symbols="ETH-BRL")[1]
    book = get("/ETH-BRL/orderbook", limit=1)[1]
    assert row["buy"] == book["bids"][0][0]
    assert row["sell"] == book["asks"][0][0]
    assert NOW_S - 3600 < row["date"] <= NOW_S


def test_a_market_without_trades_has_zeros_and_an_empty_book(get):
    assert get("/tickers", symbols="CLV-BRL")[1][0]["last"] == "0.00000000"
    body = get("/CLV-BRL/orderbook")[1]
    assert (body["asks"], body["bids"]) == ([], [])


def test_a_book_has_bids_falling_and_as_many_levels_as_asked(get):
    status, body = get("/BTC-BRL/orderbook", limit=50)
    bids, asks = ([float(price) for price, _ in body[side]] for side in ("bids", "asks"))
    assert (status, len(bids), len(asks)) == (200, 50, 50)
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert body["timestamp"] == START


def test_a_limit_that_is_no_number_is_ignored(get):
    assert len(get("/BTC-BRL/orderbook", limit="many")[1]["asks"]) == 1356
    assert len(get("/BTC-BRL/orderbook")[1]["asks"]) == 1356


def test_the_whole_book_can_end_at_a_thousand():
    book = with_switch("/BTC-BRL/orderbook", {}, whole_book="thousand")[1]
    assert len(book["asks"]) == 1000


# candles


def candles(get, **query):
    status, body = get("/candles", **({"symbol": "BTC-BRL", "resolution": "1h"} | query))
    assert status == 200, body
    return body


def test_a_bar_is_given_when_it_opens_between_from_and_to_both_inclusive(get):
    hour = NOW_S // 3600 * 3600
    body = candles(get, **{"from": hour - 7200, "to": hour - 3600})
    assert body["t"] == [hour - 7200, hour - 3600]


def test_the_bar_in_progress_is_there_and_the_future_is_not(get):
    body = candles(get, **{"from": NOW_S - 7200, "to": NOW_S + 10**6})
    assert body["t"][-1] == NOW_S // 3600 * 3600


def test_empty_buckets_are_left_out(get):
    body = candles(get, symbol="LINK-BRL", resolution="1m", **{"from": NOW_S - 36000, "to": NOW_S})
    assert 0 < len(body["t"]) < 300
    assert body["t"] == sorted(set(body["t"]))


def test_countback_counts_bars_and_overrides_from(get):
    body = candles(get, symbol="LINK-BRL", resolution="1m", to=NOW_S, countback=40, **{"from": 0})
    everything = candles(get, symbol="LINK-BRL", resolution="1m", to=NOW_S, **{"from": 0})
    assert len(body["t"]) == 40
    assert body["t"] == everything["t"][-40:]


def test_an_empty_range_is_empty_arrays(get):
    empty = {name: [] for name in "tohlcv"}
    assert candles(get, **{"from": 0, "to": 1000}) == empty


def test_undocumented_resolutions_give_bars_or_none(get):
    assert len(candles(get, resolution="30m", to=NOW_S, **{"from": NOW_S - 21_599})["t"]) == 12
    assert candles(get, resolution="5m", to=NOW_S, **{"from": NOW_S - 21_600})["t"] == []


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"to": -1}, "TO_IS_INVALID"),
        ({}, "TO_IS_INVALID"),
        ({"to": 5, "resolution": "7x"}, "RESOLUTION_IS_INVALID"),
        ({"to": 5, "symbol": "BTCBRL"}, "SYMBOL_IS_INVALID"),
        ({"to": 5, "symbol": "BTC/BRL"}, "SYMBOL_IS_INVALID"),
    ],
)
def test_candles_that_make_no_sense_are_refused(get, query, error):
    status, body = get("/candles", **({"symbol": "BTC-BRL", "resolution": "1h"} | query))
    assert (status, body["code"]) == (400, f"PUBLIC_DATA|LIST_CANDLES|{error}")


def test_candles_can_be_cut_at_either_end_and_minutes_can_be_forgotten():
    query = {"symbol": "BTC-BRL", "resolution": "1h", "from": 0, "to": NOW_S}
    whole = with_switch("/candles", query)[1]["t"]
    newest = with_switch("/candles", query, max_candles=5)[1]["t"]
    oldest = with_switch("/candles", query, max_candles=5, candles_kept="oldest")[1]["t"]
    assert (newest, oldest) == (whole[-5:], whole[:5])
    query["resolution"] = "1m"
    young = with_switch("/candles", query, minute_history_days=0.5)[1]["t"]
    assert min(young) >= NOW_S - 43_200


def test_a_month_of_minutes_is_given_at_once():
    long = simulation(start_ns=START + 31 * DAY)
    with running(long) as address:
        query = {"symbol": "BTC-BRL", "resolution": "1m", "from": 0, "to": 9_999_999_999}
        body = ask(address.rest, "/candles", **query)[1]
    assert len(body["t"]) > 40_000


# trades


def trades(get, symbol="BTC-BRL", **query):
    status, body = get(f"/{symbol}/trades", **query)
    assert status == 200, body
    return [row["tid"] for row in body]


def test_without_parameters_the_last_thousand_come_oldest_first(get):
    last = TAPE.last_tid("BTC-BRL", START)
    assert trades(get) == list(range(last - 999, last + 1))


def test_with_limit_alone_the_newest_come_first(get):
    last = TAPE.last_tid("BTC-BRL", START)
    assert trades(get, limit=3) == [last, last - 1, last - 2]


def test_since_gives_what_comes_after_the_id(get):
    assert trades(get, since=500, limit=3) == [501, 502, 503]
    assert trades(get, since=10**12) == []
    assert trades(get, tid=10**12) == []


@pytest.mark.parametrize(
    ("switches", "query", "ids"),
    [
        ({"since": "from"}, {"since": 500, "limit": 2}, [500, 501]),
        ({"tid": "exact"}, {"tid": 500}, [500]),
        ({"trades_order": "descending"}, {"since": 500, "limit": 2}, [502, 501]),
    ],
)
def test_what_ids_select_is_a_switch(switches, query, ids):
    status, body = with_switch("/BTC-BRL/trades", query, **switches)
    assert (status, [row["tid"] for row in body]) == (200, ids)


def test_a_window_is_cut_at_a_thousand_at_the_end_that_the_switch_says():
    query = {"from": NOW_S - 86_400, "to": NOW_S}
    window = TAPE.trades("BTC-BRL", (NOW_S - 86_400) * SECOND, START + 1)
    newest = with_switch("/BTC-BRL/trades", query)[1]
    oldest = with_switch("/BTC-BRL/trades", query, trades_kept="oldest")[1]
    assert [row["tid"] for row in newest] == window.tid[-1000:].tolist()
    assert [row["tid"] for row in oldest] == window.tid[:1000].tolist()


def test_both_ends_of_a_window_are_inclusive(get):
    some = TAPE.trades("BTC-BRL", START - HOUR, START)
    first, last = int(some.ts[5]) // SECOND, int(some.ts[50]) // SECOND
    rows = get("/BTC-BRL/trades", **{"from": first, "to": last})[1]
    dates = [row["date"] for row in rows]
    assert (dates[0], dates[-1]) == (first, last)


def test_windows_side_by_side_hold_every_trade_once(get):
    edges = range(NOW_S - 7200, NOW_S, 1800)
    pieces = [trades(get, **{"from": edge, "to": edge + 1799}) for edge in edges]
    ids = list(itertools.chain.from_iterable(pieces))
    assert ids == list(range(ids[0], ids[-1] + 1))


def test_half_a_window_is_refused_or_open():
    assert with_switch("/BTC-BRL/trades", {"to": NOW_S})[0] == 400
    assert with_switch("/BTC-BRL/trades", {"from": NOW_S - 60}, trades_half_window="open")[0] == 200


def test_old_trades_can_be_forgotten():
    rows = with_switch("/BTC-BRL/trades", {"since": 0}, trades_history_days=1)[1]
    assert rows == []


def test_a_window_in_the_future_is_empty(get):
    assert trades(get, **{"from": NOW_S + 60, "to": NOW_S + 120}) == []


# assets


def test_fees_and_networks_of_an_asset(get):
    assert get("/USDT/fees")[1]["network"] == "tron"
    assert get("/USDT/fees", network="ethereum")[1]["network"] == "ethereum"
    assert get("/USDT/networks")[1][1] == {"coin": "USDT", "network": "ethereum"}
    status, body = get("/USDT/fees", network="ERC20")
    assert (status, body["message"]) == (
        400,
        "The asset couldn't exist or the withdrawal is not active.",
    )
