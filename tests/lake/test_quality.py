import json
import re

import polars as pl
import pytest

from cq.errors import ConfigError, LakeUnwritable, UnknownSymbol, UsageError
from cq.lake import Lake, parquet
from cq.lake.datasets import OHLCV, ORDERBOOK_L2, TRADES
from cq.lake.quality import run_checks
from cq.lake.quality_reports import write_report
from cq.lake.views import project_files
from cq.utils.settings import Quality
from cq.utils.time import DAY, HOUR, MINUTE, interval_ns, parse_time

JANUARY = parse_time("2024-01-01")
NOW = JANUARY + 400 * DAY


def put(lake: Lake, rows: pl.DataFrame, dataset: str = "ohlcv") -> None:
    lake.write(dataset, rows, source="test", now_ns=1)


def slip_in(lake: Lake, rows: pl.DataFrame, contract=OHLCV) -> None:
    """Put a file into the lake past the writer, as somebody else's program might."""
    lake.prepare()
    rows = contract.conform(rows)
    owner = {name: rows.item(0, name) for name in contract.owner}
    folder = lake.root / lake.layouts[contract.name].folder(owner, rows.item(0, "ts"))
    parquet.place(parquet.encoded(rows), folder, f"theirs-{rows.height}.parquet")


def found(lake: Lake, check: str, *args, now_ns: int = NOW, **more):
    return run_checks(lake, *args, now_ns=now_ns, only=[check], **more).checks[0]


def covered(start: int, end: int, **changes) -> pl.DataFrame:
    row = {
        "dataset": "ohlcv", "symbol": "BTC-BRL", "exchange": "mercadobitcoin", "interval": "1h",
        "start_ts": start, "end_ts": end, "rows": 0, "asked_ts": 1, "source": "test",
    }  # fmt: skip
    return pl.DataFrame([row | changes])


def test_an_empty_lake_has_no_faults(lake):
    report = run_checks(lake, now_ns=NOW)
    assert (report.errors, report.warnings) == (0, 0)
    assert len(report.checks) == len(list((project_files() / "checks").glob("*.sql")))


def test_the_real_hours_miss_894_bars_and_26_saw_no_trade(lake, shared):
    rows = pl.read_parquet(shared / "market/ohlcv/hourly_binance_usdt_12.parquet")
    put(
        lake,
        rows.with_columns(
            symbol=pl.col("symbol").str.replace("USDT$", "-USDT"), interval=pl.lit("1h")
        ),
    )
    report = run_checks(lake, now_ns=NOW)
    counts = {one.check: one.rows for one in report.checks if one.rows}
    leaps = {one: counts.pop(one, 0) for one in ("outliers", "spikes", "volume_breaks")}
    assert counts == {"missing_bars": 894, "zero_volume_bars": 26, "late_bars": 12}
    assert report.errors == 894
    assert sum(leaps.values()) < rows.height / 2000  # five years of small coins, crashes among them


@pytest.mark.parametrize("rows", ["null", "null::bigint"])
def test_a_row_that_says_not_how_many_are_at_fault_is_one(lake, bars, rows):
    put(lake, bars(3))
    folder = lake.root.parent / "sql/checks"
    folder.mkdir(parents=True)
    (folder / "mine.sql").write_text(
        "-- One row per bar that I dislike.\ncreate or replace view mine as "
        f"select exchange, symbol, interval, ts, {rows} as rows, 'no' as detail from bars"
    )
    report = run_checks(Lake(lake.root), now_ns=NOW, only=["mine"])
    assert (report.errors, report.checks[0].rows) == (3, 3)
    assert {one["rows"] for one in report.checks[0].examples} == {1}


def test_a_severity_and_a_threshold_are_settings(lake, bars):
    put(lake, bars(3).with_columns(volume=0.0))
    now = JANUARY + 10 * HOUR
    plain = run_checks(lake, now_ns=now)
    assert (plain.warnings, found(lake, "late_bars", now_ns=now).rows) == (4, 1)
    mild = Quality.model_validate(
        {"severities": {"zero_volume_bars": "info"}, "thresholds": {"late_intervals": 9}}
    )
    report = run_checks(lake, now_ns=now, settings=mild)
    assert (report.errors, report.warnings) == (0, 0)
    off = Quality.model_validate({"severities": {"zero_volume_bars": "off"}})
    names = {one.check for one in run_checks(lake, now_ns=now, settings=off).checks}
    assert "zero_volume_bars" not in names
    only = run_checks(lake, now_ns=now, settings=off, only=["zero_volume_bars"]).checks
    assert [(one.check, one.severity, one.rows) for one in only] == [
        ("zero_volume_bars", "warn", 3)
    ]


