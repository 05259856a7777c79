"""The tape: made in any order and in any pieces, it is always the same."""

import itertools
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cq.errors import UnknownSymbol
from cq.sim.arrays import BUY, BarArrays, TradeArrays, bars_of, bucket
from cq.sim.listing import UNIT, listing
from cq.sim.strips import TradesStrip
from cq.sim.tape import Tape
from cq.utils.time import DAY, HOUR, MINUTE, parse_time

NOW = parse_time("2023-01-09T12:34:56.789")
TAPE = Tape.generated(seed=3)


def same(one: BarArrays | TradeArrays, other: BarArrays | TradeArrays) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one)
    )


@pytest.mark.parametrize("interval", ["1m", "15m", "1h", "3h", "1d", "1w"])
def test_candles_are_what_the_trades_add_up_to(interval):
    trades = TAPE.trades("ETH-BRL", 0, NOW + 1)
    made = bars_of(trades, bucket(trades.ts, interval))
    assert same(TAPE.candles("ETH-BRL", interval, 0, NOW + 1, NOW), made)


@given(cuts=st.lists(st.integers(0, 9 * DAY), max_size=8))
@settings(max_examples=25, deadline=None)
def test_a_tape_read_in_pieces_is_the_tape_read_at_once(cuts):
    edges = sorted({0, 9 * DAY, *cuts})
    begin = TAPE.begin_ns
    pieces = [TAPE.trades("SOL-BRL", begin + a, begin + b) for a, b in itertools.pairwise(edges)]
    assert same(TradeArrays.joined(pieces), TAPE.trades("SOL-BRL", begin, begin + 9 * DAY))


def test_another_tape_of_the_same_seed_is_the_same_wherever_it_is_asked_first():
    other = Tape.generated(seed=3)
    assert same(other.trades("BTC-BRL", NOW - HOUR, NOW), TAPE.trades("BTC-BRL", NOW - HOUR, NOW))
    assert other.last_tid("LTC-BRL", NOW) == TAPE.last_tid("LTC-BRL", NOW)


def test_another_seed_is_another_market():
    assert Tape.generated(seed=4).last_price("BTC-BRL", NOW) != TAPE.last_price("BTC-BRL", NOW)


def test_ids_are_dense_from_one():
    trades = TAPE.trades("USDT-BRL", 0, NOW)
    assert trades.tid.tolist() == list(range(1, len(trades) + 1))
    assert (np.diff(trades.ts) >= 0).all()


def test_trades_by_id_are_the_trades_of_those_ids_that_have_happened():
    last = TAPE.last_tid("BTC-BRL", NOW)
    found = TAPE.trades_by_id("BTC-BRL", last - 5000, last + 10, NOW)
    assert found.tid.tolist() == list(range(last - 5000, last + 1))
    assert found.ts[-1] <= NOW
    assert len(TAPE.trades_by_id("BTC-BRL", last + 1, last + 9, NOW)) == 0


def test_many_trades_a_minute_keep_to_the_bars():
    busy = Tape.generated(seed=3, trades_per_minute=2000)
    begin = busy.begin_ns + 3 * HOUR
    trades = busy.trades("BTC-BRL", begin, begin + 20 * MINUTE)
    assert len(trades) > 20_000
    made = bars_of(trades, bucket(trades.ts, "1m"))
    assert same(busy.candles("BTC-BRL", "1m", begin, begin + 20 * MINUTE, NOW), made)


def test_a_candle_in_progress_holds_what_has_happened_so_far():
    bar = TAPE.candles("BTC-BRL", "1h", NOW - HOUR, NOW + 1, NOW)[-1:]
    opened = NOW // HOUR * HOUR
    assert bar.ts.tolist() == [opened]
    assert bar.volume[0] == TAPE.trades("BTC-BRL", opened, NOW + 1).size.sum()


def test_months_begin_on_the_first():
    months = TAPE.candles("BTC-BRL", "1M", 0, parse_time("2023-03-15"), parse_time("2023-03-15"))
    assert months.ts.tolist() == [parse_time(f"2023-0{month}-01") for month in (1, 2, 3)]


def test_weeks_begin_on_mondays_or_with_the_epoch():
    ts = np.array([parse_time("2026-11-22")])
    assert bucket(ts, "1w").tolist() == [parse_time("2026-11-16")]
    assert bucket(ts, "1w", "thursday").tolist() == [parse_time("2026-11-19")]


def test_a_book_lies_around_the_last_trade_and_less_of_it_is_its_top():
    whole, top = TAPE.book("BTC-BRL", NOW, 200), TAPE.book("BTC-BRL", NOW, 5)
    last = TAPE.last_price("BTC-BRL", NOW)
    assert whole.bids[:5] == top.bids
    assert whole.asks[:5] == top.asks
    assert last in (top.bids[0][0], top.asks[0][0])
    prices = [price for price, _ in whole.bids[::-1] + whole.asks]
    assert prices == sorted(set(prices))


def test_a_ticker_is_the_rolling_day():
    found = TAPE.ticker("ETH-BRL", NOW)
    day = TAPE.trades("ETH-BRL", (NOW - DAY) // MINUTE * MINUTE, NOW + 1)
    assert found.high == day.price.max()
    assert found.low == day.price.min()
    assert found.volume == day.size.sum()
    assert (found.open, found.last) == (day.price[0], day.price[-1])


@pytest.mark.parametrize("price", [3, 14, 160, 35_000_000])
def test_a_price_of_any_size_lies_within_its_band(price):
    one = TradeArrays(*(np.array([value]) for value in (NOW, 1, price, 5 * UNIT, BUY)))
    strip = TradesStrip(listing("AAA-BRL", Decimal("1e-8")), one)
    tape = Tape({"AAA-BRL": strip.listing}, {"AAA-BRL": strip}, 0)
    least, most = tape.price_band("AAA-BRL", NOW)
    assert 0 < least < tape.last_price("AAA-BRL", NOW) < most


def test_a_listed_market_without_trades_is_empty():
    assert TAPE.book("CLV-BRL", NOW, 5).asks == []
    assert TAPE.last_tid("CLV-BRL", NOW) == 0
    assert len(TAPE.candles("CLV-BRL", "1h", 0, NOW, NOW)) == 0
    assert TAPE.last_price("CLV-BRL", NOW) == 0


def test_an_unlisted_market_is_refused():
    with pytest.raises(UnknownSymbol):
        TAPE.trades("NOPE-BRL", 0, NOW)


def test_before_its_first_day_there_is_nothing():
    early = TAPE.begin_ns - DAY
    assert TAPE.last_tid("BTC-BRL", early) == 0
    assert len(TAPE.candles("BTC-BRL", "1d", 0, early, early)) == 0
