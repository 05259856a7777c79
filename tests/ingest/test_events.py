import time
from threading import Event, Thread

import pytest
from stream_server import StreamServer, answer, lake_rows, subscriptions, trade_frame

from cq.errors import UsageError
from cq.ingest import stream_orderbook, stream_tickers, stream_trades

TICKER = (
    b'{"type":"ticker","id":"BRLBTC","ts":1766612421092178345,"data":{"high":"486459.00000000",'
    b'"low":"478731.00000000","vol":"17.24240036","last":"485684.00000000","buy":"485685.00000000",'
    b'"sell":"486123.00000000","open":"485229.00000000","date":1766612421}}'
)
BOOK = (
    b'{"type":"orderbook","id":"BRLBTC","ts":1790138577211526746,"limit":10,"data":{"asks":'
    b'[[446328,0.5]],"bids":[[446327,0.25]],"timestamp":1790138577203546414}}'
)


def sending(*frames):
    async def script(socket, server):
        await subscriptions(socket, server, 1)
        for frame in frames:
            await socket.send(frame, text=True)
        await answer(socket, server)

    return script


def events_of(function, frames, count, **options):
    stop, got = Event(), []

    def on_event(event):
        got.append(event)
        if len(got) >= count:
            stop.set()

    with StreamServer(sending(*frames)) as server:
        function(["BTC-BRL"], on_event, stop, ingestion=server.ingestion(), **options)
        return got, server.heard


def test_each_trade_is_an_event_in_the_words_of_the_lake():
    frames = [trade_frame(one) for one in (3, 4, 6, 5, 5, 7)]
    got, _ = events_of(stream_trades, frames, 5)
    assert got == lake_rows(range(3, 8)).to_dicts()


def test_books_come_best_first_with_the_depth_that_was_asked_for():
    got, heard = events_of(stream_orderbook, [BOOK], 1, depth=10)
    assert got == [
        {
            "ts": 1790138577203546414,
            "bids": [{"price": 446327.0, "size": 0.25}],
            "asks": [{"price": 446328.0, "size": 0.5}],
            "symbol": "BTC-BRL",
            "exchange": "mercadobitcoin",
        }
    ]
    assert heard[0]["subscription"]["limit"] == 10


def test_a_ticker_is_an_event_with_its_day():
    got, _ = events_of(stream_tickers, [TICKER], 1)
    assert got[0]["last"] == 485684.0
    assert got[0]["ts"] == 1766612421 * 10**9


def test_it_ends_when_told_to_though_nothing_comes():
    stop = Event()
    with StreamServer(answer) as server:
        thread = Thread(
            target=stream_trades,
            args=(["BTC-BRL"], lambda event: None, stop),
            kwargs={"ingestion": server.ingestion()},
        )
        thread.start()
        until = time.monotonic() + 20
        while not server.heard and time.monotonic() < until:
            time.sleep(0.01)
        heard = list(server.heard)
        stop.set()
        thread.join(20)
    assert heard
    assert not thread.is_alive()


def test_an_error_of_the_callback_ends_the_stream():
    def broken(event):
        raise KeyError(event["trade_id"])

    with (
        StreamServer(sending(trade_frame(1), trade_frame(2))) as server,
        pytest.raises(KeyError, match="1"),
    ):
        stream_trades(["BTC-BRL"], broken, Event(), ingestion=server.ingestion())


def test_a_stream_of_no_symbol_is_refused():
    with pytest.raises(UsageError, match="no symbol to stream"):
        stream_trades([], print, Event())
