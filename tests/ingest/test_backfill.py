import itertools
from contextlib import suppress

import polars as pl
import pytest
from exchange import Exchange, Fault, bar, bars
from hypothesis import given, settings
from hypothesis import strategies as st

from cq.errors import LakeBusy, NoSuchMarket, Unavailable, Unreachable, UsageError
from cq.ingest.backfill import Earlier, backfill, newest
from cq.ingest.coverage import covered
from cq.lake import Lake
from cq.lake.origin import origin_of
from cq.utils.time import DAY, HOUR, MINUTE, SECOND, parse_time

START = parse_time("2026-09-01")
NOW = START + 100 * HOUR + 20 * MINUTE
BTC = ("BTC-BRL", "1h")


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.fixture
def btc(exchange):
    """An exchange at NOW with hourly bars from START on, a few hours without a trade."""
    exchange.clock = lambda: NOW
    exchange.markets[BTC] = bars(START, HOUR, set(range(102)) - {7, 8, 50})
    return exchange


def stored(lake, symbol="BTC-BRL", interval="1h"):
    """ts → bar of what the lake holds, and proof that no key is there twice."""
    rows = lake.bars(symbol, interval).collect()
    assert rows["ts"].is_sorted()
    assert rows["ts"].n_unique() == rows.height
    return {row[0]: row[1:6] for row in rows.iter_rows()}


def as_floats(known):
    return {ts: tuple(float(value) for value in one) for ts, one in known.items()}


def fill(lake, exchange, since=START, until=None, now=NOW, **options):
    market = options.pop("market", None) or exchange.market()
    (report,) = backfill(lake, market, ["BTC-BRL"], "1h", since, until, now_ns=now, **options)
    return report


def origins(lake, dataset="ohlcv"):
    return [origin_of(part.path) for part in lake.layouts[dataset].files(lake.root)]


def known(lake):
    return covered(lake, "ohlcv", "mercadobitcoin", "BTC-BRL", "1h")


def test_the_closed_bars_land_and_the_report_adds_up(lake, btc):
    report = fill(lake, btc)
    assert stored(lake) == as_floats(btc.closed(*BTC))
    assert (report.requests, report.fetched, report.landed) == (1, 97, 97)
    assert (report.already_there, report.rejected, report.differing) == (0, 0, 0)
    assert report.empty_buckets == 3
    assert report.answered_ns == report.asked_ns == 100 * HOUR


def test_the_file_says_which_range_was_asked_for(lake, btc):
    fill(lake, btc, until=START + 50 * HOUR)
    (bars,) = origins(lake)
    assert (bars.asked_start_ts, bars.asked_end_ts) == (START, START + 50 * HOUR)
    assert (bars.source, bars.ingested_ts) == (origins(lake, "coverage")[0].source, NOW)


def test_the_bar_in_progress_never_lands_and_is_never_covered(lake, btc):
    fill(lake, btc)
    assert max(stored(lake)) == START + 99 * HOUR
    assert known(lake) == [(START, START + 100 * HOUR)]
    assert int(btc.asked[-1]["to"]) * SECOND > START + 100 * HOUR


def test_the_second_run_asks_for_nothing(lake, btc):
    fill(lake, btc)
    again = fill(lake, btc)
    assert len(btc.asked) == 1
    assert (again.requests, again.fetched) == (0, 0)


def test_a_later_run_asks_only_for_what_is_new(lake, btc):
    fill(lake, btc)
    btc.clock = lambda: NOW + HOUR
    report = fill(lake, btc, now=NOW + HOUR)
    assert (report.requests, report.fetched, report.landed) == (1, 1, 1)
    assert int(btc.asked[-1]["from"]) * SECOND == START + 100 * HOUR
    assert stored(lake) == as_floats(btc.closed(*BTC))