def test_a_check_nobody_knows_is_named(lake):
    with pytest.raises(UsageError, match="no check 'outlier'; did you mean outliers"):
        run_checks(lake, now_ns=NOW, only=["outlier"])
    with pytest.raises(UsageError, match="no check 'nonsense'; there is bad_trades"):
        run_checks(
            lake, now_ns=NOW, settings=Quality.model_validate({"severities": {"nonsense": "off"}})
        )


def test_every_threshold_has_the_value_that_the_sql_takes_without_it():
    said = "\n".join(path.read_text() for path in (project_files() / "checks").glob("*.sql"))
    for name, value in Quality().thresholds.model_dump().items():
        defaults = re.findall(rf"getvariable\('{name}'\)::\w+, ([0-9.e-]+)\)", said)
        assert {float(one) for one in defaults} == {value}, name


def test_a_file_with_another_column_is_found(lake, bars):
    put(lake, bars(3))
    folder = lake.root / lake.layouts["ohlcv"].folder(
        {"exchange": "mercadobitcoin", "symbol": "BTC-BRL", "interval": "1h"}, JANUARY
    )
    odd = bars(3, since="2024-02-01").with_columns(last=pl.lit(1.0))
    parquet.place(parquet.encoded(odd), folder, "odd.parquet")
    check = run_checks(lake, now_ns=NOW, only=["wrong_schema"]).checks[0]
    assert sorted(one["detail"].rpartition(" in ")[0] for one in check.examples) == [
        "column last (DOUBLE) is unknown",
    ]


def test_a_file_whose_rows_are_not_in_order_is_named(lake, bars):
    put(lake, bars(6))
    assert found(lake, "unordered_files").rows == 0
    folder = lake.files("BTC-BRL", "1h")[0].parent
    turned = OHLCV.conform(bars(6, since="2024-03-01")).sort("ts", descending=True)
    turned.write_parquet(folder / "theirs.parquet", row_group_size=2)
    (only,) = found(lake, "unordered_files").examples
    assert only["ts"] == parse_time("2024-03-01")
    assert only["detail"].startswith("rows come after later ones in ")
    assert only["detail"].endswith("theirs.parquet")
    assert found(lake, "unordered_files").rows == 4  # of the two groups that come after later ones


def test_rows_that_came_long_after_newer_ones_are_told(lake, bars):
    def land(day: str, came: str) -> None:
        rows = bars(24, since=day)
        lake.write("ohlcv", rows, source="test", now_ns=parse_time(came))

    land("2024-02-02", "2024-02-03T00:01")
    land("2024-02-01", "2024-02-03T23:00")  # within a day of those
    assert found(lake, "late_rows").rows == 0
    land("2024-01-31", "2024-02-04T00:02")
    late = found(lake, "late_rows")
    assert (late.rows, late.examples[0]["ts"]) == (24, parse_time("2024-01-31"))
    assert "landed 2024-02-04 00:02, newer rows 2024-02-03 00:01" in late.examples[0]["detail"]
    sooner = Quality.model_validate({"thresholds": {"late_landing_hours": 1}})
    assert found(lake, "late_rows", settings=sooner).rows == 48


def test_trades_that_make_another_bar_are_found(lake, bars):
    trades = pl.DataFrame(
        [
            (JANUARY + at * HOUR + second, price, 0.5, "buy", f"{at}{second}", "BTC-BRL", "x")
            for at in range(3)
            for second, price in ((1, 100.0), (2, 102.0), (3, 98.0), (4, 101.0))
        ],
        schema=list(TRADES.schema),
        orient="row",
    )
    right = bars(3, exchange="x").with_columns(
        open=100.0, high=102.0, low=98.0, close=101.0, volume=2.0
    )
    put(lake, trades, "trades")
    put(
        lake, right.with_columns(close=pl.when(pl.col("ts") == JANUARY).then(99.0).otherwise(101.0))
    )
    known = {"dataset": "trades", "interval": None, "exchange": "x"}
    assert found(lake, "trades_disagree").rows == 0
    put(lake, covered(JANUARY, JANUARY + 2 * HOUR, **known), "coverage")
    check = found(lake, "trades_disagree")
    assert [one["detail"] for one in check.examples] == ["close 99.0, by trades 101.0"]


