import json

import polars as pl
import pytest
from simulator import simulation
from trade_market import AFTER, Market, trades

from cq.errors import Unreachable
from cq.exchanges.mercado_bitcoin import MercadoBitcoin, Rest
from cq.exchanges.trade_pages import ids_of
from cq.ingest.built_bars import bars_of
from cq.ingest.coverage import covered, rows_of
from cq.ingest.trade_fill import SETTLING_NS, fill_trades
from cq.lake import Lake
from cq.sim.server import running
from cq.utils.clock import now_ns as clock_ns
from cq.utils.config import defaults
from cq.utils.settings import Stream
from cq.utils.time import DAY, HOUR, MINUTE, SECOND, parse_time

DAY_ONE = parse_time("2026-01-01")
FIRST = DAY_ONE // SECOND
NOW = DAY_ONE + 30 * HOUR


class Exchange:
    """A market behind the protocol; it may fail at a request."""

    name, trade_cap, trades_by_id = "mercadobitcoin", 1000, True

    def __init__(self, held, fails_at=None, ahead_ns=0, **ways):
        self.market, self.fails_at, self.ahead_ns = Market(held, **ways), fails_at, ahead_ns
        self.trade_cap = self.market.cap

    def trade_page(self, symbol, ask):
        if self.fails_at is not None and len(self.market.asked) >= self.fails_at:
            raise Unreachable("http://here", "gone")
        return self.market.answer(ask)

    def time_ns(self, now_ns):
        return now_ns + self.ahead_ns


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def unlimited(url, folder):
    settings = defaults(folder).ingestion
    limits = {"requests_per_minute": 1e7, "requests_per_second": 1e5}
    quick = settings.rate_limits.model_copy(update=limits)
    return settings.model_copy(update={"rest_base_url": url, "rate_limits": quick})


def filled(lake, exchange, since=DAY_ONE, until=None, now=NOW, **options):
    (report,) = fill_trades(lake, exchange, ["BTC-BRL"], since, until, now_ns=now, **options)
    return report


def held_in(lake):
    return lake.sql("select trade_id from trades order by trade_id::bigint")["trade_id"].cast(int)


def test_trades_land_once_and_in_order_and_are_covered_up_to_the_settled_end(lake):
    exchange = Exchange(trades([FIRST - 4, *range(FIRST, FIRST + 20_000, 4)], 999))
    report = filled(lake, exchange)
    assert held_in(lake).to_list() == list(range(1000, 6000))
    assert (report.landed, report.rejected, report.lost) == (5000, 0, ())
    assert report.requests == len(exchange.market.asked)
    known = covered(lake, "trades", "mercadobitcoin", "BTC-BRL", None)
    assert known == [(DAY_ONE, NOW - SETTLING_NS)]
    assert lake.sql("select sum(rows) as n from coverage")["n"].item() == 5000


def test_the_second_run_asks_for_nothing(lake):
    exchange = Exchange(trades(range(FIRST, FIRST + 20_000, 4)))
    filled(lake, exchange)
    asked = len(exchange.market.asked)
    again = filled(lake, exchange)
    assert len(exchange.market.asked) == asked
    assert (again.requests, again.landed) == (0, 0)


def test_later_trades_are_fetched_from_where_it_ended(lake):
    held = trades(range(FIRST, FIRST + 90_000, 4))
    early = held.filter(pl.col("ts") < DAY_ONE + 10 * HOUR)
    filled(lake, Exchange(early), now=DAY_ONE + 10 * HOUR)
    report = filled(lake, Exchange(held), now=NOW)
    assert report.start_ns == DAY_ONE
    assert report.fetched < held.height - 8000
    assert held_in(lake).to_list() == list(range(1, held.height + 1))


@pytest.mark.parametrize("after", AFTER)
def test_going_on_costs_two_requests_and_four_where_ids_cannot_be_asked_for(lake, after):
    held = trades(range(FIRST, FIRST + 90_000, 400))
    filled(lake, Exchange(held.filter(pl.col("ts") < DAY_ONE + 10 * HOUR)), now=NOW - 20 * HOUR)
    report = filled(lake, Exchange(held, after=after), now=NOW)
    assert report.requests <= (4 if after == "nothing" else 2)
    assert (report.lost, report.unkept) == ((), ())
    assert covered(lake, "trades", "mercadobitcoin", "BTC-BRL", None) == [
        (DAY_ONE, NOW - SETTLING_NS)
    ]


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("keep", ["oldest", "newest"])
def test_trades_that_are_kept_no_more_after_a_pause_are_lost_and_not_covered(lake, after, keep):
    held = trades(range(FIRST, FIRST + 90_000, 4))
    filled(lake, Exchange(held.filter(pl.col("ts") < DAY_ONE + 10 * HOUR)), now=NOW - 20 * HOUR)
    last = held_in(lake).max()
    later = Exchange(held, after=after, keep=keep, given_from=20_000)
    report = filled(lake, later, now=NOW)
    assert (report.lost, report.unkept) == (((last + 1, 19_999),), ())
    assert held_in(lake).to_list() == [*range(1, last + 1), *range(20_000, held.height + 1)]
    early, late = covered(lake, "trades", "mercadobitcoin", "BTC-BRL", None)
    assert early == (DAY_ONE, NOW - 20 * HOUR - SETTLING_NS)
    assert late == (held["ts"][19_999] + SECOND, NOW - SETTLING_NS)


