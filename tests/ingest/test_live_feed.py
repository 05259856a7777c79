import asyncio
import json
import random
import time
from threading import Event

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from stream_server import (
    BEGIN,
    Market,
    StreamServer,
    answer,
    lake_rows,
    second,
    subscriptions,
    trade_frame,
    until,
)

from cq.errors import NoSuchMarket
from cq.exchanges.feed import BOOKS, TRADES, Hole
from cq.exchanges.mercado_bitcoin.feed import MercadoBitcoinFeed
from cq.exchanges.mercado_bitcoin.frames import FrameReader
from cq.ingest import live_feed
from cq.ingest.live_feed import LiveFeed, replayed
from cq.utils.time import SECOND


def streamed(server, market, enough, *, after=None, kept=None, symbols=("BTC-BRL",), **options):
    """The batches of a stream until `enough` of them are there."""
    channels = options.pop("channels", (TRADES,))
    ingestion, stop, got = server.ingestion(**options), Event(), []

    async def run():
        live = LiveFeed(
            MercadoBitcoinFeed(ingestion), market, symbols, ingestion.stream, channels=channels,
            after=after, on_arrivals=None if kept is None else kept.extend,
        )  # fmt: skip
        async with asyncio.timeout(40):
            async for batch in live.batches(stop):
                got.append(batch)
                if enough(got):
                    stop.set()
        return got

    return asyncio.run(run())


def trades(batches):
    return pl.concat([one.trades for one in batches])


def ids(batches):
    return [int(one) for one in trades(batches)["trade_id"]]


def upto(last):
    return lambda batches: last in ids(batches[-1:])


def chaos(count, seed, market):
    """Disconnects, trades made meanwhile, torn and repeated and swapped frames, absurd ids."""
    dice, made = random.Random(seed), 0

    async def script(socket, server):
        nonlocal made
        await subscriptions(socket, server, 1)
        made = min(count - 1, made + dice.randrange(20)) if server.opened > 1 else made
        until = made + count // 12
        while made < min(until, count):
            new = list(range(made + 1, min(made + 60, count) + 1))
            made = new[-1]
            market.newest["BTC-BRL"] = made
            frames = [trade_frame(one) for one in new]
            for _ in range(4):
                place, other = dice.randrange(len(frames)), dice.randrange(len(frames))
                frames[place] = frames[place][: dice.randrange(len(frames[place]))]
                frames.insert(other, dice.choice(frames))
                frames[place], frames[other] = frames[other], frames[place]
            if dice.random() < 0.1:
                frames.append(trade_frame(10**9))
            for frame in frames:
                await socket.send(frame, text=True)
            await asyncio.sleep(0)
        if made < count:
            socket.transport.abort()
        await answer(socket, server)

    return script


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_each_trade_comes_once_in_order_and_a_replay_gives_the_same(seed):
    count, market, kept = 6000, Market(), []
    with StreamServer(chaos(count, seed, market)) as server:
        batches = streamed(server, market, upto(count), after={"BTC-BRL": 0}, kept=kept)
    assert_frame_equal(trades(batches), lake_rows(range(1, count + 1)))
    assert sum(one.reconnects for one in batches) >= 8
    assert sum(one.corrupt for one in batches) > 100
    assert sum(one.filled for one in batches) > 100
    assert not any(one.lost for one in batches)
    again = list(replayed(kept, FrameReader(), after={"BTC-BRL": 0}))
    assert_frame_equal(trades(again), trades(batches))
    for name in ("corrupt", "duplicates", "reconnects", "filled"):
        assert sum(getattr(one, name) for one in again) == sum(
            getattr(one, name) for one in batches
        )


def sending(*frames, then=answer):
    async def script(socket, server):
        await subscriptions(socket, server, 1)
        for frame in frames:
            await socket.send(frame, text=True)
        await then(socket, server)

    return script


def test_without_an_id_to_go_on_from_it_begins_at_the_first_live_trade():
    market = Market({"BTC-BRL": 52})
    with StreamServer(sending(trade_frame(50), trade_frame(51), trade_frame(52))) as server:
        batches = streamed(server, market, upto(52))
    assert ids(batches) == [50, 51, 52]
    assert market.asked == []