def test_books_out_of_order_or_twice_are_found(lake):
    levels = [[(2.0, 1.0), (1.0, 1.0)], [(1.0, 1.0), (2.0, 1.0)], [(2.0, 0.0)]]
    books = pl.DataFrame(
        {
            "ts": [1, 2, 2],
            "bids": [[{"price": p, "size": s} for p, s in one] for one in levels],
            "asks": [[{"price": 3.0, "size": 1.0}]] * 3,
        }
    ).with_columns(symbol=pl.lit("BTC-BRL"), exchange=pl.lit("x"))
    slip_in(lake, books, ORDERBOOK_L2)
    assert found(lake, "duplicate_books").rows == 1
    assert [one["detail"] for one in found(lake, "unsorted_books").examples] == [
        "1 levels without a price and a size",
        "bids do not fall strictly",
    ]


def test_reports_are_a_view(lake, bars):
    assert lake.sql("from quality").is_empty()
    put(lake, bars(10).filter(pl.col("ts") != JANUARY + HOUR))
    write_report(run_checks(lake, now_ns=NOW), NOW)
    rows = lake.sql("from quality where rows > 0 and severity = 'error'").to_dicts()
    assert [(one["check_name"], one["symbol"], one["rows"]) for one in rows] == [
        ("missing_bars", "BTC-BRL", 1)
    ]


def test_the_page_shows_each_day_and_refers_to_nothing_outside(lake, bars):
    put(lake, bars(24 * 5).filter(pl.col("ts") != JANUARY + DAY + HOUR))
    put(lake, bars(3, "<b>-X", interval="1d"))
    report = run_checks(lake, now_ns=NOW)
    shown = report.page()
    assert "http" not in shown
    assert '"missing":[0,1,0,0,0],"why":".v..."' in shown
    assert [(one.symbol, sum(one.missing)) for one in report.calendars] == [("BTC-BRL", 1)]


def test_the_days_of_a_long_silence_are_counted(lake, bars):
    put(lake, pl.concat([bars(1, interval="1m", since="2023-10-01"), bars(1, interval="1m")]))
    assert sum(run_checks(lake, now_ns=NOW).calendars[0].missing) == 91 * 24 * 60


def test_moments_that_cannot_be_are_refused_and_every_view_goes_on(lake, bars):
    rows = bars(4, interval="1w").with_columns(ts=pl.Series([JANUARY, -(2**63), 2**63 - 1, -1]))
    report = lake.write("ohlcv", rows, source="test", now_ns=1)
    assert (report.landed, dict(report.by_rule)) == (1, {"ts_from_1970_to_2199": 3})
    refused = lake.sql("select ts, row from rejected")
    assert refused["ts"].is_null().all()
    assert refused["row"].str.contains(r"9223372036854775807|-9223372036854775808|-1,").all()
    put(lake, pl.concat([bars(1, since="2199-12-31T23:00"), bars(1, "A-B", "8w", "2199-12-31")]))
    for view in ("gaps", "bars_1d", "bars_1d_sao_paulo", "bars_1w", "bars_1mo"):
        lake.sql(f"from {view}")
    assert run_checks(lake, now_ns=NOW).errors


@pytest.mark.parametrize("interval", ["11w", "9999d", "999w"])
def test_bars_of_whatever_length_are_checked(lake, bars, interval):
    step = interval_ns(interval)
    put(lake, bars(3, interval=interval).with_columns(ts=pl.int_range(3) * step))
    assert found(lake, "outliers", now_ns=10 * step).rows == 0
    run_checks(lake, now_ns=10 * step)


def test_a_run_of_missing_bars_is_one_row_that_counts_them(lake, bars):
    rows = bars(100).filter(~pl.col("ts").is_between(JANUARY + 10 * HOUR, JANUARY + 14 * HOUR))
    put(lake, rows)
    one = found(lake, "missing_bars")
    assert one.rows == 5
    assert one.by_symbol == (
        {
            "exchange": "mercadobitcoin", "symbol": "BTC-BRL", "interval": "1h", "rows": 5,
            "first_ts": JANUARY + 10 * HOUR, "last_ts": JANUARY + 10 * HOUR,
        },
    )  # fmt: skip
    (example,) = one.examples
    assert example["ts"] == JANUARY + 10 * HOUR
    assert example["time"] == "2024-01-01T10:00:00Z"
    assert example["detail"].startswith("no bar from 2024-01-01 10:00 to 2024-01-01 15:00 (never_")