def test_nothing_is_covered_where_even_the_newest_trade_of_the_lake_is_kept_no_more(lake):
    held = trades(range(FIRST, FIRST + 4000, 4))
    filled(lake, Exchange(held), now=NOW - 20 * HOUR)
    report = filled(lake, Exchange(held, given_from=10_000), now=NOW)
    ((_, end),) = covered(lake, "trades", "mercadobitcoin", "BTC-BRL", None)
    assert end == NOW - 20 * HOUR - SETTLING_NS
    assert report.unkept == ((end, NOW - SETTLING_NS),)


def test_trades_of_the_lake_that_no_coverage_speaks_of_prove_nothing(lake):
    held = trades(range(FIRST, FIRST + 80_000, 4))
    lake.write("trades", held.head(9_000), source="test", now_ns=NOW)
    since = held["ts"][9_000]
    report = filled(lake, Exchange(held, given_from=10_000), since=since)
    whole = held["ts"][9_999] + SECOND
    assert (report.lost, report.unkept) == ((), ((since, whole),))
    known = covered(lake, "trades", "mercadobitcoin", "BTC-BRL", None)
    assert known == [(whole, NOW - SETTLING_NS)]


@pytest.mark.parametrize("mangled", [3, 10**9])
def test_an_id_of_the_lake_that_never_was_hides_no_trade(lake, mangled):
    held = trades(range(FIRST, FIRST + 90_000, 4))
    early = held.filter(pl.col("ts") < DAY_ONE + 10 * HOUR)
    wrong = early.tail(1).with_columns(trade_id=pl.lit(str(mangled)))
    filled(lake, Exchange(pl.concat([early, wrong])), now=NOW - 20 * HOUR)
    report = filled(lake, Exchange(held, given_from=8_000), now=NOW)
    assert (report.lost, report.unkept) == ((), ())
    assert set(range(1, held.height + 1)) <= set(held_in(lake))


@pytest.mark.parametrize(
    "ways",
    [{}, {"since": "from", "trades_to": "exclusive"}, {"since": "ignored"},
     {"since": "ignored", "trades_kept": "oldest"}, {"trades_order": "descending"}],
)  # fmt: skip
def test_what_the_simulated_exchange_keeps_no_more_is_never_covered(lake, tmp_path, ways):
    sim = simulation(start_ns=DAY_ONE, trades_history_days=0.5, **ways)
    truth = []
    with running(sim) as served, MercadoBitcoin(Rest(unlimited(served.rest, tmp_path))) as market:
        for days in (0, 0.25, 2):
            sim.clock.advance(int(days * DAY))
            since = DAY_ONE - DAY
            (report,) = fill_trades(lake, market, ["ETH-BRL"], since, now_ns=clock_ns())
            truth.append((bool(report.lost), bool(report.unkept)))
        every = sim.tape.trades("ETH-BRL", since, sim.now_ns())
    # at first what was before the half day is not known, and after two days many trades are missing
    assert truth == [(False, True), (False, True), (True, True)]
    known = covered(lake, "trades", "mercadobitcoin", "ETH-BRL", None)
    assert len(known) == 2
    held = set(held_in(lake))
    for start, end in known:
        there = every.tid[(every.ts >= start) & (every.ts < end)].tolist()
        assert there
        assert set(there) <= held


def test_refetch_finds_out_what_differs_and_keeps_the_first(lake):
    held = trades(range(FIRST, FIRST + 4000, 4))
    filled(lake, Exchange(held))
    other = held.with_columns(price=pl.col("price") + (ids_of(held) == 7))
    report = filled(lake, Exchange(other), refetch=True)
    assert (report.landed, report.differing, report.already_there) == (0, 1, held.height - 1)


@pytest.mark.parametrize("after", AFTER)
def test_a_run_that_fails_anywhere_is_completed_by_the_next(lake, after):
    held = trades(range(FIRST, FIRST + 8000, 4))
    whole = Exchange(held, cap=150, after=after)
    filled(Lake(lake.root.with_name("whole")), whole)
    requests = len(whole.market.asked)
    assert requests > 15
    for fails_at in range(1, requests, 5):
        with pytest.raises(Unreachable):
            filled(lake, Exchange(held, fails_at, cap=150, after=after))
        broken = covered(lake, "trades", "mercadobitcoin", "BTC-BRL", None)
        proven = [one for one in held["ts"] if any(s <= one < e for s, e in broken)]
        assert set(proven) <= set(lake.sql("select ts from trades")["ts"]) if proven else True
        lake = Lake(lake.root.with_name(f"after{fails_at}"))
    filled(lake, Exchange(held, cap=150, after=after))
    assert held_in(lake).to_list() == list(range(1, held.height + 1))


