import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_server import second, trade_frame

from cq.exchanges.feed import Frame
from cq.exchanges.mercado_bitcoin.frames import FEW, FrameReader
from cq.utils.time import SECOND

PLAIN = trade_frame(1)


def frames(*texts):
    return [Frame(0, text if isinstance(text, bytes) else text.encode(), "s") for text in texts]


def read(*texts):
    return FrameReader().read(frames(*texts))


def fast(*texts):
    """The same with so many others around that the pattern is used."""
    return FrameReader().read(frames(*texts, *[trade_frame(1, "ETH-BRL")] * FEW))


def recorded(shared, name):
    text = (shared / "mercado_bitcoin" / "fixtures" / "ws" / name).read_text()
    return [line for line in text.splitlines() if line]


def test_one_recorded_frame_of_each_kind_reads_as_the_reference_says(recordings):
    ack, *rest = (recordings / "frames.jsonl").read_text().splitlines()
    decoded = read(ack, *rest)
    assert decoded.trades["BTC-BRL"].tolist() == [
        (21426785, 1766612427 * SECOND, 485685.0, 0.00016287, False)
    ]
    book = decoded.books.row(0, named=True)
    assert (book["ts"], book["symbol"]) == (1790138577203546414, "BTC-BRL")
    assert book["bids"][0] == {"price": 446327.0, "size": 0.00674804}
    assert decoded.tickers["last"].to_list() == [446341.0]
    assert len(decoded.notices) == 1  # the acknowledgement; the pong says nothing
    assert not decoded.corrupt


def test_recorded_trades_have_the_values_that_are_documented(shared):
    decoded = read(*recorded(shared, "trade_20251224_par.jsonl"))
    rows = decoded.trades["BTC-BRL"]
    assert rows[0].tolist() == (21426785, 1766612427 * SECOND, 485685.0, 0.00016287, False)
    assert set(rows["id"].tolist()) >= {21426785}
    assert not decoded.corrupt


def test_recorded_books_are_sorted_and_stamped_when_they_were_built(shared):
    decoded = read(*recorded(shared, "frames_20260923_trimmed3.jsonl"))
    book = decoded.books.row(0, named=True)
    assert book["ts"] == 1790138577203546414
    assert book["bids"][0] == {"price": 446327.0, "size": 0.00674804}
    assert [one["price"] for one in book["asks"]] == [446328.0, 446379.0, 446382.0]
    assert book["symbol"] == "BTC-BRL"
    ticker = decoded.tickers.row(0, named=True)
    assert (ticker["ts"], ticker["last"]) == (1790138602 * SECOND, 446341.0)


@pytest.mark.parametrize("name", ["ack", "pong", "ticker", "orderbook", "trade"])
def test_every_recorded_frame_is_understood(shared, name):
    lines = recorded(shared, f"{name}_20251224_par.jsonl")
    decoded = read(*lines)
    assert not decoded.corrupt
    assert len(decoded.notices) == (len(lines) if name == "ack" else 0)


def test_errors_and_acknowledgements_are_notices():
    decoded = read('{"type":"error","message":"not subscribed"}', '{"id":"BRLBTC","name":"trade"}')
    assert [dict(one) for one in decoded.notices] == [
        {"type": "error", "message": "not subscribed"},
        {"id": "BRLBTC", "name": "trade"},
    ]


CORRUPT = [
    b"", b"{", b"\xff\xfe", b"[]", b"null", b"17", b'{"type":"trade"}', b'{"type":"other"}',
    PLAIN[:-1], PLAIN[1:], PLAIN + b"}", PLAIN.replace(b'"tid":1', b'"tid":1.5'),
    PLAIN.replace(b'"tid":1', b'"tid":"1"'), PLAIN.replace(b'"tid":1', b'"tid":-1'),
    PLAIN.replace(b'"tid":1', b'"tid":null'), PLAIN.replace(b'"tid":1', b'"tid":true'),
    trade_frame(1, price=None), trade_frame(1, price="x"), trade_frame(1, price=[1]),
    trade_frame(1, price=True), trade_frame(1, type="SELL"), trade_frame(1, type=None),
    trade_frame(1, date=1766612427064), trade_frame(1, amount="nan"),
    PLAIN.replace(b'"price":485685.25', b'"price":1e999'),
    PLAIN.replace(b'"price":485685.25', b'"price":NaN'),
    PLAIN.replace(b"BRLBTC", b"XYZBTC"), PLAIN.replace(b"BRLBTC", b"BRL"),
    b'{"type":"orderbook","id":"BRLBTC","ts":1790138577211526746,"data":{"asks":[[1]],"bids":[]}}',
    b'{"type":"orderbook","id":"BRLBTC","ts":5,"data":{"asks":[],"bids":[]}}',
    b'{"type":"ticker","id":"BRLBTC","ts":1790138577211526746,"data":{"date":1790138602}}',
]  # fmt: skip


