"""The public endpoints through both clients: recorded replies, and a loopback exchange."""

import asyncio
import inspect
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from cassettes import recorder
from exchange import bars
from trade_market import AFTER, Market, trades

from cq.errors import NoSuchMarket, TradesMissing, UsageError
from cq.exchanges.mercado_bitcoin import AsyncMercadoBitcoin, AsyncRest, MercadoBitcoin, Rest
from cq.exchanges.trade_pages import Newest, ids_of
from cq.lake import rules
from cq.lake.datasets import OHLCV, TRADES
from cq.utils.time import HOUR, MINUTE, SECOND, iso, parse_time

START = parse_time("2026-09-27")
FIRST = START // SECOND
NOW = START + 10 * HOUR


class Awaited:
    """The async client, each call run to its end; the same words as the sync one."""

    def __init__(self, client, loop):
        self.client, self.loop = client, loop

    def __getattr__(self, name):
        found = getattr(self.client, name)
        if not inspect.iscoroutinefunction(found):
            return found
        return lambda *args, **options: self.loop.run_until_complete(found(*args, **options))


@contextmanager
def client(kind, ingestion, clock):
    if kind == "sync":
        with MercadoBitcoin(Rest(ingestion, clock=clock)) as market:
            yield market
        return
    loop = asyncio.new_event_loop()
    try:
        market = Awaited(AsyncMercadoBitcoin(AsyncRest(ingestion, clock=clock)), loop)
        yield market
        market.close()
    finally:
        loop.close()


@pytest.fixture(params=["sync", "async"])
def kind(request):
    return request.param


@pytest.fixture
def market(exchange, kind):
    exchange.clock = lambda: NOW
    exchange.markets["BTC-BRL", "1h"] = bars(START, HOUR, set(range(11)) - {3})
    exchange.trades["BTC-BRL"] = Market(trades(range(FIRST, FIRST + 30_000, 6), 700))
    with client(kind, exchange.ingestion(), exchange.clock) as one:
        yield one


@pytest.fixture
def recorded(exchange, recordings, kind):
    """Either client against the replies that were recorded; nothing leaves this machine."""
    settings = exchange.ingestion(rest_base_url="https://api.mercadobitcoin.net/api/v4")
    cassette = recorder(recordings).use_cassette("public.yaml")
    with cassette, client(kind, settings, lambda: parse_time("2026-10-01")) as one:
        yield one


def test_the_recorded_replies_answer_both_clients_alike(recorded):
    assert recorded.symbols(["BTC-BRL"])["BTC-BRL"].deposit_minimum == Decimal("0.00001")
    assert recorded.tickers(["BTC-BRL"])["last"].item() == 441600.0
    assert recorded.tickers(["NOPE-BRL"]).is_empty()
    assert recorded.asset_fees("BTC").withdrawal_fee == Decimal("0.00016")
    two = recorded.candles("BTC-BRL", "1h", 1790503200 * SECOND, 1790510400 * SECOND)
    assert two["close"].to_list() == [441159.0, 441150.0]
    assert recorded.newest_trades("BTC-BRL", 3)["trade_id"].to_list() == [
        *("21259636", "21259637", "21259638")
    ]
    assert ids_of(recorded.trades_after("BTC-BRL", 21425785)).to_list() == [
        *(21425786, 21425787, 21425788)
    ]


def test_recorded_books_and_what_their_stamps_say_of_the_clock(recorded):
    assert recorded.fetch_orderbook("BTC-BRL", 2)["ts"].item() is None
    empty = recorded.book("CLV-BRL")
    assert empty["bids"].item().is_empty()
    assert empty["ts"].item() == 1790138993451242856
    with pytest.raises(NoSuchMarket, match="NOPE-BRL: the exchange has no such market"):
        recorded.book("NOPE-BRL")


