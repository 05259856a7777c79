"""The WebSocket side over real sockets, and its frames against what was recorded."""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager

import polars as pl
import pytest
from simulator import START, TAPE, simulation
from stream_server import until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from cq.sim import frames
from cq.sim.faults import Faults
from cq.sim.server import running
from cq.sim.subscriptions import Subscriptions
from cq.sim.tape import Tape
from cq.utils.time import HOUR, MINUTE, SECOND

BTC, ETH = ("BRLBTC", "BTC-BRL"), ("BRLETH", "ETH-BRL")


def wish(name, wire, kind="subscribe", **more):
    return {"type": kind, "subscription": {"name": name, "id": wire, **more}}


@asynccontextmanager
async def joined(address, *wishes):
    """A socket on which all wishes have been acknowledged."""
    async with connect(address.ws, compression=None, ping_interval=None, close_timeout=0.1) as ws:
        for one in wishes:
            await ws.send(json.dumps(one))
        for one in wishes:
            said = json.loads(await ws.recv())
            assert said["name"] == one["subscription"]["name"], said
        yield ws


async def heard(ws, count, seconds=10.0):
    """The next frames, parsed."""
    async with asyncio.timeout(seconds):
        return [json.loads(await ws.recv()) for _ in range(count)]


def run(sim, conversation):
    """One conversation with a running exchange."""
    with running(sim) as address:
        return asyncio.run(conversation(address))


# what is replied


@pytest.fixture
def socket():
    return Subscriptions(TAPE, one_book_limit=True)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (wish("trades", "BRLBTC"), "unknown subscription name"),
        (wish("trade", "BTC-BRL"), "invalid pair to subscribe"),
        (wish("ticker", "BRLNOPE"), "invalid pair to subscribe"),
        (
            wish("orderbook", "BRLXRP", limit=30),
            "for orderbook, {limit} must be 10, 20, 50, 100, 200",
        ),
        (wish("orderbook", "BRLXRP"), "for orderbook, {limit} must be 10, 20, 50, 100, 200"),
        ({"type": "nope"}, "unknown message type"),
        ([1], "unknown message type"),
    ],
)
def test_a_wish_that_cannot_be_met_is_an_error(socket, said, message):
    assert socket.told(json.dumps(said), START) == {"type": "error", "message": message}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "invalid character 'h' looking for beginning of value"),
        ('{"type":', "unexpected end of JSON input"),
        ("", "unexpected end of JSON input"),
    ],
)
def test_what_is_no_json_is_an_error_in_the_words_of_the_exchange(socket, text, message):
    assert socket.told(text, START)["message"] == message


def test_twice_the_same_is_refused_and_an_end_has_no_reply(socket):
    said = json.dumps(wish("trade", "BRLBTC"))
    assert socket.told(said, START) == {"id": "BRLBTC", "name": "trade"}
    assert socket.told(said, START)["message"] == "already subscribed"
    assert socket.told(json.dumps(wish("trade", "BRLBTC", "unsubscribe")), START) is None
    assert socket.told(json.dumps(wish("trade", "BRLETH", "unsubscribe")), START) is None
    assert socket.told(said, START) == {"id": "BRLBTC", "name": "trade"}


def test_the_last_book_limit_counts_for_all_books_unless_the_switch_is_off():
    for one, expected in ((True, 200), (False, 10)):
        socket = Subscriptions(TAPE, one_book_limit=one)
        for wire, limit in (("BRLBTC", 10), ("BRLETH", 200)):
            ack = socket.told(json.dumps(wish("orderbook", wire, limit=limit)), START)
            assert ack["limit"] == limit
        assert socket.limit("BTC-BRL") == expected


# what is sent


def test_trades_come_as_they_happen_each_once_and_in_order():
    sim = simulation(tape=Tape.generated(seed=3, trades_per_minute=50))

    async def conversation(address):
        async with joined(address, wish("trade", BTC[0]), wish("trade", ETH[0])) as ws:
            sim.clock.advance(10 * MINUTE)
            expected = {
                wire: sim.tape.trades(symbol, START + 1, START + 10 * MINUTE + 1).tid.tolist()
                for wire, symbol in (BTC, ETH)
            }
            return expected, await heard(ws, sum(map(len, expected.values())))

    expected, got = run(sim, conversation)
    for wire, ids in expected.items():
        assert [one["data"]["tid"] for one in got if one["id"] == wire] == ids
    stamps = [one["ts"] for one in got]
    assert stamps == sorted(stamps)


def test_nothing_is_sent_on_subscribing_only_on_change():
    sim = simulation()
    wishes = (wish("trade", "BRLBTC"), wish("ticker", "BRLBTC"))

    async def conversation(address):
        async with joined(address, *wishes, wish("orderbook", "BRLBTC", limit=10)) as ws:
            await ws.send('{"type":"ping"}')
            first = json.loads(await ws.recv())
            sim.clock.advance(MINUTE)
            return first, await heard(ws, 2)

    first, changes = run(sim, conversation)
    assert first == {"type": "pong"}
    assert {one["type"] for one in changes} <= {"trade", "orderbook", "ticker"}


