"""A year of minutes with holes of every class, by way of `cq sim`: each minute's class is right."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from simulator import started

from cq.exchanges.mercado_bitcoin import MercadoBitcoin, Rest
from cq.ingest.backfill import backfill
from cq.ingest.repair import repair
from cq.ingest.trade_fill import fill_trades
from cq.lake import Lake
from cq.lake.quarantine import quarantine
from cq.lake.verify import verify
from cq.utils.settings import Ingestion
from cq.utils.time import DAY, HOUR, MINUTE, SECOND, iso, parse_time

START = parse_time("2025-01-01")
END = parse_time("2026-01-01")
MINUTES = (END - START) // MINUTE
SHARES = {"BTC-BRL": 0.05, "ETH-BRL": 0.03, "SOL-BRL": 0.02}
HEARTBEAT = 15  # BTC-BRL trades at least so often, so that no quiet night looks like an outage
PAGE = 5000

HERE, NO_TRADE, OUTAGE, NEVER, LOST = range(5)
CODES = {"no_trade": NO_TRADE, "outage": OUTAGE, "never_fetched": NEVER, "lost": LOST}


def minute(text: str) -> int:
    return (parse_time(text) - START) // MINUTE


OUTAGES = [
    (minute("2025-02-03T10:07"), minute("2025-02-03T12:52")),
    (minute("2025-05-10T02:00"), minute("2025-05-10T05:30")),
    (minute("2025-09-09"), minute("2025-09-10")),
]
UNASKED = {
    "BTC-BRL": (minute("2025-03-10T07:03"), minute("2025-03-15T01:01")),
    "ETH-BRL": (minute("2025-07-01"), minute("2025-07-03")),
}
TRADES_KNOWN = (minute("2025-05-01"), minute("2025-05-15"))


@pytest.fixture(scope="module")
def traded() -> dict[str, np.ndarray]:
    """Whether somebody traded, for each minute of the year."""
    draw = np.random.default_rng(5)
    found = {symbol: draw.random(MINUTES) < share for symbol, share in SHARES.items()}
    found["BTC-BRL"][::HEARTBEAT] = True
    for one in found.values():
        one[0] = True  # every series begins with the year
        for start, end in OUTAGES:
            one[start:end] = False
    for start, end in OUTAGES:
        found["BTC-BRL"][[start - 1, end]] = True  # what is silent beside one belongs to it
    return found


@pytest.fixture(scope="module")
def exchange(traded, tmp_path_factory):
    """The simulated exchange at the end of the year, with a trade in each of these minutes."""
    root = tmp_path_factory.mktemp("tape")
    tape = Lake(root / "lake")
    for symbol, minutes in traded.items():
        at = np.append(np.flatnonzero(minutes), MINUTES + 60)  # the tape goes on after the year
        rows = pl.DataFrame({"ts": START + at * MINUTE + at % 60 * SECOND})
        rows = rows.with_columns(
            price=100.0 + pl.int_range(pl.len()) % 50,
            size=pl.lit(0.5),
            side=pl.lit("buy"),
            trade_id=pl.int_range(1, pl.len() + 1).cast(pl.String),
            symbol=pl.lit(symbol),
            exchange=pl.lit("mercadobitcoin"),
        )
        tape.write("trades", rows, source="test", now_ns=1)
    options = ("--no-limits", "--speed", "0", "--start", iso(END))
    with started("--data", str(tape.root), *options) as sim:
        yield sim


@pytest.fixture(scope="module")
def market(exchange):
    limits = {"requests_per_minute": 6e7, "requests_per_second": 1e6}
    waits = {"backoff_base_ms": 0, "backoff_cap_ms": 0, "backoff_jitter_ms": 0}
    given = {
        "rest_base_url": exchange.rest,
        "ws_url": exchange.ws,
        "timeout_seconds": 30,
        "page_bars": PAGE,
        "rate_limits": limits,
        "retry": {"max_tries": 3} | waits,
    }
    with MercadoBitcoin(Rest(Ingestion.model_validate(given), clock=lambda: END)) as one:
        yield one


def fetch(lake: Lake, market: MercadoBitcoin, symbol: str, start: int, end: int) -> None:
    stretch = (START + start * MINUTE, START + end * MINUTE)
    backfill(lake, market, [symbol], "1m", *stretch, now_ns=END, page_bars=PAGE)


def classes(lake: Lake) -> dict[str, np.ndarray]:
    """The class of each minute; a minute that a run names is no minute that has a bar."""
    found = {symbol: np.full(MINUTES, HERE) for symbol in SHARES}
    runs = lake.gaps(interval="1m", now_ns=END).select(
        "symbol", (pl.col("ts", "end_ts") - START) // MINUTE, "bars", "class"
    )
    for symbol, start, end, bars, kind in runs.rows():
        assert bars == end - start
        assert (found[symbol][start:end] == HERE).all()
        found[symbol][start:end] = CODES[kind]
    for symbol, one in found.items():
        bars = lake.bars(symbol, "1m").select((pl.col("ts") - START) // MINUTE).collect()
        assert np.array_equal(np.flatnonzero(one == HERE), bars["ts"].to_numpy())
    return found


def differences(lake: Lake, truth: dict[str, np.ndarray]) -> list[tuple[str, str, int, int]]:
    """The first minutes of which another class is found than is true."""
    found = classes(lake)
    return [
        (symbol, iso(START + int(at) * MINUTE), int(found[symbol][at]), int(one[at]))
        for symbol, one in truth.items()
        for at in np.flatnonzero(found[symbol] != one)[:5]
    ]


def stretch_of(path) -> tuple[int, int]:
    """Minutes from a file's first bar to its last."""
    ts = pl.read_parquet(path, columns=["ts"])["ts"]
    return (ts[0] - START) // MINUTE, (ts[-1] - START) // MINUTE + 1