def test_every_closed_bar_of_a_range_comes_whatever_the_cap(exchange, market):
    exchange.cap = 4
    rows = market.fetch_ohlcv("BTC-BRL", "2026-09-27", "2026-09-28", "1h")
    assert rows["ts"].to_list() == [START + hour * HOUR for hour in range(10) if hour != 3]
    assert rules.keeps(rows, OHLCV.rules).all()
    assert set(rows.columns) == set(OHLCV.schema)


@pytest.mark.parametrize(
    "start", ["2026-09-27", date(2026, 9, 27), datetime(2026, 9, 27, tzinfo=UTC), START]
)
def test_moments_may_be_written_in_many_ways(market, start):
    assert market.fetch_ohlcv("BTC-BRL", start, None, "1h").height == 9


def test_an_interval_that_the_exchange_lacks_names_the_one_to_make_it_from(exchange, market):
    with pytest.raises(UsageError, match="ingest 15m, and the lake makes 30m of it"):
        market.fetch_ohlcv("BTC-BRL", START, NOW, "30m")
    assert exchange.asked == []


@pytest.mark.parametrize("name", ["fetch_ohlcv", "fetch_trades"])
@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-09-28", "2026-09-27", "lies in the future"),
        ("2026-09-27T05:00", "2026-09-27", "is not after the start"),
        (START, START, "is not after the start"),
        ("soon", None, "is not a date"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_before_anything_is_sent(
    exchange, market, name, start, end, said
):
    last = ["1h"] if name == "fetch_ohlcv" else []
    with pytest.raises(UsageError, match=said):
        getattr(market, name)("BTC-BRL", start, end, *last)
    assert exchange.asked == []


def test_unknown_markets_are_told_by_name(market):
    for ask in (
        lambda: market.fetch_ohlcv("NOPE-BRL", START, NOW, "1h"),
        lambda: market.fetch_trades("NOPE-BRL", START, NOW),
        lambda: market.fetch_orderbook("NOPE-BRL"),
        lambda: market.trades_after("NOPE-BRL", 7),
    ):
        with pytest.raises(NoSuchMarket, match="NOPE-BRL"):
            ask()


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("keep", ["oldest", "newest"])
def test_every_trade_of_a_range_comes_by_rising_id(exchange, market, after, keep):
    exchange.trades["BTC-BRL"].after, exchange.trades["BTC-BRL"].keep = after, keep
    rows = market.fetch_trades("BTC-BRL", START + MINUTE, START + 4 * HOUR)
    assert ids_of(rows).to_list() == list(range(710, 700 + 2400))
    assert dict(rows.schema) == dict(TRADES.schema)


def test_a_market_without_a_trade_is_an_empty_frame_with_the_usual_columns(exchange, market):
    exchange.trades["BTC-BRL"].held = exchange.trades["BTC-BRL"].held.clear()
    assert dict(market.fetch_trades("BTC-BRL", START, NOW).schema) == dict(TRADES.schema)
    assert market.newest_trades("BTC-BRL").is_empty()
    assert market.trades_after("BTC-BRL", 7).is_empty()


def test_trades_that_the_exchange_keeps_back_are_an_error_that_holds_the_others(exchange, market):
    held = exchange.trades["BTC-BRL"].held
    exchange.trades["BTC-BRL"].held = held.filter(ids_of(held) != 1000)
    with pytest.raises(TradesMissing, match=r"does not give 1 trade \(ids 1000\)") as missing:
        market.fetch_trades("BTC-BRL", START, NOW)
    assert missing.value.found.height == held.height - 1
    with pytest.raises(TradesMissing) as missing:
        market.missing_trades("BTC-BRL", 999, 1001)
    assert ids_of(missing.value.found).to_list() == [999, 1001]
    assert missing.value.runs == ((1000, 1000),)


def test_trades_older_than_those_that_are_kept_are_an_error_that_holds_the_others(exchange, market):
    exchange.trades["BTC-BRL"].given_from = 1000
    with pytest.raises(
        TradesMissing, match=r"keeps trades only from .* on: .* is not known"
    ) as one:
        market.fetch_trades("BTC-BRL", START + MINUTE, NOW)
    held = exchange.trades["BTC-BRL"].kept(exchange.trades["BTC-BRL"].held)
    assert (one.value.runs, one.value.found.height) == ((), held.height)
    assert one.value.unkept == ((iso(START + MINUTE), iso(held["ts"][0] + SECOND)),)


@pytest.mark.parametrize("after", AFTER)
def test_the_trades_after_one_come_without_a_hole_whatever_the_exchange_makes_of_it(
    exchange, market, after
):
    exchange.trades["BTC-BRL"].after = after
    for known, count in ((5699, 0), (5690, 9), (4500, 1000), (900, 1000)):
        found = ids_of(market.trades_after("BTC-BRL", known)).to_list()
        assert found == list(range(known + 1, known + 1 + len(found)))
        assert count >= len(found) >= min(count, 998)


def test_which_parameter_asks_by_id_is_a_setting(exchange, kind):
    exchange.trades["BTC-BRL"] = Market(trades(range(FIRST, FIRST + 3000)))
    for said, by_id in (("tid", True), ("none", False)):
        exchange.asked.clear()
        with client(kind, exchange.ingestion(trades_after=said), lambda: NOW) as market:
            assert market.trades_by_id is by_id
            assert market.missing_trades("BTC-BRL", 5, 1500).height == 1496
        assert any("tid" in one for one in exchange.asked) is by_id
        assert not any("since" in one for one in exchange.asked)


def test_a_hole_is_filled_in_as_many_pages_as_it_takes(exchange, market):
    assert ids_of(market.missing_trades("BTC-BRL", 701, 4000)).to_list() == list(range(701, 4001))
    assert len(exchange.asked) == 4


def test_a_window_is_one_reply(exchange, market):
    rows = market.trades_between("BTC-BRL", START, START + MINUTE)
    assert rows["ts"].to_list() == [START + 6 * number * SECOND for number in range(10)]
    assert market.trades_between("BTC-BRL", START, NOW).height <= 1000
    assert market.trade_page("BTC-BRL", Newest()).height == 1000
    assert len(exchange.asked) == 3


def test_a_book_sets_the_clock_finer_than_a_date_does(exchange, market):
    stamp = NOW + 400_000_000
    exchange.replies["/BTC-BRL/orderbook"] = {"asks": [], "bids": [], "timestamp": stamp}
    assert market.fetch_orderbook("BTC-BRL", 5)["ts"].item() == stamp
    assert market.time_ns(NOW) == stamp
    assert exchange.asked == [{"limit": "5"}]


def test_tickers_come_in_the_order_asked_and_unknown_ones_are_left_out(exchange, market):
    row = {
        "date": FIRST,
        **dict.fromkeys(("high", "low", "vol", "last", "buy", "sell", "open"), "1"),
    }
    exchange.replies["/tickers"] = [{"pair": "A-BRL", **row}, {"pair": "B-BRL", **row}]
    rows = market.tickers(["B-BRL", "NOPE-BRL", "A-BRL"])
    assert rows["symbol"].to_list() == ["B-BRL", "A-BRL"]


def test_networks_and_listings_come_through(exchange, market):
    exchange.replies["/XLM/networks"] = [{"coin": "XLM", "network": "stellar"}]
    exchange.replies["/symbols"] = {"symbol": ["B-BRL", "A-BRL"]}
    assert market.networks("XLM")[0].network == "stellar"
    assert list(market.symbols()) == ["A-BRL", "B-BRL"]
    assert exchange.paths == ["/XLM/networks", "/symbols"]


def test_both_clients_offer_the_same_words():
    def words(kind):
        return {
            name: list(inspect.signature(found).parameters)
            for name, found in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert words(MercadoBitcoin) == words(AsyncMercadoBitcoin)
