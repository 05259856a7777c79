import polars as pl
import pytest
from exchange import Fault, bars

from cq.errors import Unavailable
from cq.ingest.backfill import backfill
from cq.ingest.repair import joined, repair
from cq.lake import Lake
from cq.lake.datasets import COVERAGE, TRADES
from cq.utils.time import HOUR, MINUTE, parse_time

START = parse_time("2026-09-01")
NOW = START + 100 * HOUR + 20 * MINUTE
BTC = ("BTC-BRL", "1h")
SILENT = {7, 8, 50}


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.fixture
def btc(exchange):
    """An exchange at NOW with hourly bars from START on, a few hours without a trade."""
    exchange.clock = lambda: NOW
    exchange.markets[BTC] = bars(START, HOUR, set(range(102)) - SILENT)
    return exchange


def fill(lake, exchange, first, last):
    stretch = (START + first * HOUR, START + last * HOUR)
    backfill(lake, exchange.market(), ["BTC-BRL"], "1h", *stretch, now_ns=NOW)


def missing(lake):
    """Hours that are missing, by class."""
    found: dict[str, set[int]] = {}
    for run in lake.gaps(now_ns=NOW).iter_rows(named=True):
        hours = range((run["ts"] - START) // HOUR, (run["end_ts"] - START) // HOUR)
        found.setdefault(run["class"], set()).update(hours)
    return found


def test_what_was_never_fetched_or_is_lost_comes_back(lake, btc):
    fill(lake, btc, 0, 20)
    fill(lake, btc, 60, 100)
    (first, *_) = sorted(part.path for part in lake.layouts["ohlcv"].files(lake.root))
    whole = lake.bars(*BTC).collect()
    kept = whole.filter(pl.col("ts") >= START + 5 * HOUR).with_columns(interval=pl.lit("1h"))
    for part in lake.layouts["ohlcv"].files(lake.root):
        part.path.unlink()
    lake.write("ohlcv", kept, source="test", now_ns=NOW)
    assert first not in list(lake.root.rglob("*.parquet"))
    assert missing(lake) == {"lost": {*range(5), 7, 8}, "never_fetched": set(range(20, 60))}
    done = repair(lake, btc.market(), now_ns=NOW)
    assert done.fetched == 5 + 40 - 1
    assert missing(lake) == {"no_trade": SILENT}
    asked = len(btc.asked)
    again = repair(lake, btc.market(), now_ns=NOW)
    assert (again.fetched, again.requests, len(btc.asked)) == (0, 0, asked)


def test_what_the_exchange_keeps_no_longer_stays_missing_and_is_told_each_time(lake, btc):
    fill(lake, btc, 0, 20)
    btc.markets[BTC] = bars(START, HOUR, range(60, 102))
    fill(lake, btc, 80, 100)
    never = {"never_fetched": set(range(20, 80)), "no_trade": {7, 8}}
    assert missing(lake) == never
    done = repair(lake, btc.market(), now_ns=NOW)
    left = {"never_fetched": set(range(20, 60)), "no_trade": {7, 8}}
    for _ in range(2):
        assert missing(lake) == left
        (told,) = done.refused
        assert "does not keep 1h bars from 2026-09-01T20:00:00Z to 2026-09-03T12:00:00Z" in told
        done = repair(lake, btc.market(), now_ns=NOW)
    assert (done.fetched, done.requests) == (0, 2)


def test_bars_are_made_of_trades_where_all_of_theirs_are_here_without_a_network(lake, btc):
    fill(lake, btc, 0, 6)
    stamps = [START + 2 * HOUR + 5, START + 3 * HOUR, START + 3 * HOUR + 9, START + 7 * HOUR]
    trades = pl.DataFrame(
        [
            (ts, 5.0 + i, 1.0, "buy", str(i), "BTC-BRL", "mercadobitcoin")
            for i, ts in enumerate(stamps)
        ],
        schema=dict(TRADES.schema),
        orient="row",
    )
    told = pl.DataFrame(
        [
            (
                "trades",
                "BTC-BRL",
                "mercadobitcoin",
                None,
                START + 2 * HOUR,
                START + 5 * HOUR,
                3,
                1,
                "t",
            )
        ],
        schema=dict(COVERAGE.schema),
        orient="row",
    )
    for part in lake.layouts["ohlcv"].files(lake.root):
        part.path.unlink()
    lake.write("trades", trades, source="test", now_ns=NOW)
    lake.write("coverage", told, source="test", now_ns=NOW)
    asked = len(btc.asked)
    done = repair(lake, None, now_ns=NOW)
    assert (done.rebuilt, done.fetched, len(btc.asked)) == (2, 0, asked)
    made = lake.bars(*BTC).collect()
    assert made.select("ts", "open", "close", "volume").rows() == [
        (START + 2 * HOUR, 5.0, 5.0, 1.0),
        (START + 3 * HOUR, 6.0, 7.0, 2.0),
    ]
    assert missing(lake) == {"lost": {0, 1, 5}, "no_trade": {4}}
    assert repair(lake, None, now_ns=NOW).rebuilt == 0


def test_what_was_answered_before_a_failure_stays_and_the_same_repair_goes_on(lake, btc):
    fill(lake, btc, 0, 5)
    fill(lake, btc, 20, 25)
    fill(lake, btc, 90, 95)
    btc.faults.extend([Fault(503)] * 20)
    done = repair(lake, btc.market(), now_ns=NOW, page_bars=10)
    assert isinstance(done.error, Unavailable)
    assert done.after["bars"].sum() == done.before["bars"].sum()
    btc.faults.clear()
    done = repair(lake, btc.market(), now_ns=NOW, page_bars=10)
    assert done.error is None
    assert missing(lake) == {"no_trade": SILENT}


def test_nothing_of_an_excluded_symbol_is_fetched(lake, btc):
    fill(lake, btc, 0, 2)
    fill(lake, btc, 4, 5)
    fill(lake, btc, 30, 60)
    asked, before = len(btc.asked), missing(lake)
    done = repair(lake, btc.market(), now_ns=NOW, page_bars=10, exclusions=("BTC-BRL",))
    assert (len(btc.asked), done.requests, missing(lake)) == (asked, 0, before)
    assert done.refused == ("BTC-BRL is among the `exclusions` of the settings: not fetched",)
    assert repair(lake, btc.market(), now_ns=NOW, exclusions=("ETH-BRL",)).fetched


def test_near_stretches_are_asked_for_together():
    assert joined([(0, 1), (3, 4), (20, 21), (21, 50)], 10) == [(0, 4), (20, 50)]
