import json

import pytest

from cq.errors import UsageError
from cq.exchanges.feed import BOOKS, CHANNELS, TICKERS, TRADES
from cq.exchanges.mercado_bitcoin.protocol import PING, Conversation, Subscription, sockets
from cq.exchanges.mercado_bitcoin.symbols import from_wire, to_wire


def conversation(ping_s=15, stale_s=30):
    talk = Conversation([Subscription(TRADES, "BTC-BRL")], ping_s, stale_s)
    talk.open(0)
    return talk


def test_subscriptions_are_written_as_the_exchange_was_seen_to_take_them(shared):
    path = shared / "mercado_bitcoin" / "fixtures" / "ws" / "client_frames_and_replies.json"
    sent = [one.get("send") for one in json.loads(path.read_text())]
    ours = [Subscription(TRADES, "BTC-BRL"), Subscription(TICKERS, "BTC-BRL"),
            Subscription(BOOKS, "BTC-BRL", 20)]  # fmt: skip
    assert all(json.loads(one.frame()) in sent for one in ours)
    assert json.loads(PING) in sent
    gone = Subscription(BOOKS, "SOL-BRL", 20).frame("unsubscribe")
    assert json.loads(gone) in sent


def test_each_channel_has_a_socket_of_its_own_so_that_one_book_limit_is_sent_on_each():
    parts = sockets(["BTC-BRL", "ETH-BRL"], CHANNELS, 20)
    assert [{one.channel for one in part} for part in parts] == [{TRADES}, {BOOKS}, {TICKERS}]
    assert all(one.depth == (20 if one.channel == BOOKS else None) for p in parts for one in p)


def test_a_depth_that_the_exchange_refuses_is_refused_before():
    with pytest.raises(UsageError, match=r"depth of 15 .* 10, 20, 50"):
        sockets(["BTC-BRL"], [BOOKS], 15)


def test_a_ping_is_due_every_so_often():
    talk = conversation()
    assert talk.due(14.9) == []
    assert talk.due(15) == [PING]
    assert talk.due(15.1) == []
    assert talk.due(30) == [PING]


def test_a_socket_on_which_nothing_comes_is_stale_and_a_pong_is_enough_to_keep_it():
    talk = conversation()
    assert not talk.is_stale(29.9)
    assert talk.is_stale(30)
    talk.heard(20, [b'{"type":"pong"}'])
    assert not talk.is_stale(49)
    assert talk.is_stale(50)
    assert not talk.delivered


def test_only_data_show_that_a_connection_is_of_use():
    talk = conversation()
    talk.heard(1, [b'{"id":"BRLBTC","name":"trade"}'])
    assert not talk.delivered
    talk.heard(2, [b'{"type":"trade","id":"BRLBTC","ts":1766612427064216526,"data":{"tid":1}}'])
    assert talk.delivered


def test_it_says_how_long_there_is_nothing_to_do():
    talk = conversation(15, 20)
    assert talk.wait_s(5) == 10
    talk.due(15)
    assert talk.wait_s(15) == 5


def test_a_silent_market_is_unsubscribed_and_subscribed_again():
    kinds = [json.loads(one)["type"] for one in conversation().renewed("BTC-BRL")]
    assert kinds == ["unsubscribe", "subscribe"]
    assert conversation().renewed("ETH-BRL") == []


@pytest.mark.parametrize("symbol", ["BTC-BRL", "BTC-USDT", "USDC-USDT", "1INCH-BRL", "ETH-BTC"])
def test_an_id_on_the_socket_leads_back_to_its_symbol(symbol):
    assert from_wire(to_wire(symbol)) == symbol


def test_an_id_that_is_none_leads_nowhere():
    assert [from_wire(one) for one in ("BRL", "XYZBTC", "BRL-BTC", "")] == [None] * 4