def test_what_begins_at_the_end_of_the_period_or_later_is_not_found(lake, bars):
    put(lake, bars(100).filter(~pl.col("ts").is_between(JANUARY + 10 * HOUR, JANUARY + 14 * HOUR)))
    for until, rows in ((JANUARY + 10 * HOUR, 0), (JANUARY + 11 * HOUR, 5)):
        report = run_checks(lake, now_ns=NOW, until=until)
        assert report.errors == rows


@pytest.mark.parametrize(
    ("ranges", "missing"),
    [
        ([(0, 200)], 0),
        ([(10, 15)], 0),
        ([(5, 12)], 3),
        ([(13, 50)], 3),
        ([(11, 12), (13, 14)], 3),
        ([(9, 13), (12, 16)], 0),
        ([(11, 14), (12, 13)], 2),
        ([(0, 10), (15, 30)], 5),
        ([(-50, 5)], 5),
    ],
)
def test_a_bucket_that_was_asked_for_is_not_missing(lake, bars, ranges, missing):
    put(lake, bars(100).filter(~pl.col("ts").is_between(JANUARY + 10 * HOUR, JANUARY + 14 * HOUR)))
    for start, end in ranges:
        put(lake, covered(JANUARY + start * HOUR, JANUARY + end * HOUR), "coverage")
    assert found(lake, "missing_bars").rows == missing


@pytest.mark.parametrize("other", [{"interval": "1m"}, {"symbol": "ETH-BRL"}, {"exchange": "x"}])
def test_what_was_asked_of_another_series_explains_nothing(lake, bars, other):
    put(lake, bars(100).filter(pl.col("ts") != JANUARY + HOUR))
    put(lake, covered(JANUARY, JANUARY + DAY, **other), "coverage")
    assert found(lake, "missing_bars").rows == 1


def test_a_missing_month_is_one_bar(lake, bars):
    months = bars(3).with_columns(
        ts=pl.Series([parse_time(f"2024-{month}-01") for month in ("01", "02", "05")]),
        interval=pl.lit("1M"),
    )
    put(lake, months)
    assert found(lake, "missing_bars").rows == 2
    assert found(lake, "off_grid_ts").rows == 0


def test_bars_off_the_grid_are_found(lake, bars):
    put(lake, bars(3, since="2024-01-01T00:30"))
    put(lake, bars(2, "ETH-BRL", "1w", since="2024-01-01"))
    put(lake, bars(2, "SOL-BRL", "1w", since="2024-01-03"))
    put(lake, bars(1, "XRP-BRL", "1M", since="2024-01-02"))
    by_symbol = {one["symbol"]: one["rows"] for one in found(lake, "off_grid_ts").by_symbol}
    assert by_symbol == {"BTC-BRL": 3, "SOL-BRL": 2, "XRP-BRL": 1}


def test_what_another_program_slipped_in_is_found(lake, bars):
    rows = bars(3)
    put(lake, rows)
    slip_in(lake, rows.head(1))
    slip_in(lake, bars(2, "ETH-BRL").with_columns(high=1.0))
    slip_in(lake, bars(2, "SOL-BRL").with_columns(open=pl.Series([float("nan"), None])))
    assert found(lake, "duplicate_keys").rows == 1
    assert found(lake, "ohlc_order").by_symbol[0]["symbol"] == "ETH-BRL"
    assert found(lake, "not_positive").rows == 2


def test_bad_trades_and_repeated_ids_are_found(lake):
    trades = pl.DataFrame(
        {"ts": [1, 2, 3], "price": [1.0, -1.0, 1.0], "side": [None, "buy", "bid"]}
    ).with_columns(size=1.0, trade_id=pl.lit("7"), symbol=pl.lit("BTC-BRL"), exchange=pl.lit("x"))
    slip_in(lake, trades, TRADES)
    assert found(lake, "duplicate_trades").rows == 2
    assert found(lake, "bad_trades").rows == 2


def test_ids_that_no_trade_has_are_a_warning_where_the_exchange_numbers_them_all(lake):
    rows = pl.DataFrame(
        [
            (number * HOUR, 1.0, 1.0, "buy", trade_id, symbol, exchange)
            for symbol, exchange, ids in (
                ("BTC-BRL", "mercadobitcoin", ("9", "10", "11", "15", "x/1", "17")),
                ("ETH-BRL", "mercadobitcoin", ("1", "2")),
                ("BTC-USDT", "elsewhere", ("1", "7")),
            )
            for number, trade_id in enumerate(ids)
        ],
        schema=list(TRADES.schema),
        orient="row",
    )
    put(lake, rows, "trades")
    check = found(lake, "missing_trades")
    assert (check.severity, check.rows) == ("warn", 4)
    assert [one["detail"] for one in check.examples] == ["no trade 12 to 14", "no trade 16"]
    assert check.examples[0]["ts"] == 2 * HOUR