def test_what_happened_since_the_last_known_id_is_fetched_though_the_market_is_silent():
    market = Market({"BTC-BRL": 2500})
    with StreamServer(answer) as server:
        batches = streamed(server, market, upto(2500), after={"BTC-BRL": 7})
    assert_frame_equal(trades(batches), lake_rows(range(8, 2501)))


def test_live_trades_wait_in_order_behind_a_hole():
    market = Market({"BTC-BRL": 3005})
    frames = [trade_frame(one) for one in range(3001, 3006)]
    with StreamServer(sending(*frames)) as server:
        batches = streamed(server, market, upto(3005), after={"BTC-BRL": 0})
    assert ids(batches) == list(range(1, 3006))


def test_a_frame_that_is_only_late_is_not_asked_for():
    market = Market({"BTC-BRL": 4})
    frames = [trade_frame(one) for one in (1, 3, 4, 2)]
    with StreamServer(sending(*frames)) as server:
        batches = streamed(server, market, upto(4), reorder_ms=5000)
    assert ids(batches) == [1, 2, 3, 4]
    assert market.asked == []


def test_what_the_exchange_does_not_have_is_lost_and_the_stream_goes_on(monkeypatch):
    monkeypatch.setattr("cq.ingest.filling.PAUSE_S", 0.01)
    market = Market({"BTC-BRL": 10}, missing={4, 5})
    frames = [trade_frame(one) for one in (1, 2, 8, 9, 10)]
    with StreamServer(sending(*frames)) as server:
        batches = streamed(server, market, upto(10))
    assert ids(batches) == [1, 2, 3, 6, 7, 8, 9, 10]
    assert [hole for one in batches for hole in one.lost] == [Hole("BTC-BRL", 4, 5)]
    assert sum(one.filled for one in batches) == 3


def test_an_exchange_out_of_reach_is_asked_until_it_answers(monkeypatch):
    monkeypatch.setattr("cq.ingest.filling.PAUSE_S", 0.01)
    market = Market({"BTC-BRL": 9}, fails=6)
    with StreamServer(sending(trade_frame(1), trade_frame(9))) as server:
        batches = streamed(server, market, upto(9))
    assert ids(batches) == list(range(1, 10))
    assert not any(one.lost for one in batches)


def test_an_exchange_out_of_reach_for_too_long_loses_trades_not_the_stream(monkeypatch):
    monkeypatch.setattr("cq.ingest.filling.PAUSE_S", 0.01)
    market = Market({"BTC-BRL": 9}, fails=10**6)
    with StreamServer(sending(trade_frame(1), trade_frame(9))) as server:
        batches = streamed(server, market, upto(9), lost_seconds=0.1)
    assert ids(batches) == [1, 9]
    assert [hole for one in batches for hole in one.lost] == [Hole("BTC-BRL", 2, 8)]


def test_an_id_that_cannot_be_costs_nothing_but_itself(monkeypatch):
    monkeypatch.setattr("cq.ingest.filling.PAUSE_S", 0.01)
    market = Market({"BTC-BRL": 3})

    async def next_one(socket, server):
        await until(lambda: len(market.asked) >= 4)
        market.newest["BTC-BRL"] = 4
        await socket.send(trade_frame(4), text=True)
        await answer(socket, server)

    frames = [trade_frame(1), trade_frame(10**9), trade_frame(2), trade_frame(3)]
    with StreamServer(sending(*frames, then=next_one)) as server:
        batches = streamed(
            server, market, lambda got: 4 in ids(got) and sum(one.corrupt for one in got)
        )
    assert ids(batches) == [1, 2, 3, 4]
    assert sum(one.corrupt for one in batches) == 1
    assert not any(one.lost for one in batches)


@pytest.mark.parametrize("mangled", [3, 900_000_000])
def test_a_mangled_id_that_comes_first_costs_nothing_but_itself(monkeypatch, mangled):
    monkeypatch.setattr("cq.ingest.filling.PAUSE_S", 0.01)
    market = Market({"BTC-BRL": 40_003})
    frames = [trade_frame(one) for one in (mangled, 40_001, 40_002, 40_003)]
    with StreamServer(sending(*frames)) as server:
        batches = streamed(server, market, upto(40_003), reorder_ms=5000)
    assert ids(batches) == [40_001, 40_002, 40_003]