def test_what_was_answered_before_a_failure_is_kept(lake):
    held = trades(range(FIRST, FIRST + 60_000, 4))
    with pytest.raises(Unreachable):
        filled(lake, Exchange(held, fails_at=12))
    kept = len(held_in(lake))
    assert kept > 3000
    report = filled(lake, Exchange(held))
    assert kept + report.landed == held.height
    assert report.fetched < held.height - 3000


def test_no_second_is_covered_that_the_exchanges_clock_has_not_reached(lake):
    exchange = Exchange(trades(range(FIRST, FIRST + 400)), ahead_ns=-HOUR)
    filled(lake, exchange)
    known = covered(lake, "trades", "mercadobitcoin", "BTC-BRL", None)
    assert known == [(DAY_ONE, NOW - HOUR - SETTLING_NS)]


@pytest.mark.parametrize("settle", [SECOND, 30 * SECOND])
@pytest.mark.parametrize("ahead", [-HOUR, 0, HOUR])
def test_the_end_that_a_report_claims_is_where_coverage_ends(lake, settle, ahead):
    exchange = Exchange(trades(range(FIRST, FIRST + 400)), ahead_ns=ahead)
    report = filled(lake, exchange, settle_ns=settle)
    ((_, end),) = covered(lake, "trades", "mercadobitcoin", "BTC-BRL", None)
    assert report.end_ns == end == NOW + min(0, ahead) - settle
    assert report.asked_ns == report.answered_ns


def test_what_is_too_young_to_be_known_is_a_setting_of_the_stream():
    assert SETTLING_NS == 5 * SECOND == round(Stream().settle_seconds * SECOND)


def test_a_hole_is_reported_and_asked_for_again(lake):
    whole = trades(range(FIRST, FIRST + 4000, 4))
    gap = whole.filter(~ids_of(whole).is_between(500, 503))
    report = filled(lake, Exchange(gap))
    assert (report.lost, report.missing) == (((500, 503),), 4)
    again = filled(lake, Exchange(whole))
    assert (again.lost, again.landed) == ((), 4)
    assert held_in(lake).to_list() == list(range(1, whole.height + 1))


def test_a_trade_that_breaks_a_rule_is_rejected_and_the_others_land(lake):
    held = trades(range(FIRST, FIRST + 400)).with_columns(
        price=pl.when(pl.col("trade_id") == "7").then(None).otherwise(pl.col("price"))
    )
    report = filled(lake, Exchange(held))
    assert (report.landed, report.rejected) == (399, 1)


def candles(lake, bars, start, end):
    lake.write("ohlcv", bars, source="test", now_ns=NOW)
    ranges = [(start, end, bars.height)]
    rows = rows_of(ranges, dataset="ohlcv", exchange="mercadobitcoin", symbol="BTC-BRL",
                   interval="1m", asked_ns=NOW, source="test")  # fmt: skip
    lake.write("coverage", rows, source="test", now_ns=NOW)


def test_without_candles_there_is_nothing_to_compare(lake):
    assert filled(lake, Exchange(trades(range(FIRST, FIRST + 400)))).comparison is None


def test_bars_made_of_the_trades_equal_the_candles_of_the_same_trades(lake):
    held = trades(range(FIRST, FIRST + 40_000, 7))
    bars = bars_of(held, "1m")
    candles(lake, bars, DAY_ONE, DAY_ONE + 20 * HOUR)
    found = filled(lake, Exchange(held)).comparison
    assert (found.interval, found.compared, found.differences) == ("1m", bars.height, 0)


def test_differences_are_counted_and_the_first_told(lake):
    held = trades(range(FIRST, FIRST + 4000, 7))
    bars = bars_of(held, "1m")
    wrong = bars.with_columns(
        volume=pl.col("volume") * 2, high=pl.col("high") + (pl.col("ts") == DAY_ONE)
    ).filter(pl.col("ts") != DAY_ONE + 5 * MINUTE)
    candles(lake, wrong, DAY_ONE, DAY_ONE + HOUR)
    found = filled(lake, Exchange(held)).comparison
    assert found.only_built["ts"].to_list() == [DAY_ONE + 5 * MINUTE]
    assert found.differing.height == 59
    assert "high 106.0, the exchange says 107.0; volume" in found.first(1)[0]


def test_only_what_both_cover_is_compared(lake):
    held = trades(range(FIRST, FIRST + 4000, 7))
    candles(lake, bars_of(held, "1m").head(0), DAY_ONE + 10, DAY_ONE + 5 * MINUTE)
    found = filled(lake, Exchange(held), until=DAY_ONE + 3 * MINUTE + SECOND).comparison
    assert found.only_built["ts"].to_list() == [DAY_ONE + MINUTE, DAY_ONE + 2 * MINUTE]
    assert json.dumps(found.first())


def test_a_range_that_lies_in_the_future_brings_nothing(lake):
    exchange = Exchange(trades([FIRST]))
    report = filled(lake, exchange, since=NOW - SECOND)
    assert report.asked_ns == 0
    assert exchange.market.asked == []