def file_around(lake: Lake, symbol: str, at: int):
    """The file of bars that holds a minute."""
    parts = lake.layouts["ohlcv"].files(lake.root, {"symbol": symbol})
    return next(p.path for p in parts if stretch_of(p.path)[0] <= at < stretch_of(p.path)[1])


def test_the_class_of_every_minute_of_a_year_is_right_and_a_repair_mends_it(
    tmp_path, traded, market
):
    lake = Lake(tmp_path / "lake")
    expected = {}
    for symbol, minutes in traded.items():
        unasked = UNASKED.get(symbol, (0, 0))
        fetch(lake, market, symbol, 0, unasked[0])
        fetch(lake, market, symbol, unasked[1], MINUTES)
        expected[symbol] = np.where(minutes, HERE, NO_TRADE)
        for start, end in OUTAGES:
            expected[symbol][start:end] = OUTAGE
        expected[symbol][slice(*unasked)] = NEVER
    assert differences(lake, expected) == []

    # a file of SOL-BRL is deleted: all that was asked for together with it is unknown …
    gone = file_around(lake, "SOL-BRL", OUTAGES[1][0])
    first, last = stretch_of(gone)
    asked = lake.sql("from coverage where symbol = 'SOL-BRL' and dataset = 'ohlcv'")
    edges = [(start - START) // MINUTE for start in asked["start_ts"].sort()] + [MINUTES]
    gone.unlink()
    (around,) = [(a, b) for a, b in pairwise(edges) if a <= first < last <= b]
    truth = expected["SOL-BRL"]
    truth[slice(*around)] = LOST
    # … but where its trades are known
    since, until = TRADES_KNOWN
    assert around[0] < since < until < around[1]
    fill_trades(
        lake, market, ["SOL-BRL"], START + since * MINUTE, START + until * MINUTE, now_ns=END
    )
    known = slice(since, until)
    truth[known] = np.where(traded["SOL-BRL"][known], LOST, NO_TRADE)
    truth[slice(*OUTAGES[1])] = OUTAGE

    # a file of ETH-BRL is damaged, and moved away: what lies between its first and last bar is lost
    verify(lake)
    torn = file_around(lake, "ETH-BRL", minute("2025-10-20"))
    first, last = stretch_of(torn)
    content = bytearray(torn.read_bytes())
    content[len(content) // 2] ^= 1
    torn.write_bytes(content)
    (moved,) = quarantine(lake, verify(lake).damaged, now_ns=END + HOUR)
    expected["ETH-BRL"][first:last] = LOST
    assert moved.saved == 0

    assert differences(lake, expected) == []
    assert {code for truth in expected.values() for code in np.unique(truth)} == set(range(5))

    done = repair(lake, market, now_ns=END + 2 * HOUR, page_bars=PAGE)
    assert done.error is None
    assert done.rebuilt == traded["SOL-BRL"][known].sum()
    mended = {symbol: np.where(minutes, HERE, NO_TRADE) for symbol, minutes in traded.items()}
    for start, end in OUTAGES:
        for truth in mended.values():
            truth[start:end] = OUTAGE
    assert differences(lake, mended) == []
    again = repair(lake, market, now_ns=END + DAY, page_bars=PAGE)
    assert (again.rebuilt, again.fetched, again.requests) == (0, 0, 0)