def test_a_first_trade_without_a_neighbour_is_held_against_rest_soon():
    market = Market({"BTC-BRL": 40_001}, now_ns=lambda: BEGIN * SECOND)
    market.newest_trades = lambda symbol: lake_rows([40_000, 40_001])
    with StreamServer(sending(trade_frame(40_001))) as server:
        batches = streamed(server, market, upto(40_001), quiet_seconds=60)
        gone = [one for one in server.heard if one["type"] == "unsubscribe"]
    assert ids(batches) == [40_000, 40_001]
    assert gone == []


@pytest.mark.parametrize(("tid", "told"), [(15, 75), (15, 95), (3, 9_000_003), (39, 89)])
def test_one_changed_digit_in_an_id_neither_stalls_nor_loses(monkeypatch, tid, told):
    monkeypatch.setattr("cq.ingest.filling.PAUSE_S", 0.01)
    market = Market({"BTC-BRL": 40})
    frames = [trade_frame(one) for one in range(1, 41)]
    denied = Event()
    frames[tid - 1] = frames[tid - 1].replace(b'"tid":%d,' % tid, b'"tid":%d,' % told)

    async def later(socket, server):
        while not denied.is_set():
            await asyncio.sleep(0.01)
        market.newest["BTC-BRL"] = 100
        for one in range(41, 101):
            await socket.send(trade_frame(one), text=True)
        await answer(socket, server)

    def enough(got):
        if sum(one.corrupt for one in got):
            denied.set()
        return upto(100)(got)

    with StreamServer(sending(*frames, then=later)) as server:
        batches = streamed(server, market, enough, after={"BTC-BRL": 0})
    assert_frame_equal(trades(batches), lake_rows(range(1, 101)))
    assert not any(one.lost for one in batches)


def test_a_trade_says_up_to_when_its_market_is_whole():
    market = Market({"BTC-BRL": 30})
    with StreamServer(sending(*[trade_frame(one) for one in range(1, 32)])) as server:
        batches = streamed(server, market, upto(31))
    assert batches[-1].seen_ns == {"BTC-BRL": second(31) * SECOND}


def test_behind_a_hole_nothing_is_said_to_be_whole():
    market = Market({"BTC-BRL": 300}, fails=10**6)
    frames = [trade_frame(1), trade_frame(2), trade_frame(300), b'{"type":"bad"}']
    with StreamServer(sending(*frames)) as server:
        batches = streamed(server, market, lambda got: sum(one.corrupt for one in got))
    assert max(one.seen_ns.get("BTC-BRL", 0) for one in batches) == second(1) * SECOND


def test_a_silent_market_is_whole_up_to_what_rest_says():
    market = Market({"BTC-BRL": 30}, now_ns=lambda: (BEGIN + 500) * SECOND)
    with StreamServer(answer) as server:
        batches = streamed(
            server, market, lambda got: got[-1].seen_ns, after={"BTC-BRL": 30}, settle_seconds=3
        )
    assert batches[-1].seen_ns == {"BTC-BRL": (BEGIN + 497) * SECOND}
    assert ids(batches) == []


def test_a_market_that_the_socket_forgot_is_subscribed_again_and_misses_nothing():
    begun = time.monotonic_ns()
    market = Market(
        {"BTC-BRL": 1, "ETH-BRL": 1}, now_ns=lambda: BEGIN * SECOND + time.monotonic_ns() - begun
    )

    async def forgetful(socket, server):
        await subscriptions(socket, server, 2)
        await socket.send(trade_frame(1), text=True)
        await socket.send(trade_frame(1, "ETH-BRL"), text=True)
        await until(lambda: len(market.looked) >= 2)
        market.newest["ETH-BRL"] = 5
        await answer(socket, server)

    with StreamServer(forgetful) as server:
        batches = streamed(
            server, market,
            lambda got: any(one["type"] == "unsubscribe" for one in server.heard),
            symbols=("BTC-BRL", "ETH-BRL"), quiet_seconds=0.1, settle_seconds=0,
        )  # fmt: skip
    rows = trades(batches).filter(symbol="ETH-BRL")
    assert_frame_equal(rows, lake_rows(range(1, 6), "ETH-BRL"))
    gone = [one["subscription"]["id"] for one in server.heard if one["type"] == "unsubscribe"]
    assert set(gone) == {"BRLETH"}


