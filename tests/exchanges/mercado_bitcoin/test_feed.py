import asyncio

import pytest
from stream_server import StreamServer, answer, subscriptions, trade_frame, until

from cq.errors import ConfigError
from cq.exchanges.feed import BOOKS, TICKERS, TRADES, Closed, Frame, Opened
from cq.exchanges.mercado_bitcoin import feed as shell
from cq.exchanges.mercado_bitcoin.feed import MercadoBitcoinFeed


def arrived(ingestion, enough, *, channels=(TRADES,), symbols=("BTC-BRL",), then=None):
    """Everything that comes until `enough` of it is there."""

    async def run():
        wake, got = asyncio.Event(), []
        connection = MercadoBitcoinFeed(ingestion).connection(symbols, channels, wake.set)
        async with asyncio.timeout(20), connection as sockets:
            while not enough(got):
                await wake.wait()
                wake.clear()
                got += sockets.take()
                if then is not None:
                    then(sockets, got)
        return got

    return asyncio.run(run())


def data(got):
    return [one.data for one in got if type(one) is Frame and b"data" in one.data]


async def deliver(socket, server):
    """Send the next trade, and wait until the client has it."""
    before = server.taken
    await socket.send(trade_frame(server.opened), text=True)
    await until(lambda: server.taken > before)


def counting(server):
    def count(_, got):
        server.taken = len(data(got))

    return count


async def one_trade_each(socket, server):
    """The next trade, then the connection is cut without a good-bye."""
    await subscriptions(socket, server, 1)
    await deliver(socket, server)
    socket.transport.abort()


def test_a_connection_that_is_cut_is_opened_again_under_another_name():
    with StreamServer(one_trade_each) as server:
        got = arrived(server.ingestion(), lambda got: len(data(got)) >= 5, then=counting(server))
    assert data(got)[:5] == [trade_frame(one) for one in range(1, 6)]
    opened = [one.session for one in got if type(one) is Opened]
    assert len(set(opened)) == len(opened) >= 5
    closed = [one for one in got if type(one) is Closed]
    assert {one.reason for one in closed} <= {"closed with code 1006", "stopped"}
    assert {one.session for one in got if type(one) is Frame} <= set(opened)


def test_a_server_that_accepts_and_drops_meets_longer_and_longer_waits(monkeypatch):
    waits = []

    class Noting(shell.Backoff):
        def delay_s(self):
            waits.append(self._next_s or self.base_s)
            return super().delay_s() / 100

    async def drop(socket, server):
        socket.transport.abort()

    monkeypatch.setattr(shell, "Backoff", Noting)
    with StreamServer(drop) as server:
        ingestion = server.ingestion(backoff={"base_ms": 100, "cap_ms": 800, "jitter": 0})
        arrived(ingestion, lambda got: len(waits) >= 6)
    assert waits[:6] == [0.1, 0.2, 0.4, 0.8, 0.8, 0.8]


def test_only_data_reset_the_waits(monkeypatch):
    waits = []

    class Noting(shell.Backoff):
        def delay_s(self):
            waits.append(self._next_s or self.base_s)
            return super().delay_s() / 100

    async def third_delivers(socket, server):
        await subscriptions(socket, server, 1)
        if server.opened % 3 == 0:
            await deliver(socket, server)
        socket.transport.abort()

    monkeypatch.setattr(shell, "Backoff", Noting)
    with StreamServer(third_delivers) as server:
        ingestion = server.ingestion(backoff={"base_ms": 100, "cap_ms": 800, "jitter": 0})
        arrived(ingestion, lambda got: len(waits) >= 6, then=counting(server))
    assert waits[:6] == [0.1, 0.2, 0.1, 0.2, 0.4, 0.1]