def test_a_book_is_whole_and_ordered_and_a_ticker_has_no_pair():
    sim = simulation()
    wishes = (wish("orderbook", "BRLBTC", limit=20), wish("ticker", "BRLBTC"))

    async def conversation(address):
        async with joined(address, *wishes) as ws:
            sim.clock.advance(HOUR)
            return await heard(ws, 2)

    by_type = {one["type"]: one for one in run(sim, conversation)}
    book = by_type["orderbook"]
    assert (book["limit"], len(book["data"]["bids"]), len(book["data"]["asks"])) == (20, 20, 20)
    bids = [price for price, _ in book["data"]["bids"]]
    assert bids == sorted(bids, reverse=True)
    assert book["ts"] > book["data"]["timestamp"] == START + HOUR
    assert "pair" not in by_type["ticker"]["data"]


def test_a_token_that_never_trades_is_acknowledged_and_silent():
    sim = simulation()

    async def conversation(address):
        async with joined(address, wish("orderbook", "BRLMBTOKEN1", limit=10)) as ws:
            sim.clock.advance(HOUR)
            await ws.send('{"type":"ping"}')
            return await heard(ws, 1)

    assert run(sim, conversation) == [{"type": "pong"}]


# how it ends


def test_a_socket_without_traffic_is_dropped_without_a_close_frame():
    async def conversation(address):
        async with joined(address, wish("trade", "BRLBTC")) as ws:
            with pytest.raises(ConnectionClosedError) as ended:
                await heard(ws, 1)
            return ended.value

    ended = run(simulation(ws_idle_s=0.2), conversation)
    assert ended.rcvd is None  # what clients call 1006


def test_sockets_can_be_too_many_or_too_old():
    async def conversation(address):
        async with joined(address) as ws:
            with pytest.raises(Exception, match="429"):
                await connect(address.ws).__aenter__()
            with pytest.raises(ConnectionClosedError):
                await heard(ws, 1)

    run(simulation(ws_max_connections=1, ws_max_life_s=0.5), conversation)


# faults


def stormy(faults, count, *, minutes=30):
    """The ids of a stream of trades on which the faults strike, and what was counted."""
    sim = simulation(tape=Tape.generated(seed=3, trades_per_minute=100), faults=faults, seed=9)

    async def conversation(address):
        async with joined(address, wish("trade", "BRLBTC")) as ws:
            sim.clock.advance(minutes * MINUTE)
            return [await ws.recv() for _ in range(count)]

    return run(sim, conversation), sim.status.faults


def ids(texts):
    return [json.loads(text)["data"]["tid"] for text in texts]


def test_frames_are_doubled_lost_and_overtaken_as_often_as_the_plan_says():
    found, faults = stormy([{"kind": "duplicate", "each": 10}], 1100)
    assert max(Counter(ids(found)).values()) == 2
    assert len(set(ids(found))) == 1000
    found, _ = stormy([{"kind": "lost", "each": 10, "limit": 5}], 500)
    assert ids(found)[-1] - ids(found)[0] == 504
    found, _ = stormy([{"kind": "reorder", "each": 50, "distance": 3}], 500)
    assert ids(found) != sorted(ids(found))
    assert sorted(ids(found[:480])) == list(range(ids(found)[0], ids(found)[0] + 480))
    assert faults["duplicate"] > 100