def test_a_bar_without_trade_is_a_warning(lake, bars):
    put(lake, bars(3).with_columns(volume=0.0))
    report = run_checks(lake, now_ns=JANUARY + 3 * HOUR)
    assert (report.errors, report.warnings) == (0, 3)


def test_a_series_is_late_after_three_intervals(lake, bars):
    put(lake, bars(3))
    closed = JANUARY + 3 * HOUR
    assert found(lake, "late_bars", now_ns=closed + 3 * HOUR).rows == 0
    assert found(lake, "late_bars", now_ns=closed + 3 * HOUR + MINUTE).rows == 1


def test_refused_rows_are_a_warning_with_their_rules(lake, bars):
    put(lake, bars(3).with_columns(volume=-1.0, symbol=pl.lit("nonsense")))
    one = found(lake, "rejected_rows")
    assert (one.severity, one.rows) == ("warn", 3)
    assert one.examples[0]["detail"] == "ohlcv: symbol_form, volume_not_negative"


def test_only_the_asked_symbols_and_times_are_looked_at(lake, bars):
    put(lake, bars(100).filter(pl.col("ts") % (10 * HOUR) != 0))
    put(lake, bars(3, "ETH-BRL"))
    assert found(lake, "missing_bars", ["ETH-BRL"]).rows == 0
    every = found(lake, "missing_bars", ["BTC-BRL"]).rows
    assert 0 < found(lake, "missing_bars", ["BTC-BRL"], JANUARY + 2 * DAY).rows < every
    with pytest.raises(UnknownSymbol, match=r"no btc-brl here \(did you mean BTC-BRL\?\)"):
        run_checks(lake, ["btc-brl"], now_ns=1)
    with pytest.raises(UnknownSymbol, match="no DOGE-BRL here; there is BTC-BRL, ETH-BRL"):
        run_checks(lake, ["DOGE-BRL"], now_ns=NOW)


def test_the_report_is_written_for_its_day(lake, bars):
    put(lake, bars(10).filter(pl.col("ts") != JANUARY + HOUR))
    report = run_checks(lake, since=JANUARY, now_ns=NOW)
    path = write_report(report, NOW)
    assert path == lake.root / "quality/2025-02-04/quality_report.json"
    content = json.loads(path.read_text())
    assert content == json.loads(json.dumps(report.as_dict()))
    assert (content["errors"], content["since"]) == (1, "2024-01-01T00:00:00Z")
    first = next(one for one in content["checks"] if one["rows"])
    assert set(first) == {"check", "severity", "rows", "by_symbol", "examples"}
    assert sorted(path.parent.iterdir()) == [path.with_suffix(".html"), path]


def test_a_report_that_cannot_be_written_is_one_clear_error(lake):
    lake.prepare()
    (lake.root / "quality").write_text("")
    with pytest.raises(LakeUnwritable):
        write_report(run_checks(lake, now_ns=NOW), NOW)


def test_a_check_without_the_common_columns_is_named(tmp_path):
    (tmp_path / "sql/checks").mkdir(parents=True)
    (tmp_path / "sql/checks/mine.sql").write_text(
        "-- One row.\ncreate or replace view mine as select 1 as one;"
    )
    with pytest.raises(ConfigError, match=r"mine\.sql: .*exchange"):
        run_checks(Lake(tmp_path / "lake"), now_ns=NOW)


@pytest.mark.parametrize("columns", ["ts, 'many' as rows", "'noon' as ts, 1 as rows"])
def test_a_check_with_text_for_a_number_is_named(tmp_path, bars, columns):
    checks = tmp_path / "sql/checks"
    checks.mkdir(parents=True)
    (checks / "mine.sql").write_text(
        "-- One.\ncreate or replace view mine as\n"
        f"select exchange, symbol, interval, {columns}, 'x' as detail from bars"
    )
    lake = Lake(tmp_path / "lake")
    lake.write("ohlcv", bars(2), source="t", now_ns=1)
    with pytest.raises(ConfigError, match=r"mine\.sql: its column \w+ is of type VARCHAR"):
        run_checks(lake, now_ns=1)