def test_a_server_that_falls_silent_is_left_and_a_pong_is_enough_to_stay():
    async def silent_at_first(socket, server):
        await subscriptions(socket, server, 1)
        if server.opened == 1:
            async for _ in socket:
                pass
        await answer(socket, server)

    with StreamServer(silent_at_first) as server:
        ingestion = server.ingestion(ping_seconds=0.05, stale_seconds=0.3)
        got = arrived(
            ingestion, lambda got: sum(b"pong" in one.data for one in got if type(one) is Frame) > 9
        )
        assert server.opened == 2
    reasons = [one.reason for one in got if type(one) is Closed]
    assert reasons[0] == "nothing, not even a pong, for 0.3 s"


def test_a_server_that_does_not_answer_the_handshake_is_tried_again():
    async def run():
        tries = []

        async def mute(reader, writer):
            tries.append(1)
            await reader.read()
            writer.close()

        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with StreamServer(answer) as other:
            ingestion = other.ingestion().model_copy(
                update={"ws_url": f"ws://127.0.0.1:{port}", "timeout_seconds": 0.05}
            )
        connection = MercadoBitcoinFeed(ingestion).connection(["BTC-BRL"], [TRADES], lambda: None)
        async with asyncio.timeout(20), connection:
            await until(lambda: len(tries) >= 3)
        server.close()
        await server.wait_closed()

    asyncio.run(run())


def test_an_address_that_is_none_is_named():
    with StreamServer(answer) as server:
        ingestion = server.ingestion().model_copy(update={"ws_url": "http://127.0.0.1/ws"})
    with pytest.raises(ConfigError, match=r"ingestion\.ws_url"):
        arrived(ingestion, lambda got: False)


def test_each_channel_is_subscribed_on_its_own_socket_one_stream_a_frame():
    with StreamServer(answer) as server:
        arrived(
            server.ingestion(),
            lambda got: len(server.heard) >= 6,
            channels=(TRADES, BOOKS, TICKERS),
            symbols=("BTC-BRL", "ETH-BRL"),
        )
        assert server.opened == 3
    said = [one["subscription"] for one in server.heard if one["type"] == "subscribe"]
    assert sorted((one["name"], one["id"], one.get("limit")) for one in said) == [
        ("orderbook", "BRLBTC", 20), ("orderbook", "BRLETH", 20), ("ticker", "BRLBTC", None),
        ("ticker", "BRLETH", None), ("trade", "BRLBTC", None), ("trade", "BRLETH", None),
    ]  # fmt: skip


def test_what_is_not_taken_stays_with_the_sender(monkeypatch):
    monkeypatch.setattr(shell, "MOST_FRAMES", 500)
    count, held, sent = 200_000, [], [0]

    async def flood(socket, server):
        await subscriptions(socket, server, 1)
        server.sender = socket
        for first in range(0, count, 1000):
            for one in range(first, first + 1000):
                await socket.send(trade_frame(one + 1), text=True)
            sent.append(first + 1000)
        await answer(socket, server)

    async def run():
        got = []
        with StreamServer(flood) as server:
            connection = MercadoBitcoinFeed(server.ingestion()).connection(
                ["BTC-BRL"], [TRADES], lambda: None
            )
            async with asyncio.timeout(60), connection as sockets:
                await until(lambda: sockets._paused)
                (session,) = sockets._paused
                assert not session.transport.is_reading()
                before = sockets.waiting()
                await until(lambda: server.sender.paused)  # the network holds no more
                assert sent[-1] < count
                assert sockets.waiting() == before
                assert not session.transport.is_reading()
                while len(data(got)) < 5000:
                    held.append(sockets.waiting())
                    got += sockets.take()
                    await asyncio.sleep(0)
        return got

    got = data(asyncio.run(run()))
    assert got == [trade_frame(one + 1) for one in range(len(got))]
    assert max(held) < 10_000


def test_a_market_that_has_gone_silent_is_subscribed_again():
    done = []

    def renew(sockets, got):
        if not done and any(type(one) is Opened for one in got):
            sockets.renew(TRADES, "BTC-BRL")
            done.append(True)

    with StreamServer(answer) as server:
        arrived(server.ingestion(), lambda got: len(server.heard) >= 3, then=renew)
    kinds = [one["type"] for one in server.heard]
    assert kinds == ["subscribe", "unsubscribe", "subscribe"]
