import pytest
from stream_server import BEGIN, Market, lake_rows, second, trade_frame

from cq.errors import Unreachable
from cq.exchanges.feed import BOOKS, TRADES, Fill, Frame, Opened, Seed
from cq.exchanges.mercado_bitcoin.frames import FrameReader
from cq.ingest.arrivals import Arrivals
from cq.ingest.filling import LONGEST_PAUSE_S, PAUSE_S, Asking, pause_s
from cq.utils.settings import Stream
from cq.utils.time import SECOND

BTC, ETH = "BTC-BRL", "ETH-BRL"
START = Opened(0, "a", TRADES)


class Workers:
    """Keeps questions until they are to be answered."""

    def __init__(self):
        self.asked = []

    def ask(self, question, then):
        self.asked.append((question, then))

    def answer(self):
        asked, self.asked = self.asked, []
        for question, then in asked:
            try:
                then(question())
            except Exception as failed:
                then(failed)


class Rehearsal:
    """An Asking whose clock and threads are the test's."""

    def __init__(self, market, symbols, after=None, **stream):
        self.core, self.workers = Arrivals(FrameReader(), symbols, after), Workers()
        settings = Stream(quiet_seconds=10, reorder_ms=0, **stream)
        self.asking = Asking(
            self.core, market, symbols, settings, self.workers, lambda: 0, lambda: None,
            lambda delay: None,
        )  # fmt: skip

    def take(self, arrivals, now_s):
        self.core.take(arrivals)
        self.asking.heard([one for one in arrivals if isinstance(one, Opened)], now_s)

    def answered(self, now_s):
        """What came of all that is due now."""
        self.asking.look(now_s, tick=True)
        self.workers.answer()
        answers = self.asking.taken()
        self.take(answers, now_s)
        return answers


def test_a_market_with_a_hole_that_nobody_fills_does_not_keep_the_others_waiting():
    class Silent(Market):
        def missing_trades(self, symbol, first_id, last_id):
            raise Unreachable("http://127.0.0.1", "on demand")

    market = Silent({BTC: 9, ETH: 3}, now_ns=lambda: second(500) * SECOND)
    one = Rehearsal(market, (BTC, ETH), {BTC: 0, ETH: 3})
    one.take([START, Frame(0, trade_frame(9), "a")], 0.0)
    for now_s in range(30):
        one.answered(float(now_s))
    assert market.looked.count(ETH) >= 3
    assert BTC not in market.looked
    assert one.core.seen_ns[ETH] == (second(500) - 5) * SECOND


def test_a_question_for_a_hole_that_hangs_does_not_keep_the_others_waiting():
    market = Market({BTC: 9, ETH: 3}, now_ns=lambda: second(500) * SECOND)
    one = Rehearsal(market, (BTC, ETH), {BTC: 0, ETH: 3})
    one.take([Frame(0, trade_frame(9), "a")], 0.0)
    one.asking.look(0.0, tick=True)
    one.asking.look(1.0, tick=True)
    hanging, one.workers.asked = one.workers.asked, []
    assert len(hanging) == 1
    one.take([START], 2.0)
    one.answered(2.0)
    assert market.looked == [ETH]


def test_one_market_is_looked_at_at_a_time():
    one = Rehearsal(Market({BTC: 3, ETH: 3}), (BTC, ETH), {BTC: 3, ETH: 3})
    one.take([START], 0.0)
    one.asking.look(1.0, tick=True)
    one.asking.look(2.0, tick=True)
    assert len(one.workers.asked) == 1
    one.workers.answer()
    one.asking.look(3.0, tick=True)
    assert len(one.workers.asked) == 1


def test_a_book_is_asked_for_again_after_a_pause_until_it_comes():
    class Busy(Market):
        def book(self, symbol, depth=20):
            self._fail()
            return super().book(symbol, depth)

    market = Busy(fails=2)
    one = Rehearsal(market, (BTC,))
    one.take([Opened(0, "b", BOOKS)], 0.0)
    assert one.answered(1.0) == []
    assert market.fails == 1
    assert one.answered(1.0 + PAUSE_S / 2) == []
    assert market.fails == 1
    assert one.answered(1.0 + PAUSE_S) == []
    (seed,) = one.answered(1.0 + PAUSE_S * 3)
    assert isinstance(seed, Seed)
    assert one.answered(99.0) == []


@pytest.mark.parametrize(("tries", "seconds"), [(1, PAUSE_S), (2, 2 * PAUSE_S), (99, None)])
def test_pauses_double_up_to_the_longest(tries, seconds):
    assert pause_s(tries) == (seconds or LONGEST_PAUSE_S)


def test_what_was_made_since_the_start_of_the_stream_is_handed_on_though_the_socket_is_silent():
    market = Market(now_ns=lambda: BEGIN * SECOND + 7)
    one = Rehearsal(market, (BTC,))
    one.take([START], 0.0)
    market.newest[BTC] = 25
    (fill,) = one.answered(10.0)
    assert isinstance(fill, Fill)
    assert fill.trades.equals(lake_rows(range(1, 26)))
    assert one.core.sequences[BTC].last == 25
    assert one.asking.silent == [BTC]


def test_what_was_made_before_the_start_of_the_stream_is_no_part_of_it():
    market = Market({BTC: 25}, now_ns=lambda: second(20) * SECOND + 7)
    one = Rehearsal(market, (BTC,))
    one.take([START], 0.0)
    (fill,) = one.answered(10.0)
    assert fill.trades.equals(lake_rows(range(20, 26)))
    quiet = Rehearsal(Market({BTC: 25}), (BTC,))
    quiet.take([START], 0.0)
    (fill,) = quiet.answered(10.0)
    assert fill.trades.is_empty()
    assert quiet.core.sequences[BTC].last == 25