def test_a_market_that_the_exchange_does_not_know_ends_the_stream():
    class Unknown(Market):
        def newest_trades(self, symbol):
            raise NoSuchMarket(symbol, "/trades", 400, "INVALID", "not found")

    refusal = b'{"type":"error","message":"invalid pair to subscribe"}'
    with StreamServer(sending(refusal)) as server, pytest.raises(NoSuchMarket, match="NOPE-BRL"):
        streamed(server, Unknown(), lambda got: False, symbols=("NOPE-BRL",))


def book_frame(stamp, price=100):
    data = {"asks": [[price + 1, 1]], "bids": [[price, 0.5]], "timestamp": stamp}
    frame = {"type": "orderbook", "id": "BRLBTC", "ts": stamp + 5, "limit": 20, "data": data}
    return json.dumps(frame, separators=(",", ":")).encode()


def test_a_book_begins_with_what_rest_says_and_a_repeat_is_dropped(monkeypatch):
    monkeypatch.setattr("cq.ingest.filling.SEED_AFTER_S", 0.0)
    first = BEGIN * SECOND + 5

    async def script(socket, server):
        await subscriptions(socket, server, 1)
        await until(lambda: server.seeded)
        for stamp in (first, first, first + 9):
            await socket.send(book_frame(stamp), text=True)
        await answer(socket, server)

    kept = []
    with StreamServer(script) as server:
        server.seeded = False

        def enough(got):
            rows = pl.concat([one.books for one in got])
            server.seeded = server.seeded or BEGIN * SECOND in rows["ts"].to_list()
            return first + 9 in rows["ts"].to_list()

        batches = streamed(server, Market(), enough, channels=(BOOKS,), kept=kept)
    books = pl.concat([one.books for one in batches])
    assert books["ts"].to_list() == [BEGIN * SECOND, first, first + 9]
    assert sum(one.duplicates for one in batches) == 1
    again = pl.concat([one.books for one in replayed(kept, FrameReader())])
    assert_frame_equal(again, books)


def test_it_ends_when_it_is_told_to_though_rest_hangs():
    class Hanging(Market):
        def trades_after(self, symbol, trade_id):
            self.looked.append(symbol)
            hang.wait(60)
            returned.append(symbol)
            return lake_rows([])

    hang, market, returned = Event(), Hanging({"BTC-BRL": 5}), []

    async def run():
        ingestion, stop = server.ingestion(), Event()
        live = LiveFeed(
            MercadoBitcoinFeed(ingestion), market, ["BTC-BRL"], ingestion.stream,
            after={"BTC-BRL": 1},
        )  # fmt: skip
        task = asyncio.create_task(anext(live.batches(stop), None))
        await until(lambda: market.looked)
        stop.set()
        try:
            async with asyncio.timeout(40):
                assert await task is None
            assert returned == []
        finally:
            hang.set()

    with StreamServer(answer) as server:
        asyncio.run(run())


def test_no_more_than_so_many_trades_wait_behind_a_hole(monkeypatch):
    monkeypatch.setattr(live_feed, "MOST_HELD", 1000)
    monkeypatch.setattr("cq.exchanges.mercado_bitcoin.feed.MOST_FRAMES", 1000)
    monkeypatch.setattr("cq.ingest.filling.PAUSE_S", 0.05)
    count = 20_000
    market = Market({"BTC-BRL": count}, fails=6)
    held = []

    async def flood(socket, server):
        await subscriptions(socket, server, 1)
        for one in range(100, count + 1):
            await socket.send(trade_frame(one), text=True)
        await answer(socket, server)

    def enough(got):
        return upto(count)(got)

    take = live_feed.Arrivals.take

    def watched(self, arrivals):
        held.append(self.held)
        return take(self, arrivals)

    monkeypatch.setattr(live_feed.Arrivals, "take", watched)
    with StreamServer(flood) as server:
        batches = streamed(server, market, enough, after={"BTC-BRL": 0})
    assert ids(batches) == list(range(1, count + 1))
    assert max(held) < 6000