def test_frames_are_overtaken_at_a_normal_pace_too():
    sim = simulation(
        tape=Tape.generated(seed=3, trades_per_minute=100), faults=[{"kind": "reorder", "each": 2}]
    )

    async def conversation(address):
        async with joined(address, wish("trade", "BRLBTC")) as ws:
            begun = sim.tape.last_tid("BTC-BRL", sim.now_ns())
            for number in range(1, 8):
                while sim.tape.last_tid("BTC-BRL", sim.now_ns()) < begun + number:
                    sim.clock.advance(SECOND // 100)
                await until(lambda seen=number: sim.status.frames["trade"] >= seen)
            return [tid - begun for tid in ids([await ws.recv() for _ in range(7)])]

    assert run(sim, conversation) == [1, 3, 2, 5, 4, 7, 6]


def test_the_status_counts_each_trade_that_was_told_once():
    sim = simulation(tape=Tape.generated(seed=3, trades_per_minute=100))

    async def conversation(address):
        wishes = (wish("trade", "BRLBTC"), wish("trade", "BRLETH"))
        async with joined(address, *wishes) as ws:
            before = [sim.tape.last_tid(one, sim.now_ns()) for one in ("BTC-BRL", "ETH-BRL")]
            sim.clock.advance(6 * HOUR)
            after = [sim.tape.last_tid(one, sim.now_ns()) for one in ("BTC-BRL", "ETH-BRL")]
            count = sum(after) - sum(before)
            for _ in range(count):
                await ws.recv()
            return count

    count = run(sim, conversation)
    assert count > 2 * 8_000
    assert sim.status.frames["trade"] == count


def parsed(text):
    """The frame, or None where it is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def test_a_broken_frame_is_no_json():
    found, _ = stormy([{"kind": "corrupt", "how": "broken", "each": 100}], 1000)
    assert [parsed(text) for text in found].count(None) == 10


def test_a_misread_frame_differs_in_one_digit_of_its_id_or_date():
    whole, _ = stormy([], 1000)
    found, faults = stormy([{"kind": "corrupt", "how": "digit", "each": 20}], 1000)
    struck = [pair for pair in zip(whole, found, strict=True) if pair[0] != pair[1]]
    assert len(struck) == 50 <= faults["corrupt"]
    names = Counter()
    for right, wrong in struck:
        assert sum(a != b for a, b in zip(right, wrong, strict=True)) == 1
        right, wrong = json.loads(right)["data"], json.loads(wrong)["data"]
        names.update(name for name in right if right[name] != wrong[name])
    assert set(names) == {"tid", "date"}


def test_a_corrupt_frame_is_broken_or_misread_unless_the_plan_says_which():
    whole, _ = stormy([], 1000)
    found, _ = stormy([{"kind": "corrupt", "each": 20}], 1000)
    struck = [wrong for right, wrong in zip(whole, found, strict=True) if right != wrong]
    assert len(struck) == 50
    assert 10 < [parsed(text) for text in struck].count(None) < 40


def test_a_frame_without_id_and_date_is_broken_instead():
    book = '{"type":"orderbook","id":"BRLBTC","ts":1,"data":{"asks":[],"bids":[],"timestamp":1}}'
    assert parsed(Faults().mangled(book, "digit")) is None


def test_the_same_plan_and_seed_make_the_same_stream():
    faults = [{"kind": kind, "chance": 0.02} for kind in ("duplicate", "reorder", "corrupt")]
    assert stormy(faults, 1500)[0] == stormy(faults, 1500)[0]


def test_a_socket_drops_after_the_frame_that_the_plan_says():
    with pytest.raises(ConnectionClosedError):
        stormy([{"kind": "disconnect", "each": 50}], 51)
    found, faults = stormy([{"kind": "disconnect", "each": 50}], 50)
    assert len(found) == 50
    assert faults["disconnect"] == 1


@pytest.mark.parametrize("kind", ["half_open", "silent"])
def test_a_silent_socket_still_answers_pings_and_a_half_open_one_does_not(kind):
    sim = simulation(faults=[{"kind": kind, "each": 5}])

    async def conversation(address):
        async with joined(address, wish("trade", "BRLBTC")) as ws:
            sim.clock.advance(5 * MINUTE)
            await heard(ws, 5)
            sim.clock.advance(5 * MINUTE)
            await ws.send('{"type":"ping"}')
            try:
                rest = await heard(ws, 1, seconds=0.5)
            except TimeoutError:
                return None
            while rest[-1]["type"] != "pong":  # what was put together before it struck
                rest = await heard(ws, 1)
            return rest[-1]

    assert run(sim, conversation) == (None if kind == "half_open" else {"type": "pong"})


def test_an_outage_of_one_symbol_leaves_the_others():
    rule = {"kind": "outage", "symbols": "BTC-BRL", "endpoints": "ws"}
    sim = simulation(faults=[rule])

    async def conversation(address):
        async with joined(address, wish("trade", BTC[0]), wish("trade", ETH[0])) as ws:
            sim.clock.advance(10 * MINUTE)
            return await heard(ws, 10)

    assert {one["id"] for one in run(sim, conversation)} == {"BRLETH"}


# frames


def test_frames_are_packed_as_the_standard_says_whatever_their_length():
    texts = ["a", "b" * 125, "c" * 126, "d" * 65_535, "e" * 65_536]
    blob = frames.packed(pl.Series(texts))
    found = []
    while blob:
        assert blob[0] == 0x81
        size, head = blob[1], 2
        if size == 126:
            size, head = int.from_bytes(blob[2:4], "big"), 4
        elif size == 127:
            size, head = int.from_bytes(blob[2:10], "big"), 10
        found.append(blob[head : head + size].decode())
        blob = blob[head + size :]
    assert found == texts


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (48_568_500_000_000, "485685"),
        (5_170_000, "0.0517"),
        (1, "0.00000001"),
        (80_050_000_000, "800.5"),
    ],
)
def test_numbers_are_as_short_as_they_can_be(units, text):
    assert frames.shortest(units) == text
    frame = pl.DataFrame({"price": [units]}).select(frames._number("price"))
    assert frame.item() == text


def test_a_slow_client_is_told_later_and_misses_nothing():
    tape = Tape.generated(seed=3, trades_per_minute=3000)
    sim = simulation(tape=tape)

    async def conversation(address):
        async with joined(address, wish("trade", "BRLBTC")) as ws:
            sim.clock.advance(30 * MINUTE)
            async with asyncio.timeout(30):
                while not sim.status.frames["sent"]:
                    await asyncio.sleep(0.01)
            total = len(tape.trades("BTC-BRL", START + 1, START + 30 * MINUTE + 1))
            return total, [await ws.recv(decode=False) for _ in range(total)]

    total, got = run(sim, conversation)
    assert total > 50_000
    assert ids(got[-1:])[0] - ids(got[:1])[0] == total - 1


def test_dates_are_in_seconds():
    assert START // SECOND == 1_673_267_696