def test_a_gap_between_two_runs_is_asked_for_alone(lake, btc):
    fill(lake, btc, START, START + 10 * HOUR)
    fill(lake, btc, START + 30 * HOUR, START + 40 * HOUR)
    btc.asked.clear()
    fill(lake, btc, START, START + 40 * HOUR)
    spans = [(int(one["from"]), int(one["to"])) for one in btc.asked]
    assert spans == [((START + 10 * HOUR) // SECOND, (START + 30 * HOUR) // SECOND - 1)]
    assert known(lake) == [(START, START + 40 * HOUR)]


def forget(exchange, hour):
    """The exchange keeps no bar any more that opens before that hour."""
    known = exchange.markets[BTC]
    exchange.markets[BTC] = {ts: one for ts, one in known.items() if ts >= START + hour * HOUR}


@pytest.mark.parametrize("page_bars", [1000, 25, 7, 1])
@pytest.mark.parametrize("cap", [None, 9, 1])
def test_what_the_exchange_keeps_no_longer_is_not_covered(lake, btc, page_bars, cap):
    fill(lake, btc, until=START + 20 * HOUR)
    forget(btc, 60)
    btc.cap = cap
    for _ in range(2):  # it is asked for again, with the same end
        report = fill(lake, btc, page_bars=page_bars)
        assert report.unkept == ((START + 20 * HOUR, START + 60 * HOUR),)
        assert known(lake) == [
            (START, START + 20 * HOUR),
            (START + 60 * HOUR, START + 100 * HOUR),
        ]
    assert (report.landed, report.empty_buckets, report.answered_ns) == (0, 0, 0)
    assert str(report.not_kept) == (
        "BTC-BRL: the exchange does not keep 1h bars from 2026-09-01T20:00:00Z to "
        "2026-09-03T12:00:00Z any more; those that the lake has not got stay unknown, and are not "
        "taken for no trade; --since 2026-09-03T12:00:00Z leaves them out"
    )
    later = fill(lake, btc, START + 60 * HOUR)
    assert (later.requests, later.unkept, later.not_kept) == (0, (), None)


def test_where_nothing_comes_any_more_nothing_is_covered(lake, btc):
    fill(lake, btc, until=START + 20 * HOUR)
    forget(btc, 1000)
    report = fill(lake, btc)
    assert report.unkept == ((START + 20 * HOUR, START + 100 * HOUR),)
    assert known(lake) == [(START, START + 20 * HOUR)]


def test_a_silence_after_a_bar_that_the_exchange_still_has_is_covered(lake, btc):
    btc.markets[BTC] = bars(START, HOUR, range(20))
    fill(lake, btc, until=START + 30 * HOUR)
    report = fill(lake, btc, until=START + 60 * HOUR)
    assert (report.requests, report.fetched, report.empty_buckets) == (2, 0, 30)
    assert report.unkept == ()
    report = fill(lake, btc, earlier=Earlier(most_rows=2))
    assert (report.requests, report.empty_buckets) == (1, 40)
    assert known(lake) == [(START, START + 100 * HOUR)]


def test_a_bar_that_did_not_come_from_the_exchange_tells_nothing_of_what_it_keeps(lake, btc):
    fill(lake, btc, START + 70 * HOUR)
    row = lake.bars("BTC-BRL", "1h").collect().head(1)
    lake.write(
        "ohlcv",
        row.with_columns(ts=pl.lit(START + 9 * HOUR), interval=pl.lit("1h")),
        source="a file",
        now_ns=NOW,
    )
    forget(btc, 60)
    report = fill(lake, btc, START + 10 * HOUR)
    assert (report.unkept, report.empty_buckets) == ((), 50)
    assert known(lake) == [(START + 10 * HOUR, START + 100 * HOUR)]


def test_a_past_before_the_first_bar_is_covered_and_empty(lake, btc):
    report = fill(lake, btc, START - 300 * DAY, START - DAY)
    assert (report.fetched, report.empty_buckets) == (0, 299 * 24)
    assert known(lake) == [(START - 300 * DAY, START - DAY)]


def test_a_future_range_asks_for_nothing_and_covers_nothing(lake, btc):
    report = fill(lake, btc, NOW + DAY, NOW + 2 * DAY)
    assert (report.requests, btc.asked, known(lake)) == (0, [], [])


def test_an_end_in_the_future_covers_only_what_has_closed(lake, btc):
    fill(lake, btc, until=NOW + 5 * DAY)
    assert known(lake) == [(START, START + 100 * HOUR)]


def test_times_between_bars_are_taken_as_they_are(lake, btc):
    fill(lake, btc, START + 90 * MINUTE, START + 250 * MINUTE)
    assert sorted(stored(lake)) == [START + hour * HOUR for hour in (2, 3, 4)]
    assert known(lake) == [(START + 90 * MINUTE, START + 250 * MINUTE)]


@pytest.mark.parametrize("ahead", [3 * HOUR, 5 * DAY])
def test_a_fast_local_clock_lands_no_open_bar_and_covers_no_future(lake, btc, ahead):
    market = btc.market()
    market.rest._clock = lambda: NOW + ahead
    report = fill(lake, btc, now=NOW + ahead, market=market)
    assert stored(lake) == as_floats(btc.closed(*BTC))
    assert known(lake) == [(START, START + 100 * HOUR)]
    assert report.fetched == 97


@pytest.mark.parametrize("until", [None, NOW + 900 * DAY])
def test_what_the_exchange_has_not_reached_yet_is_not_asked_for_page_by_page(lake, btc, until):
    now = NOW + 1000 * DAY
    market, said = btc.market(), []
    market.rest._clock = lambda: now
    report = fill(lake, btc, now=now, until=until, market=market, on_progress=said.append)
    assert stored(lake) == as_floats(btc.closed(*BTC))
    assert known(lake) == [(START, START + 100 * HOUR)]
    assert report.requests == len(btc.asked) == 1
    assert (report.end_ns, report.answered_ns) == (START + 100 * HOUR, report.asked_ns)
    assert {one.asked_ns for one in said} == {100 * HOUR}


def test_a_cut_reply_of_an_exchange_that_is_behind_is_asked_for_again(lake, btc):
    btc.cap = 7
    now = NOW + 1000 * DAY
    market = btc.market()
    market.rest._clock = lambda: now
    report = fill(lake, btc, now=now, market=market)
    assert stored(lake) == as_floats(btc.closed(*BTC))
    assert known(lake) == [(START, START + 100 * HOUR)]
    assert report.requests < 40


def test_a_range_that_the_exchange_has_not_reached_is_one_request_and_stays_unknown(lake, btc):
    market, now = btc.market(), NOW + 1000 * DAY
    market.rest._clock = lambda: now
    report = fill(lake, btc, since=NOW + 2 * DAY, now=now, market=market)
    assert (report.requests, report.asked_ns, report.fetched) == (1, 0, 0)
    assert (known(lake), len(origins(lake))) == ([], 0)


def test_a_slow_local_clock_lands_no_more_than_it_knows_to_be_over(lake, btc):
    fill(lake, btc, now=NOW - 10 * HOUR)
    assert max(stored(lake)) == START + 89 * HOUR
    assert known(lake) == [(START, START + 90 * HOUR)]


def test_a_bar_that_broke_a_rule_is_kept_apart_and_counted(lake, btc):
    btc.markets[BTC][START] = ("5", "4", "1", "2", "1")
    btc.markets[BTC][START + HOUR] = ("5", "nonsense", "1", "2", "1")
    report = fill(lake, btc)
    assert (report.fetched, report.landed, report.rejected) == (97, 95, 2)
    assert report.differing == 0


def test_a_bar_that_the_exchange_tells_differently_later_is_reported_and_the_first_kept(lake, btc):
    fill(lake, btc)
    before = stored(lake)
    btc.markets[BTC][START + 4 * HOUR] = bar(777)
    report = fill(lake, btc, refetch=True)
    assert (report.fetched, report.already_there, report.differing) == (97, 96, 1)
    assert stored(lake) == before


def test_a_reply_out_of_order_changes_nothing(lake, btc):
    btc.shuffled = True
    fill(lake, btc, page_bars=10)
    assert stored(lake) == as_floats(btc.closed(*BTC))


@pytest.mark.parametrize("keep", ["newest", "oldest"])
@pytest.mark.parametrize("cap", [1, 7, 60])
def test_a_server_with_a_cap_of_its_own_hides_no_bar(lake, btc, keep, cap):
    btc.cap, btc.keep = cap, keep
    report = fill(lake, btc)
    assert stored(lake) == as_floats(btc.closed(*BTC))
    assert known(lake) == [(START, START + 100 * HOUR)]
    assert report.already_there == 0


def test_every_interval_of_the_exchange_lands(lake, exchange):
    now = parse_time("2026-09-30T12:00")
    exchange.clock = lambda: now
    sunday = parse_time("2026-06-07")
    exchange.markets = {
        ("BTC-BRL", "1m"): bars(now - 90 * MINUTE, MINUTE, range(91)),
        ("BTC-BRL", "15m"): bars(now - 90 * MINUTE, 15 * MINUTE, range(7)),
        ("BTC-BRL", "3h"): bars(now - 90 * HOUR, 3 * HOUR, range(31)),
        ("BTC-BRL", "1d"): bars(parse_time("2026-09-01"), DAY, range(30)),
        ("BTC-BRL", "1w"): bars(sunday, 7 * DAY, range(17)),
        ("BTC-BRL", "1M"): {
            parse_time(f"2026-{month:02}-01"): bar(month) for month in range(1, 10)
        },
    }
    for (symbol, interval), known in exchange.markets.items():
        for _ in range(2):
            (report,) = backfill(
                lake, exchange.market(), [symbol], interval, min(known) - 3 * DAY, now_ns=now
            )
        assert stored(lake, symbol, interval) == as_floats(exchange.closed(symbol, interval))
        assert report.requests == 0, interval


def test_an_interval_that_the_exchange_lacks_fetches_nothing(lake, btc):
    with pytest.raises(UsageError, match="ingest 15m"):
        backfill(lake, btc.market(), ["BTC-BRL"], "30m", START, now_ns=NOW)
    assert btc.asked == []


def test_several_symbols_are_reported_one_by_one(lake, btc):
    btc.markets["ETH-BRL", "1h"] = bars(START, HOUR, range(40, 60))
    reports = backfill(lake, btc.market(), ["BTC-BRL", "ETH-BRL"], "1h", START, now_ns=NOW)
    assert [(one.symbol, one.landed) for one in reports] == [("BTC-BRL", 97), ("ETH-BRL", 20)]
    assert stored(lake, "ETH-BRL") == as_floats(btc.closed("ETH-BRL", "1h"))


def test_an_unknown_symbol_lands_nothing_and_covers_nothing(lake, btc):
    with pytest.raises(NoSuchMarket, match="NOPE-BRL"):
        backfill(lake, btc.market(), ["NOPE-BRL"], "1h", START, now_ns=NOW)
    assert covered(lake, "ohlcv", "mercadobitcoin", "NOPE-BRL", "1h") == []


@pytest.mark.parametrize(
    ("fault", "error"), [(Fault(503), Unavailable), (Fault(kind="drop"), Unreachable)]
)
def test_what_was_answered_before_the_exchange_failed_has_landed(lake, btc, fault, error):
    def fail_from_the_third(_):
        if len(btc.asked) >= 3:
            btc.faults.append(fault)

    btc.on_request = fail_from_the_third
    said = []
    with pytest.raises(error):
        fill(lake, btc, page_bars=20, on_progress=said.append)
    assert len(stored(lake)) == 37
    assert said[-1].landed == 37
    btc.on_request = None
    btc.faults.clear()
    fill(lake, btc, page_bars=20)
    assert stored(lake) == as_floats(btc.closed(*BTC))


def test_what_was_answered_before_ctrl_c_has_landed(lake, btc):
    def interrupt(report):
        if report.requests == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(lake, btc, page_bars=20, on_progress=interrupt)
    assert len(stored(lake)) == 20 + 19 + 19 - 3
    assert known(lake)[0][0] == START
    fill(lake, btc)
    assert stored(lake) == as_floats(btc.closed(*BTC))


def test_progress_is_told_after_every_page_and_only_grows(lake, btc):
    said = []
    fill(lake, btc, page_bars=10, on_progress=said.append)
    assert len(said) >= 11
    for earlier, later in itertools.pairwise(said):
        assert later.answered_ns >= earlier.answered_ns
        assert later.fetched >= earlier.fetched
    assert said[-1].landed == said[-1].fetched == 97


def test_a_long_range_lands_in_few_files(lake, btc):
    btc.markets[BTC] = bars(START - 5000 * HOUR, HOUR, range(5100))
    fill(lake, btc, START - 5000 * HOUR, page_bars=100)
    files = list((lake.root / "ohlcv").rglob("*.parquet"))
    assert len(btc.asked) > 50
    assert len(files) <= 4


class Killed(BaseException):
    """The process is gone; nothing runs after it."""


class Mortal(Lake):
    """A lake whose process dies at the given write, before or after it; then nothing works."""

    left, after = 10**9, False

    def write(self, *args, **kwargs):
        self.left -= 1
        if self.left < 0 or (self.left == 0 and not self.after):
            raise Killed
        report = super().write(*args, **kwargs)
        if self.left == 0:
            raise Killed
        return report


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_interrupts_it_the_lake_ends_up_as_the_exchange(tmp_path_factory, shop, data):
    shop.forget()
    numbers = data.draw(st.sets(st.integers(0, 110), max_size=110), "bars")
    shop.markets[BTC] = bars(START, HOUR, numbers)
    shop.cap = data.draw(st.none() | st.integers(1, 30), "cap")
    shop.keep = data.draw(st.sampled_from(["newest", "oldest"]), "keep")
    root = tmp_path_factory.mktemp("lake") / "lake"
    runs = st.tuples(
        st.integers(0, 80), st.integers(1, 80), st.integers(1, 50), st.integers(1, 5), st.booleans()
    )
    for first, length, page, left, after in data.draw(st.lists(runs, max_size=4), "runs"):
        lake = Mortal(root)
        lake.left, lake.after = left, after
        since, until = START + first * HOUR, START + (first + length) * HOUR
        shop.faults.extend([Fault(kind="drop")] * (left % 3))
        with suppress(Killed, Unreachable):
            fill(lake, shop, since, until, page_bars=page, market=shop.market(retry=ONCE))
        shop.faults.clear()
    fill(Lake(root), shop, page_bars=data.draw(st.integers(1, 50), "page"))
    held = Lake(root)
    expected = as_floats(shop.closed(*BTC))
    assert (stored(held) if expected else {}) == expected
    assert known(held) == [(START, START + 100 * HOUR)]
    assert not (held.root / "rejected").exists() or not rejected(held)


ONCE = {"max_tries": 1, "backoff_base_ms": 0, "backoff_cap_ms": 0, "backoff_jitter_ms": 0}


def rejected(lake):
    return pl.read_parquet(lake.root / "rejected/**/*.parquet", hive_partitioning=False).rows()


@pytest.fixture(scope="module")
def shop():
    with Exchange() as one:
        one.clock = lambda: NOW
        yield one


def test_newest_brings_the_closed_bars_and_the_open_of_the_one_in_progress(lake, btc):
    said = newest(btc.market(), lake, ["BTC-BRL"], "1h", NOW, bars=24)
    assert sorted(stored(lake)) == [START + hour * HOUR for hour in range(76, 100)]
    forming = START + 100 * HOUR
    assert said.forming == {"BTC-BRL": (forming, float(btc.markets[BTC][forming][0]))}
    assert [one.landed for one in said.reports] == [24]


def test_newest_asks_once_a_symbol_when_there_is_nothing_new(lake, btc):
    newest(btc.market(), lake, ["BTC-BRL"], "1h", NOW)
    files = list(lake.root.rglob("*.parquet"))
    btc.asked.clear()
    said = newest(btc.market(), lake, ["BTC-BRL"], "1h", NOW)
    assert len(btc.asked) == 1
    assert "BTC-BRL" in said.forming
    assert list(lake.root.rglob("*.parquet")) == files


def test_newest_asks_once_a_symbol_in_a_silence_and_reads_no_bar_for_it(lake, btc, monkeypatch):
    btc.markets[BTC] = bars(START, HOUR, range(90))
    newest(btc.market(), lake, ["BTC-BRL"], "1h", NOW - HOUR)
    btc.asked.clear()
    monkeypatch.setattr(Lake, "bars_before", lambda *_, **__: pytest.fail("read"))
    earlier = Earlier(2, {"BTC-BRL": START + 89 * HOUR})
    said = newest(btc.market(), lake, ["BTC-BRL"], "1h", NOW, earlier=earlier)
    assert (len(btc.asked), said.reports[0].empty_buckets) == (1, 1)
    assert known(lake)[-1][1] == START + 100 * HOUR


def test_newest_tells_no_open_before_the_first_trade_of_the_bar(lake, btc):
    del btc.markets[BTC][START + 100 * HOUR]
    said = newest(btc.market(), lake, ["BTC-BRL"], "1h", NOW)
    assert said.forming == {}
    assert max(stored(lake)) == START + 99 * HOUR


class Lagging:
    """A market whose clock is known to be late by so much at most, after each request anew."""

    def __init__(self, market, *lags):
        self.market, self.name, self.intervals = market, market.name, market.intervals
        self.lags = list(lags)

    def candles(self, *asked):
        rows = self.market.candles(*asked)
        if len(self.lags) > 1:
            self.lags.pop(0)
        return rows

    def time_ns(self, now_ns):
        return now_ns - self.lags[0]


END = START + 100 * HOUR + SECOND // 2
"""Just after the end of a bar; the next one has its first trade."""


@pytest.mark.parametrize("page_bars", [1000, 3, 1])
def test_of_two_bars_in_progress_the_earlier_is_the_next_one(lake, btc, page_bars):
    btc.clock = lambda: END
    market = Lagging(btc.market(), SECOND)
    said = newest(market, lake, ["BTC-BRL"], "1h", END, bars=24, page_bars=page_bars)
    before = START + 99 * HOUR
    assert max(stored(lake)) < before
    assert said.forming == {"BTC-BRL": (before, float(btc.markets[BTC][before][0]))}


@pytest.mark.parametrize("opened", [0.0, -5.0, float("nan"), float("inf"), None])
def test_an_open_that_is_no_price_is_no_bar_in_progress_yet(lake, btc, opened):
    market, forming = Lagging(btc.market(), SECOND), START + 99 * HOUR
    btc.clock = lambda: END

    def candles(*asked):
        bad = pl.when(pl.col("ts") == forming).then(pl.lit(opened, pl.Float64)).otherwise("open")
        return btc.market().candles(*asked).with_columns(open=bad)

    market.candles = candles
    assert newest(market, lake, ["BTC-BRL"], "1h", END).forming == {}


def test_a_bar_has_closed_for_every_symbol_of_a_look_or_for_none(lake, btc):
    btc.clock = lambda: END
    btc.markets["ETH-BRL", "1h"] = bars(START, HOUR, range(102))
    market = Lagging(btc.market(), SECOND, SECOND, SECOND // 10)
    said = newest(market, lake, ["BTC-BRL", "ETH-BRL"], "1h", END)
    assert max(stored(lake)) == max(stored(lake, "ETH-BRL")) == START + 99 * HOUR
    assert {ts for ts, _ in said.forming.values()} == {START + 100 * HOUR}


def failing(btc, error):
    """A market that raises `error` when it is asked for ETH-BRL."""
    market = Lagging(btc.market(), 0)

    def candles(symbol, *asked):
        if symbol == "ETH-BRL":
            raise error
        return btc.market().candles(symbol, *asked)

    market.candles = candles
    return market


def test_what_a_look_was_answered_before_it_was_stopped_has_landed(lake, btc):
    market = failing(btc, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        newest(market, lake, ["BTC-BRL", "ETH-BRL", "SOL-BRL"], "1h", NOW, page_bars=20)
    assert max(stored(lake)) == START + 99 * HOUR
    assert known(lake)[-1][1] == START + 100 * HOUR


def test_a_market_that_fails_keeps_nothing_from_the_others(lake, btc):
    btc.markets["SOL-BRL", "1h"] = bars(START, HOUR, range(102))
    error = Unreachable("/candles", "gone")
    market = failing(btc, error)
    said = newest(market, lake, ["BTC-BRL", "ETH-BRL", "SOL-BRL"], "1h", NOW, page_bars=20)
    assert said.failed == {"ETH-BRL": error}
    assert sorted(said.forming) == ["BTC-BRL", "SOL-BRL"]
    assert max(stored(lake)) == max(stored(lake, "SOL-BRL")) == START + 99 * HOUR


def test_a_market_that_another_process_writes_keeps_nothing_from_the_others(lake, btc, monkeypatch):
    btc.markets["ETH-BRL", "1h"] = bars(START, HOUR, range(102))
    write = Lake.write

    def busy(self, dataset, rows, **options):
        if rows.item(0, "symbol") == "BTC-BRL":
            raise LakeBusy("ohlcv BTC-BRL", "process 7")
        return write(self, dataset, rows, **options)

    monkeypatch.setattr(Lake, "write", busy)
    said = newest(btc.market(), lake, ["BTC-BRL", "ETH-BRL"], "1h", NOW)
    assert list(said.failed) == ["BTC-BRL"]
    assert list(said.forming) == ["ETH-BRL"]
    assert max(stored(lake, "ETH-BRL")) == START + 99 * HOUR


@pytest.mark.parametrize("late", [1, 5])
def test_what_closed_while_the_local_clock_is_late_comes_all_the_same(lake, btc, late):
    btc.clock = lambda: NOW
    market = Lagging(btc.market(), 0, -late * HOUR)
    said = newest(market, lake, ["BTC-BRL"], "1h", NOW - late * HOUR, bars=24)
    forming = START + 100 * HOUR
    assert (said.clock_ns, max(stored(lake))) == (forming, START + 99 * HOUR)
    assert said.forming == {"BTC-BRL": (forming, float(btc.markets[BTC][forming][0]))}


@pytest.mark.parametrize("ahead", [90 * SECOND, 2 * HOUR])
def test_a_clock_of_the_exchange_that_is_ahead_lets_no_bar_be_over_before_its_end(lake, btc, ahead):
    now = START + 101 * HOUR - MINUTE
    btc.clock = lambda: now
    said = newest(Lagging(btc.market(), -ahead), lake, ["BTC-BRL"], "1h", now, bars=24)
    assert said.clock_ns == now
    assert said.forming == {
        "BTC-BRL": (START + 100 * HOUR, float(btc.markets[BTC][START + 100 * HOUR][0]))
    }
    assert max(stored(lake)) == START + 99 * HOUR
    assert known(lake)[-1][1] == START + 100 * HOUR


def test_polling_through_the_hours_brings_every_bar_once(lake, btc):
    market = btc.market()
    for step in range(0, 4 * 60, 7):
        now = NOW - 4 * HOUR + step * MINUTE
        btc.clock = lambda now=now: now
        newest(market, lake, ["BTC-BRL"], "1h", now, bars=30)
        closed = btc.closed(*BTC, now)
        assert max(stored(lake)) == max(closed)
    since = min(stored(lake))
    assert stored(lake) == as_floats({ts: one for ts, one in closed.items() if ts >= since})


def test_newest_mends_what_a_pause_left_out(lake, btc):
    newest(btc.market(), lake, ["BTC-BRL"], "1h", NOW - 20 * HOUR, bars=10)
    said = newest(btc.market(), lake, ["BTC-BRL"], "1h", NOW, bars=40)
    assert said.reports[0].asked_ns == 30 * HOUR
    assert len(stored(lake)) == 40