@pytest.mark.parametrize("reader", [read, fast])
@pytest.mark.parametrize("bad", CORRUPT)
def test_a_corrupt_frame_costs_only_itself(reader, bad):
    decoded = reader(PLAIN, bad, trade_frame(2))
    assert [one.data for one in decoded.corrupt] == [bad]
    assert decoded.trades["BTC-BRL"]["id"].tolist() == [1, 2]


@pytest.mark.parametrize("reader", [read, fast])
@pytest.mark.parametrize("place", range(9))
def test_a_second_with_another_digit_than_the_stamp_of_its_frame_is_corrupt(reader, place):
    """The last digit alone may differ: a frame leaves up to seconds after its trade."""
    date = list(str(second(1)))
    date[place] = str((int(date[place]) + 3) % 8 + 1)
    bad = trade_frame(1, date=int("".join(date)))
    decoded = reader(bad, trade_frame(2))
    assert [one.data for one in decoded.corrupt] == [bad]
    assert decoded.trades["BTC-BRL"]["id"].tolist() == [2]


@pytest.mark.parametrize("reader", [read, fast])
def test_a_trade_may_be_told_some_seconds_late(reader):
    late = trade_frame(1, date=second(1) - 4)
    assert not reader(late).corrupt
    assert reader(late).trades["BTC-BRL"]["ts"].tolist() == [(second(1) - 4) * SECOND]


@pytest.mark.parametrize("reader", [read, fast])
def test_a_trade_written_otherwise_keeps_its_place(reader):
    odd = json.dumps(json.loads(trade_frame(2, price="485685.50000000"))).encode()
    rows = reader(trade_frame(3), odd, PLAIN).trades["BTC-BRL"]
    assert rows["id"].tolist() == [3, 2, 1]
    assert rows["price"][1] == 485685.5


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=80), st.randoms())
def test_many_frames_at_once_are_read_as_each_by_itself(ids, randomness):
    symbols = ("BTC-BRL", "ETH-BRL", "BTC-USDT")
    texts = [trade_frame(one, randomness.choice(symbols)) for one in ids] + [PLAIN] * FEW
    many, single = read(*texts).trades, FrameReader()._one_by_one(frames(*texts)).trades
    assert many.keys() == single.keys()
    assert all(np.array_equal(many[symbol], single[symbol]) for symbol in many)


@given(st.floats(0, 1e300, exclude_min=True), st.decimals(0, 10**9, places=8))
def test_a_number_becomes_the_nearest_float_whichever_way_it_is_read(price, amount):
    text = PLAIN.replace(b"485685.25", repr(price).encode()).replace(
        b"1.00016287", str(amount).encode()
    )
    for reader in (read, fast):
        row = reader(text).trades["BTC-BRL"][0]
        assert (row["price"], row["size"]) == (price, float(amount))


@given(st.binary(max_size=200), st.integers(0, 150), st.integers(1, 30))
def test_no_bytes_whatever_stop_the_reader(noise, place, cut):
    torn = PLAIN[:place] + noise[:cut] + PLAIN[place + cut :]
    for reader in (read, fast):
        for text in (noise, torn):
            decoded = reader(text, trade_frame(2))
            assert decoded.trades["BTC-BRL"]["id"].tolist()[-1] == 2


def test_what_is_not_there_has_its_columns_all_the_same():
    decoded = read(PLAIN)
    assert decoded.books.schema["bids"] == pl.List(
        pl.Struct({"price": pl.Float64, "size": pl.Float64})
    )
    assert decoded.tickers.is_empty()
