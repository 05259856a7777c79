"""What looking at suspect blocks tells is what each view says of everything."""

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cq.errors import ConfigError
from cq.lake import Lake, parquet
from cq.lake.datasets import OHLCV
from cq.lake.inspection import clusters, merged
from cq.lake.quality import run_checks
from cq.lake.suspects import SERIES
from cq.utils.time import DAY, HOUR, MINUTE, parse_time

JANUARY = parse_time("2024-01-01")
FAULTS = (
    "gone",
    "twice",
    "zero",
    "leap",
    "spike",
    "wick",
    "flat",
    "frozen",
    "thousandfold",
    "again",
    "off",
    "nothing",
    "nan",
    "untimed",
)
PRICES = ("open", "high", "low", "close")
NOW = JANUARY + 60 * DAY


def market(days: int, step: int, interval: str, symbol: str, seed: int) -> pl.DataFrame:
    """A plain market of so many days, with prices that move a little all the time."""
    at = pl.int_range(days * DAY // step, eager=True)
    wave = ((at * (seed + 7) * 31) % 97).cast(pl.Float64) / 100
    price = 100.0 + wave
    return pl.DataFrame(
        {
            "ts": JANUARY + at * step,
            "open": price,
            "high": price + 0.5,
            "low": price - 0.5,
            "close": price + wave / 10 - 0.04,
            "volume": 1 + ((at * 7919 + seed) % 99991).cast(pl.Float64) / 99991,
        }
    ).with_columns(
        symbol=pl.lit(symbol), exchange=pl.lit("mercadobitcoin"), interval=pl.lit(interval)
    )


def spoiled(rows: pl.DataFrame, fault: str, at: int, length: int) -> pl.DataFrame:
    """The market with one fault, of so many bars, at a place."""
    place = pl.int_range(pl.len())
    inside = place.is_between(at, at + length - 1)
    prices = [pl.col(name) for name in PRICES]

    def changed(*, where: pl.Expr = inside, **changes: pl.Expr | float) -> pl.DataFrame:
        return rows.with_columns(
            pl.when(where).then(change).otherwise(pl.col(name)).alias(name)
            for name, change in changes.items()
        )

    match fault:
        case "gone":
            return rows.filter(~inside)
        case "twice":
            return pl.concat([rows, rows.filter(inside)])
        case "zero":
            return changed(volume=0.0)
        case "leap":
            return rows.with_columns(
                pl.when(place >= at).then(one * 1.5).otherwise(one) for one in prices
            )
        case "spike":
            return rows.with_columns(
                pl.when(place == at).then(one * 2).otherwise(one) for one in prices
            )
        case "wick":
            return changed(where=place == at, high=pl.col("high") * 3)
        case "flat":
            return changed(open=7.0, high=7.0, low=7.0, close=7.0, volume=1.5)
        case "frozen":
            return changed(where=place.is_between(at, at + 400), close=100.0)
        case "thousandfold":
            return changed(where=place >= at, volume=pl.col("volume") * 1000)
        case "again":
            hours = 3 * HOUR // (rows["ts"][1] - rows["ts"][0])
            return rows.with_columns(
                pl.when(inside & (place >= hours)).then(pl.col(name).shift(hours)).otherwise(name)
                for name in (*PRICES, "volume")
            ).with_columns(pl.col(PRICES).cast(pl.Float64))
        case "off":
            return changed(ts=pl.col("ts") + 1)
        case "nothing":
            return changed(close=pl.lit(None, pl.Float64))
        case "nan":
            return changed(where=place == at, volume=float("nan"))
        case _:
            return changed(where=place == at, ts=pl.lit(None, pl.Int64))


def slip_in(lake: Lake, rows: pl.DataFrame) -> None:
    """Put a file of one series into the lake past the writer, as somebody else's program might."""
    lake.prepare()
    rows = OHLCV.conform(rows)
    owner = {name: rows.item(0, name) for name in OHLCV.owner}
    folder = lake.root / lake.layouts["ohlcv"].folder(owner, rows.item(0, "ts"))
    parquet.place(parquet.encoded(rows), folder, f"theirs-{rows.height}.parquet")


def agree(lake: Lake, *args, **more) -> None:
    more["only"] = ["missing_bars", "silent_bars"] + [
        view.name for view in lake.views.views if "\n-- suspect: " in view.text
    ]
    quick = run_checks(lake, *args, now_ns=NOW, small=0, **more)
    assert quick.checks == plain_views(lake, *args, **more).checks


def plain_views(lake: Lake, *args, **more):
    """The same with nothing suspected, so that each view is asked over everything."""
    from cq.lake import inspection, suspects

    of, hold = suspects.Suspicion.of, inspection._hold_gaps
    try:
        inspection.Suspicion.of = staticmethod(lambda _: None)
        inspection._hold_gaps = lambda *_: None
        return run_checks(lake, *args, now_ns=NOW, **more)
    finally:
        inspection.Suspicion.of, inspection._hold_gaps = of, hold


planted = st.lists(
    st.tuples(
        st.sampled_from(FAULTS), st.integers(0, 5 * 1440), st.integers(1, 300), st.integers(0, 2)
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return tmp_path_factory.mktemp("lakes")


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(faults=planted, since=st.none() | st.integers(0, 40), one=st.booleans())
def test_suspect_blocks_tell_what_the_views_tell(folders, faults, since, one):
    lake = Lake(folders / f"lake{len(list(folders.iterdir()))}")
    markets = [
        market(5, MINUTE, "1m", "BTC-BRL", 1),
        market(40, HOUR, "1h", "ETH-BRL", 2),
        market(50, DAY, "1d", "SOL-BRL", 3),
    ]
    for fault, at, length, which in faults:
        rows = markets[which]
        markets[which] = spoiled(rows, fault, at % rows.height, length)
    for rows in markets:
        if rows.height:
            slip_in(lake, rows.sort("ts", nulls_last=True))
    start = None if since is None else JANUARY + since * DAY
    agree(lake, ["ETH-BRL"] if one and markets[1].height else (), start)


def test_each_fault_is_found(lake):
    expected = {
        "GONE": "missing_bars", "TWICE": "duplicate_keys", "ZERO": "zero_volume_bars",
        "LEAP": "outliers", "SPIKE": "spikes", "WICK": "spikes", "FLAT": "repeated_bars",
        "FROZEN": "frozen_closes", "AGAIN": "shifted_hours", "OFF": "off_grid_ts",
        "NOTHING": "not_positive", "NAN": "not_positive",
    }  # fmt: skip
    for fault in expected:
        rows = market(2, MINUTE, "1m", f"{fault}-BRL", 1)
        slip_in(lake, spoiled(rows, fault.lower(), 1500, 130))
    report = run_checks(lake, now_ns=NOW, small=0)
    found = {(row["symbol"], one.check) for one in report.checks for row in one.by_symbol}
    assert {(f"{fault}-BRL", check) for fault, check in expected.items()} <= found


def test_a_market_in_order_is_silent(lake):
    slip_in(lake, market(4, MINUTE, "1m", "BTC-BRL", 1))
    report = run_checks(lake, now_ns=JANUARY + 4 * DAY, small=0)
    assert {one.check: one.rows for one in report.checks if one.rows} == {}


def test_a_week_in_another_unit_is_found(lake):
    rows = market(21, 5 * MINUTE, "5m", "BTC-BRL", 1)
    slip_in(lake, spoiled(rows, "thousandfold", 14 * 288, 1))
    found = run_checks(lake, now_ns=NOW, small=0, only=["volume_breaks"]).checks[0]
    assert found.rows == 7
    assert found.examples[0]["time"] == "2024-01-15T00:00:00Z"


def test_a_week_is_not_compared_with_one_that_is_not_the_one_before(lake):
    rows = market(21, 5 * MINUTE, "5m", "BTC-BRL", 1)
    later = pl.when(pl.col("ts") < JANUARY + 14 * DAY).then(0).otherwise(140 * DAY)
    apart = spoiled(rows, "thousandfold", 14 * 288, 1).with_columns(pl.col("ts") + later)
    slip_in(lake, apart)
    assert lake.sql("from volume_breaks").is_empty()
    assert (
        run_checks(lake, now_ns=NOW + 365 * DAY, small=0, only=["volume_breaks"]).checks[0].rows
        == 0
    )


@pytest.mark.parametrize(
    ("header", "problem"),
    [("suspect: nonsense > 1", "nonsense"), ("fact: x = no_such(ts)\n-- suspect: x", "no_such")],
)
def test_a_header_that_is_no_sql_is_named(tmp_path, bars, header, problem):
    checks = tmp_path / "sql/checks"
    checks.mkdir(parents=True)
    (checks / "mine.sql").write_text(
        f"-- One row.\n-- {header}\ncreate or replace view mine as\n"
        "select exchange, symbol, interval, ts, 1 as rows, 'x' as detail from bars"
    )
    lake = Lake(tmp_path / "lake")
    slip_in(lake, bars(3))
    with pytest.raises(ConfigError, match=rf"mine\.sql: its header cannot be used: .*{problem}"):
        run_checks(lake, now_ns=1)


def test_ranges_that_meet_are_one_and_far_ones_are_read_apart():
    rows = pl.DataFrame(
        [("x", "A-B", "1m", *span) for span in ((0, 5), (5, 9), (20, 30), (22, 25), (90, 95))],
        schema=[*SERIES, "from_ts", "to_ts"],
        orient="row",
    )
    spans = merged(rows)
    assert spans.select("from_ts", "to_ts").rows() == [(0, 9), (20, 30), (90, 95)]
    assert list(clusters(spans, 20)) == [(0, 30), (90, 95)]
