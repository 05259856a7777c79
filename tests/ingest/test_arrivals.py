from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from stream_server import lake_rows, second, trade_frame

from cq.exchanges.feed import TRADES, Closed, Fill, Frame, Hole, Opened
from cq.exchanges.mercado_bitcoin.frames import FrameReader
from cq.ingest.arrivals import Arrivals, frame_of, replayed, rows_of
from cq.lake.datasets import TRADES as CONTRACT
from cq.utils.time import SECOND

BTC = "BTC-BRL"


def frame(data):
    return Frame(0, data, "s")


def fill(ids, first, last, **more):
    return Fill(0, BTC, first, last, lake_rows(ids), **more)


def taken(*arrivals, after=0, symbols=None):
    core = Arrivals(FrameReader(), symbols, {BTC: after})
    return core.take(arrivals)


def ids(batch):
    return [int(one) for one in batch.trades["trade_id"]]


def test_stream_and_rest_give_the_same_row_for_the_same_trade():
    assert_frame_equal(taken(frame(trade_frame(1))).trades, lake_rows([1]))
    assert_frame_equal(taken(fill([1], 1, 1)).trades, lake_rows([1]))


def test_trades_have_the_columns_of_the_contract_even_when_there_are_none():
    for batch in (taken(), taken(frame(trade_frame(1)))):
        assert dict(batch.trades.schema) == dict(CONTRACT.schema)


def test_rows_survive_the_way_to_arrays_and_back():
    rows = lake_rows(range(1, 50))
    assert_frame_equal(frame_of([(BTC, rows_of(rows))], "mercadobitcoin"), rows)


def test_a_fill_lets_pass_what_waited_behind_it():
    batch = taken(frame(trade_frame(3)), fill([1, 2], 1, 2))
    assert ids(batch) == [1, 2, 3]
    assert (batch.filled, batch.duplicates) == (2, 0)


def test_a_live_trade_that_a_fill_brought_before_is_a_duplicate():
    batch = taken(fill([1, 2], 1, 2), frame(trade_frame(2)), frame(trade_frame(3)))
    assert ids(batch) == [1, 2, 3]
    assert batch.duplicates == 1


def test_what_is_lost_is_named_and_passed_over():
    batch = taken(frame(trade_frame(5)), fill([3], 1, 4, lost=True))
    assert ids(batch) == [3, 5]
    assert batch.lost == [Hole(BTC, 1, 2), Hole(BTC, 4, 4)]
    assert batch.seen_ns == {BTC: second(5) * SECOND}


def test_a_market_that_nobody_asked_for_is_no_part_of_the_stream():
    batch = taken(frame(trade_frame(1)), frame(trade_frame(1, "ETH-BRL")), symbols=[BTC])
    assert batch.trades["symbol"].to_list() == [BTC]
    assert batch.corrupt == 1


def test_the_second_opening_of_a_channel_is_a_reconnect():
    batch = taken(Opened(0, "a", TRADES), Closed(1, "a", TRADES, "x"), Opened(2, "b", TRADES))
    assert batch.reconnects == 1


def test_rest_says_up_to_when_a_silent_market_is_whole():
    assert taken(fill([], 1, 0, seen_ns=99)).seen_ns == {BTC: 99}
    assert taken(fill([], 5, 4, seen_ns=99), after=0).seen_ns == {}


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_the_side_is_the_takers(side):
    assert taken(frame(trade_frame(1, type=side))).trades["side"].to_list() == [side]


@given(
    randomness=st.randoms(use_true_random=False),
    given_by_rest=st.sets(st.integers(1, 60), max_size=30),
    cuts=st.lists(st.integers(0, 200), max_size=6),
    symbols=st.lists(st.sampled_from([BTC, "ETH-BRL"]), min_size=1, max_size=2, unique=True),
)
def test_any_interleaving_of_frames_and_fills_gives_the_same_trades_however_it_is_cut(
    randomness, given_by_rest, cuts, symbols
):
    arrivals = [frame(b"{torn"), frame(b'{"type":"pong"}')] * 5
    for symbol in symbols:
        for one in range(1, 61):
            rest = Fill(0, symbol, one, one, lake_rows([one], symbol))
            arrivals.append(rest if one in given_by_rest else frame(trade_frame(one, symbol)))
        arrivals += [frame(trade_frame(randomness.randint(1, 60), symbol)) for _ in range(20)]
    randomness.shuffle(arrivals)
    core = Arrivals(FrameReader(), None, dict.fromkeys(symbols, 0))
    places = sorted({min(one, len(arrivals)) for one in cuts} | {0, len(arrivals)})
    batches = [core.take(arrivals[a:b]) for a, b in pairwise(places)]
    whole = pl.concat([one.trades for one in batches])
    for symbol in symbols:
        assert_frame_equal(whole.filter(symbol=symbol), lake_rows(range(1, 61), symbol))
    assert sum(one.corrupt for one in batches) == 5
    assert core.held == 0
    begun = dict.fromkeys(symbols, 0)
    again = pl.concat([one.trades for one in replayed(arrivals, FrameReader(), after=begun)])
    for symbol in symbols:
        assert_frame_equal(again.filter(symbol=symbol), whole.filter(symbol=symbol))


def mangled(tid, seconds):
    """A trade whose two stamps are wrong together: nothing in the frame gives it away."""
    right, wrong = (str(one).encode() for one in (second(tid), second(tid) + seconds))
    return trade_frame(tid).replace(right, wrong)


def seen(*arrivals, cut=None):
    core = Arrivals(FrameReader(), None, {BTC: 0})
    pieces = [arrivals] if cut is None else [arrivals[:cut], arrivals[cut:]]
    for piece in pieces:
        core.take(piece)
    return core.seen_ns.get(BTC, 0)


@pytest.mark.parametrize("wrong", [1, 15, 29, 30])
@pytest.mark.parametrize("seconds", [7 * 10**9, 86_400, -86_400])
def test_one_wrong_stamp_moves_no_mark_however_arrivals_are_cut(seconds, wrong):
    frames = [
        frame(mangled(one, seconds) if one == wrong else trade_frame(one)) for one in range(1, 31)
    ]
    marks = {seen(*frames, cut=cut) for cut in range(31)}
    assert len(marks) == 1
    assert second(28) * SECOND <= marks.pop() <= second(30) * SECOND


def test_a_quiet_market_may_jump_for_hours_once_the_next_trade_confirms_it():
    one, two, three = frame(trade_frame(1)), frame(mangled(2, 9000)), frame(mangled(3, 9000))
    assert seen(one, two) == second(1) * SECOND
    assert seen(one, two, three) == (second(2) + 9000) * SECOND


def test_a_trade_that_rest_gave_needs_no_other_to_confirm_it():
    assert seen(fill([1], 1, 1)) == second(1) * SECOND
    assert seen(frame(trade_frame(40)), fill(range(1, 30), 1, 29)) == second(29) * SECOND
